"""The difference between two arms on the same rows, over rows and seeds.

    D_s  what seed s's models differ by on the judged rows;  D = mean of D_s over the S seeds

Rows: clusters of look-alikes are drawn again, the same ones for both arms and for every seed (the
judged rows are the same for all seeds, so the seeds are strata that each stand in every draw once,
not further rows). Measures of decisions use the smoothed bootstrap of equipoise.statistics, whose
coverage is simulated by benchmarks/coverage.py; rows of several labels a plain bootstrap over
clusters; log loss and Brier, being means over rows, Student's interval over clusters.

Seeds: each has its own training sample, order and new weights. Their part is the variance of the
D_s over S. What varies by row and seed together is in both parts, so their sum is too large rather
than too small.

Two or three seeds alone say next to nothing of their variance (with two, t is 12.7), and one seed
nothing at all: `pooled` takes it from all differences of a kind on one set. They share our seeds,
so their degrees of freedom are counted once per seed and not once per rival.

Together: half-widths of the two parts are added in squares, below and above D apart, and stretched
by t / 1.96 for the degrees of freedom of the sum (those of the seeds' variance for the seeds' part,
none lost for the rows'). A single seed that is pooled with nothing counts the rows alone.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 6; Satterthwaite 1946, An
approximate distribution of estimates of variance components, Biometrics Bulletin 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm, t

from benchmarks.judged import Floats, Judged, decision_figures
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.intervals import difference_interval
from equipoise.statistics.sums import Sums

RESAMPLES = 2000
BY_ROW = ("log_loss", "brier")
DECISIONS = ("macro_f1", "balanced_accuracy", "worst_class_recall", "accuracy")


@dataclass(frozen=True)
class Difference:
    """Ours minus theirs, with its 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int
    by_seed: tuple[float, ...] = ()
    rows: tuple[float, float] = (math.nan, math.nan)
    """The interval by the rows alone."""

    def to_json(self) -> dict[str, Any]:
        rounded = {name: round(getattr(self, name), 5) for name in ("value", "low", "high")}
        return rounded | {"seeds": self.seeds}


def paired_differences(
    ours: Sequence[Judged], theirs: Sequence[Judged], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Difference]:
    """Every measure's difference, ours minus theirs; the k-th of both is the same seed's.

    Raises ValueError if they are not of the same rows.
    """
    everyone = _on_common_ground([*ours, *theirs])
    pairs = list(zip(everyone[: len(ours)], everyone[len(ours) :], strict=True))
    first = everyone[0]
    for judged in everyone:
        same = (
            judged.classes == first.classes
            and np.array_equal(judged.truth, first.truth)
            and np.array_equal(judged.clusters, first.clusters)
        )
        if not same:
            raise ValueError("the arms and seeds were not judged on the same rows")
    return _of_decisions(pairs, seed, resamples) | {
        name: _of_rows([(getattr(a, name), getattr(b, name)) for a, b in pairs], first.clusters)
        for name in BY_ROW
    }


@dataclass(frozen=True)
class Spread:
    """What the seeds' differences vary by around their mean."""

    variance: float
    degrees: int
    """Of freedom; 0: not known."""


def spread_of(by_seeds: Sequence[Sequence[float]]) -> Spread:
    """Of several differences, each by seed, pooled over those of two seeds or more.

    >>> spread_of([[0.0, 0.02], [0.01, 0.01, 0.04], [0.5]])
    Spread(variance=0.00026666666666666673, degrees=2)
    """
    several = [np.asarray(one) for one in by_seeds if len(one) > 1]
    if not several:
        return Spread(0.0, 0)
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in several)
    variance = squares / sum(len(one) - 1 for one in several)
    return Spread(variance, max(len(one) for one in several) - 1)


def combined(
    by_seed: Sequence[float], low: float, high: float, spread: Spread | None = None
) -> Difference:
    """The mean over seeds with the rows' interval `low`..`high` widened by the seeds' part.

    spread  None: what these seeds show by themselves.
    """
    value, seeds = float(np.mean(by_seed)), len(by_seed)
    z = float(norm.ppf(0.975))
    spread = spread or spread_of([by_seed])
    between = spread.variance / seeds

    def reach(half: float) -> float:
        rows = (half / z) ** 2
        if between == 0:
            return half
        degrees = (rows + between) ** 2 / (between**2 / spread.degrees)
        return float(t.ppf(0.975, degrees)) * math.sqrt(rows + between)

    return Difference(
        value,
        value - reach(value - low),
        value + reach(high - value),
        seeds,
        tuple(float(one) for one in by_seed),
        (low, high),
    )


def pooled(found: Mapping[str, Difference]) -> dict[str, Difference]:
    """The same differences, each with the seeds' variance of all of them."""
    spread = spread_of([one.by_seed for one in found.values()])
    return {name: combined(one.by_seed, *one.rows, spread) for name, one in found.items()}


def _of_decisions(
    pairs: Sequence[tuple[Judged, Judged]], seed: int, resamples: int
) -> dict[str, Difference]:
    arms = [[pair[side] for pair in pairs] for side in (0, 1)]
    everyone = [*arms[0], *arms[1]]
    drawn = _draw(everyone, resamples, np.random.default_rng(seed))
    seen = [decision_figures(one, one.sums()) for one in everyone]
    again = [decision_figures(one, sums) for one, sums in zip(everyone, drawn, strict=True)]
    seeds = len(pairs)
    out = {}
    for name in DECISIONS:
        by_seed = [float(seen[k][name] - seen[k + seeds][name]) for k in range(seeds)]
        samples = np.mean([again[k][name] - again[k + seeds][name] for k in range(seeds)], axis=0)
        low, high = np.quantile(samples[np.isfinite(samples)], [0.025, 0.975])
        value = float(np.mean(by_seed))
        out[name] = combined(by_seed, min(float(low), value), max(float(high), value))
    return out


def _of_rows(pairs: Sequence[tuple[Floats, Floats]], clusters: NDArray[np.int64]) -> Difference:
    apart = np.stack([a - b for a, b in pairs])
    answered = ~np.isnan(apart).any(axis=0)
    apart = apart[:, answered]
    low, high = difference_interval(apart.mean(axis=0), clusters[answered])
    return combined(apart.mean(axis=1).tolist(), low, high)


def _draw(everyone: Sequence[Judged], resamples: int, rng: np.random.Generator) -> list[Sums]:
    """Each arm's and seed's sums in `resamples` draws of the same clusters."""
    first = everyone[0]
    if first.several:
        return _draw_several(everyone, resamples, rng)
    decided = np.stack([one.decided for one in everyone])
    known = np.any([one.known for one in everyone], axis=0)
    # A rare class's unseen rows are as hard for one seed as for the next.
    stream = tuple(int(k >= len(everyone) // 2) for k in range(len(everyone)))
    drawn = resampler(first.truth, decided, first.clusters, known, stream=stream)
    return drawn.draw(resamples, rng)


def _draw_several(
    everyone: Sequence[Judged], resamples: int, rng: np.random.Generator
) -> list[Sums]:
    first = everyone[0]
    numbers, cluster = np.unique(first.clusters, return_inverse=True)
    count, n = len(numbers), len(cluster)
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    # Drawn clusters differ in size: scaled to n rows, so that shares of all rows keep their sense.
    drawn = times[:, cluster]
    weights = (drawn * (n / drawn.sum(axis=1, keepdims=True))).astype(np.float32)

    def total(cells: NDArray[np.bool_]) -> Floats:
        table = sparse.csr_matrix(cells.astype(np.float32))
        summed: Floats = np.asarray((table.T @ weights.T).T, dtype=np.float64)
        return summed

    rows = total(first.truth)
    sums = []
    for one in everyone:
        right, decided = total(one.truth & one.decided), total(one.decided)
        wrong = weights.astype(np.float64) @ (one.truth != one.decided).sum(axis=1)
        sums.append(Sums(rows, right, np.pad(decided, ((0, 0), (0, 1))), wrong))
    return sums


def _on_common_ground(everyone: Sequence[Judged]) -> list[Judged]:
    """All over the classes that any names, and on the rows that all hold: an arm never decides a
    class that it does not know, and a run leaves out validation rows that resemble test rows."""
    names = tuple(sorted({name for one in everyone for name in one.classes}))
    rows = everyone[0].rows
    for one in everyone[1:]:
        rows = np.intersect1d(rows, one.rows)
    return [_widened(one.take(np.isin(one.rows, rows)), names) for one in everyone]


def _widened(one: Judged, names: tuple[str, ...]) -> Judged:
    if one.classes == names:
        return one
    place = np.array([names.index(name) for name in one.classes], dtype=np.int64)
    known = np.zeros(len(names), dtype=bool)
    known[place] = one.known

    def moved(column: NDArray[Any]) -> NDArray[Any]:
        if not one.several:
            return place[column]
        out = np.zeros((len(column), len(names)), dtype=bool)
        out[:, place] = column
        return out

    return replace(
        one, classes=names, known=known, truth=moved(one.truth), decided=moved(one.decided)
    )
