"""The module that is trained: body, pooling and head in one."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.models.pooling import pool
from equipoise.models.trainable import Trainable


class SequenceClassifier(Trainable):
    """Token ids, cached states or pooled vectors in; one score per class out.

    `head` None means that `body` is an AutoModelForSequenceClassification with a head of its own,
    whose modules `own_head` names.
    """

    def __init__(
        self,
        body: nn.Module,
        head: nn.Module | None,
        *,
        pooling: str,
        causal: bool,
        own_head: Sequence[str] = (),
    ) -> None:
        super().__init__(body, pooling=pooling, causal=causal)
        self.head = head
        self._own_head = tuple(own_head)
        self._extra = _decoder_inputs(body) if causal else frozenset()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        states: Tensor | None = None,
        vectors: Tensor | None = None,
    ) -> Tensor:
        """Logits (rows, classes).

        Shapes  input_ids, attention_mask (rows, tokens); states (rows, tokens, width) as they
                arrive at the cut; vectors (rows, width) as pooled, which need only the head.
        """
        if vectors is None:
            assert input_ids is not None
            assert attention_mask is not None
            out = self._run_body(input_ids, attention_mask, states)
            if self.head is None:
                logits: Tensor = out.logits
                return logits
            vectors = self._pool(out.last_hidden_state, attention_mask)
        assert self.head is not None
        # Never in bf16: with its three digits, close classes would tie.
        with torch.autocast(vectors.device.type, enabled=False):
            scores: Tensor = self.head(vectors)
        return scores

    def vectors(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """Pooled vectors (rows, width) of the body as it is now."""
        out = self._run_body(input_ids, attention_mask, states, without_head=True)
        return self._pool(out.last_hidden_state, attention_mask)

    def head_weights(self) -> list[nn.Parameter]:
        if self.head is not None:
            return list(self.head.parameters())
        body: Any = self.body
        base: nn.Module = body.get_base_model() if hasattr(body, "peft_config") else body
        return [p for name in self._own_head for p in base.get_submodule(name).parameters()]

    def _run_body(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        states: Tensor | None,
        *,
        without_head: bool = False,
    ) -> Any:
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if "position_ids" in self._extra:
            # Padding on the left must not shift a row's positions: its states would then depend
            # on the longest row of its batch.
            inputs["position_ids"] = (attention_mask.cumsum(1) - 1).clamp(min=0)
        if "use_cache" in self._extra:
            inputs["use_cache"] = False  # keys and values of earlier tokens, for generation only
        body: Any = self.body
        if without_head and self.head is None:
            body = getattr(body, body.base_model_prefix)
        with self.entering(states):
            return body(**inputs)

    def _pool(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        # Prompt tuning puts virtual tokens in front, which belong to no row.
        states = states[:, states.shape[1] - attention_mask.shape[1] :]
        return pool(
            states.float() if states.dtype != torch.float64 else states,
            attention_mask,
            self.pooling,
        )


def _decoder_inputs(body: Any) -> frozenset[str]:
    """Which of position_ids and use_cache a decoder is given.

    Virtual tokens of prefix and prompt tuning stand before the row, so its positions are PEFT's to
    count; and prefixes enter as if they were earlier keys and values.
    """
    tuned = getattr(body, "active_peft_config", None)
    if tuned is not None and tuned.is_prompt_learning:
        return frozenset()
    inner = body.get_base_model() if tuned is not None else body
    accepted = inspect.signature(inner.forward).parameters
    kept = {name for name, p in accepted.items() if p.kind is not p.VAR_KEYWORD}
    takes_any = len(kept) < len(accepted)
    return frozenset(kept & {"position_ids", "use_cache"}) | (
        frozenset({"use_cache"}) if takes_any else frozenset()
    )
