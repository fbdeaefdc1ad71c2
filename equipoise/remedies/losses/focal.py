"""Cross-entropy that turns away from rows already right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.batches.weights import Beta, class_weights
from equipoise.remedies.losses.common import at_least_float32, cross_entropy, on_host, per_class
from equipoise.remedies.remedy import NotNegative


def focal_cross_entropy(logits: Tensor, labels: Tensor, *, gamma: NotNegative = 2.0) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p the softmax of the row's own class.

    The paper's alpha, a weight per class, is the remedy `class_weights` here: combine them.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss in nats.
    Settings  gamma: no unit, 0 or more; 0 is plain cross-entropy, larger turns away sooner.
    Prior     none moved.
    Helps     where most rows of the large classes are easy and drown the hard ones.
    Harms     where labels are wrong: the hardest rows are then the wrong ones. Probabilities come
              out too timid (focal loss is not proper): calibrate with `temperature`.
    Source    Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002.
    """
    loss = cross_entropy(at_least_float32(logits), labels)
    # 1 - exp(-loss) keeps its digits as p nears 1. A row at p = 1 would give 0^(gamma - 1), whose
    # infinite gradient times 0 is NaN for gamma < 1; the floor cuts the gradient there.
    miss = (-torch.expm1(-loss)).clamp_min(torch.finfo(loss.dtype).tiny)
    return miss**gamma * loss


def class_balanced_focal(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    *,
    gamma: NotNegative = 2.0,
    beta: Beta = 0.999,
) -> Tensor:
    """Focal loss times (1 - beta) / (1 - beta^n), n the rows of the row's class.

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class as fed to
              training. Returns (rows,) loss in nats; the mean weight over the rows as fed is 1.
    Settings  gamma: as in `focal`. beta: 0 to below 1; 0 is no weighting, near 1 is 1 / n.
    Prior     + log weight: exact for gamma 0. For a larger gamma two classes still tie exactly
              where weight × posterior ties, so decisions are right, but what lies on either side is
              too timid: calibrate with `temperature`.
    Raises    ShapeError if counts do not match logits.
    Helps     as `focal` and `class_weights` do: rare classes, among many easy rows.
    Harms     as they do: wrong labels; single rows with huge weights.
    Source    Cui et al. 2019, Class-balanced loss based on effective number of samples,
              arXiv:1901.05555 (section 4.3).
    """
    logits = at_least_float32(logits)
    weights = class_weights(on_host(counts), kind="effective", beta=beta)
    found = per_class(weights, logits, "counts")
    return focal_cross_entropy(logits, labels, gamma=gamma) * found[labels]


def class_balanced_shift(
    counts: NDArray[Any], *, gamma: NotNegative = 2.0, beta: Beta = 0.999
) -> NDArray[np.float64]:
    """(K,) nats: that of the weights; gamma moves no tie."""
    return np.asarray(np.log(class_weights(counts, kind="effective", beta=beta)), dtype=np.float64)
