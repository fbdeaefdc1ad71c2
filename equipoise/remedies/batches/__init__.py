"""Remedies on batches: how much a class or row counts, and in which order rows are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.batches.groups import cells, group_balanced_order
from equipoise.remedies.batches.order import balanced_order, natural_order
from equipoise.remedies.batches.presence import presence_order
from equipoise.remedies.batches.row_weights import cluster_weights, cost_weights, group_weights
from equipoise.remedies.batches.second_stage import HeadDraws, retrained_head
from equipoise.remedies.batches.shares import (
    plentiful_first_order,
    power_order,
    progressive_order,
    temperature_order,
)
from equipoise.remedies.batches.weights import class_weights
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

__all__ = [
    "BATCHES",
    "build_head_draws",
    "build_order",
    "build_row_weights",
    "build_weights",
    "class_weights",
    "in_effect",
    "natural_order",
    "strata",
]

_KANG = "arXiv:1910.09217"
_IDRISSI = "arXiv:2110.14503"

_LINES = (
    Remedy("class_weights", "batches", "weights", class_weights, "arXiv:1901.05555", True),
    Remedy(
        "cost_weights",
        "batches",
        "row_weights",
        cost_weights,
        "Zadrozny et al. 2003",
        needs=("row_costs", "class_names"),
    ),
    Remedy("group_weights", "batches", "row_weights", group_weights, _IDRISSI, True, ("groups",)),
    Remedy(
        "cluster_weights",
        "batches",
        "row_weights",
        cluster_weights,
        "arXiv:2107.06499",
        needs=("cluster_sizes",),
    ),
    Remedy("balanced_sampler", "batches", "sampler", balanced_order, _KANG, True),
    Remedy("sqrt_sampler", "batches", "sampler", power_order, _KANG, True),
    Remedy(
        "temperature_sampler", "batches", "sampler", temperature_order, "arXiv:1907.05019", True
    ),
    Remedy("progressive_sampler", "batches", "sampler", progressive_order, _KANG, True),
    Remedy(
        "plentiful_first", "batches", "sampler", plentiful_first_order, "arXiv:2312.06134", True
    ),
    Remedy(
        "guaranteed_presence",
        "batches",
        "sampler",
        presence_order,
        "arXiv:1512.05830",
        True,
        ("batch_rows", "class_names"),
    ),
    Remedy(
        "group_balanced_sampler",
        "batches",
        "sampler",
        group_balanced_order,
        _IDRISSI,
        True,
        ("groups",),
    ),
    Remedy("crt", "batches", "stage", retrained_head, _KANG, True),
)
BATCHES: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}


def build_weights(
    specs: Sequence[RemedySpec], counts: NDArray[Any], **given: Any
) -> NDArray[np.float64]:
    """(K,) weight per class out of all the class weight remedies in `specs` (others are passed
    over).

    counts (K,): rows per class as fed to training. The mean weight over those rows is 1, so that
    the learning rate means the same with and without weights. Ones without such a remedy.
    """
    weights = np.ones(len(counts))
    for spec in of_kind(specs, "weights"):
        remedy = lookup(BATCHES, spec, "a remedy on batches")
        weights = weights * remedy.function(counts, **bind(remedy, spec.settings, given))
    return np.asarray(weights * (np.sum(counts) / np.sum(counts * weights)), dtype=np.float64)


def build_row_weights(
    specs: Sequence[RemedySpec], labels: NDArray[np.int64], classes: int, **given: Any
) -> NDArray[np.float64]:
    """(n,) weight per row as fed out of all the row weight remedies in `specs` (others are passed
    over); mean 1, and ones without such a remedy. `given` holds what they need, per row as fed.
    Beside a stage, which draws classes alike, those that make up for class shares have mean 1
    within each class: they balance groups there, and classes no second time.
    """
    weights, staged = np.ones(len(labels)), bool(of_kind(specs, "stage"))
    for spec in of_kind(specs, "row_weights"):
        remedy = lookup(BATCHES, spec, "a remedy on batches")
        found = remedy.function(labels, classes, **bind(remedy, spec.settings, given))
        if staged and remedy.corrects_prior:
            found = found * np.bincount(labels)[labels] / np.bincount(labels, found)[labels]
        weights = weights * found
    return np.asarray(weights / weights.mean(), dtype=np.float64)


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

    A plan for more epochs begins with the plan for fewer, so that training can be prolonged
    (but see `progressive_order`).
    Raises SettingsError if `specs` names two samplers, or if a class with rows is never drawn.
    """
    samplers = of_kind(specs, "sampler")
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
    _check_drawn(remedy, labels, order, in_effect(specs, order))
    return order


def _check_drawn(
    remedy: Remedy,
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    counted: NDArray[np.int64],
) -> None:
    """Raises SettingsError if a class with rows is never drawn in the epochs that count."""
    never = len(np.unique(labels)) - len(np.unique(labels[counted]))
    if never:
        places = order.shape[1]
        late = "" if len(counted) == len(order) else f"the last {len(counted)} of "
        raised = "batch_rows" if "batch_rows" in remedy.needs else "epoch_rows"
        raise SettingsError(
            f"remedy {remedy.name}: {never} classes that have rows are never drawn in {late}"
            f"{len(order)} epochs of {places} places; train for more epochs, or raise {raised}"
        )


def build_head_draws(
    specs: Sequence[RemedySpec],
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    **given: Any,
) -> HeadDraws:
    """What a second training of the head draws: as the one stage in `specs` says, else as in the
    first training (`build_order`), from class means. Raises as `build_order` does."""
    for spec in of_kind(specs, "stage"):
        remedy = lookup(BATCHES, spec, "a remedy on batches")
        settings = bind(remedy, spec.settings, given)
        head: HeadDraws = remedy.function(labels, classes, epochs, rng, **settings)
        _check_drawn(remedy, labels, head.draws, head.draws)
        return head
    return HeadDraws(build_order(specs, labels, classes, epochs, rng, **given))


def strata(
    specs: Sequence[RemedySpec], labels: NDArray[np.int64], **given: Any
) -> NDArray[np.int64]:
    """(n,) what the order of rows promises a mix of, and the sorting by length must keep in every
    step: the class of each row, or its cell where the sampler balances groups."""
    by_group = any("groups" in BATCHES[spec.name].needs for spec in of_kind(specs, "sampler"))
    return cells(labels, given["groups"]) if by_group else labels


def in_effect(
    specs: Sequence[RemedySpec], draws: NDArray[np.int64], progress: float = 1.0
) -> NDArray[np.int64]:
    """(epochs, places) the draws whose class shares a trained model still shows: all, or under a
    curriculum the later half of the epochs, since the shares of the early ones are unlearned.

    progress  At the last step taken, the share of all steps that had been: epochs that begin later
              count only where all draw alike.
    """
    if not any(spec.name in ("progressive_sampler", "plentiful_first") for spec in specs):
        return draws
    begun = draws[: int(progress * len(draws)) + 1]
    return begun[len(begun) // 2 :]


def of_kind(specs: Sequence[RemedySpec], kind: str) -> list[RemedySpec]:
    return [spec for spec in specs if spec.name in BATCHES and BATCHES[spec.name].kind == kind]
