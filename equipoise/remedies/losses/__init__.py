"""Remedies in the loss: what a wrong answer costs in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.losses.common import cross_entropy
from equipoise.remedies.losses.focal import focal_cross_entropy
from equipoise.remedies.losses.logit_adjusted import adjusted_shift, logit_adjusted_cross_entropy
from equipoise.remedies.losses.weighted import weighted_cross_entropy, weighted_shift
from equipoise.remedies.prior import log_shares
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

__all__ = [
    "LOSSES",
    "Loss",
    "build_loss",
    "cross_entropy",
    "focal_cross_entropy",
    "logit_adjusted_cross_entropy",
    "weighted_cross_entropy",
]

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (rows, K), labels (rows,)) -> (rows,) nats."""

LOSSES: dict[str, Remedy] = {
    "weighted_cross_entropy": Remedy(
        "weighted_cross_entropy",
        "loss",
        "loss",
        weighted_cross_entropy,
        "arXiv:1901.05555",
        True,
        ("counts",),
        weighted_shift,
    ),
    "focal": Remedy("focal", "loss", "loss", focal_cross_entropy, "arXiv:1708.02002"),
    "logit_adjusted": Remedy(
        "logit_adjusted",
        "loss",
        "loss",
        logit_adjusted_cross_entropy,
        "arXiv:2007.07314",
        True,
        ("log_prior",),
        adjusted_shift,
    ),
}


def build_loss(spec: RemedySpec | None, counts: NDArray[Any], **given: Any) -> Loss:
    """The loss that the training loop calls, with its class statistics bound.

    counts (K,): rows per class as fed to training, after any remedy on rows. None: plain
    cross-entropy. `given` holds further needs of future losses (a cost matrix).
    Raises SettingsError for a remedy of another moment or an unmet need; DataError if the loss
    needs shares and a class has no rows.
    """
    if spec is None:
        return cross_entropy
    remedy = lookup(LOSSES, spec, "a loss")
    statistics = {"counts": np.asarray(counts, dtype=np.float64), **given}
    if "log_prior" in remedy.needs:
        statistics["log_prior"] = log_shares(counts)
    bound = bind(remedy, spec.settings, statistics)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        rows: Tensor = remedy.function(logits, labels, **bound)
        return rows

    return loss
