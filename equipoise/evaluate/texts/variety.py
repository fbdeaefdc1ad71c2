"""How varied the written texts are, with intervals.

distinct-n is the share of n-grams, over all texts of a category, that are different ones. A
bootstrap is no help: it draws texts twice, and what comes twice is not different, so every resample
lies below the value. Leaving out one cluster at a time has no such fault, and its variance is never
too small on average (Efron and Stein 1981, The jackknife estimate of variance, Annals of
Statistics 9(3)).

Source  Li et al. 2016, A diversity-promoting objective function for neural conversation models,
        arXiv:1510.03055. It falls as texts grow more numerous, so compare it at one size only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from equipoise.evaluate.estimates import ONE_CLUSTER
from equipoise.evaluate.texts.grams import (
    Grams,
    Ints,
    distinct_by_owner,
    grams,
    tokens,
)
from equipoise.evaluate.texts.outcomes import NO_WORDS, TextOutcomes
from equipoise.evaluate.texts.words import words
from equipoise.records.scores import Estimate
from equipoise.statistics.sums import Floats

NO_MOVE = "no row moves it more than any other, so nothing tells how far the next one may"
_NO_WIDTH = 1e-9
"""A share no further from the value is rounding."""


@dataclass(frozen=True, eq=False)
class Variety:
    """A value and what moves it."""

    value: float
    """NaN where no n-gram was written."""
    apart: Floats
    """(clusters,) how far the value moves from the mean when a cluster is left out, in units such
    that squares add up to the variance; 0 for clusters that don't count."""
    clusters: int
    """How many clusters hold an n-gram."""


def varieties(seen: TextOutcomes, n: int) -> tuple[Variety, list[Variety]]:
    """distinct-n over all written texts, and of each category."""
    at = np.flatnonzero(seen.decoded)
    found = list(grams(tokens([words(str(text)) for text in seen.written[at]]), n))[-1]
    names, number = np.unique(seen.clusters, return_inverse=True)
    part, category = number[at], seen.category[at]
    whole = _variety(found, part, len(names))
    each = []
    for k in range(len(seen.categories)):
        mine = category[found.owner] == k
        own = Grams(found.owner[mine], found.gram[mine], found.times[mine], found.kinds)
        each.append(_variety(own, part, len(names)))
    return whole, each


def _variety(found: Grams, part: Ints, clusters: int) -> Variety:
    total, alone, kinds = distinct_by_owner(found, part, clusters)
    rows = total.sum()
    held = total > 0
    count = int(held.sum())
    apart = np.zeros(clusters)
    if count > 1:
        without = (kinds - alone[held]) / (rows - total[held])
        apart[held] = np.sqrt((count - 1) / count) * (without - without.mean())
    return Variety(float(kinds / rows) if rows else float("nan"), apart, count)


def mean_variety(each: Sequence[Variety]) -> Variety:
    """Mean over the parts that have n-grams."""
    told = [one for one in each if one.clusters]
    if not told:
        return Variety(float("nan"), np.zeros(0), 0)
    return Variety(
        float(np.mean([one.value for one in told])),
        np.mean([one.apart for one in told], axis=0),
        # The variance of a lone cluster is not known, so neither is that of the mean.
        min(one.clusters for one in told) if len(told) > 1 else told[0].clusters,
    )


def difference(a: Variety, b: Variety) -> Variety:
    """b - a, of the same rows."""
    return Variety(b.value - a.value, b.apart - a.apart, min(a.clusters, b.clusters))


def variety_estimate(found: Variety, *, lowest: float = 0.0, one: str = ONE_CLUSTER) -> Estimate:
    if np.isnan(found.value):
        return Estimate(None, why=NO_WORDS)
    if found.clusters < 2:
        return Estimate(found.value, why=one)
    if np.abs(found.apart).max() <= _NO_WIDTH:
        return Estimate(found.value, why=NO_MOVE)
    free = max(int((np.abs(found.apart) > _NO_WIDTH).sum()) - 1, 1)
    reach = float(student_t.ppf(0.975, free) * np.sqrt((found.apart**2).sum()))
    low, high = max(found.value - reach, lowest), min(found.value + reach, 1.0)
    return Estimate(found.value, low, high, method="jackknife")
