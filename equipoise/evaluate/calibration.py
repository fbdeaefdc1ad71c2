"""How often the model is right when it says it is so sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.estimates import overall_agreement
from equipoise.evaluate.measures import ECE_BINS, bin_of
from equipoise.evaluate.outcomes import outcomes
from equipoise.records.predictions import Predictions
from equipoise.statistics.clusters import effective_rows, mean_cluster_size
from equipoise.statistics.intervals import mid_p
from equipoise.statistics.sums import Floats


@dataclass(frozen=True)
class Bin:
    """Rows whose stated probability lies in (low, high]."""

    low: float
    high: float
    rows: int
    stated: float
    """Mean probability that was stated."""
    observed: float
    """Share of the rows for which it came true."""
    observed_low: float
    observed_high: float
    """95 % interval of the share (mid-P)."""
    beyond_chance: bool
    """Whether `stated` lies outside the interval also where all bins of a curve are to keep theirs
    at once in 95 % of curves (Bonferroni)."""


@dataclass(frozen=True)
class Curve:
    """A reliability curve; bins without rows are left out."""

    name: str | None
    """The class whose probability is judged; None for the most probable class of each row."""
    rows: int
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "rows": self.rows, "bins": [vars(b) for b in self.bins]}


def reliability(predictions: Predictions, *, bins: int = ECE_BINS) -> tuple[Curve, ...]:
    """The curve of the top label first, then one per class that the model knows, by name.

    Raises  DataError if there are no rows or rows without a label.
    """
    seen = outcomes(predictions)
    p, tied = seen.probabilities, seen.clusters
    everywhere = np.arange(len(seen.labels))
    top = p.argmax(axis=1)
    agree = overall_agreement(seen.labels == seen.decided, tied)
    curves = [curve_of(None, p[everywhere, top], top == seen.labels, tied, agree, bins)]
    curves += [
        curve_of(seen.classes[k], p[:, k], seen.labels == k, tied, agree, bins)
        for k in np.flatnonzero(seen.known)
    ]
    return tuple(curves)


def curve_of(
    name: str | None,
    stated: Floats,
    came_true: NDArray[np.bool_],
    clusters: NDArray[np.int64],
    agree: float,
    bins: int,
) -> Curve:
    """Shapes: stated, came_true, clusters (n,); agree: how much rows of one cluster agree."""
    number = bin_of(stated, bins)
    rows = np.bincount(number, minlength=bins)
    full = np.flatnonzero(rows)
    hits = np.bincount(number, weights=came_true, minlength=bins)[full]
    said = np.bincount(number, weights=stated, minlength=bins)[full]
    size = mean_cluster_size(number, clusters, bins)[full]
    share = hits / rows[full]
    worth = effective_rows(rows[full].astype(np.float64), size, agree)
    low, high = mid_p(share * worth, worth)
    least, most = mid_p(share * worth, worth, level=1 - 0.05 / len(full))
    mean = said / rows[full]
    return Curve(
        name,
        len(stated),
        tuple(
            Bin(
                low=float(k / bins),
                high=float((k + 1) / bins),
                rows=int(rows[k]),
                stated=float(mean[i]),
                observed=float(share[i]),
                observed_low=float(low[i]),
                observed_high=float(high[i]),
                beyond_chance=bool(mean[i] < least[i] or mean[i] > most[i]),
            )
            for i, k in enumerate(full)
        ),
    )
