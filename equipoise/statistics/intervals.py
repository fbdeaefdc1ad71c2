"""Intervals for shares, computed for whole arrays of classes at once.

Counts may be fractions: rows that are copies of each other count as fewer than they are
(`equipoise.statistics.clusters`), so both bounds are written with the incomplete beta function,
which equals the binomial tail where counts are whole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, ndtri
from scipy.stats import t as student_t

from equipoise.errors import ShapeError

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]

_HALVINGS = 50
"""Bisections of [0, 1]: 2**-50 is below what a report or a test can see."""


def clopper_pearson(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Bounds:
    """The interval that covers at least `level` at every share and every number of trials.

    Shapes  successes and trials broadcast together; 0 <= successes <= trials, trials > 0.
    Returns (low, high), shares in [0, 1]; low is 0 at no success, high is 1 at nothing but.
    Raises  ShapeError if a count is out of range.
    Source  Clopper and Pearson 1934, Biometrika 26(4).
    """
    x, n = _checked(successes, trials)
    half = (1 - level) / 2
    # betaincinv needs positive parameters, so the edges are computed aside.
    low = np.where(x > 0, betaincinv(np.maximum(x, 1e-300), n - x + 1, half), 0.0)
    high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1e-300), 1 - half), 1.0)
    return low, high


def mid_p(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Bounds:
    """The interval that covers about `level` on average: half of the observed point's
    probability is taken off each tail of Clopper–Pearson's.

    Shapes, Returns and Raises as `clopper_pearson`, inside which the interval always lies.
    Source  Lancaster 1961, JASA 56(294); Agresti and Gottard 2007, CSDA 51(12).
    """
    x, n = _checked(successes, trials)
    half = (1 - level) / 2
    # The tail rises with the share, and the low bound is where it passes `half`. The high bound
    # is one less the low bound of the failures; both are found in one go.
    either = np.stack([x, n - x])
    bound = _bisect(lambda p: _upper_tail(either, n, p) - half, either.shape)
    bound = np.where(either > 0, bound, 0.0)
    return bound[0], 1 - bound[1]


def share_interval(
    successes: ArrayLike, trials: ArrayLike, *, guarantee: bool, level: float = 0.95
) -> Bounds:
    """Clopper–Pearson where a guarantee is claimed, mid-P elsewhere."""
    return (clopper_pearson if guarantee else mid_p)(successes, trials, level=level)


def f1_of_jaccard(jaccard: ArrayLike) -> NDArray[np.float64]:
    """F1 = 2 J / (1 + J), where J = tp / (tp + fp + fn).

    F1 itself is no share of rows, but J is: of the rows that are of the class or decided as it,
    those that are both. F1 rises with J, so an interval of J is one of F1.
    Source  Lam, Gopal and Qian 2023, Confidence intervals for the F1 score, arXiv:2309.14621
            ("indirect" intervals).
    """
    j = np.asarray(jaccard, dtype=np.float64)
    return 2 * j / (1 + j)


def average_precision_logit(
    value: ArrayLike, positives: ArrayLike, *, level: float = 0.95
) -> Bounds:
    """Logit interval of average precision: logit(AP) ± z / sqrt(n AP (1 - AP)).

    Shapes  value in [0, 1] and positives > 0 (rows of the class, may be a fraction) broadcast.
    Returns (low, high). An AP of 0 or 1 has no logit; it is first drawn half a row inwards, as
            (n AP + 1/2) / (n + 1), and the bound on its own side is the value itself.
    Source  Boyd, Eng and Page 2013, Area under the precision-recall curve: point estimates and
            confidence intervals, ECML PKDD.
    """
    ap, n = np.broadcast_arrays(
        np.asarray(value, dtype=np.float64), np.asarray(positives, dtype=np.float64)
    )
    if ((ap < 0) | (ap > 1)).any() or (n <= 0).any():
        raise ShapeError("average precision must lie in [0, 1] and positives be above 0")
    inner = (n * ap + 0.5) / (n + 1)
    logit = np.log(inner / (1 - inner))
    reach = float(ndtri((1 + level) / 2)) / np.sqrt(n * inner * (1 - inner))
    low = 1 / (1 + np.exp(-(logit - reach)))
    high = 1 / (1 + np.exp(-(logit + reach)))
    # Drawing inwards must never push the value out of its own interval.
    return np.minimum(low, ap), np.maximum(high, ap)


def mean_interval(
    values: NDArray[np.float64], clusters: NDArray[np.int64], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean over rows, where rows of one cluster move together.

    Student's t over clusters, corrected for skewness: the loss of a good model is nearly 0 in most
    rows and large in a few, and the plain interval then ends too low.

    Shapes  values (n,), clusters (n,) with at least two different numbers.
    Returns (low, high) in the unit of the values.
    Source  Cameron and Miller 2015, A practitioner's guide to cluster-robust inference;
            Hall 1992, On the removal of skewness by transformation, JRSS B 54(1).
    """
    mean, error, skew, reach = _spread(values, clusters, level)
    return mean - _hall(reach, skew) * error, mean - _hall(-reach, skew) * error


def difference_interval(
    apart: NDArray[np.float64], clusters: NDArray[np.int64], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean of differences of the same rows: at each end the wider of Student's t
    and `mean_interval`.

    Differences of two losses are about symmetric, with heavy tails, and one or two rows make what
    skewness a sample shows. The correction then pulls one end inwards, past 0: of two models that
    are equally good it named a winner in 6 to 16 pairs of 100.

    Shapes, Returns and Raises as `mean_interval`.
    """
    mean, error, skew, reach = _spread(apart, clusters, level)
    below, above = max(reach, _hall(reach, skew)), max(reach, -_hall(-reach, skew))
    return mean - below * error, mean + above * error


def _spread(
    values: NDArray[np.float64], clusters: NDArray[np.int64], level: float
) -> tuple[float, float, float, float]:
    """Mean over rows, its standard error over clusters, a sixth of the third moment in units of
    that error (0 for a symmetric spread), and Student's quantile."""
    n = len(values)
    _, number = np.unique(clusters, return_inverse=True)
    count = int(number.max()) + 1 if n else 0
    if count < 2:
        raise ShapeError(f"an interval of a mean needs two clusters or more, found {count}")
    mean = float(values.mean())
    sums = np.bincount(number, weights=values - mean)
    squares = float((sums**2).sum())
    error = float(np.sqrt(count / (count - 1) * squares)) / n
    skew = float((sums**3).sum()) / squares**1.5 / 6 if squares > 0 else 0.0
    return mean, error, skew, float(student_t.ppf((1 + level) / 2, count - 1))


def _hall(t: float, skew: float) -> float:
    """Where Hall's cubic transformation of the t statistic takes the value `t`."""
    if abs(skew) < 1e-6:
        return t
    return float(np.cbrt(1 + 6 * skew * (t - skew)) - 1) / (2 * skew)


def auc_interval(
    value: ArrayLike, positives: ArrayLike, negatives: ArrayLike, *, level: float = 0.95
) -> Bounds:
    """Interval of an area under the ROC curve: the areas under which the one seen is not strange.

    Hanley and McNeil's variance is taken at the bound, not at the value, so that an area of 1 seen
    on few rows still has a lower bound below 1.

    Shapes  value in [0, 1], positives > 0 and negatives > 0 broadcast.
    Returns (low, high).
    Source  Newcombe 2006, Confidence intervals for an effect size measure based on the
            Mann–Whitney statistic, part 2, Statistics in Medicine 25: method 5.
    """
    area, yes, no = np.broadcast_arrays(
        *(np.asarray(a, float) for a in (value, positives, negatives))
    )
    if ((area < 0) | (area > 1)).any() or (yes <= 0).any() or (no <= 0).any():
        raise ShapeError("an area must lie in [0, 1], positives and negatives be above 0")
    size = (yes + no) / 2 - 1
    quantile = float(ndtri((1 + level) / 2))

    def strange(at: NDArray[np.float64]) -> NDArray[np.bool_]:
        spread = 1 + size * (1 - at) / (2 - at) + size * at / (1 + at)
        error = np.sqrt(at * (1 - at) * np.maximum(spread, 0) / (yes * no))
        beyond: NDArray[np.bool_] = np.abs(area - at) > quantile * error
        return beyond

    low = _bisect(lambda p: np.where(strange(p * area), -1.0, 1.0), area.shape) * area
    high = 1 - _bisect(lambda q: np.where(strange(1 - q * (1 - area)), -1.0, 1.0), area.shape) * (
        1 - area
    )
    return np.minimum(low, area), np.maximum(high, area)


def mean_of_shares(
    values: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    *,
    factor: float = 1.0,
) -> tuple[float, float]:
    """Interval of the mean of K values from the interval of each: square and add.

    `factor` is how much wider the mean varies than if the values were independent.
    Shapes  values, low, high (K,).
    Source  Zou and Donner 2008, Construction of confidence limits about effect measures,
            Statistics in Medicine 27 (MOVER).
    """
    count, mean = len(values), float(values.mean())
    below = factor * float(np.sqrt(((values - low) ** 2).sum())) / count
    above = factor * float(np.sqrt(((high - values) ** 2).sum())) / count
    return max(0.0, mean - below), min(1.0, mean + above)


def _checked(successes: ArrayLike, trials: ArrayLike) -> Bounds:
    x, n = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    )
    if not ((x >= 0) & (x <= n) & (n > 0)).all():
        raise ShapeError("expected 0 <= successes <= trials and trials > 0 in every place")
    return x, n


def _upper_tail(
    x: NDArray[np.float64], n: NDArray[np.float64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """P(X > x) + P(X = x) / 2 for X ~ Binomial(n, p)."""
    # betainc(0, b, p) is 1 and betainc(a, 0, p) is 0 below p = 1, by the limits of the tail.
    reached = np.where(x > 0, betainc(np.maximum(x, 1e-300), n - x + 1, p), 1.0)
    passed = np.where(x < n, betainc(x + 1, np.maximum(n - x, 1e-300), p), 0.0)
    tail: NDArray[np.float64] = (reached + passed) / 2
    return tail


def _bisect(rising, shape: tuple[int, ...]) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
    """Where a function that rises over [0, 1] passes zero, for each place of an array."""
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = rising(middle) > 0
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return (low + high) / 2
