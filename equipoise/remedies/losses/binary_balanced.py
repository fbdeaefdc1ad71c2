"""Binary cross-entropy that knows which labels came along with others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.log_odds import log_odds, sigmoid
from equipoise.remedies.losses.binary import checked, focused, of_pairs
from equipoise.remedies.losses.common import on_host, per_class
from equipoise.remedies.remedy import NotNegative, Positive


def distribution_balanced(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    n_rows: float,
    *,
    alpha: NotNegative = 0.1,
    beta: NotNegative = 10.0,
    mu: NotNegative = 0.2,
    kappa: NotNegative = 0.05,
    scale: Positive = 2.0,
    gamma: NotNegative = 2.0,
) -> Tensor:
    """Rebalanced weights, and a loss that is tolerant of noes.

    A row with a rare label would be drawn often to balance that label, and would bring its common
    labels along. Of row i and label k the weight is therefore

        r = (1 / n_k) / (sum over the row's labels j of 1 / n_j)
        w = alpha + sigmoid(beta (r - mu))

    The logits are moved by v_k = kappa × log-odds of the label's share, and a no is taken at scale
    times its logit and 1 / scale of its loss, so that it costs less the further it is right.

    Shapes    logits (rows, K), labels (rows, K) of 0 and 1, counts (K,) rows that have each label
              as fed to training, n_rows all rows as fed. Returns (rows,) loss in nats, the mean
              over labels. A row without labels has r without bound, so w = alpha + 1.
    Settings  alpha, beta, mu: lift, steepness and middle of the map from r to w. kappa: 0 or more,
              share of the log-odds that the labels' margins take. scale: above 0; 1 treats noes as
              yeses. gamma: as in `binary_focal`. alpha 0.5, beta 0, kappa 0, scale 1 and gamma 0 is
              plain binary cross-entropy.
    Prior     - kappa × log-odds of the share + log(mean w where the label is / where it is not):
              the first is exact, the second as exact as weights that hang on the row allow.
    Raises    ShapeError if counts do not match logits.
    Helps     with a long tail of labels that occur beside common ones.
    Harms     where labels seldom occur together: then it is a focal loss with six settings.
    Source    Wu et al. 2020, Distribution-balanced loss for multi-label classification in
              long-tailed datasets, arXiv:2007.09654 (equations 4 to 8; focal as in its section 4).
    """
    z, y = checked(logits, labels)
    held = on_host(counts)
    inverse = per_class(1 / np.maximum(held, 1), z, "counts")
    margin = per_class(kappa * log_odds(held, n_rows), z, "counts")
    # No label: a sum of 0, a share without bound, and a sigmoid of 1 (0.5 where beta is 0).
    together = (y * inverse).sum(1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
    share = (inverse / together).clamp_max(torch.finfo(torch.float32).max)
    weights = alpha + torch.sigmoid(beta * (share - mu))
    taken = z + margin
    taken = torch.where(y > 0, taken, taken * scale)
    pairs = focused(of_pairs(taken, y), gamma) * weights
    return torch.where(y > 0, pairs, pairs / scale).mean(1)


def distribution_balanced_shift(
    labels: NDArray[np.int64],
    *,
    alpha: NotNegative = 0.1,
    beta: NotNegative = 10.0,
    mu: NotNegative = 0.2,
    kappa: NotNegative = 0.05,
    scale: Positive = 2.0,
    gamma: NotNegative = 2.0,
) -> NDArray[np.float64]:
    """(K,) nats on the log-odds. `scale` and `gamma` bend both sides alike at a probability of a
    half, and move no tie."""
    counts = labels.sum(axis=0)
    inverse = 1 / np.maximum(counts, 1)
    together = np.maximum((labels * inverse).sum(axis=1, keepdims=True), np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        weights = alpha + sigmoid(np.minimum(beta * (inverse / together - mu), 700.0))
    with_ = (weights * labels).sum(axis=0) / np.maximum(counts, 1)
    without = (weights * (1 - labels)).sum(axis=0) / np.maximum(len(labels) - counts, 1)
    told = (counts > 0) & (counts < len(labels))
    ratio = np.where(told, with_ / np.where(told, without, 1.0), 1.0)
    return np.asarray(np.log(ratio) - kappa * log_odds(counts, len(labels)), dtype=np.float64)
