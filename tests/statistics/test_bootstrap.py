"""Resamples: exact expectations, strata, clusters, and the same bytes for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.statistics.bootstrap import PRIOR_ROWS, resampler
from equipoise.statistics.sums import sums_of

LABELS = np.array([0] * 30 + [1] * 10 + [2])
DECIDED = np.array([0] * 27 + [1, 1, 2] + [1] * 8 + [0, 3] + [2])
LONE = np.arange(len(LABELS))
ALL_KNOWN = np.ones(3, dtype=bool)


def draw(labels=LABELS, decided=DECIDED, clusters=LONE, known=ALL_KNOWN, resamples=4000, **more):
    decided = np.atleast_2d(decided)
    seed = more.pop("seed", 0)
    prepared = resampler(labels, decided, clusters, known, **more)
    return prepared.draw(resamples, np.random.default_rng(seed))


def test_lone_rows_keep_the_size_of_every_class():
    (sums,) = draw()
    assert (sums.rows == [30, 10, 1]).all()
    assert (sums.decided.sum(axis=1) == 41).all()
    assert (sums.right <= sums.rows).all()
    assert (sums.cost == 41 - sums.right.sum(axis=1)).all()


def test_without_prior_rows_it_is_the_plain_stratified_bootstrap():
    """Right rows of class 0 are Binomial(30, 27/30), of the class of one row always 1."""
    (sums,) = draw(prior_rows=0.0)
    assert sums.right[:, 0].mean() == pytest.approx(27, abs=0.15)
    assert sums.right[:, 0].var() == pytest.approx(30 * 0.9 * 0.1, rel=0.1)
    assert (sums.right[:, 2] == 1).all()


def test_a_class_of_one_right_row_varies():
    """It is replaced with chance 1.5 / 2.5, and then right as often as the average class is."""
    (sums,) = draw(resamples=20_000)
    average = (27.5 / 31 + 8.5 / 11 + 1.5 / 2 + 0.5) / 4
    gone = PRIOR_ROWS / (1 + PRIOR_ROWS)
    assert sums.right[:, 2].mean() == pytest.approx(1 - gone * (1 - average), abs=0.02)


def test_ten_right_of_ten_are_not_always_ten():
    labels = np.repeat([0, 1], 10)
    (sums,) = draw(labels, labels, np.arange(20), np.ones(2, dtype=bool))
    assert np.quantile(sums.right[:, 0], 0.025) < 10


def test_copies_are_drawn_together():
    """Ten texts, each twice: the resamples are even, and vary as ten rows do, twice as large."""
    labels, decided = np.zeros(20, dtype=np.int64), np.repeat([0] * 6 + [1] * 4, 2)
    (sums,) = draw(
        labels, decided, np.repeat(np.arange(10), 2), np.ones(2, dtype=bool), prior_rows=0
    )
    assert (sums.right % 2 == 0).all()
    assert sums.right[:, 0].var() == pytest.approx(4 * 10 * 0.6 * 0.4, rel=0.1)


def test_clusters_of_several_classes_are_drawn_whole():
    """Each cluster holds a row of either class, both right or both wrong."""
    labels, right = np.tile([0, 1], 40), np.repeat(np.arange(40) % 4 > 0, 2)
    decided = np.where(right, labels, 1 - labels)
    (sums,) = draw(
        labels, decided, np.repeat(np.arange(40), 2), np.ones(2, dtype=bool), prior_rows=0
    )
    assert (sums.rows == 40).all()
    assert (sums.right[:, 0] == sums.right[:, 1]).all()


def test_types_are_the_same_draw_as_clusters():
    """Another order of rows and another numbering of clusters must change nothing at all."""
    clusters = LONE // 2
    shuffled = np.random.default_rng(1).permutation(len(LABELS))
    one = draw(clusters=clusters, resamples=50)[0]
    two = draw(LABELS[shuffled], DECIDED[shuffled], 99 - clusters[shuffled], resamples=50)[0]
    assert np.array_equal(one.right, two.right)
    assert np.array_equal(one.decided, two.decided)


def test_an_unknown_class_is_never_right_and_never_decided():
    labels = np.array([0] * 8 + [1] * 8 + [2] * 4)
    decided = np.array([0] * 8 + [1] * 8 + [0] * 4)
    (sums,) = draw(labels, decided, np.arange(20), np.array([True, True, False]))
    assert (sums.right[:, 2] == 0).all()
    assert (sums.decided[:, 2:] == 0).all()


def test_costs_are_summed_over_what_was_drawn():
    costs = np.arange(12.0).reshape(3, 4)
    labels, decided = np.array([0, 1, 2]), np.array([0, 1, 2])
    (sums,) = draw(labels, decided, np.arange(3), costs=costs, prior_rows=0)
    assert (sums.cost == 0 + 5 + 10).all()


def test_two_decisions_share_their_draws():
    one, two = draw(decided=np.stack([DECIDED, DECIDED]), prior_rows=0)
    assert np.array_equal(one.right, two.right)
    alone = draw(decided=np.stack([DECIDED, np.roll(DECIDED, 1)]))
    assert [s.right.shape for s in alone] == [(4000, 3)] * 2


def test_channels_of_one_stream_share_their_luck():
    """One recipe under two seeds that decide alike, and another recipe that decides otherwise."""
    other = np.where(np.arange(len(DECIDED)) % 3 == 0, 0, DECIDED)
    pair = np.stack([DECIDED, DECIDED, other])
    one, again, apart = draw(decided=pair, stream=(0, 0, 1))
    assert np.array_equal(one.right, again.right)
    assert not np.array_equal(one.right, apart.right)
    first, second, _ = draw(decided=pair)
    assert not np.array_equal(first.right, second.right)


def test_same_seed_same_bytes():
    one, two, other = draw(seed=3), draw(seed=3), draw(seed=4)
    assert one[0].decided.tobytes() == two[0].decided.tobytes()
    assert one[0].decided.tobytes() != other[0].decided.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_rows_keep_the_books_straight(data):
    count = data.draw(st.integers(2, 5))
    n = data.draw(st.integers(1, 25))
    whole = st.lists(st.integers(0, count - 1), min_size=n, max_size=n)
    labels = np.array(data.draw(whole))
    known = np.ones(count, dtype=bool)
    decided = np.array(data.draw(st.lists(st.integers(0, count), min_size=n, max_size=n)))
    clusters = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    (sums,) = draw(labels, decided, clusters, known, resamples=20)
    assert np.allclose(sums.rows.sum(axis=1), sums.decided.sum(axis=1))
    assert (sums.right <= sums.rows + 1e-9).all()
    assert (sums.right <= sums.decided[:, :-1] + 1e-9).all()
    assert (sums.rows >= -1e-9).all()
    assert np.allclose(sums.cost, sums.rows.sum(axis=1) - sums.right.sum(axis=1))


def test_sums_by_hand():
    sums = sums_of(LABELS, DECIDED, 3)
    assert sums.rows.tolist() == [30, 10, 1]
    assert sums.right.tolist() == [27, 8, 1]
    assert sums.decided.tolist() == [28, 10, 2, 1]
    assert float(sums.cost) == 5


def test_a_model_of_one_class_is_never_wrong_about_it():
    labels = np.array([0] * 5 + [1] * 2)
    (sums,) = draw(labels, np.zeros(7, dtype=np.int64), np.arange(7), np.array([True, False]))
    assert (sums.right == [5, 0]).all()
    assert (sums.decided == [7, 0, 0]).all()
    (alone,) = draw(labels[:5], np.zeros(5, dtype=np.int64), np.arange(5), np.array([True]))
    assert (alone.right == 5).all()


def test_a_model_of_one_class_may_leave_any_row_to_a_person():
    decided = np.array([0, 0, 0, 0, 1])
    (sums,) = draw(np.zeros(5, dtype=np.int64), decided, np.arange(5), np.array([True]))
    assert sums.decided[:, 1].min() == 0
    assert sums.decided[:, 1].max() > 1
    assert (sums.decided.sum(axis=1) == 5).all()


def test_each_of_two_models_keeps_its_own_classes():
    known = np.array([[True, True, True], [True, True, False]])
    pair = np.stack([DECIDED, np.where(DECIDED == 2, 0, DECIDED)])
    one, two = draw(decided=pair, known=known)
    assert one.right[:, 2].any()
    assert not two.right[:, 2].any()
    assert not two.decided[:, 2].any()
