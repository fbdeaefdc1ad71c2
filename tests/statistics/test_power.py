"""Power of the paired test: by hand, by laws, and against simulated decisions of two models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from equipoise.errors import ShapeError
from equipoise.statistics.power import (
    critical_count,
    paired_power,
    rows_for_gain,
    smallest_gain,
    smallest_macro_gain,
)


@pytest.mark.parametrize("discordant", [1, 4, 5, 6, 10, 25, 50, 101, 400])
def test_critical_count_is_the_least_that_the_test_calls(discordant: int) -> None:
    def mid_p(count: int) -> float:
        exact = binomtest(count, discordant, alternative="greater").pvalue
        at = exact - binomtest(count + 1, discordant, alternative="greater").pvalue if (
            count < discordant
        ) else exact  # fmt: skip
        return float(2 * (exact - at / 2))

    found = critical_count(discordant)
    if found is None:
        assert mid_p(discordant) > 0.05
    else:
        assert mid_p(found) <= 0.05
        assert found - 1 <= discordant / 2 or mid_p(found - 1) > 0.05


@pytest.mark.parametrize(
    ("rows", "gain", "churn"),
    [(40, 0.3, 0.05), (150, 0.1, 0.05), (400, 0.04, 0.01), (60, 0.0, 0.1)],
)
def test_power_is_that_of_simulated_decisions(rows: int, gain: float, churn: float) -> None:
    rng = np.random.default_rng(0)
    trials = 4000
    side = rng.random((trials, rows))
    better = (side < gain + churn).sum(axis=1)
    worse = ((side >= gain + churn) & (side < gain + 2 * churn)).sum(axis=1)
    called = [
        (least := critical_count(int(b + w))) is not None and b >= least
        for b, w in zip(better, worse, strict=True)
    ]
    assert paired_power(rows, gain, churn) == pytest.approx(np.mean(called), abs=0.025)


def test_without_a_difference_each_side_is_called_in_at_most_two_and_a_half_per_cent() -> None:
    for rows in (10, 50, 200, 999):
        assert paired_power(rows, 0.0, 0.1) <= 0.0275


def test_the_approximation_takes_over_smoothly() -> None:
    for gain in (0.02, 0.04, 0.06):
        assert paired_power(1001, gain, 0.05) == pytest.approx(
            paired_power(1000, gain, 0.05), abs=0.02
        )


def test_smallest_gain_has_the_power_and_less_has_not() -> None:
    for rows in (12, 40, 154, 600):
        gain = smallest_gain(rows)
        assert gain is not None
        assert paired_power(rows, gain, 0.05) >= 0.8 - 1e-6
        assert paired_power(rows, gain - 0.005, 0.05) < 0.8


def test_few_rows_show_nothing() -> None:
    assert smallest_gain(0) is None
    assert smallest_gain(5) is None
    assert smallest_macro_gain(np.array([])) is None
    assert smallest_macro_gain(np.array([1.0])) is None


def test_rows_for_gain_is_the_inverse() -> None:
    rows = rows_for_gain(0.1)
    assert rows == pytest.approx(154, abs=8)  # Connor's formula
    gain = smallest_gain(rows)
    assert gain is not None
    assert gain <= 0.1 + 1e-6
    assert rows_for_gain(0.02) > 1000


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 800), st.floats(0.02, 0.5), st.floats(0.0, 0.2))
def test_more_rows_are_worth_more_but_for_the_saw(rows: int, gain: float, churn: float) -> None:
    assert paired_power(2 * rows, gain, churn) >= paired_power(rows, gain, churn) - 0.05


def test_macro_gain_of_one_class_is_that_of_a_paired_share() -> None:
    for rows in (200.0, 800.0):
        one = smallest_gain(int(rows))
        assert one is not None
        assert smallest_macro_gain(np.array([rows])) == pytest.approx(one, abs=0.015)


def test_macro_gain_is_shown_by_a_normal_interval_as_often_as_promised() -> None:
    """Eight lopsided classes, decided twice: the interval of the mean difference of recalls lies
    above 0 in about 80 % of trials."""
    rows = np.array([400, 200, 120, 60, 40, 30, 20, 15])
    gain = smallest_macro_gain(rows.astype(float))
    assert gain is not None
    rng = np.random.default_rng(0)
    shown = 0
    for _ in range(1500):
        means, variances = [], []
        for n in rows:
            u = rng.random(n)
            d = np.where(u < gain + 0.05, 1.0, np.where(u < gain + 0.1, -1.0, 0.0))
            means.append(d.mean())
            variances.append((gain + 0.1 - gain**2) / n)
        shown += np.mean(means) > 1.96 * np.sqrt(np.sum(variances)) / len(rows)
    assert shown / 1500 == pytest.approx(0.8, abs=0.04)


def test_out_of_range_is_refused() -> None:
    with pytest.raises(ShapeError):
        paired_power(10, 0.9, 0.2)
    with pytest.raises(ShapeError):
        rows_for_gain(0.0)
