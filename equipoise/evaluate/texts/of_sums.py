"""Measures of texts that are functions of sums over rows, by resamples of clusters: over all rows,
over categories and of each category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.evaluate.texts.outcomes import ROUGE, Measured, TextOutcomes
from equipoise.evaluate.texts.resampling import (
    FEW,
    Bools,
    Draws,
    Ints,
    expanded,
    macro,
    over_all,
    plan,
    recentred,
)
from equipoise.records.scores import Estimate
from equipoise.statistics.bounded_mean import bounded_mean_interval
from equipoise.statistics.clusters import equal_clusters
from equipoise.statistics.intervals import mean_of_shares
from equipoise.statistics.sums import Floats

LIMITS = {
    "bleu": (0.0, 100.0),
    "chrf": (0.0, 100.0),
    **dict.fromkeys(ROUGE, (0.0, 1.0)),
    "meteor": (0.0, 1.0),
    "loss": (0.0, np.inf),
    "bits_per_byte": (0.0, np.inf),
    "length_ratio": (0.0, np.inf),
}
BOUNDED = (*ROUGE, "meteor")
"""Means over rows of numbers from 0 to 1, which may all lie at an edge and still vary."""

Bounds = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Found:
    """One measure of everything that is judged."""

    whole: Estimate
    macro: Estimate
    each: list[Estimate]
    bands: dict[str, Estimate]


def of_sums(
    seen: TextOutcomes, bands: dict[str, Bools], *, seed: int, resamples: int
) -> dict[str, Found]:
    """Measures of the same rows, weighed alike, share their resamples."""
    groups: dict[bytes, list[str]] = {}
    for name, one in seen.measured.items():
        groups.setdefault(one.rows.tobytes() + one.stands_for.tobytes(), []).append(name)
    return {
        name: one
        for names in groups.values()
        for name, one in _Group(seen, names, bands, seed, resamples).found().items()
    }


class _Group:
    """Measures of the same rows, weighed alike."""

    def __init__(
        self,
        seen: TextOutcomes,
        names: Sequence[str],
        bands: dict[str, Bools],
        seed: int,
        resamples: int,
    ) -> None:
        self.names, self.seed, self.resamples = names, seed, resamples
        self.measured: list[Measured] = [seen.measured[name] for name in names]
        self.at = np.cumsum([0, *(one.sums.shape[1] for one in self.measured)])
        self.rows, self.stands_for = self.measured[0].rows, self.measured[0].stands_for
        self.category, self.clusters = seen.category[self.rows], seen.clusters[self.rows]
        self.weights = self.stands_for[self.category]
        self.count = len(seen.categories)
        self.sets = {"": np.ones(self.count, dtype=bool), **bands}

    def found(self) -> dict[str, Found]:
        sums = np.concatenate([one.sums[self.rows] for one in self.measured], axis=1)
        prepared = plan(sums, self.category, self.clusters, self.count, self.stands_for)
        drawn = prepared.draw(self.resamples, np.random.default_rng(self.seed), self._values)
        of_each = [sums[self.category == k].sum(axis=0) for k in range(self.count)]
        each = self._values(np.stack(of_each))
        whole = self._values(over_all(sums, self.category, self.stands_for))
        held = np.diff(prepared.first)
        return {
            name: self._one(i, float(whole[i]), each[:, i], drawn, held)
            for i, name in enumerate(self.names)
        }

    def _values(self, sums: Floats) -> Floats:
        """(..., S) sums of all measures side by side to (..., M) values."""
        each = enumerate(self.measured)
        return np.stack([m.value(sums[..., self.at[i] : self.at[i + 1]]) for i, m in each], axis=-1)

    def _one(self, i: int, whole: float, each: Floats, drawn: Draws, held: Ints) -> Found:
        limits = LIMITS[self.names[i]]
        least, least_each = self._bounded(i)
        lent = recentred(drawn.lent[..., i], drawn.each[..., i], each)
        means = {
            band: expanded(
                float(macro(each, members)),
                macro(lent, members),
                len(np.unique(self.clusters[members[self.category]])),
                limits=limits,
                least=_least_of_mean(each, least_each, members),
            )
            for band, members in self.sets.items()
        }
        total = equal_clusters(self.clusters, self.weights)
        return Found(
            expanded(whole, drawn.whole[:, i], total, limits=limits, least=least),
            means.pop(""),
            [
                expanded(
                    float(each[k]),
                    drawn.each[:, k, i],
                    int(held[k]),
                    limits=limits,
                    least=least_each[k],
                    few=FEW,
                )
                for k in range(self.count)
            ],
            means,
        )

    def _bounded(self, i: int) -> tuple[Bounds, list[Bounds]]:
        """Bounds of the mean over rows, and of each category's; None of measures without."""
        if self.names[i] not in BOUNDED:
            return None, [None] * self.count
        values = self.measured[i].value(self.measured[i].sums[self.rows])
        rng = np.random.default_rng(self.seed)

        def of(rows: Bools) -> Bounds:
            if not rows.any():
                return None
            part = values[rows], self.clusters[rows]
            return bounded_mean_interval(
                *part, (0.0, 1.0), rng, resamples=self.resamples, weights=self.weights[rows]
            )

        everyone = np.ones(len(values), dtype=bool)
        return of(everyone), [of(self.category == k) for k in range(self.count)]


def _least_of_mean(values: Floats, each: list[Bounds], members: Bools) -> Bounds:
    """Of the mean over those of (K,) categories that have bounds: theirs squared and added."""
    told = [(values[k], *bounds) for k, bounds in enumerate(each) if bounds and members[k]]
    return mean_of_shares(*np.array(told, dtype=np.float64).T) if told else None
