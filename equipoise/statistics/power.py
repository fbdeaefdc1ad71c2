"""What a number of rows can show: the power of a paired test, and the rows that it takes.

Two models decide the same n rows of a class. On a share `gain + churn` of them the better one is
right and the other wrong, on a share `churn` it is the other way round; `gain` is the difference of
their recalls. The mid-P McNemar test looks at these discordant rows alone: under no difference each
falls to either side like a coin.

Sources: Fagerland, Lydersen and Laake 2013, The McNemar test for binary matched-pairs data: mid-p
and asymptotic are better than exact conditional, BMC Medical Research Methodology 13:91; Connor
1987, Sample size for testing differences in proportions for the paired-sample design, Biometrics
43(1).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri
from scipy.stats import binom

from equipoise.errors import ShapeError

Floats = NDArray[np.float64]
_EXACT = 1000
"""Rows up to which power is summed exactly."""
_STEPS = 20
"""Halvings of the gain that is looked for: 1e-6."""


@lru_cache(maxsize=100_000)
def critical_count(discordant: int, level: float = 0.95) -> int | None:
    """How many of `discordant` rows must fall to one side for the two-sided mid-P McNemar test to
    call it a difference; None where not even all of them would do.

    >>> critical_count(4), critical_count(5), critical_count(10)
    (None, 5, 9)
    """
    z = float(ndtri((1 + level) / 2))
    count = max(discordant // 2, math.floor(discordant / 2 + z * math.sqrt(discordant) / 2) - 2)
    while count > discordant // 2 and _mid_p(count, discordant) <= 1 - level:
        count -= 1
    while count <= discordant:
        if count > discordant / 2 and _mid_p(count, discordant) <= 1 - level:
            return count
        count += 1
    return None


def _mid_p(count: int, discordant: int) -> float:
    tail = binom.sf(count, discordant, 0.5) + 0.5 * binom.pmf(count, discordant, 0.5)
    return float(2 * tail)


def paired_power(rows: int, gain: float, churn: float, *, level: float = 0.95) -> float:
    """Chance that the mid-P McNemar test on `rows` rows finds a difference of `gain`.

    gain, churn  Shares, 0 to 1; gain + 2 churn is at most 1.
    Exact: a sum over the number of discordant rows. Above 1,000 rows Connor's approximation.
    Raises       ShapeError if a share is out of range.
    """
    disagree = gain + 2 * churn
    if rows < 0 or gain < 0 or churn < 0 or disagree > 1 + 1e-9:
        raise ShapeError(f"rows {rows}, gain {gain}, churn {churn}: out of range")
    disagree = min(disagree, 1.0)
    if rows == 0 or disagree == 0:
        return 0.0
    if rows > _EXACT:
        spread = math.sqrt(max(disagree - gain**2, 1e-12))
        z = float(ndtri((1 + level) / 2))
        reached = (gain * math.sqrt(rows) - z * math.sqrt(disagree)) / spread
        return 0.5 * math.erfc(-reached / math.sqrt(2))
    reach = 8 * math.sqrt(rows * disagree * (1 - disagree)) + 8
    low = max(0, math.floor(rows * disagree - reach))
    high = min(rows, math.ceil(rows * disagree + reach))
    counts = np.arange(low, high + 1)
    # Where no count would do, one above all rows has chance 0.
    needed = np.array([critical_count(n, level) or n + 1 for n in counts.tolist()])
    found = np.asarray(binom.sf(needed - 1, counts, (gain + churn) / disagree))
    if disagree == 1:
        return float(found[-1])
    log_pmf = (
        gammaln(rows + 1) - gammaln(counts + 1) - gammaln(rows - counts + 1)
        + counts * math.log(disagree)
        + (rows - counts) * math.log1p(-disagree)
    )  # fmt: skip
    return float(np.clip((np.exp(log_pmf) * found).sum(), 0, 1))


@lru_cache(maxsize=10_000)
def smallest_gain(
    rows: int, *, churn: float = 0.05, power: float = 0.8, level: float = 0.95
) -> float | None:
    """Smallest difference of two recalls on `rows` rows that the paired test shows with chance
    `power`; None where it would show none.

    >>> smallest_gain(5), round(smallest_gain(100), 2)
    (None, 0.13)
    """
    most = 1 - 2 * churn
    if paired_power(rows, most, churn, level=level) < power:
        return None
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if paired_power(rows, middle, churn, level=level) >= power:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=1_000)
def rows_for_gain(
    gain: float, *, churn: float = 0.05, power: float = 0.8, level: float = 0.95
) -> int:
    """Rows that it takes to show a difference of `gain` with chance `power`.

    Power rises in small saws; the answer is the least number from which ten further ones hold too.
    Raises ShapeError if gain is not above 0, or gain + 2 churn above 1.
    """
    if gain <= 0 or gain + 2 * churn > 1:
        raise ShapeError(f"gain {gain} with churn {churn}: out of range")
    disagree = gain + 2 * churn
    z, reach = float(ndtri((1 + level) / 2)), float(ndtri(power))
    about = (z * math.sqrt(disagree) + reach * math.sqrt(max(disagree - gain**2, 0))) ** 2 / gain**2
    if about > _EXACT:
        return math.ceil(about)
    rows, held = max(1, int(0.7 * about)), 0
    while held <= 10:
        held = held + 1 if paired_power(rows, gain, churn, level=level) >= power else 0
        rows += 1
    return rows - held


def smallest_macro_gain(
    rows: Floats, *, churn: float = 0.05, power: float = 0.8, level: float = 0.95
) -> float | None:
    """Smallest difference of the mean recall over classes that a paired interval shows with
    chance `power`, were it spread evenly over them.

    rows  (K,) independent rows of each class; classes without a row can't enter.
    The difference of one class's recalls has variance (gain + 2 churn - gain²) / n; the mean's is
    their sum / K². None where there are no rows, or no difference would do.
    """
    held = rows[rows > 0]
    if len(held) == 0:
        return None
    wanted = float(ndtri((1 + level) / 2) + ndtri(power))
    inverse = float((1 / held).sum()) / len(held) ** 2
    # gain² = wanted² (gain + 2 churn - gain²) inverse is a quadratic in gain.
    a, b, c = 1 + wanted**2 * inverse, -(wanted**2) * inverse, -(wanted**2) * inverse * 2 * churn
    gain = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return gain if gain <= 1 - 2 * churn else None
