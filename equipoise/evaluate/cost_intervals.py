"""How sure an expected cost, or the difference of two, is where some mistakes are much dearer.

Resampling the rows alone says that a dear mistake which happened to no row of the split will never
happen. With one class a thousand times as dear as the others, whose 20 rows are all right, caution
then looks dearer beyond doubt, though one miss would outweigh all that it costs. So the interval is
that of a mean of which it is known how far a row can go (`statistics/bounded_mean.py`): the second
model may save as much as any mistake can cost, or lose as much, and one model may make it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from equipoise.evaluate.measures import UNDEFINED
from equipoise.records.scores import Estimate
from equipoise.statistics.bounded_mean import bounded_mean_interval
from equipoise.statistics.sums import Floats

if TYPE_CHECKING:
    from equipoise.evaluate.outcomes import Outcomes


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
    of any class that rows have; where costs are times a column, at the dearest amount of its rows.
    """
    one, two = seen
    apart = two.price - one.price
    if np.isnan(apart).any():
        return Estimate(None, why=UNDEFINED["expected_cost"])
    value = float(1000 * apart.mean())
    if len(np.unique(one.clusters)) < 2:
        return Estimate(value, why="all rows are one cluster of look-alikes")
    loss = _largest_loss(one)
    rng = np.random.default_rng(seed)
    low, high = bounded_mean_interval(apart, one.clusters, (-loss, loss), rng, resamples=resamples)
    return Estimate(value, 1000 * low, 1000 * high, method="bounded-mean bootstrap")


def with_unseen_mistakes(
    seen: Outcomes, found: Estimate, *, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """The expected cost per 1,000 rows with a high end that allows for a further row as dear as a
    mistake can be; its low end stays.

    By resamples alone the truth lay above the high end in 6 to 7 splits of 100 where 20 dear rows
    are missed one time in ten.
    """
    if found.low is None or found.high is None or len(np.unique(seen.clusters)) < 2:
        return found
    present = np.unique(seen.labels)
    ends = [seen.costs.at(amounts)[present] for amounts in _extreme_amounts(seen)]
    limits = float(np.nanmin(ends)), float(np.nanmax(ends))
    rng = np.random.default_rng(seed)
    _, high = bounded_mean_interval(seen.price, seen.clusters, limits, rng, resamples=resamples)
    if 1000 * high <= found.high:
        return found
    return replace(found, high=1000 * high, method="bounded-mean bootstrap")


def _largest_loss(seen: Outcomes) -> float:
    present = np.unique(seen.labels)
    return max(
        float((np.nanmax(costs, axis=1) - np.nanmin(costs, axis=1)).max())
        for costs in (seen.costs.at(amounts)[present] for amounts in _extreme_amounts(seen))
    )


def _extreme_amounts(seen: Outcomes) -> list[Floats]:
    """(K,) the least and the largest amount of each class's rows, 0 without: costs are straight
    lines over the amount, so what is between two of them is widest at one end."""
    if seen.amounts is None:
        return [np.zeros(len(seen.classes))]
    ends = []
    for extreme, start in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        found = np.full(len(seen.classes), start)
        extreme.at(found, seen.labels, seen.amounts)
        ends.append(np.where(np.isfinite(found), found, 0.0))
    return ends
