"""A smoothed label whose wrong classes are let go once they are unlikely."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.losses.common import Portion, at_least_float32, of_label
from equipoise.remedies.remedy import NotNegative


def asymmetric_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma_positive: NotNegative = 0.0,
    gamma_negative: NotNegative = 4.0,
    smoothing: Portion = 0.1,
) -> Tensor:
    """Smoothed cross-entropy, focused by one power on the own class and another on all others.

        - (1 - s + s/K) × (1 - p)^gamma_positive × log p
        - sum over other classes j of s/K × p_j^gamma_negative × log p_j

    This is the authors' single-label form. A softmax label has no loss of its own for the other
    classes, so the second power acts on nothing but what smoothing spreads to them.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss in nats.
    Settings  gamma_positive: power on the own class's miss, no unit, 0 or more. gamma_negative:
              power on the other classes' probability. smoothing: share s of a label that is spread
              over all classes. All 0 is plain cross-entropy; both powers 0 `label_smoothing`;
              smoothing 0 `focal`.
    Prior     none moved; not proper, so calibrate.
    Helps     as a milder label smoothing: a class that is out of the question is not pulled up.
    Harms     where labels are wrong, with a gamma_positive above 0. Its use is for several labels
              a row; for one, do not expect much.
    Source    Ridnik et al. 2021, Asymmetric loss for multi-label classification, arXiv:2009.14119
              (section 2.2; single-label form as in the authors' ASLSingleLabel).
    """
    log_p = F.log_softmax(at_least_float32(logits), dim=1)
    own = of_label(log_p, labels)
    # The floor keeps 0^(gamma - 1) out of the gradient, as in `focal`.
    miss = (-torch.expm1(own)).clamp_min(torch.finfo(own.dtype).tiny)
    share = smoothing / logits.shape[1]
    positive = -(1 - smoothing + share) * miss**gamma_positive * own
    if share == 0:
        return positive
    # p^gamma as exp(gamma log p), whose gradient stays a number at p = 0.
    every = ((gamma_negative * log_p).exp() * log_p).sum(1)
    return positive - share * (every - (gamma_negative * own).exp() * own)
