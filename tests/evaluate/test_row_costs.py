"""Costs that are times a row's own amount: values, intervals, prices of cells and rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from make_predictions import drawn, predictions

from equipoise.costs import CostTable
from equipoise.errors import DataError, ShapeError
from equipoise.evaluate import compare, judge
from equipoise.evaluate.confusion import confusion, mistakes, most_confused
from equipoise.statistics.bootstrap import resampler

TABLE = CostTable(
    np.array([[0.0, 0.0, 3.0], [5.0, 0.0, 3.0]]),
    np.array([[0.0, 1.0, 0.0], [0.01, 0.0, 0.0]]),
    "amount",
)
"""A fraud let through costs its amount, a false alarm 5 and a hundredth, a person 3."""


def paid(labels, decided, amounts):
    return replace(
        predictions(labels, decided, classes=["fraud", "light"]), amounts=np.array(amounts, float)
    )


ROWS = paid(
    ["fraud", "fraud", "light", "light", "light"],
    ["fraud", "light", "light", "fraud", "defer"],
    [80, 40, 10, 200, 7],
)


def test_expected_cost_is_a_thousand_times_the_mean_of_what_each_row_cost():
    found = judge(ROWS, split="test", costs=TABLE).measures["expected_cost"]
    assert found.value == pytest.approx(1000 * (0 + 40 + 0 + 7 + 3) / 5)
    assert found.low <= found.value <= found.high


def test_cells_and_rows_have_their_price():
    table = confusion(ROWS, costs=TABLE)
    np.testing.assert_allclose(table.cost, [[0, 40, 0], [7, 0, 3]])
    assert [m.cost for m in mistakes(ROWS, costs=TABLE)[:2]] == [40, 7]
    assert most_confused(table, by="cost")[0].cost == 40


def test_rows_without_amounts_cannot_be_priced():
    bare = replace(ROWS, amounts=None)
    with pytest.raises(DataError, match=r"'amount'.*come without it"):
        judge(bare, split="test", costs=TABLE)


def test_costs_of_other_classes_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 3\); expected \(4, 4\)"):
        judge(drawn(), split="test", costs=TABLE.fixed)


def test_equal_amounts_are_a_matrix():
    """Every estimate, bit for bit: one amount for all is the matrix at that amount."""
    p = drawn(k=2, seed=3)
    by_row = CostTable(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([[0.0, 4.0], [0.0, 0.0]]))
    same = replace(p, amounts=np.full(len(p), 2.5))
    one = judge(same, split="test", costs=by_row).to_json()
    assert one == judge(p, split="test", costs=by_row.at(2.5)).to_json()


def test_the_order_of_rows_makes_no_difference():
    p = drawn(k=2, seed=4)
    p = replace(p, amounts=np.random.default_rng(0).exponential(9, len(p)))
    turn = np.random.default_rng(1).permutation(len(p))
    table = CostTable(TABLE.fixed[:, :2], TABLE.factor[:, :2])
    one, two = (judge(x, split="test", costs=table).measures for x in (p, p.take(turn)))
    assert one["expected_cost"].value == pytest.approx(two["expected_cost"].value)
    assert one["expected_cost"].low == pytest.approx(two["expected_cost"].low)


def test_resamples_spread_as_the_mean_of_the_rows_costs_does():
    """Without prior rows it is the plain stratified bootstrap: the variance of the summed cost is
    that of each class's rows, drawn n times."""
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], [200, 100])
    decided = np.where(rng.random(300) < 0.3, 1 - labels, labels)
    amounts = rng.exponential(10, 300)
    table = CostTable(
        np.column_stack([TABLE.fixed[:, :2], np.full(2, np.nan)]),
        np.column_stack([TABLE.factor[:, :2], np.zeros(2)]),
    )
    prepared = resampler(
        labels, decided[None], np.arange(300), np.ones(2, bool), table, amounts, prior_rows=0.0
    )
    (sums,) = prepared.draw(4000, np.random.default_rng(0))
    price = table.of_rows(labels, decided, amounts)
    variance = sum(np.sum(labels == k) * price[labels == k].var() for k in (0, 1))
    assert sums.cost.mean() == pytest.approx(price.sum(), rel=0.02)
    assert sums.cost.std() == pytest.approx(np.sqrt(variance), rel=0.05)


def test_a_class_that_the_model_does_not_know_costs_the_dearest_mistake():
    p = replace(
        predictions(
            ["fraud", "light", "spam"],
            ["fraud", "light", "light"],
            classes=["fraud", "light", "spam"],
        ),
        amounts=np.array([100.0, 100.0, 50.0]),
    )
    known = replace(
        p, classes=("fraud", "light"), logits=p.logits[:, :2], probabilities=p.probabilities[:, :2]
    )
    found = judge(known, split="test", costs=TABLE).measures["expected_cost"]
    # Decided as light, the dearest is a fraud let through: the row's own amount.
    assert found.value == pytest.approx(1000 * 50 / 3)


def test_pairs_are_compared_in_what_each_row_costs():
    rng = np.random.default_rng(2)
    amounts = rng.exponential(50, 300)
    a, b = (replace(drawn(k=2, skill=s), amounts=amounts) for s in (0.5, 3))
    table = CostTable(TABLE.fixed[:, :2], TABLE.factor[:, :2])
    found = compare(a, b, measure="expected_cost", costs=table)
    seen = [
        table.of_rows(*(np.array([int(x[1]) for x in c]) for c in (p.labels, p.decided)), amounts)
        for p in (a, b)
    ]
    assert found.difference.value == pytest.approx(1000 * (seen[1] - seen[0]).mean())
    assert found.difference.high < 0
