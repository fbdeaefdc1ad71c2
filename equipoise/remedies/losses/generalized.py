"""Cross-entropy that gives up on rows whose label nothing supports."""

from __future__ import annotations

import torch
from torch import Tensor

from equipoise.remedies.losses.common import Portion, cross_entropy


def generalized_cross_entropy(logits: Tensor, labels: Tensor, *, q: Portion = 0.7) -> Tensor:
    """(1 - p^q) / q, p the softmax of the row's own class.

    A row at p = 0 costs 1 / q at most and hardly pulls, where cross-entropy lets it pull most.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss, 0 to 1 / q.
    Settings  q: no unit, 0 to 1; 0 is plain cross-entropy, 1 is 1 - p (mean absolute error).
    Prior     none moved; but it is not proper: probabilities come out too sure, so calibrate.
    Helps     where labels are wrong, above all by chance.
    Harms     rare classes, whose rows look like mistakes until they are learned: with q near 1
              they may never be. Combine with `class_weights`, or lower q.
    Source    Zhang and Sabuncu 2018, Generalized cross entropy loss for training deep neural
              networks with noisy labels, arXiv:1805.07836.
    """
    loss = cross_entropy(logits, labels)
    # -expm1 keeps its digits as p nears 1.
    return loss if q == 0 else -torch.expm1(-q * loss) / q
