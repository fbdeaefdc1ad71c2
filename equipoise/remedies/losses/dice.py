"""A soft F1 of every row."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.losses.common import at_least_float32
from equipoise.remedies.remedy import NotNegative

Smooth = Annotated[float, Field(gt=0)]


def self_adjusting_dice(
    logits: Tensor, labels: Tensor, *, alpha: NotNegative = 1.0, smooth: Smooth = 1.0
) -> Tensor:
    """1 - (2 f y + smooth) / (f + y + smooth), f = (1 - p)^alpha × p, summed over the classes.

    y is 1 for the row's own class and 0 for the others, p the softmax. The factor (1 - p)^alpha
    turns away from what is easy, as in focal loss. It is held fixed in the gradient: (1 - p) p is
    largest at p = 1/2, so that the gradient through it would draw sure rows back to one half.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss, no unit, above 0. A row
              that is right and sure does not cost 0 but 1 / (1 + smooth), for its f is 0.
    Settings  alpha: power of the factor, 0 or more; 0 is the plain dice loss. smooth: above 0;
              larger evens out the pull of sure and unsure rows.
    Prior     none moved; not proper: probabilities say little before calibration.
    Helps     where the measure is F1 and easy rows of one large class drown the rest.
    Harms     a row at p = 0 hardly pulls, so what starts badly stays so: begin from class means or
              a trained head. Slower to converge than cross-entropy.
    Source    Li et al. 2020, Dice loss for data-imbalanced NLP tasks, arXiv:1911.02855.
    """
    log_p = F.log_softmax(at_least_float32(logits), dim=1)
    p = log_p.exp()
    f = (-torch.expm1(log_p.detach())).clamp_min(0) ** alpha * p
    own = F.one_hot(labels, logits.shape[1]).to(p.dtype)
    dice = (2 * f * own + smooth) / (f + own + smooth)
    return (1 - dice).sum(1)
