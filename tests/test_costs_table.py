"""Costs as arrays: hand-worked values, and laws against a row-by-row sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.costs import CostTable, as_table
from equipoise.errors import DataError, ShapeError

FIXED = np.array([[0.0, 5.0, 2.0], [500.0, 0.0, 3.0]])
FACTOR = np.array([[0.0, 0.1, 0.0], [1.0, 0.0, 0.0]])


def test_a_row_costs_its_cell_plus_its_factor_times_the_amount():
    table = CostTable(FIXED, FACTOR, "amount")
    found = table.of_rows(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(found, [6, 520, 3])


def test_expected_costs_by_hand():
    table = CostTable(FIXED, FACTOR, "amount")
    found = table.expected(np.array([[0.75, 0.25]]), np.array([100.0]))
    np.testing.assert_allclose(found, [[0.25 * 600, 0.75 * 15, 2.25]])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_expected_costs_are_the_sum_over_true_classes(k, n, defers, by_row, seed):
    rng = np.random.default_rng(seed)
    shape = (k, k + defers)
    factor = rng.normal(size=shape) if by_row else None
    table = CostTable(rng.normal(size=shape), factor, "amount" if by_row else None)
    p, amounts = rng.dirichlet(np.ones(k), n), rng.exponential(10, n)
    labels = np.arange(k)
    for i, row in enumerate(table.expected(p, amounts)):
        for d, cost in enumerate(row):
            each = table.of_rows(labels, np.full(k, d), np.full(k, amounts[i]))
            assert cost == pytest.approx(float(p[i] @ each))
    np.testing.assert_allclose(
        table.at(7.0)[:, 0], table.of_rows(labels, 0 * labels, 7.0 + 0.0 * labels)
    )


def test_without_deferral_the_last_column_is_gone():
    table = CostTable(FIXED, FACTOR, "amount")
    assert table.defers
    assert not table.without_deferral().defers
    np.testing.assert_array_equal(table.without_deferral().fixed, FIXED[:, :2])


@pytest.mark.parametrize(
    ("amounts", "kind", "words"),
    [
        (None, DataError, "'amount'.*come without it"),
        (np.ones(2), ShapeError, "one per row"),
        (np.array([1.0, -1.0, 2.0]), DataError, "row 2 is -1"),
        (np.array([1.0, 1.0, np.nan]), DataError, "row 3 is nan"),
        (np.array([np.inf, 1.0, 1.0]), DataError, "row 1 is inf"),
    ],
)
def test_rows_without_usable_amounts_are_refused(amounts, kind, words):
    table = CostTable(FIXED, FACTOR, "amount")
    with pytest.raises(kind, match=words):
        table.expected(np.full((3, 2), 0.5), amounts)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 4\)"):
        CostTable(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="one factor per cost"):
        CostTable(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"expected \(rows, 2\)"):
        CostTable(np.zeros((2, 2))).expected(np.zeros((4, 3)))


def test_plain_matrices_are_tables():
    assert as_table(None) is None
    table = CostTable(FIXED)
    assert as_table(table) is table
    np.testing.assert_array_equal(as_table(FIXED).fixed, FIXED)
