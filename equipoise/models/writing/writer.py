"""The module that learns to write: a body with its own language-model head, asked for scores only
where something is learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.models.trainable import Trainable


class Writer(Trainable):
    """Token ids in, scores of the next token out, at the places that are asked for.

    Several rows may share a line of the batch: their positions each count from 0, and the model
    itself then keeps them apart (`packing_holds` makes sure). Of an encoder-decoder the body reads
    `source_ids` with its encoder and writes with its decoder.
    """

    def __init__(self, body: nn.Module, *, two_parts: bool) -> None:
        super().__init__(body, pooling="mean", causal=not two_parts)
        self.two_parts = two_parts
        self.pools = False

    @property
    def states_name(self) -> str:
        """Not those of a classifier on the same base, which have vectors beside them."""
        return "states alone"

    def forward(
        self,
        input_ids: Tensor,
        places: Tensor,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        states: Tensor | None = None,
        source_ids: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """Scores (m, vocabulary) of the token behind each of m places.

        Shapes  input_ids, position_ids, attention_mask (lines, tokens); places (m,) numbers of
                tokens, counted line by line; states (lines, tokens, width) as they arrive at the
                cut; source_ids, source_mask (lines, source tokens).
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "use_cache": False}
        if self.two_parts:
            inputs = {
                "input_ids": source_ids,
                "attention_mask": source_mask,
                "decoder_input_ids": input_ids,
                "use_cache": False,
            }
        elif position_ids is not None:
            inputs["position_ids"] = position_ids
        if attention_mask is not None:
            inputs["decoder_attention_mask" if self.two_parts else "attention_mask"] = (
                attention_mask
            )
        with self.entering(states), only_at(self.body, places, input_ids.shape[1]):
            scores: Tensor = self.body(**inputs).logits
        return scores.reshape(-1, scores.shape[-1])

    @contextmanager
    def as_it_came(self) -> Iterator[None]:
        """Within, the body is the base's, without what PEFT added to it."""
        disabled = getattr(self.body, "disable_adapter", nullcontext)
        with disabled():
            yield

    def vectors(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """Mean (rows, width) over each row's states behind the last layer, of an encoder-decoder
        that of the encoder; padding stands on the right. A body that puts virtual tokens in front
        has to be `as_it_came`."""
        body: Any = self.body
        if self.two_parts:
            read = body.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)
            return _mean(read.last_hidden_state, attention_mask)
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
        kept: list[Tensor] = []

        def keep(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            kept.append(given[0])
            return (given[0][:, :1], *given[1:])  # nobody asks for the scores

        hook = writing_head(self.body).register_forward_pre_hook(keep)
        try:
            with self.entering(states):
                body(
                    input_ids=input_ids,
                    attention_mask=attention_mask,
                    position_ids=positions,
                    use_cache=False,
                )
        finally:
            hook.remove()
        return _mean(kept[0], attention_mask)


def _mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    """(rows, width) mean of each row's states (rows, tokens, width)."""
    mask = attention_mask[..., None].to(states.dtype)
    mean: Tensor = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
    return mean


def writing_head(body: nn.Module) -> nn.Module:
    """The layer from states to scores over the vocabulary."""
    model: Any = body
    head: nn.Module = model.get_output_embeddings()
    return head


def has_virtual_tokens(body: nn.Module) -> bool:
    """Whether prefix or prompt tuning puts tokens in front of every line; PEFT then drops the
    positions that it is given, and counts from the line's beginning."""
    tuned = getattr(body, "active_peft_config", None)
    return tuned is not None and bool(tuned.is_prompt_learning)


@contextmanager
def only_at(body: nn.Module, places: Tensor, tokens: int) -> Iterator[None]:
    """Within, the head sees the states at `places` alone, as (1, m, width): most of what it costs,
    in time and in memory, it costs for tokens that nobody learns."""

    def take(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        # Prompt tuning puts virtual tokens in front, which belong to no row.
        states = given[0][:, given[0].shape[1] - tokens :]
        return (states.reshape(-1, states.shape[-1])[places][None], *given[1:])

    hook = writing_head(body).register_forward_pre_hook(take)
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def packing_holds(writer: Writer) -> bool:
    """Whether two rows in one line, each with positions from 0, get the scores that they get
    apart. Models that keep a memory from token to token, or count positions themselves, fail."""
    if writer.two_parts or has_virtual_tokens(writer.body):  # they stand before a line, not a row
        return False
    if writer.cut is not None and writer.cut.skipping:
        return False
    was_training = writer.training
    writer.eval()
    device = next(writer.parameters()).device
    body: Any = writer.body
    high = int(body.get_input_embeddings().weight.shape[0])
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randint(1, max(2, high), (1, n), generator=generator).to(device) for n in (5, 7)
    )
    positions = torch.cat([torch.arange(5), torch.arange(7)])[None].to(device)
    try:
        together = writer(torch.cat([first, second], 1), torch.arange(12, device=device), positions)
        apart = torch.cat(
            [
                writer(
                    ids,
                    torch.arange(ids.shape[1], device=device),
                    torch.arange(ids.shape[1], device=device)[None],
                )
                for ids in (first, second)
            ]
        )
    except (TypeError, ValueError, RuntimeError):
        return False  # takes no positions
    finally:
        writer.train(was_training)
    scale = 1 + float(apart.abs().max())
    return float((together - apart).abs().max()) <= _TOLERANCE * scale


_TOLERANCE = 1e-4
"""Honest differences are about 1e-6; attention across rows is off by far more."""
