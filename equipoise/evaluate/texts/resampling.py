"""Resamples of sums over rows, by category.

Clusters are drawn within their category, so that the class mix holds; clusters of several
categories, and those of categories with fewer than FEWEST clusters, are drawn among themselves.

A category of one row never varies when it is drawn again, so a mean over categories would seem
surer the fewer rows they have. For that mean a category of G < FEWEST clusters therefore borrows:
each of its draws is, with probability PRIOR_ROWS / (G + PRIOR_ROWS), a cluster of a category drawn
at random. What is borrowed is how far clusters vary, not how good they are: the resampled values
are moved back so that their mean is the category's own value.

Percentiles of few draws are too narrow: G clusters vary by (G - 1) / G too little, and the normal
curve stands in for Student's. The percentiles are moved outwards by as much as that. Below FEWEST
clusters that is not enough, and there is no interval: of two models that do not differ, resamples
of 2 rows called one better in half of all trials, those of 4 in a sixth.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 6 and 8; Hesterberg 2015,
What teachers should know about the bootstrap, The American Statistician 69(4) (expanded
percentiles); `statistics/bootstrap.py` for PRIOR_ROWS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import t as student_t

from equipoise.evaluate.estimates import ONE_CLUSTER
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import FEWEST, PRIOR_ROWS
from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEW_ROWS = f"fewer than {FEWEST} independent rows, too few to resample"
FEW = f"fewer than {FEWEST} independent rows of this category, too few to resample"
ALIKE = "rows of one category do not differ, so nothing tells how far the next one may"
_NO_WIDTH = 1e-9
"""Of the value, or of 1: an interval no wider is rounding."""
_CHUNK_CELLS = 4_000_000
"""Numbers per array and chunk of resamples: 32 MB of float64."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Values in R resamples, of M measures."""

    whole: Floats
    """(R, M) over all rows."""
    each: Floats
    """(R, K, M) of each category; NaN where it has no rows."""
    lent: Floats
    """(R, K, M) the same for means over categories: what small ones borrow is in it."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which clusters are drawn among which."""

    cells: Floats
    """(cells, S) sums of the rows of one category in one cluster, sorted by category."""
    cluster: Ints
    """(cells,)."""
    first: Ints
    """(K + 1,) where each category's cells begin."""
    strata: tuple[Ints, ...]
    """Clusters that are drawn among themselves; together all of them."""
    stands_for: Floats
    """(K,) rows for which each row of a category counts over all rows."""

    def draw(
        self,
        resamples: int,
        rng: np.random.Generator,
        value: Callable[[Floats], Floats],
    ) -> Draws:
        """`value` maps (..., S) sums to (..., M) measures."""
        clusters = sum(map(len, self.strata))
        width = max(clusters, (len(self.first) - 1) * self.cells.shape[1])
        size = max(1, min(resamples, _CHUNK_CELLS // max(width, 1)))
        parts = [
            self._chunk(min(size, resamples - start), rng, value)
            for start in range(0, resamples, size)
        ]
        whole, each, lent = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Draws(whole, each, lent)

    def _chunk(
        self, size: int, rng: np.random.Generator, value: Callable[[Floats], Floats]
    ) -> tuple[Floats, Floats, Floats]:
        clusters = sum(map(len, self.strata))
        times = np.zeros((size, clusters))
        for members in self.strata:
            n = len(members)
            drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
            counted = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
            times[:, members] = counted
        count = len(self.first) - 1
        sums = np.zeros((size, count, self.cells.shape[1]))
        for c in range(count):
            own = slice(self.first[c], self.first[c + 1])
            sums[:, c] = times[:, self.cluster[own]] @ self.cells[own]
        borrowed = sums.copy()
        present = np.flatnonzero(np.diff(self.first))
        for k in map(int, present):
            if self.first[k + 1] - self.first[k] < FEWEST:
                borrowed[:, k] = self._borrowing(k, present, size, rng)
        whole = (sums * self.stands_for[:, None]).sum(axis=1)
        return value(whole), value(sums), value(borrowed)

    def _borrowing(self, k: int, present: Ints, size: int, rng: np.random.Generator) -> Floats:
        """(size, S) sums of a small category."""
        start, count = int(self.first[k]), int(self.first[k + 1] - self.first[k])
        own = start + rng.integers(0, count, size=(size, count))
        lender = present[rng.integers(0, len(present), size=(size, count))]
        other = rng.integers(self.first[lender], self.first[lender + 1])
        lends = rng.random((size, count)) < PRIOR_ROWS / (count + PRIOR_ROWS)
        found: Floats = self.cells[np.where(lends, other, own)].sum(axis=1)
        return found


def plan(
    sums: Floats, category: Ints, clusters: Ints, count: int, stands_for: Floats | None = None
) -> Plan:
    """Shapes  sums (n, S); category (n,) in 0 .. count - 1; clusters (n,); stands_for (count,) as
    of `Plan`, None where a row counts as one."""
    names, number = np.unique(clusters, return_inverse=True)
    pair, cell = np.unique(category * len(names) + number, return_inverse=True)
    cells = np.zeros((len(pair), sums.shape[1]))
    np.add.at(cells, cell, sums)
    of_category, of_cluster = np.divmod(pair, max(len(names), 1))
    held = np.bincount(of_cluster, minlength=len(names))
    lone = held[of_cluster] == 1
    strata, rest = [], np.ones(len(names), dtype=bool)
    for k in range(count):
        members = of_cluster[(of_category == k) & lone]
        if len(members) >= FEWEST:
            strata.append(members)
            rest[members] = False
    if rest.any():
        strata.append(np.flatnonzero(rest))
    return Plan(
        cells=cells,
        cluster=of_cluster.astype(np.int64),
        first=np.searchsorted(of_category, np.arange(count + 1)).astype(np.int64),
        strata=tuple(strata),
        stands_for=np.ones(count) if stands_for is None else stands_for,
    )


def over_all(sums: Floats, category: Ints, stands_for: Floats) -> Floats:
    """(S,) sums over n rows, each of which counts as its category's does. Shapes as of `plan`."""
    total: Floats = (sums * stands_for[category][:, None]).sum(axis=0)
    return total


def macro(values: Floats, members: Bools) -> Floats:
    """(...) mean of (..., K) over the members that have a value; NaN if none has."""
    told = members & ~np.isnan(values)
    count = told.sum(axis=-1)
    total = np.where(told, values, 0.0).sum(axis=-1)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def recentred(lent: Floats, each: Floats, values: Floats) -> Floats:
    """Resampled values (R, K) of which those that differ from `each`, having been borrowed for,
    are moved so that their mean is the category's value (K,)."""
    small = (lent != each).any(axis=0) & ~np.isnan(values)
    told = np.where(np.isnan(lent), 0.0, lent).sum(axis=0)
    mean = told / np.maximum((~np.isnan(lent)).sum(axis=0), 1)
    return lent + np.where(small, values - mean, 0.0)


def expanded(
    value: float,
    samples: Floats,
    clusters: float,
    *,
    limits: tuple[float, float] = (-np.inf, np.inf),
    least: tuple[float, float] | None = None,
    few: str | None = None,
    undefined: str = "0/0: no row tells",
) -> Estimate:
    """The middle 95 % of resampled values, widened for few clusters and stretched to the value.

    No interval below FEWEST clusters (`few` says so of a category), nor one of no width: resamples
    of what does not vary know nothing. `least`: bounds than which it is to be no narrower.
    """
    if not np.isfinite(value):
        return Estimate(None, why=undefined)
    if clusters < FEWEST:
        return Estimate(value, why=few or (FEW_ROWS if clusters > 1 else ONE_CLUSTER))
    usable = samples[np.isfinite(samples)]
    if len(usable) < len(samples) / 2:
        return Estimate(value, why="undefined (0/0) in most resamples")
    reach = float(np.sqrt(clusters / (clusters - 1)) * student_t.ppf(0.975, clusters - 1))
    tail = float(ndtr(-reach))
    ends = np.clip(np.quantile(usable, [tail, 1 - tail]), *limits)
    low, high = min(float(ends[0]), value), max(float(ends[1]), value)
    if least:
        low, high = min(low, least[0]), max(high, least[1])
    if high - low <= _NO_WIDTH * max(1.0, abs(value)):
        return Estimate(value, why=ALIKE)
    return Estimate(value, low, high, method="bootstrap")
