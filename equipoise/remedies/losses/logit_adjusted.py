"""Cross-entropy under which a rare class must win by a wider margin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.errors import DataError
from equipoise.remedies.losses.common import at_least_float32, per_class
from equipoise.remedies.prior import log_shares
from equipoise.remedies.remedy import NotNegative


def logit_adjusted_cross_entropy(
    logits: Tensor, labels: Tensor, log_prior: Any, *, tau: NotNegative = 1.0
) -> Tensor:
    """Cross-entropy of the labels after adding `tau * log_prior` to the logits.

    In training a rare class must win by a wider margin, so that the plain logits
    favour no class by its frequency. Predict with the plain logits.

    Shapes    logits (rows, K), labels (rows,) int64, log_prior (K,).
              Returns (rows,) loss in nats, one per row; the loop adds weight × loss over the whole
              optimizer step (all micro-batches, all processes) and divides once.
    Units     log_prior: natural log of each class's share of the rows as fed to training, after
              any resampling.
    Settings  tau: no unit, 0 or more; 0 is plain cross-entropy, 1 takes the shares out.
    Prior     exact: - tau × log share.
    Raises    ShapeError if log_prior does not match logits;
              DataError if a class has no rows (its log_prior is -inf).
    Helps     most at extreme imbalance: rare classes are found without large weights, and the
              probabilities can be given for any target shares afterwards.
    Harms     at mild imbalance, where it trades precision (and F1) for recall of rare classes.
    Source    Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314
              (equation 10).
    """
    logits = at_least_float32(logits)
    prior = per_class(log_prior, logits, "log_prior")
    if not torch.isfinite(prior).all():
        empty = torch.nonzero(~torch.isfinite(prior)).flatten().tolist()
        raise DataError(f"classes {empty} have no training rows; drop them or add rows")
    return F.cross_entropy(logits + tau * prior, labels, reduction="none")


def adjusted_shift(counts: NDArray[Any], *, tau: NotNegative = 1.0) -> NDArray[np.float64]:
    """(K,) nats: the margin takes tau times the log shares out of the plain logits."""
    return -tau * log_shares(counts)


def balanced_softmax(logits: Tensor, labels: Tensor, log_prior: Any) -> Tensor:
    """Cross-entropy of a softmax in which every class counts by its share of the rows.

    The same as `logit_adjusted` with tau 1, found independently and known under this name.

    Shapes    logits (rows, K), labels (rows,) int64, log_prior (K,) natural log of each class's
              share of the rows as fed to training. Returns (rows,) loss in nats.
    Prior     exact: - log share, so that the plain logits are meant for flat shares.
    Raises    as `logit_adjusted_cross_entropy` does.
    Helps     most at extreme imbalance, as `logit_adjusted` does.
    Harms     at mild imbalance, where it trades precision (and F1) for recall of rare classes.
    Source    Ren et al. 2020, Balanced meta-softmax for long-tailed visual recognition,
              arXiv:2007.10740.
    """
    return logit_adjusted_cross_entropy(logits, labels, log_prior, tau=1.0)
