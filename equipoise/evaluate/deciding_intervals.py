"""Intervals of the measures by which users decide, and of their differences.

What follows from flags (precision at a prevalence, net benefit) is resampled as all decisions are,
by `statistics.bootstrap`: clusters within their kind, smoothed where rows are few. Recall at a
budget or false-positive rate depends on a threshold that the rows themselves set, so it has two
sources of chance: which rows of the class lie above the threshold, and where the threshold lies.
Its interval is the wider, at each end, of two: the smoothed resamples with the threshold held, and
resamples of whole clusters that set the threshold anew. A function of the user's is resampled by
whole clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.deciding import (
    DecidingMeasure,
    Ranked,
    class_number,
    flags,
    from_counts,
    own_value,
    value_of,
)
from equipoise.evaluate.honesty import classes_have
from equipoise.evaluate.outcomes import Outcomes
from equipoise.evaluate.per_class import independent_rows
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.sums import Floats, Sums

LEAST_ROWS = 5
"""Independent rows of the class below which there is no interval: it would be of little but the
prior observations."""

LEAST_ROWS_OWN = 10
"""The same for a function of which nothing is known, over every class with rows: resamples of fewer
rows repeat what was seen and vary too little."""

_OWN_RESAMPLES = 200
"""A function may take long; 200 give both ends of an interval to about a tenth of its width."""
_CHUNK_CELLS = 4_000_000


def deciding_estimate(
    seen: Outcomes, measure: DecidingMeasure, *, seed: int, resamples: int
) -> Estimate:
    """The measure with its 95 % interval, or the reason for none."""
    value = value_of(seen, measure)
    if not np.isfinite(value):
        return Estimate(None, why=_undefined(seen, measure, value))
    why = _why_none((seen,), measure)
    if why:
        return Estimate(value, why=why)
    parts = [drawn[0] for drawn in _samples((seen,), measure, seed, resamples)]
    return _enclosing(value, parts, measure)


def deciding_difference(
    pair: tuple[Outcomes, Outcomes], measure: DecidingMeasure, *, seed: int, resamples: int
) -> tuple[float, float, Estimate]:
    """Values of both, of which one that is not finite is none, and b - a with its 95 % interval;
    both are resampled by the same draws."""
    values = (value_of(pair[0], measure), value_of(pair[1], measure))
    for one, value in zip(pair, values, strict=True):
        if not np.isfinite(value):
            return (*values, Estimate(None, why=_undefined(one, measure, value)))
    apart = values[1] - values[0]
    why = _why_none(pair, measure)
    if why:
        return (*values, Estimate(apart, why=why))
    with np.errstate(invalid="ignore"):  # infinity less infinity is as undefined as 0/0
        parts = [drawn[1] - drawn[0] for drawn in _samples(pair, measure, seed, resamples)]
    return (*values, _enclosing(apart, parts, measure))


def _samples(
    seen: tuple[Outcomes, ...], measure: DecidingMeasure, seed: int, resamples: int
) -> list[Floats]:
    """Arrays (channels, resamples), one per way of resampling."""
    rng = np.random.default_rng(seed)
    if measure.function is not None:
        return [_own_samples(seen, measure, rng, min(resamples, _OWN_RESAMPLES))]
    found = [_flag_samples(seen, measure, rng, resamples)]
    if measure.kind in ("recall_at_budget", "recall_at_fpr"):
        found.append(_rank_samples(seen, measure, rng, resamples))
    return found


def _flag_samples(
    seen: tuple[Outcomes, ...], measure: DecidingMeasure, rng: np.random.Generator, resamples: int
) -> Floats:
    """(channels, resamples) with every row flagged as it is."""
    first = seen[0]
    labels = (first.labels == class_number(first, measure)).astype(np.int64)
    flagged = np.stack([flags(one, measure).astype(np.int64) for one in seen])
    known = np.ones(2, dtype=bool)
    drawn = resampler(labels, flagged, first.clusters, known).draw(resamples, rng)
    return np.stack([_from_sums(measure, sums) for sums in drawn])


def _from_sums(measure: DecidingMeasure, sums: Sums) -> Floats:
    hits = sums.right[..., 1]
    return from_counts(
        measure, hits, sums.decided[..., 1] - hits, sums.rows[..., 1], sums.rows.sum(axis=-1)
    )


def _rank_samples(
    seen: tuple[Outcomes, ...], measure: DecidingMeasure, rng: np.random.Generator, resamples: int
) -> Floats:
    """(channels, resamples) with the threshold set anew in every resample."""
    k = class_number(seen[0], measure)
    positive = seen[0].labels == k
    ranked = [Ranked(one.probabilities[:, k], positive, measure) for one in seen]
    clusters = _Clusters(positive.astype(np.int64), seen[0].clusters)
    size = max(1, _CHUNK_CELLS // len(positive))
    parts = []
    for start in range(0, resamples, size):
        weights = clusters.draw(min(size, resamples - start), rng)
        parts.append(np.stack([one.caught(weights) for one in ranked]))
    return np.concatenate(parts, axis=1)


def _own_samples(
    seen: tuple[Outcomes, ...], measure: DecidingMeasure, rng: np.random.Generator, resamples: int
) -> Floats:
    clusters = _Clusters(seen[0].labels, seen[0].clusters)
    found = np.empty((len(seen), resamples))
    for b in range(resamples):
        times = clusters.draw(1, rng)[0].astype(np.int64)
        rows = np.repeat(np.arange(len(times)), times)
        found[:, b] = [own_value(one, measure, rows) for one in seen]
    return found


class _Clusters:
    """Draws of whole clusters, those of one kind of row among themselves, so that a kind keeps its
    number of clusters; mixed ones among themselves."""

    def __init__(self, kinds: NDArray[np.int64], clusters: NDArray[np.int64]) -> None:
        _, first, member = np.unique(clusters, return_index=True, return_inverse=True)
        self.member = member
        count = len(first)
        same = np.bincount(member, weights=kinds == kinds[first][member], minlength=count)
        kind = np.where(same == np.bincount(member, minlength=count), kinds[first], -1)
        # In the order of their first rows: the names of clusters and kinds play no part.
        names, begins = np.unique(kind, return_index=True)
        self.strata = [np.flatnonzero(kind == names[i]) for i in np.argsort(first[begins])]
        self.count = count

    def draw(self, resamples: int, rng: np.random.Generator) -> Floats:
        """(resamples, n) how often each row is in each resample."""
        times = np.zeros((resamples, self.count))
        for members in self.strata:
            drawn = rng.integers(len(members), size=(resamples, len(members)))
            drawn += len(members) * np.arange(resamples)[:, None]
            counted = np.bincount(drawn.ravel(), minlength=resamples * len(members))
            times[:, members] = counted.reshape(resamples, len(members))
        return times[:, self.member]


def _enclosing(value: float, parts: Sequence[Floats], measure: DecidingMeasure) -> Estimate:
    """The middle 95 % of resampled values, the wider end of all ways; holds the value itself."""
    ends = [value, value]
    for samples in parts:
        usable = samples[~np.isnan(samples)]
        if len(usable) < len(samples) / 2:
            return Estimate(value, why="undefined (0/0) in most resamples")
        with np.errstate(invalid="ignore"):
            low, high = np.quantile(usable, [0.025, 0.975])
        if not np.isfinite([low, high]).all():
            return Estimate(value, why="infinite in too many resamples")
        ends = [min(ends[0], float(low)), max(ends[1], float(high))]
    return Estimate(value, ends[0], ends[1], method="bootstrap")


def _undefined(seen: Outcomes, measure: DecidingMeasure, value: float) -> str:
    if measure.function is not None:
        return f"the function returned {'NaN' if np.isnan(value) else value}"
    of_class = seen.labels == class_number(seen, measure)
    if not of_class.any():
        return f"no row is of the class {measure.of}"
    if of_class.all():
        return f"0/0: every row is of the class {measure.of}"
    return f"0/0: no row is decided as {measure.of}"


def _why_none(seen: tuple[Outcomes, ...], measure: DecidingMeasure) -> str | None:
    one = seen[0]
    worth = independent_rows(one, 1.0)
    if measure.function is not None:
        few = int(((worth > 0) & (worth < LEAST_ROWS_OWN)).sum())
        if few:
            return (
                f"{classes_have(few)} fewer than {LEAST_ROWS_OWN} independent rows, too few to "
                "resample a function of which nothing is known"
            )
        return None
    k = class_number(one, measure)
    for rows, what in ((worth[k], f"are of {measure.of}"), (worth.sum() - worth[k], "are not")):
        if rows < LEAST_ROWS:
            return f"only {rows:.3g} independent rows {what}; an interval needs {LEAST_ROWS}"
    if not all(o.known[k] for o in seen):
        return f"{measure.of} was never seen in training"
    return None
