"""Log-probabilities of chosen tokens over a whole vocabulary, never holding all scores at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_AT_ONCE = 1 << 24
"""Scores held at once: 64 MB. Of 32 rows, 60 places and 150,000 tokens all would be 1.2 GB, and
as much again for each step of softmax and gradient."""


def writing_model(body: nn.Module) -> Any:
    """The ...ForCausalLM, within PEFT or not."""
    tuned: Any = body
    return tuned.get_base_model() if hasattr(body, "get_base_model") else body


def log_probabilities(body: nn.Module, states: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
    """(rows, e) log of the probability of `tokens[i]` at `places[i]`, in nats.

    Shapes  states (rows, m, width) behind the model's last layer; places (e,) ascending, each of
            0 to m - 1 at least once; tokens (e,).
    """
    model = writing_model(body)
    rows, m = states.shape[:2]
    vocabulary = int(model.config.get_text_config().vocab_size)
    step = max(1, _AT_ONCE // (rows * vocabulary))
    bounds = torch.arange(0, m + step, step, device=places.device)
    edges = torch.searchsorted(places, bounds).tolist()
    again = torch.is_grad_enabled() and m > step
    parts = []
    for i, start in enumerate(range(0, m, step)):
        chosen = slice(edges[i], edges[i + 1])
        given = (model, states[:, start : start + step], places[chosen] - start, tokens[chosen])
        # Computed twice, held once: what the gradient needs is as large as the scores.
        part: Any = checkpoint(_part, *given, use_reentrant=False) if again else _part(*given)
        parts.append(part)
    return torch.cat(parts, dim=1)


def _part(model: Any, states: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
    # Never in bf16: with its three digits, close labels would tie.
    with torch.autocast(states.device.type, enabled=False), _giving(model, states):
        ids = torch.zeros(states.shape[:2], dtype=torch.long, device=states.device)
        scores: Tensor = model(input_ids=ids, use_cache=False).logits
        if scores.dtype != torch.float64:
            scores = scores.float()
        return scores[:, places, tokens] - scores.logsumexp(-1)[:, places]


@contextmanager
def _giving(model: Any, states: Tensor) -> Iterator[None]:
    """Within, the model's layers are not run and its head is given `states`: so whatever an
    architecture does behind its layers (soft caps, scales) is done as it does it."""
    from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output

    base = model.base_model
    assert base is not model
    kind = model.get_output_embeddings().weight.dtype
    ready = states.to(kind if kind.is_floating_point else torch.float32)
    before = base.__dict__.get("forward")
    base.forward = lambda *_, **__: Output(last_hidden_state=ready)
    try:
        yield
    finally:
        del base.forward
        if before is not None:
            base.forward = before
