"""Interval of a mean of which it is known how far one row can go.

Resampling the rows alone says that what happened to no row will never happen: of ten rows without
a fault it makes a mean of exactly 0. So one further cluster of rows is added to every resample: for
the lower end one whose rows are as low as a row can be, for the upper end one whose rows are as
high. It is of the mean size, so that copies of every cluster change nothing. Where a row is 0 or 1
and stands alone, this is the exact interval of a share (Clopper and Pearson 1934), whose upper end
is that of Beta(x + 1, n - x).

Source: Learned-Miller and Thomas 2019, A new confidence interval for the mean of a bounded random
variable, arXiv:1905.06208; resamples by Rubin 1981, The Bayesian bootstrap, Annals of Statistics 9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.clusters import equal_clusters
from equipoise.statistics.sums import Floats

_CHUNK_CELLS = 2_000_000
"""Numbers drawn at once: 16 MB of float64."""


def bounded_mean_interval(
    values: Floats,
    clusters: NDArray[np.int64],
    limits: tuple[float, float],
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
    weights: Floats | None = None,
) -> tuple[float, float]:
    """95 % interval of the mean over rows; rows of one cluster are weighed together.

    Shapes  values (n,), n > 0; clusters (n,); weights (n,) of the rows, None where all weigh the
            same. limits: how low and how high one row can be.
    Returns (low, high) in the unit of the values. Where few clusters weigh most, the further one
            weighs as they do: it is one of as many as tell as much.
    """
    rows_weigh = np.ones(len(values)) if weights is None else weights
    sums, sizes, counts = _types(values, clusters, rows_weigh)
    rows_of_further = float(sizes @ counts / equal_clusters(clusters, rows_weigh))
    low, high = [], []
    step = max(1, _CHUNK_CELLS // len(counts))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = rng.standard_gamma(counts, (size, len(counts)))
        total, rows = weights @ sums, weights @ sizes
        further = rows_of_further * rng.standard_exponential(size)
        low.append((total + further * limits[0]) / (rows + further))
        high.append((total + further * limits[1]) / (rows + further))
    least = float(np.quantile(np.concatenate(low), 0.025))
    most = float(np.quantile(np.concatenate(high), 0.975))
    return least, most


def _types(
    values: Floats, clusters: NDArray[np.int64], weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Clusters that differ in nothing are one type: its sum, its rows, and how many there are.

    A weight of many alike is one draw from a gamma distribution, whatever their number.
    """
    _, place = np.unique(clusters, return_inverse=True)
    each = np.column_stack([np.bincount(place, values * weights), np.bincount(place, weights)])
    kinds, counts = np.unique(each.astype(np.float64), axis=0, return_counts=True)
    return kinds[:, 0], kinds[:, 1], counts.astype(np.float64)
