"""Cross-entropy that turns away from rows already right."""

from __future__ import annotations

import torch
from torch import Tensor

from equipoise.remedies.losses.common import at_least_float32, cross_entropy
from equipoise.remedies.remedy import NotNegative


def focal_cross_entropy(logits: Tensor, labels: Tensor, *, gamma: NotNegative = 2.0) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p the softmax of the row's own class.

    The paper's alpha, a weight per class, is the remedy `class_weights` here: combine them.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss in nats.
    Settings  gamma: no unit, 0 or more; 0 is plain cross-entropy, larger turns away sooner.
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
