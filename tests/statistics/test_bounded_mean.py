"""The interval of a mean of which it is known how far one row can go."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from equipoise.statistics.bounded_mean import bounded_mean_interval


def interval(values, clusters=None, limits=(0.0, 1.0), resamples=40_000):
    values = np.asarray(values, dtype=np.float64)
    clusters = np.arange(len(values)) if clusters is None else clusters
    rng = np.random.default_rng(0)
    return bounded_mean_interval(values, clusters, limits, rng, resamples=resamples)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 20), (99, 100)])
def test_of_rows_that_are_0_or_1_it_is_clopper_and_pearsons(hits, n):
    low, high = interval(np.arange(n) < hits)
    wanted = (
        beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0,
        beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0,
    )
    assert (low, high) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("copies", [2, 20])
def test_copies_of_every_row_change_nothing(copies):
    values = np.random.default_rng(1).random(30)
    once = interval(values, resamples=500)
    many = interval(np.repeat(values, copies), np.repeat(np.arange(30), copies), resamples=500)
    assert many == pytest.approx(once, rel=1e-9)


def test_equal_weights_change_nothing_and_a_heavy_row_counts_as_many():
    values = np.random.default_rng(1).random(30)
    rng = np.random.default_rng
    plain = interval(values, resamples=500)
    how = {"resamples": 500, "weights": np.full(30, 4.0)}
    same = bounded_mean_interval(values, np.arange(30), (0.0, 1.0), rng(0), **how)
    assert same == pytest.approx(plain)
    # 30 rows without a fault, of which one stands for 971: it is worth little more than one row.
    how["weights"] = np.array([971.0] + [1.0] * 29)
    low, _ = bounded_mean_interval(np.ones(30), np.arange(30), (0.0, 1.0), rng(0), **how)
    assert low < 0.1


def test_the_unit_plays_no_part_and_turning_it_round_turns_the_ends():
    values = np.random.default_rng(1).beta(1, 9, 50)
    low, high = interval(values)
    assert interval(500 * values, limits=(0.0, 500.0)) == pytest.approx((500 * low, 500 * high))
    assert interval(-values, limits=(-1.0, 0.0)) == pytest.approx((-high, -low), rel=0.03)


def test_of_many_rows_the_further_one_hardly_counts():
    values = np.random.default_rng(1).beta(1, 99, 5000)
    low, high = interval(values, resamples=2000)
    plain = 2 * 1.96 * values.std() / np.sqrt(5000)
    assert plain < high - low < 2.5 * plain
