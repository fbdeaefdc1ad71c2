"""Remedies on batches: how much a class counts, and in which order rows are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.batches.order import balanced_order, natural_order
from equipoise.remedies.batches.weights import class_weights
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

__all__ = ["BATCHES", "build_order", "build_weights", "class_weights", "natural_order"]

BATCHES: dict[str, Remedy] = {
    "class_weights": Remedy(
        "class_weights", "batches", "weights", class_weights, "arXiv:1901.05555", True
    ),
    "balanced_sampler": Remedy(
        "balanced_sampler", "batches", "sampler", balanced_order, "arXiv:1910.09217", True
    ),
}


def build_weights(
    specs: Sequence[RemedySpec], counts: NDArray[Any], **given: Any
) -> NDArray[np.float64]:
    """(K,) weight per class out of all the weight remedies in `specs` (others are passed over).

    counts (K,): rows per class as fed to training. The mean weight over those rows is 1, so that
    the learning rate means the same with and without weights. Ones without such a remedy.
    """
    weights = np.ones(len(counts))
    for spec in _of_kind(specs, "weights"):
        remedy = lookup(BATCHES, spec, "a remedy on batches")
        weights = weights * remedy.function(counts, **bind(remedy, spec.settings, given))
    return np.asarray(weights * (np.sum(counts) / np.sum(counts * weights)), dtype=np.float64)


def build_order(
    specs: Sequence[RemedySpec],
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    **given: Any,
) -> NDArray[np.int64]:
    """(epochs, rows per epoch) index of the row at each place: by the one sampler in `specs`
    (other kinds are passed over), or every row once per epoch in random order.

    A plan for more epochs begins with the plan for fewer, so that training can be prolonged.
    Raises SettingsError if `specs` names two samplers.
    """
    samplers = _of_kind(specs, "sampler")
    if len(samplers) > 1:
        raise SettingsError(
            f"two samplers are asked for: {', '.join(s.name for s in samplers)}; keep one"
        )
    if not samplers:
        return natural_order(len(labels), epochs, rng)
    remedy = lookup(BATCHES, samplers[0], "a remedy on batches")
    order: NDArray[np.int64] = remedy.function(
        labels, classes, epochs, rng, **bind(remedy, samplers[0].settings, given)
    )
    return order


def _of_kind(specs: Sequence[RemedySpec], kind: str) -> list[RemedySpec]:
    return [spec for spec in specs if spec.name in BATCHES and BATCHES[spec.name].kind == kind]
