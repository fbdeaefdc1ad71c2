"""Remedies in the loss: what a wrong answer costs in training."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.losses.asymmetric import asymmetric_cross_entropy
from equipoise.remedies.losses.common import cross_entropy
from equipoise.remedies.losses.cost_sensitive import expected_cost
from equipoise.remedies.losses.dice import self_adjusting_dice
from equipoise.remedies.losses.focal import (
    class_balanced_focal,
    class_balanced_shift,
    focal_cross_entropy,
)
from equipoise.remedies.losses.generalized import generalized_cross_entropy
from equipoise.remedies.losses.ldam import ldam_cross_entropy, ldam_shift
from equipoise.remedies.losses.logit_adjusted import (
    adjusted_shift,
    balanced_softmax,
    logit_adjusted_cross_entropy,
)
from equipoise.remedies.losses.seesaw import seesaw_cross_entropy, seesaw_shift
from equipoise.remedies.losses.smoothing import label_aware_smoothing, label_smoothing
from equipoise.remedies.losses.vector_scaling import scaled_shift, vector_scaling_cross_entropy
from equipoise.remedies.losses.weighted import weighted_cross_entropy, weighted_shift
from equipoise.remedies.prior import log_shares
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

__all__ = [
    "LOSSES",
    "Loss",
    "asymmetric_cross_entropy",
    "balanced_softmax",
    "build_loss",
    "class_balanced_focal",
    "cross_entropy",
    "expected_cost",
    "focal_cross_entropy",
    "generalized_cross_entropy",
    "label_aware_smoothing",
    "label_smoothing",
    "ldam_cross_entropy",
    "logit_adjusted_cross_entropy",
    "seesaw_cross_entropy",
    "self_adjusting_dice",
    "vector_scaling_cross_entropy",
    "weighted_cross_entropy",
]


class Loss(Protocol):
    """What the training loop calls for every micro-batch."""

    def __call__(self, logits: Tensor, labels: Tensor, progress: float = 0.0, /) -> Tensor:
        """(logits (rows, K), labels (rows,), share of the optimizer steps done before this one,
        0 to 1) -> (rows,) nats."""


def _loss(
    name: str,
    function: Any,
    source: str,
    *,
    needs: tuple[str, ...] = (),
    shift: Any = None,
) -> Remedy:
    """A line of the table: a loss corrects the prior if and only if it says by how much."""
    return Remedy(name, "loss", "loss", function, source, shift is not None, needs, shift)


_LINES = (
    _loss(
        "weighted_cross_entropy",
        weighted_cross_entropy,
        "arXiv:1901.05555",
        needs=("counts",),
        shift=weighted_shift,
    ),
    _loss("focal", focal_cross_entropy, "arXiv:1708.02002"),
    _loss(
        "class_balanced_focal",
        class_balanced_focal,
        "arXiv:1901.05555",
        needs=("counts",),
        shift=class_balanced_shift,
    ),
    _loss(
        "logit_adjusted",
        logit_adjusted_cross_entropy,
        "arXiv:2007.07314",
        needs=("log_prior",),
        shift=adjusted_shift,
    ),
    _loss(
        "balanced_softmax",
        balanced_softmax,
        "arXiv:2007.10740",
        needs=("log_prior",),
        shift=adjusted_shift,
    ),
    _loss(
        "vector_scaling",
        vector_scaling_cross_entropy,
        "arXiv:2103.01550",
        needs=("counts",),
        shift=scaled_shift,
    ),
    _loss(
        "ldam",
        ldam_cross_entropy,
        "arXiv:1906.07413",
        needs=("counts", "progress"),
        shift=ldam_shift,
    ),
    _loss(
        "seesaw",
        seesaw_cross_entropy,
        "arXiv:2008.10032",
        needs=("counts",),
        shift=seesaw_shift,
    ),
    _loss("cost_sensitive", expected_cost, "arXiv:1704.06062", needs=("costs", "counts")),
    _loss("asymmetric", asymmetric_cross_entropy, "arXiv:2009.14119"),
    _loss("dice", self_adjusting_dice, "arXiv:1911.02855"),
    _loss("generalized_cross_entropy", generalized_cross_entropy, "arXiv:1805.07836"),
    _loss("label_smoothing", label_smoothing, "arXiv:1512.00567"),
    _loss("label_aware_smoothing", label_aware_smoothing, "arXiv:2104.00466", needs=("counts",)),
)
LOSSES: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}


def build_loss(spec: RemedySpec | None, counts: NDArray[Any], **given: Any) -> Loss:
    """The loss that the training loop calls, with its class statistics bound.

    counts (K,): rows per class as fed to training, after any remedy on rows. None: plain
    cross-entropy. `given` holds further needs of a loss (a cost matrix). A loss that names
    "progress" in its needs gets what the loop passes on every call.
    Raises SettingsError for a remedy of another moment or an unmet need; DataError if the loss
    needs shares and a class has no rows.
    """
    if spec is None:
        return lambda logits, labels, progress=0.0: cross_entropy(logits, labels)
    remedy = lookup(LOSSES, spec, "a loss")
    statistics = {"counts": np.asarray(counts, dtype=np.float64), "progress": 0.0, **given}
    if "log_prior" in remedy.needs:
        statistics["log_prior"] = log_shares(counts)
    bound = bind(remedy, spec.settings, statistics)
    by_progress = "progress" in remedy.needs

    def loss(logits: Tensor, labels: Tensor, progress: float = 0.0, /) -> Tensor:
        now = bound | {"progress": progress} if by_progress else bound
        rows: Tensor = remedy.function(logits, labels, **now)
        return rows

    return loss
