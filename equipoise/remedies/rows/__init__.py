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
from equipoise.remedies.rows.learnability import learnable_rows, plain_loss_rows
from equipoise.remedies.rows.near_miss import near_miss
from equipoise.remedies.rows.resample import random_oversample, random_undersample
from equipoise.remedies.rows.synthetic import (
    Synthesis,
    adasyn,
    borderline_smote,
    smote,
    smote_enn,
    smote_tomek,
)

_BUDA = "arXiv:1710.05381"
_BATISTA = "Batista et al. 2004"


def _near(name: str, function: Any, source: str, *, corrects_prior: bool = True) -> Remedy:
    """A line of the table: rows are chosen by their vectors."""
    return Remedy(name, "rows", "choose", function, source, corrects_prior, ("vectors",))


def _lost(name: str, function: Any, source: str, *needs: str) -> Remedy:
    """A line of the table: rows are chosen by what the model says of them before training."""
    return Remedy(name, "rows", "choose", function, source, False, needs)


def _made(name: str, function: Any, source: str) -> Remedy:
    """A line of the table: vectors are made."""
    return Remedy(name, "rows", "synthesise", function, source, True, ("vectors",))


_LINES = (
    Remedy("random_oversample", "rows", "choose", random_oversample, _BUDA, True),
    Remedy("random_undersample", "rows", "choose", random_undersample, _BUDA, True),
    _near("cluster_undersample", cluster_undersample, "Lin et al. 2017"),
    _near("redundancy_undersample", redundancy_undersample, "arXiv:2303.09540"),
    _near("near_miss", near_miss, "Mani and Zhang 2003"),
    _near("tomek_links", tomek_links, "Tomek 1976", corrects_prior=False),
    _near(
        "edited_nearest_neighbours",
        edited_nearest_neighbours,
        "Wilson 1972",
        corrects_prior=False,
    ),
    _lost("learnable_rows", learnable_rows, "arXiv:2310.13008", "row_gains", "row_seen"),
    _lost("plain_loss_rows", plain_loss_rows, "arXiv:2309.04564", "row_losses"),
    _made("smote", smote, "arXiv:1106.1813"),
    _made("borderline_smote", borderline_smote, "Han et al. 2005"),
    _made("adasyn", adasyn, "He et al. 2008"),
    _made("smote_enn", smote_enn, _BATISTA),
    _made("smote_tomek", smote_tomek, _BATISTA),
)
ROWS: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}


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
    """Apply remedies on rows one after the other, each to the rows that the last one fed on;
    those that make vectors are passed over (`synthesise` comes after).

    labels (n,) int64 in 0..classes-1. `given` holds what remedies name in `needs`, as arrays with
    one entry per row (they are cut to the rows that each remedy sees).
    Raises SettingsError for a remedy of another moment or an unmet need; DataError without rows.
    """
    check_labels(labels, classes)
    index = np.arange(len(labels), dtype=np.int64)
    steps = []
    for spec in specs:
        remedy = lookup(ROWS, spec, "a remedy on rows")
        if remedy.kind != "choose":
            continue
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


def synthesise(
    spec: RemedySpec,
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    names: Sequence[str] | None = None,
) -> tuple[Synthesis, RowsStep]:
    """Vectors made by one remedy beside rows with labels (n,) and vectors (n, width), and what it
    did. names (K,): of the classes, for the sentence; None: their numbers."""
    remedy = lookup(ROWS, spec, "a remedy on rows")
    made: Synthesis = remedy.function(labels, classes, rng, vectors=vectors, **spec.settings)
    before = np.bincount(labels, minlength=classes)
    rows = np.bincount(labels[made.kept], minlength=classes)
    after = rows + np.bincount(made.labels, minlength=classes)
    assert not np.any((before > 0) & (after == 0)), f"{spec.name} lost a class"
    effect = _effect(spec.name, before, after)
    effect += f" Of these {len(made.labels)} are vectors made from rows of small classes."
    if made.left:
        effect += " " + _left(made.left, names)
    return made, RowsStep(spec, before, after, effect)


def _left(left: dict[int, str], names: Sequence[str] | None) -> str:
    """Which classes got none, by reason."""
    parts = []
    for why in dict.fromkeys(left.values()):
        called = [str(k) if names is None else names[k] for k in left if left[k] == why]
        more = f" and {len(called) - 5} more" if len(called) > 5 else ""
        parts.append(f"{', '.join(called[:5])}{more} ({why})")
    return f"None were made for {'; '.join(parts)}."


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
