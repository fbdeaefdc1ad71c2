"""Remedies on rows: which training rows are fed, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import check_labels
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup
from equipoise.remedies.rows.clean import edited_nearest_neighbours, tomek_links
from equipoise.remedies.rows.clusters import cluster_undersample, redundancy_undersample
from equipoise.remedies.rows.near_miss import near_miss
from equipoise.remedies.rows.resample import random_oversample, random_undersample

_NEAR = ("vectors",)

ROWS: dict[str, Remedy] = {
    "random_oversample": Remedy(
        "random_oversample", "rows", "choose", random_oversample, "arXiv:1710.05381", True
    ),
    "random_undersample": Remedy(
        "random_undersample", "rows", "choose", random_undersample, "arXiv:1710.05381", True
    ),
    "cluster_undersample": Remedy(
        "cluster_undersample", "rows", "choose", cluster_undersample, "Lin et al. 2017", True, _NEAR
    ),
    "redundancy_undersample": Remedy(
        "redundancy_undersample",
        "rows",
        "choose",
        redundancy_undersample,
        "arXiv:2303.09540",
        True,
        _NEAR,
    ),
    "near_miss": Remedy(
        "near_miss", "rows", "choose", near_miss, "Mani and Zhang 2003", True, _NEAR
    ),
    "tomek_links": Remedy("tomek_links", "rows", "choose", tomek_links, "Tomek 1976", False, _NEAR),
    "edited_nearest_neighbours": Remedy(
        "edited_nearest_neighbours",
        "rows",
        "choose",
        edited_nearest_neighbours,
        "Wilson 1972",
        False,
        _NEAR,
    ),
}


@dataclass(frozen=True, eq=False)
class RowsStep:
    """What one remedy did to the rows."""

    spec: RemedySpec
    before: NDArray[np.int64]
    """(K,) rows per class that it was given."""
    after: NDArray[np.int64]
    """(K,) rows per class that it fed on."""
    effect: str
    """One sentence."""


@dataclass(frozen=True, eq=False)
class ChosenRows:
    index: NDArray[np.int64]
    """(m,) position in the rows as given of every row fed to training; repeats allowed."""
    steps: tuple[RowsStep, ...]
    """One per remedy, in the order in which they acted."""


def choose_rows(
    specs: Sequence[RemedySpec],
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    **given: Any,
) -> ChosenRows:
    """Apply remedies on rows one after the other, each to the rows that the last one fed on.

    labels (n,) int64 in 0..classes-1. `given` holds what remedies name in `needs`, as arrays with
    one entry per row (they are cut to the rows that each remedy sees).
    Raises SettingsError for a remedy of another moment or an unmet need; DataError without rows.
    """
    check_labels(labels, classes)
    index = np.arange(len(labels), dtype=np.int64)
    steps = []
    for spec in specs:
        remedy = lookup(ROWS, spec, "a remedy on rows")
        columns = {name: given[name] for name in remedy.needs if given.get(name) is not None}
        seen = {name: column[index] for name, column in columns.items()}
        before = np.bincount(labels[index], minlength=classes)
        chosen = remedy.function(labels[index], classes, rng, **bind(remedy, spec.settings, seen))
        index = index[chosen]
        after = np.bincount(labels[index], minlength=classes)
        # A remedy that loses a class is broken: the model would have an output nothing trains.
        assert not np.any((before > 0) & (after == 0)), f"{spec.name} lost a class"
        steps.append(RowsStep(spec, before, after, _effect(spec.name, before, after)))
    return ChosenRows(index, tuple(steps))


def _effect(name: str, before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    changed = int(np.sum(before != after))
    if not changed:
        return f"{name} changed nothing: the classes were as even as asked for."
    return (
        f"{name} turned {before.sum()} rows into {after.sum()}, changing {changed} of "
        f"{np.sum(before > 0)} classes; the largest class had {_ratio(before)} times the rows of "
        f"the smallest, now {_ratio(after)}."
    )


def _ratio(counts: NDArray[np.int64]) -> str:
    present = counts[counts > 0]
    return f"{present.max() / present.min():.3g}"
