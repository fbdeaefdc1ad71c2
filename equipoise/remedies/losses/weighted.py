"""Cross-entropy in which rare classes count more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.batches.weights import Beta, WeightKind, class_weights
from equipoise.remedies.losses.common import at_least_float32, cross_entropy, per_class


def weighted_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    *,
    kind: WeightKind = "inverse",
    beta: Beta = 0.999,
) -> Tensor:
    """Cross-entropy times the weight of the row's class.

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class as fed to
              training. Returns (rows,) loss in nats; the mean weight over the rows as fed is 1, so
              sums are divided by the number of rows. (torch's own `weight=` divides by the sum of
              the weights in the batch, which lets a batch without rare rows weigh the others up.)
    Settings  kind, beta: as in `class_weights`.
    Raises    ShapeError if counts does not match logits.
    Helps     as `class_weights` does, where only a loss can be handed over.
    Harms     as `class_weights` does: at extreme ratios, and once every row is fitted.
    Source    Cui et al. 2019, Class-balanced loss based on effective number of samples,
              arXiv:1901.05555.
    """
    logits = at_least_float32(logits)
    host_counts = counts.detach().cpu().numpy() if isinstance(counts, Tensor) else counts
    weights = per_class(class_weights(host_counts, kind=kind, beta=beta), logits, "counts")
    return cross_entropy(logits, labels) * weights[labels]


def weighted_shift(
    counts: NDArray[Any], *, kind: WeightKind = "inverse", beta: Beta = 0.999
) -> NDArray[np.float64]:
    """(K,) nats: weighting a class by w is, to the logits, having w times as many rows of it."""
    return np.log(class_weights(counts, kind=kind, beta=beta))
