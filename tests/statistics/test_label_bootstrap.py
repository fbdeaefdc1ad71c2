"""Resamples of counts per label: copies of rows, models that know different labels, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from equipoise.evaluate.several.measures import counted_measures
from equipoise.statistics.label_bootstrap import label_resampler, label_sums
from equipoise.statistics.replacing import replaced_draws


def table(rows: int, labels: int, *, seed: int = 0, recall: float = 0.8) -> tuple:
    """Each row has one label and is now and then decided as having another."""
    rng = np.random.default_rng(seed)
    has = np.eye(labels, dtype=bool)[np.arange(rows) % labels]
    return has, np.where(has, rng.random(has.shape) < recall, rng.random(has.shape) < 0.05)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("copies", [3, 20])
def test_copies_of_every_row_change_nothing_but_the_count(channels, copies):
    has, first = table(24, 4)
    decided = np.stack([first, table(24, 4, seed=1)[1]])[:channels]
    known, of = np.ones(4, dtype=bool), np.arange(24)
    once = label_resampler(has, decided, of, known).draw(300, np.random.default_rng(0))
    again = np.repeat(of, copies)
    many = label_resampler(has[again], decided[:, again], again, known)
    for one, more in zip(once, many.draw(300, np.random.default_rng(0)), strict=True):
        assert np.array_equal(copies * one.held, more.held)
        assert np.array_equal(copies * one.decided, more.decided)
        assert np.array_equal(copies * one.both, more.both)


def test_a_cluster_is_replaced_whole():
    """One cluster of six rows, all found: of each resample all six are right or none is."""
    has = np.zeros((6, 2), dtype=bool)
    has[:, 0] = True
    one = label_resampler(has, has[None], np.zeros(6, dtype=np.int64), np.ones(2, dtype=bool))
    (sums,) = one.draw(2000, np.random.default_rng(0))
    assert set(np.unique(sums.both[:, 0])) == {0.0, 6.0}
    # Replaced with chance 1.5 / 2.5. The average label is right in (1 + 0.6) / 2 and 0.5 more of
    # 1 + 1.5 observations, so not right in 1.2 of 2.5.
    assert (sums.both[:, 0] == 0).mean() == pytest.approx(0.6 * 1.2 / 2.5, abs=0.03)


def test_without_prior_rows_clusters_alone_are_drawn():
    has, decided = table(30, 3)
    one = label_resampler(
        has, decided[None], np.arange(30) // 3, np.ones(3, dtype=bool), prior_rows=0.0
    )
    (sums,) = one.draw(4000, np.random.default_rng(0))
    seen = label_sums(has, decided)
    np.testing.assert_allclose(sums.both.mean(axis=0), seen.both, rtol=0.05)
    np.testing.assert_allclose(sums.decided.mean(axis=0), seen.decided, rtol=0.05)
    assert (sums.rows == 30).all()


def test_each_model_keeps_its_own_labels():
    has, decided = table(40, 4)
    known = np.array([[True, True, True, True], [True, True, True, False]])
    both = np.stack([decided, decided & known[1]])
    first, second = label_resampler(has, both, np.arange(40), known).draw(
        200, np.random.default_rng(0)
    )
    assert first.both[:, 3].any()
    assert not second.both[:, 3].any()
    assert not second.decided[:, 3].any()


def test_rows_without_labels_and_without_decisions():
    nothing = np.zeros((5, 2), dtype=bool)
    one = label_resampler(nothing, nothing[None], np.arange(5), np.ones(2, dtype=bool))
    (sums,) = one.draw(10, np.random.default_rng(0))
    assert not sums.held.any()
    assert (sums.rows == 5).all()


@pytest.mark.parametrize("copies", [1, 20])
def test_the_interval_of_macro_f1_holds_the_truth_however_often_a_row_is_copied(copies):
    """Six labels of one row each, recall 0.8; with 20 copies 0.72 of the intervals held it when
    copies were replaced one by one."""

    def drawn(rng: np.random.Generator, rows: int) -> tuple:
        has = np.eye(6, dtype=bool)[np.repeat(np.arange(6), rows)]
        return has, np.where(has, rng.random(has.shape) < 0.8, rng.random(has.shape) < 0.02)

    truth = float(counted_measures(label_sums(*drawn(np.random.default_rng(9), 5000)))["macro_f1"])
    held = 0
    for trial in range(150):
        has, decided = drawn(np.random.default_rng(trial), 1)
        of = np.repeat(np.arange(6), copies)
        one = label_resampler(has[of], decided[of][None], of, np.ones(6, dtype=bool))
        samples = counted_measures(one.draw(300, np.random.default_rng(1))[0])["macro_f1"]
        low, high = np.quantile(samples, [0.025, 0.975])
        held += low <= truth <= high
    assert held / 150 >= 0.93


def test_draws_are_replaced_with_the_chance_of_their_class_and_never_twice():
    """Two classes of two columns; the second class is never replaced, the first in a third."""
    times = np.tile([3, 1, 5, 0], (6000, 1))
    where, column = replaced_draws(
        times, np.array([0, 2]), np.array([1 / 3, 0.0]), np.random.default_rng(0)
    )
    counted = np.bincount(where * 4 + column, minlength=24_000).reshape(-1, 4)
    assert (counted <= times).all()
    assert counted.mean(axis=0) == pytest.approx([1.0, 1 / 3, 0, 0], abs=0.03)
