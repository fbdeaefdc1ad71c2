"""What rows in clusters are worth."""

from __future__ import annotations

import numpy as np
import pytest

from equipoise.statistics.clusters import agreement, effective_rows, mean_cluster_size


def test_mean_size_by_hand():
    """Part 0 holds clusters of 3 and 1 rows: (9 + 1) / 4. Part 1 two lone rows, part 2 none."""
    codes = np.array([0, 0, 0, 0, 1, 1])
    clusters = np.array([7, 7, 7, 8, 7, 9])
    assert mean_cluster_size(codes, clusters, 3).tolist() == [2.5, 1.0, 1.0]


def test_copies_agree_wholly():
    right = np.repeat(np.arange(40) % 2 == 0, 2)
    assert agreement(right, np.full(80, 0.5), np.repeat(np.arange(40), 2)) == pytest.approx(1.0)


def test_chance_neighbours_hardly_agree():
    rng = np.random.default_rng(0)
    right = rng.random(6000) < 0.7
    assert agreement(right, np.full(6000, 0.7), np.repeat(np.arange(2000), 3)) < 0.06


def test_few_clusters_are_not_trusted_to_be_independent():
    """One pair agrees, one does not: nothing is known of independence yet."""
    right = np.array([True, False, True, True])
    few = agreement(right, np.full(4, 0.5), np.array([0, 0, 1, 1]))
    many = agreement(np.tile(right, 50), np.full(200, 0.5), np.repeat(np.arange(100), 2))
    # Half a cluster went wrong, and one is taken to have done so wholly.
    assert few == pytest.approx(1 / (1 + 0.5))
    assert many < 0.05


def test_copies_that_are_all_right_are_not_independent():
    """Whether rows of a cluster go wrong together has not been seen where none went wrong."""
    of = np.repeat(np.arange(10), 10)
    right = np.ones(100, dtype=bool)
    assert agreement(right, np.full(100, 100.5 / 101), of) == 1.0
    # Mistakes of rows that are alone say nothing of it.
    right, of = np.append(right, np.arange(100) < 90), np.append(of, 10 + np.arange(100))
    assert agreement(right, np.full(200, 190.5 / 201), of) == 1.0
    # Nor do they where all is wrong: there it is the right rows that tell.
    assert agreement(~right, np.full(200, 10.5 / 201), of) == 1.0


def test_one_mistake_that_is_shared_or_not():
    of, right = np.repeat(np.arange(20), 4), np.ones(80, dtype=bool)
    right[:4] = False
    together = agreement(right, np.full(80, 0.95), of)
    right[:4], right[::20] = True, False
    apart = agreement(right, np.full(80, 0.95), of)
    assert together > 0.95
    # Four rows are one cluster's worth of mistakes: half is seen, half is taken for granted.
    assert apart == pytest.approx(0.5, abs=0.03)


def test_without_pairs_agreement_is_one_and_costs_nothing():
    lone = np.arange(5)
    assert agreement(np.ones(5, dtype=bool), np.full(5, 0.9), lone) == 1.0
    size = mean_cluster_size(np.zeros(5, dtype=np.int64), lone, 1)
    assert effective_rows(np.array([5.0]), size, 1.0).tolist() == [5.0]


def test_wholly_agreeing_rows_are_worth_their_clusters():
    assert effective_rows(np.array([30.0]), np.array([3.0]), 1.0).tolist() == [10.0]
