"""What the rows that will judge can show, class by class."""

from __future__ import annotations

import math

import numpy as np

from equipoise.audit.given import TEST, VALIDATION, Given
from equipoise.records.audit import ClassPower, Power
from equipoise.statistics.clusters import effective_rows, mean_cluster_size
from equipoise.statistics.intervals import share_interval
from equipoise.statistics.power import rows_for_gain, smallest_gain, smallest_macro_gain

CHANGE = 0.1
"""The change of a class's recall that its rows should be able to show: ten points."""
CHURN = 0.05
"""Share of a class's rows that the better model loses all the same."""
POWER = 0.8
TOO_WIDE = 0.5
"""A class can't be judged where the interval of its recall spans more than half of the scale. How
wide it gets is known once a run is judged, and reports draw the same line at what was measured;
before, there is only what it can be at worst and at best."""


def power(given: Given) -> Power | None:
    """None where no row would judge.

    Rows of one cluster are counted for what they are worth if all of them are right or wrong
    together, since nothing is known yet of how they agree.
    """
    split = TEST if (given.roles == TEST).any() else VALIDATION
    judged = given.roles == split
    if not judged.any():
        return None
    counts = given.counts(split).astype(np.float64)
    size = mean_cluster_size(given.labels[judged], given.clusters[judged], len(given.classes))
    worth = effective_rows(counts, size, 1.0)
    needed = rows_for_gain(CHANGE, churn=CHURN, power=POWER)
    return Power(
        split=split,
        given=split in given.parts.tolist(),
        change=CHANGE,
        churn=CHURN,
        power=POWER,
        macro_change=smallest_macro_gain(worth, churn=CHURN, power=POWER),
        classes=[
            _of_class(name, int(counts[k]), float(worth[k]), needed)
            for k, name in enumerate(given.classes)
        ],
    )


def _of_class(name: str, rows: int, worth: float, needed: int) -> ClassPower:
    low = high = None
    if worth > 0:
        bounds = share_interval(worth / 2, worth, guarantee=False)
        low, high = float(bounds[0]), float(bounds[1])
    return ClassPower(
        name=name,
        rows=rows,
        worth=worth,
        low=low,
        high=high,
        smallest_change=smallest_gain(math.floor(worth + 1e-9), churn=CHURN, power=POWER),
        more_rows=max(0, math.ceil(needed - worth - 1e-9)),
    )


def too_small(judged: ClassPower) -> bool:
    """Whether a class might not be judged: at a recall of one half, with rows of a cluster right
    and wrong together. So below 14 independent rows."""
    return judged.low is None or judged.high is None or judged.high - judged.low > TOO_WIDE


def surely_too_small(judged: ClassPower) -> bool:
    """Whether it won't be, whatever comes out: not even if every row is right, and counts for
    itself. So below 5 rows."""
    if not judged.rows:
        return True
    low, high = share_interval(judged.rows, judged.rows, guarantee=False)
    return bool(high - low > TOO_WIDE)
