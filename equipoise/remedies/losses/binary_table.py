"""The table of losses for rows that may have several labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.remedies.losses import Loss
from equipoise.remedies.losses.binary import (
    binary_asymmetric,
    binary_cross_entropy,
    binary_focal,
    binary_weighted,
    binary_weighted_shift,
)
from equipoise.remedies.losses.binary_balanced import (
    distribution_balanced,
    distribution_balanced_shift,
)
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup


def _loss(
    name: str, function: Any, source: str, needs: tuple[str, ...] = (), shift: Any = None
) -> Remedy:
    return Remedy(
        name,
        "loss",
        "binary_loss",
        function,
        source,
        shift is not None,
        needs,
        shift,
        labels="several",
    )


_COUNTED = ("counts", "n_rows")

_LINES = (
    _loss(
        "binary_weighted", binary_weighted, "King and Zeng 2001", _COUNTED, binary_weighted_shift
    ),
    _loss("binary_focal", binary_focal, "arXiv:1708.02002"),
    _loss("binary_asymmetric", binary_asymmetric, "arXiv:2009.14119"),
    _loss(
        "distribution_balanced",
        distribution_balanced,
        "arXiv:2007.09654",
        _COUNTED,
        distribution_balanced_shift,
    ),
)
BINARY_LOSSES: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}


def build_binary_loss(spec: RemedySpec | None, labels: NDArray[np.int64]) -> Loss:
    """The loss that the training loop calls, with its label statistics bound; None: plain binary
    cross-entropy.

    labels (n, K): 0/1 of the rows as fed to training.
    Raises SettingsError for a remedy of another moment.
    """
    if spec is None:
        return lambda logits, labels, progress=0.0: binary_cross_entropy(logits, labels)
    remedy = lookup(BINARY_LOSSES, spec, "a loss for several labels a row")
    given = {"counts": labels.sum(axis=0), "n_rows": float(len(labels))}
    bound = bind(remedy, spec.settings, given)

    def loss(logits: Tensor, labels: Tensor, progress: float = 0.0, /) -> Tensor:
        rows: Tensor = remedy.function(logits, labels, **bound)
        return rows

    return loss
