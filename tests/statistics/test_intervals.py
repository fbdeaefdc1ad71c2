"""Intervals of shares: hand-worked values, scipy as the reference, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from equipoise.errors import ShapeError
from equipoise.statistics.intervals import (
    auc_interval,
    average_precision_logit,
    clopper_pearson,
    difference_interval,
    f1_of_jaccard,
    mean_interval,
    mean_of_shares,
    mid_p,
    share_interval,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("x", "n"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (47, 50), (499, 500)]
)
def test_clopper_pearson_is_scipys_exact_interval(x, n):
    expected = binomtest(x, n).proportion_ci(0.95, method="exact")
    low, high = clopper_pearson(x, n)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_ten_right_of_ten_is_not_certain():
    """All right: the low bound is where p**10 is 0.025 (Clopper–Pearson), or half of it (mid-P)."""
    assert float(clopper_pearson(10, 10)[0]) == pytest.approx(0.025 ** (1 / 10))
    low, high = mid_p(10, 10)
    assert float(low) == pytest.approx(0.05 ** (1 / 10))
    assert float(high) == 1.0


@given(COUNTS)
def test_mid_p_bounds_leave_half_a_tail_each(counts):
    x, n = counts
    low, high = (float(b) for b in mid_p(x, n))
    if x > 0:
        assert binom.sf(x - 1, n, low) - binom.pmf(x, n, low) / 2 == pytest.approx(0.025, abs=1e-9)
    if x < n:
        assert binom.cdf(x, n, high) - binom.pmf(x, n, high) / 2 == pytest.approx(0.025, abs=1e-9)


@given(COUNTS)
def test_mid_p_lies_within_clopper_pearson_and_holds_the_share(counts):
    x, n = counts
    low, high = mid_p(x, n)
    outer_low, outer_high = clopper_pearson(x, n)
    assert outer_low - 1e-12 <= low <= x / n <= high <= outer_high + 1e-12


@given(COUNTS)
def test_right_and_wrong_mirror_each_other(counts):
    x, n = counts
    for method in (mid_p, clopper_pearson):
        low, high = method(x, n)
        other_low, other_high = method(n - x, n)
        assert float(low) == pytest.approx(1 - float(other_high), abs=1e-9)
        assert float(high) == pytest.approx(1 - float(other_low), abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 10, 50])
def test_clopper_pearson_covers_95_percent_at_every_share(n):
    x = np.arange(n + 1)
    low, high = clopper_pearson(x, n)
    for share in np.linspace(0.01, 0.99, 99):
        assert binom.pmf(x, n, share)[(low <= share) & (share <= high)].sum() >= 0.95


def test_fewer_effective_rows_widen_the_interval():
    wide, narrow = mid_p(4.5, 5.0), mid_p(45, 50)
    assert wide[0] < narrow[0]
    assert wide[1] > narrow[1]


def test_bounds_of_an_array_are_those_of_its_places():
    x, n = np.array([0, 3, 10]), np.array([1, 10, 10])
    low, high = mid_p(x, n)
    for k in range(3):
        assert (low[k], high[k]) == pytest.approx(tuple(map(float, mid_p(x[k], n[k]))))


def test_the_guarantee_is_clopper_pearson():
    assert share_interval(3, 10, guarantee=True) == clopper_pearson(3, 10)
    assert share_interval(3, 10, guarantee=False) == mid_p(3, 10)


@pytest.mark.parametrize(("x", "n"), [(-1, 3), (4, 3), (0, 0), (np.nan, 3)])
def test_impossible_counts_are_refused(x, n):
    with pytest.raises(ShapeError, match="successes"):
        mid_p(x, n)


def test_f1_of_jaccard_by_hand():
    """tp 3, fp 1, fn 2: J = 3/6, F1 = 6/9."""
    assert float(f1_of_jaccard(3 / 6)) == pytest.approx(6 / 9)


def test_logit_interval_by_hand():
    """AP 0.5 of 16 positives, logit 0 ± 1.96 / sqrt(16 / 4) = ±0.98."""
    low, high = average_precision_logit(0.5, 16)
    assert float(low) == pytest.approx(1 / (1 + np.exp(0.979982)), abs=1e-6)
    assert float(high) == pytest.approx(1 / (1 + np.exp(-0.979982)), abs=1e-6)


def test_logit_interval_of_a_perfect_ranking_ends_at_one_and_starts_below():
    low, high = average_precision_logit(1.0, 5)
    assert float(low) < 0.9
    assert float(high) == 1.0


def test_auc_bounds_are_where_the_value_becomes_strange():
    """At the bound, the value is 1.96 Hanley–McNeil errors away."""
    area, yes, no = 0.9, 12, 80
    for bound in auc_interval(area, yes, no):
        b, size = float(bound), (yes + no) / 2 - 1
        variance = b * (1 - b) * (1 + size * (1 - b) / (2 - b) + size * b / (1 + b)) / (yes * no)
        assert abs(area - b) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-4)


def test_a_perfect_area_on_few_rows_is_not_certain():
    low, high = auc_interval(1.0, 3, 100)
    assert float(low) < 0.8
    assert float(high) == 1.0


def test_mean_interval_of_an_even_spread_is_students():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    low, high = mean_interval(values, np.arange(5))
    reach = 2.776445 * values.std(ddof=1) / np.sqrt(5)  # t quantile of 4 degrees of freedom
    assert (low, high) == pytest.approx((3 - reach, 3 + reach), rel=1e-6)


def test_mean_interval_reaches_towards_the_long_tail():
    values = np.array([0.0] * 18 + [1.0, 4.0])
    low, high = mean_interval(values, np.arange(20))
    assert high - values.mean() > 1.3 * (values.mean() - low)
    mirrored = mean_interval(-values, np.arange(20))
    assert mirrored == pytest.approx((-high, -low))


def test_mean_interval_covers_the_mean_of_skewed_values():
    """Exponential values, 25 rows: 0.95 within three standard errors of 1,000 simulations."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        low, high = mean_interval(rng.exponential(size=25), np.arange(25))
        held.append(low <= 1 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.021)


def test_a_difference_reaches_as_far_as_students_t_and_halls_correction_at_each_end():
    apart = np.array([0.0] * 17 + [1.0, 1.0, 4.0])
    reach = 2.093024 * apart.std(ddof=1) / np.sqrt(20)  # t quantile of 19 degrees of freedom
    low, high = difference_interval(apart, np.arange(20))
    # The one row of 4 draws Hall's lower end across 0: it alone would make a winner.
    assert mean_interval(apart, np.arange(20))[0] > 0
    assert low == pytest.approx(0.3 - reach, rel=1e-6)
    assert high == mean_interval(apart, np.arange(20))[1] > 0.3 + reach
    mirrored = difference_interval(-apart, np.arange(20))
    assert mirrored == pytest.approx((-high, -low))


@pytest.mark.parametrize("interval", [mean_interval, difference_interval])
def test_copies_of_every_row_teach_nothing(interval):
    values = np.array([1.0, 2.0, 3.0, 6.0])
    once = interval(values, np.arange(4))
    thrice = interval(np.repeat(values, 3), np.repeat(np.arange(4), 3))
    assert thrice == pytest.approx(once)


@pytest.mark.parametrize("interval", [mean_interval, difference_interval])
def test_one_cluster_has_no_interval(interval):
    with pytest.raises(ShapeError, match="two clusters"):
        interval(np.array([1.0, 2.0]), np.array([5, 5]))


def test_mean_of_shares_squares_and_adds():
    low, high = mean_of_shares(np.array([0.5, 0.7]), np.array([0.2, 0.3]), np.array([0.6, 0.7]))
    assert low == pytest.approx(0.6 - 0.5 / 2)  # the root of 0.3² + 0.4² over 2
    assert high == pytest.approx(0.6 + 0.1 / 2)
    assert mean_of_shares(np.array([0.9]), np.array([0.1]), np.array([1.0]), factor=9) == (0.0, 1.0)
