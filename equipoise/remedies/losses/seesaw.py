"""Cross-entropy that spares rare classes the pull of frequent ones' rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.losses.common import at_least_float32, of_label, on_host, per_class
from equipoise.remedies.prior import log_shares
from equipoise.remedies.remedy import NotNegative

_LEAST = 0.01
"""The own probability counts as at least this in the compensation, as in the authors' code: else a
single row, sure and wrong, would weigh without bound."""


def seesaw_cross_entropy(
    logits: Tensor, labels: Tensor, counts: Any, *, p: NotNegative = 0.8, q: NotNegative = 2.0
) -> Tensor:
    """Cross-entropy in which every other class j stands in the softmax's sum S(label, j) times.

        S = mitigation × compensation
        mitigation    (n_j / n_label)^p for a class rarer than the label's, else 1: a frequent
                      class's rows push a rare class down less
        compensation  (p_j / p_label)^q for a class likelier than the label's, else 1: more so
                      where it wins wrongly. Taken as it is, without a gradient

    n is the rows as fed to training; the paper counts them as they come, which ends at the same.

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class. Returns (rows,)
              loss in nats.
    Settings  p, q: no unit, 0 or more; both 0 is plain cross-entropy.
    Prior     - p × log share, roughly. Where two classes tie it is right to log 2; where a
              rare class is sure of itself the shift is smaller, so calibrate.
    Raises    ShapeError if counts do not match logits.
    Helps     with many classes of very unequal size: rare ones are not pushed down by rows that
              they have nothing to do with.
    Harms     at mild imbalance it does little; a large q chases wrong labels.
    Source    Wang et al. 2021, Seesaw loss for long-tailed instance segmentation,
              arXiv:2008.10032.
    """
    logits = at_least_float32(logits)
    log_n = per_class(np.log(on_host(counts).clip(1)), logits, "counts")
    pushed = p * (log_n[None, :] - log_n[labels][:, None]).clamp_max(0)
    log_p = F.log_softmax(logits.detach(), dim=1)
    own = of_label(log_p, labels).clamp_min(float(np.log(_LEAST)))
    pushed = pushed + q * (log_p - own[:, None]).clamp_min(0)
    others = F.one_hot(labels, logits.shape[1]).to(torch.bool).logical_not()
    return F.cross_entropy(logits + pushed * others, labels, reduction="none")


def seesaw_shift(
    counts: NDArray[Any], *, p: NotNegative = 0.8, q: NotNegative = 2.0
) -> NDArray[np.float64]:
    """(K,) nats: as logit adjustment at tau p, which is right to log 2 where two classes tie."""
    return -p * log_shares(counts)
