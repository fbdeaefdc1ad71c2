"""What both judges build their estimates of: that of rows with one class each (`judge.py`) and that
of rows with several labels (`several/judge.py`), where "class" below means a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate import ranking
from equipoise.evaluate.honesty import (
    why_no_macro_auc_interval,
    why_no_macro_average_precision_interval,
    why_no_macro_interval,
)
from equipoise.evaluate.measures import macro
from equipoise.records.scores import ClassScores, Estimate
from equipoise.statistics.bounded_mean import bounded_mean_interval
from equipoise.statistics.clusters import (
    agreement,
    effective_rows,
    equal_weights,
    mean_cluster_size,
)
from equipoise.statistics.intervals import (
    auc_interval,
    clopper_pearson,
    difference_interval,
    mean_interval,
    mean_of_shares,
    share_interval,
)
from equipoise.statistics.sums import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

HEAD_ABOVE = 100
"""A class with more training rows is of the head."""

TAIL_BELOW = 20
"""A class with fewer training rows is of the tail; the rest are the middle."""

BANDS = ("head", "middle", "tail")
ONE_CLUSTER = "all rows are one cluster of look-alikes"


def band_of(trained: int) -> str:
    """ "head" above 100 training rows, "tail" below 20, else "middle".

    Source  Liu et al. 2019, Large-scale long-tailed recognition in an open world,
            arXiv:1904.05160 (many-, medium- and few-shot classes).
    """
    return "head" if trained > HEAD_ABOVE else "tail" if trained < TAIL_BELOW else "middle"


def banded_class(scores: ClassScores) -> ClassScores:
    return scores if scores.trained is None else replace(scores, band=band_of(scores.trained))


def percentile(
    value: float, samples: Floats, why: str | None = None, undefined: str | None = None
) -> Estimate:
    """The middle 95 % of resampled values, stretched to hold the value itself."""
    if np.isnan(value):
        return Estimate(None, why=undefined or "0/0")
    if why:
        return Estimate(value, why=why)
    usable = samples[~np.isnan(samples)]
    if len(usable) < len(samples) / 2:
        return Estimate(value, why="undefined (0/0) in most resamples")
    low, high = np.quantile(usable, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value), method="bootstrap")


def mean_estimate(
    values: Floats, clusters: Ints, *, most: float = np.inf, mistaken: Floats | None = None
) -> Estimate:
    """Mean of (n,) values of rows, each 0 to `most`, by Student's t over clusters.

    mistaken  (n,) what each row would lose had its likeliest mistake been made. Where that is more
              on average than any row lost, a mistake has not been seen yet, and the high end allows
              for as many as so many clusters without one do (`clopper_pearson`), squared and added
              as in `mean_of_shares`. None: no row can lose more than those here.
    """
    if len(values) == 0:
        return Estimate(None, why="no row is of a class that the model knows")
    value = float(values.mean())
    if len(np.unique(clusters)) < 2:
        return Estimate(value, why=ONE_CLUSTER)
    low, high = mean_interval(values, clusters)
    if mistaken is not None:
        unseen = max(0.0, float(mistaken.mean() - values.max()))
        share = float(clopper_pearson(0, len(np.unique(clusters)))[1])
        high = value + float(np.hypot(high - value, share * unseen))
    return Estimate(value, max(low, 0.0), min(high, most), method="cluster-t")


def bounded_mean_estimate(
    values: Floats, clusters: Ints, rng: np.random.Generator, *, most: float, resamples: int
) -> Estimate:
    """Mean of n >= 1 values of rows, each 0 to `most`, that may all lie at an edge: the wider, at
    each end, of Student's t and the bounded-mean bootstrap, which has a width there too."""
    plain = mean_estimate(values, clusters, most=most)
    if plain.value is None or plain.low is None or plain.high is None:
        return plain
    low, high = bounded_mean_interval(values, clusters, (0.0, most), rng, resamples=resamples)
    return Estimate(
        plain.value,
        # Rounding may end a digit beyond.
        max(min(low, plain.low), 0.0),
        min(max(high, plain.high), most),
        method="bounded-mean bootstrap",
    )


def mean_difference(a: Floats, b: Floats, clusters: Ints) -> tuple[float, float, Estimate]:
    """Means of (n,) values of the same n >= 1 rows, and b - a with its interval over clusters."""
    values, apart = (float(a.mean()), float(b.mean())), b - a
    gap = float(apart.mean())
    if len(np.unique(clusters)) < 2:
        return *values, Estimate(gap, why=ONE_CLUSTER)
    return *values, Estimate(gap, *difference_interval(apart, clusters), method="cluster-t")


def counted_difference(
    a: Floats,
    b: Floats,
    clusters: Ints,
    rng: np.random.Generator,
    *,
    step: float,
    most: float,
    resamples: int,
) -> tuple[float, float, Estimate]:
    """`mean_difference` of values that go up in steps, 0 to `most`: most rows do not differ at all,
    and few that do would name a winner beyond doubt. At each end the wider of that and the
    bounded-mean bootstrap, whose further cluster differs as far as any row here, or by one step."""
    of_a, of_b, plain = mean_difference(a, b, clusters)
    if plain.value is None or plain.low is None or plain.high is None:
        return of_a, of_b, plain
    apart = b - a
    reach = max(step, float(np.abs(apart).max()))
    low, high = bounded_mean_interval(apart, clusters, (-reach, reach), rng, resamples=resamples)
    low, high = max(min(low, plain.low), -most), min(max(high, plain.high), most)
    return of_a, of_b, Estimate(plain.value, low, high, method="bounded-mean bootstrap")


def without_interval(measure: str, found: Sequence[Estimate]) -> tuple[float, float, Estimate]:
    """Values of both, NaN where there is none, and their difference, which has no interval."""
    a, b = (float("nan") if one.value is None else one.value for one in found)
    none = [one.why for one in found if one.value is None]
    if none:
        return a, b, Estimate(None, why=none[0])
    why = (
        f"no interval for a difference in {measure} was found to keep its promise; "
        "compare by a measure of decisions, by log loss or by Brier score"
    )
    return a, b, Estimate(b - a, why=why)


def share_of_rows(
    right: Bools, clusters: Ints, *, guarantee: bool, weights: Floats | None = None
) -> Estimate:
    """Share of n >= 1 rows that are right, rows of one cluster counted for what they are worth.

    weights  (n,) how many rows each stands for; None: one. Rows of unequal weights are worth as
             many as `equal_weights` says.
    """
    size = mean_cluster_size(np.zeros(len(right), dtype=np.int64), clusters, 1)
    agree = overall_agreement(right, clusters, guarantee=guarantee)
    rows = len(right) if weights is None else equal_weights(weights)
    worth = effective_rows(np.array([float(rows)]), size, agree)
    share = float(np.average(right, weights=weights))
    low, high = share_interval(share * worth, worth, guarantee=guarantee)
    method = "clopper-pearson" if guarantee else "mid-p"
    return Estimate(share, float(low[0]), float(high[0]), method=method)


def overall_agreement(right: Bools, clusters: Ints, *, guarantee: bool = False) -> float:
    """How much rows of one cluster agree in being right, whatever their classes. Shapes (n,)."""
    if guarantee:
        return 1.0
    chance = (right.sum() + 0.5) / (len(right) + 1)
    return agreement(right, np.full(len(right), chance), clusters)


class PerClass(NamedTuple):
    """(..., L) of each class; leading axes are those of resamples, if any."""

    rows: Floats
    f1: Floats
    recall: Floats


def band_estimates(
    classes: Mapping[str, ClassScores],
    known: Bools,
    values: PerClass,
    samples: PerClass,
    rows_of: Callable[[Bools], int],
) -> dict[str, dict[str, Any]]:
    """Macro F1 and recall over the classes of each band that have rows.

    classes  In the order of the last axis; known (L,). rows_of: how many rows have a class among
             those marked (L,).
    """
    found: dict[str, dict[str, Any]] = {}
    for band in BANDS:
        part = np.array([scores.band == band for scores in classes.values()], dtype=bool)
        if not part.any():
            continue
        rows, resampled = np.where(part, values.rows, 0.0), np.where(part, samples.rows, 0.0)
        why = why_no_macro_interval(rows, known)
        empty = "no class of the band has rows in the split"
        found[band] = {
            "classes": [name for name, inside in zip(classes, part, strict=True) if inside],
            "rows": rows_of(part),
            "macro_f1": percentile(
                float(macro(values.f1, rows)), macro(samples.f1, resampled), why, empty
            ),
            "macro_recall": percentile(
                float(macro(values.recall, rows)), macro(samples.recall, resampled), why, empty
            ),
        }
    return found


@dataclass(frozen=True, eq=False)
class Ranking:
    """n rows ranked for each of L classes, from which average precision and areas follow."""

    known: Bools
    """(L,) False for a class that the model can't decide: it counts 0."""
    truth: Bools
    """(n, L) which rows are of each class."""
    probabilities: Floats
    """(n, L)."""
    worth: Floats
    """(L,) independent rows of each class."""
    others: Floats
    """(L,) independent rows that are not."""

    def each(self, of_class: Callable[[Floats, Bools], float], members: Ints) -> Floats:
        return np.array(
            [
                of_class(self.probabilities[:, k], self.truth[:, k]) if self.known[k] else 0.0
                for k in members
            ],
            dtype=np.float64,
        )


def macro_average_precision(seen: Ranking, each: Sequence[Estimate]) -> Estimate:
    """Mean over the classes that have rows; each: the L classes' own."""
    present = np.flatnonzero(seen.worth > 0)
    if not len(present):
        return Estimate(None, why="0/0: no row has a label")
    estimates = [each[int(k)] for k in present]
    values = np.array([e.value for e in estimates], dtype=np.float64)
    value = float(values.mean())
    why = why_no_macro_average_precision_interval(value, seen.worth, seen.known)
    if why:
        return Estimate(value, why=why)
    # A class that the model never saw is 0 for certain: its value is its interval.
    low, high = (
        np.array([e.value if b is None else b for e, b in zip(estimates, side, strict=True)], float)
        for side in ([e.low for e in estimates], [e.high for e in estimates])
    )
    factor = _shared(seen, present, ranking.average_precision_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def macro_roc_auc(seen: Ranking, undefined: str) -> Estimate:
    """Mean over the classes that some rows are of and others are not; `undefined` is said where
    there is none."""
    present = np.flatnonzero((seen.worth > 0) & (seen.others > 0))
    if not len(present):
        return Estimate(None, why=undefined)
    values = seen.each(ranking.roc_auc, present)
    value = float(values.mean())
    why = why_no_macro_auc_interval(seen.worth, seen.known)
    if why:
        return Estimate(value, why=why)
    low, high = auc_interval(values, seen.worth[present], seen.others[present])
    known = seen.known[present]
    low, high = np.where(known, low, values), np.where(known, high, values)
    factor = _shared(seen, present, ranking.roc_auc_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def _shared(seen: Ranking, present: Ints, influence: Callable[[Floats, Bools], Floats]) -> float:
    """How much the classes' values move together, since each row tells of all classes."""
    # A class that is never known, or that all rows have, does not move at all.
    members = [k for k in present if seen.known[k] and not seen.truth[:, k].all()]
    if not members:
        return 1.0
    return ranking.shared_rows_factor(
        np.stack([influence(seen.probabilities[:, k], seen.truth[:, k]) for k in members], axis=1)
    )
