"""What the training loop asks of a module, whatever it learns to say."""

from __future__ import annotations

import contextlib
from typing import Any

from torch import Tensor, nn

from equipoise.models.cut import Cut


class Trainable(nn.Module):
    """A body, perhaps cut, perhaps with bottleneck adapters in its hooks."""

    def __init__(self, body: nn.Module, *, pooling: str, causal: bool) -> None:
        super().__init__()
        self.body = body
        self.pooling = pooling
        """How states become one vector."""
        self.causal = causal
        self.one_pass = True
        """Whether a row is one sequence on its way through the body, so that it has states."""
        self.pools = True
        """Whether pooled vectors are wanted wherever states are. If not, rows go no further than
        the cut to be cached."""
        self.cut: Cut | None = None
        self.upper: tuple[nn.Module, ...] = ()
        """Layers that train where those below are frozen and there is no cut."""
        self.added: nn.ModuleList | None = None
        """Bottleneck adapters, which sit in hooks and so are registered here."""

    @property
    def states_name(self) -> str:
        """What cached states and vectors depend on beside base, cut and token ids."""
        return self.pooling

    def vectors(
        self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None
    ) -> Tensor:
        """Pooled vectors (rows, width) of the body as it is now."""
        raise NotImplementedError

    def head_weights(self) -> list[nn.Parameter]:
        """Weights of a head that was drawn at random: there is nothing in them to hold on to, and
        they learn at a rate of their own."""
        return []

    def train(self, mode: bool = True) -> Any:
        """Frozen parts stay in evaluation mode: dropout there would be noise that nothing learns
        from, and cached states have none."""
        super().train(mode)
        upper = self.upper if self.cut is None else self.cut.layers[self.cut.number :]
        if mode and upper:
            self.body.eval()
            for layer in upper:
                layer.train()
            for part in self._around_base():
                part.train()
        elif mode and not any(p.requires_grad for p in self.body.parameters()):
            self.body.eval()
            if self.added is not None:
                self.added.train()
        return self

    def _around_base(self) -> list[nn.Module]:
        """A native head and its dropout: what stands in the body beside its base model."""
        inner = getattr(self.body, "base_model_prefix", None)
        parts = dict(self.body.named_children())
        return [part for name, part in parts.items() if name != inner] if inner in parts else []

    def entering(self, states: Tensor | None) -> Any:
        """Put `states` in at the cut during one forward pass; None: nothing is put in."""
        if states is None:
            return contextlib.nullcontext()
        assert self.cut is not None
        return self.cut.entering(states)
