"""The curve of cost against the share left to a person, by hand and by law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import ShapeError
from equipoise.evaluate.deferral import deferral_curve


def test_by_hand():
    """Four rows, two decided wrongly (10 and 2), a person costs 1; the model leaves the second
    mistake first, then a right row, then the dear mistake."""
    curve = deferral_curve(
        np.array([10.0, 0, 2, 0]), np.ones(4), np.array([0.2, 0.5, 0.9, 0.1]), points=5
    )
    np.testing.assert_allclose(curve.shares, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.cost, np.array([12, 11, 12, 3, 4]) * 250)
    np.testing.assert_allclose(curve.ideal, np.array([12, 3, 2, 3, 4]) * 250)
    np.testing.assert_allclose(curve.chance, np.array([12, 10, 8, 6, 4]) * 250)
    assert curve.area == pytest.approx(250 * (6 + 11 + 12 + 3 + 2) / 4)


def test_with_free_persons_it_is_errors_against_coverage():
    """The known areas of risk over coverage: errors left among all rows."""
    wrong = np.array([0.0, 1, 0, 1])
    curve = deferral_curve(wrong, np.zeros(4), np.array([0.1, 0.4, 0.2, 0.3]), points=5)
    np.testing.assert_allclose(curve.cost, [500, 250, 0, 0, 0])
    assert curve.reached == pytest.approx(1)


def test_rows_of_one_score_are_left_in_equal_parts():
    decided = np.array([8.0, 0, 0, 0])
    for turn in (slice(None), slice(None, None, -1)):
        curve = deferral_curve(decided[turn], np.zeros(4), np.zeros(4), points=5)
        np.testing.assert_allclose(curve.cost, curve.chance)
        assert curve.reached == pytest.approx(0)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(2, 30), st.integers(0, 2**31))
def test_no_order_is_better_than_the_ideal_and_all_meet_at_the_ends(n, points, seed):
    rng = np.random.default_rng(seed)
    decided, person = rng.exponential(5, n), rng.exponential(2, n)
    curve = deferral_curve(decided, person, rng.normal(size=n), points=points)
    assert (curve.ideal <= curve.cost + 1e-9).all()
    assert (curve.ideal <= curve.chance + 1e-9).all()
    for line in (curve.cost, curve.ideal, curve.chance):
        assert line[0] == pytest.approx(1000 * decided.mean())
        assert line[-1] == pytest.approx(1000 * person.mean())
    if curve.reached is not None:
        assert curve.reached <= 1 + 1e-9


def test_nothing_to_gain_is_no_share():
    assert deferral_curve(np.ones(5), np.zeros(5), np.arange(5.0)).reached is None


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="one of each per row"):
        deferral_curve(np.ones(3), np.ones(2), np.ones(3))
    with pytest.raises(ShapeError, match="at least one row"):
        deferral_curve(np.ones(0), np.ones(0), np.ones(0))
