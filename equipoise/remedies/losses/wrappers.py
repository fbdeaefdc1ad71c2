"""What wrappers of the loss share: how they are called, and who is mixed with whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Pass(Protocol):
    """One micro-batch on its way through the model, any number of times."""

    def words(self) -> Tensor:
        """(rows, tokens, width) what enters the lowest trained layer, 0 at padding: the word
        embeddings, or, where lower layers are frozen, the states that come out of them."""

    def __call__(
        self,
        *,
        words: Tensor | None = None,
        partner: Tensor | None = None,
        change_vectors: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Logits (rows, K).

        words           (rows, tokens, width) in place of what `words()` gave.
        partner         (rows,) row beside each, whose tokens count where the row's own have ended.
        change_vectors  What becomes of the (rows, width) vectors that enter the head.
        """


PlainLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits (rows, K), labels (rows,)) -> (rows,) nats."""


class Wrapper(Protocol):
    """A wrapper with its settings bound, as the training loop calls it."""

    def __call__(
        self,
        run: Pass,
        labels: Tensor,
        weights: Tensor,
        loss: PlainLoss,
        rng: np.random.Generator,
        /,
    ) -> Tensor:
        """(rows,) weight × loss, of whatever was made of the micro-batch."""


def partners(
    rows: int, alpha: float, rng: np.random.Generator, device: torch.device
) -> tuple[float, Tensor]:
    """What share of itself every row keeps, and (rows,) the row each is mixed with.

    One share for the whole micro-batch, drawn from Beta(alpha, alpha): every row is then mixed in
    exactly once, by what the others leave of themselves, so that all rows together count what they
    count without mixing. alpha 0 keeps all rows as they are.
    """
    share = float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0
    order = rng.permutation(rows)
    return share, torch.from_numpy(order).to(device)
