"""How sure the difference of two expected costs is where some mistakes are much dearer than others.

Resampling the rows alone says that a dear mistake which happened to no row of the split will never
happen. With one class a thousand times as dear as the others, whose 20 rows are all right, caution
then looks dearer beyond doubt, though one miss would outweigh all that it costs. So one further
row is added to every resample: for the lower end a row that the second model saves as much as any
mistake can cost, for the upper end one that it loses as much. Where only one kind of mistake is
counted this is the exact interval of a share (Clopper and Pearson 1934), whose upper end is that of
Beta(x + 1, n - x).

Source: Learned-Miller and Thomas 2019, A new confidence interval for the mean of a bounded random
variable, arXiv:1905.06208; resamples by Rubin 1981, The Bayesian bootstrap, Annals of Statistics 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from equipoise.records.scores import Estimate
from equipoise.statistics.sums import Floats

if TYPE_CHECKING:
    from equipoise.evaluate.outcomes import Outcomes

_CHUNK_CELLS = 2_000_000
"""Numbers drawn at once: 16 MB of float64."""


def mistakes_differ_in_price(seen: Outcomes) -> bool:
    """Whether stated costs of mistakes, of the classes that rows have, are not all alike."""
    table = seen.costs
    if table.factor is not None:
        return True
    k = len(table.fixed)
    present = np.unique(seen.labels)
    prices = table.fixed[present][~np.eye(k, table.fixed.shape[1], dtype=bool)[present]]
    stated = prices[~np.isnan(prices)]
    return bool(len(stated)) and not np.allclose(stated, stated[0])


def cost_difference(
    seen: tuple[Outcomes, Outcomes], *, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Second minus first in expected cost per 1,000 rows, both of the same rows.

    Clusters of rows are weighed together. The largest loss of one row is the widest range of costs
    of any class that rows have, at the class's mean amount where costs are times a column.
    """
    one, two = seen
    apart = two.price - one.price
    if np.isnan(apart).any():
        return Estimate(None, why="rows are left to a person, and the costs do not say the price")
    value = float(1000 * apart.mean())
    sums, sizes, counts = _types(apart, one.clusters)
    if counts.sum() < 2:
        return Estimate(value, why="all rows are one cluster of look-alikes")
    loss = _largest_loss(one)
    rng = np.random.default_rng(seed)
    low, high = [], []
    step = max(1, _CHUNK_CELLS // len(counts))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = rng.standard_gamma(counts, (size, len(counts)))
        total, rows = weights @ sums, weights @ sizes
        further = rng.standard_exponential(size)
        low.append((total - further * loss) / (rows + further))
        high.append((total + further * loss) / (rows + further))
    least = float(1000 * np.quantile(np.concatenate(low), 0.025))
    most = float(1000 * np.quantile(np.concatenate(high), 0.975))
    return Estimate(value, least, most, method="bounded-mean bootstrap")


def _types(apart: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Clusters that differ in nothing are one type: its sum, its rows, and how many there are.

    A weight of many alike is one draw from a gamma distribution, whatever their number.
    """
    _, place = np.unique(clusters, return_inverse=True)
    each = np.column_stack([np.bincount(place, apart), np.bincount(place)])
    kinds, counts = np.unique(each.astype(np.float64), axis=0, return_counts=True)
    return kinds[:, 0], kinds[:, 1], counts.astype(np.float64)


def _largest_loss(seen: Outcomes) -> float:
    rows = np.bincount(seen.labels, minlength=len(seen.classes))
    amounts: Floats | float = 0.0
    if seen.amounts is not None:
        amounts = np.bincount(seen.labels, seen.amounts, len(rows)) / np.maximum(rows, 1)
    costs = seen.costs.at(amounts)[rows > 0]
    return float((np.nanmax(costs, axis=1) - np.nanmin(costs, axis=1)).max())
