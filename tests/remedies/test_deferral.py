"""Rows left to a person: which, how many, within what people can take, and by what record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.costs import CostTable
from equipoise.errors import DataError, SettingsError
from equipoise.records.decision import Defer, read_decision, write_decision
from equipoise.remedies.decisions.apply import decide, decide_class, posterior
from equipoise.remedies.decisions.costs import cost_optimal
from equipoise.remedies.decisions.deferral import (
    NOBODY,
    chance_of_more,
    fit_deferral,
    threshold_for,
)
from equipoise.remedies.decisions.fit import cross_fitted
from equipoise.remedies.spec import parse_remedy

from .scored import NAMES, SHARES, fit, rows

PERSON = np.array([[0, 5, 5, 1.0], [50, 0, 5, 1], [500, 50, 0, 1]])
BY_ROW = CostTable(
    np.array([[0, 5, 5, 1.0], [0, 0, 5, 1], [0, 50, 0, 1]]),
    np.array([[0, 0, 0, 0], [1.0, 0, 0, 0], [2.0, 0, 0, 0]]),
    "amount",
)


def left(rule, logits, amounts=None):
    return decide(rule, posterior(rule, logits), None, amounts) == len(NAMES)


class TestByCost:
    def test_chows_rule_by_hand(self):
        """A mistake costs 1, a person 0.2: a row is left where the best class is less probable
        than 0.8, and not where it is just as cheap."""
        chow = np.column_stack([1 - np.eye(2), [0.2, 0.2]])
        p = np.array([[0.75, 0.25], [0.85, 0.15], [0.1, 0.9], [0.5, 0.5]])
        assert cost_optimal(p, chow).tolist() == [2, 0, 1, 2]
        even = np.column_stack([1 - np.eye(2), [0.25, 0.25]])
        assert cost_optimal(np.array([[0.75, 0.25]]), even).tolist() == [0]

    @settings(deadline=None, max_examples=60)
    @given(st.integers(2, 5), st.booleans(), st.booleans(), st.integers(0, 2**31))
    def test_nothing_is_cheaper_than_what_is_decided(self, k, defers, by_row, seed):
        """Against every decision of every row, summed over true classes one by one."""
        rng = np.random.default_rng(seed)
        shape = (k, k + defers)
        factor = rng.exponential(size=shape) if by_row else None
        table = CostTable(rng.exponential(10, shape), factor, "amount" if by_row else None)
        p, amounts = rng.dirichlet(np.ones(k), 8), rng.exponential(5, 8)
        for i, d in enumerate(cost_optimal(p, table, amounts)):
            each = [
                sum(p[i, t] * table.at(amounts[i])[t, other] for t in range(k))
                for other in range(shape[1])
            ]
            assert each[d] == pytest.approx(min(each))

    def test_without_capacity_it_is_the_least_expected_cost(self):
        logits, labels = rows(400)
        rule = fit(["costs"], logits, labels, costs=PERSON)
        assert rule.defer == Defer("costs", 0.0)
        p = posterior(rule, logits)
        np.testing.assert_array_equal(decide(rule, p), cost_optimal(p, PERSON))
        assert left(rule, logits).any()

    def test_capacity_leaves_the_rows_that_save_most(self):
        logits, labels = rows(1000)
        free = left(fit(["costs"], logits, labels, costs=PERSON), logits).mean()
        capacity = free / 4
        rule = fit(["costs"], logits, labels, costs=CostTable(PERSON, capacity=capacity))
        gone, p = left(rule, logits), posterior(rule, logits)
        assert capacity - 0.003 < gone.mean() <= capacity
        expected = p @ PERSON
        saving = expected[:, :3].min(axis=1) - expected[:, 3]
        assert saving[gone].min() > saving[~gone].max()
        assert "at most" in rule.notes[0]

    def test_capacity_beyond_what_pays_changes_nothing(self):
        logits, labels = rows(500)
        wide = fit(["costs"], logits, labels, costs=CostTable(PERSON, capacity=0.99))
        assert wide.defer == Defer("costs", 0.0, review_capacity=0.99)

    def test_capacity_holds_on_rows_that_fitting_has_not_seen(self):
        """On average over many fits: that is what the threshold promises."""
        shares = []
        for seed in range(40):
            logits, labels = rows(120, seed=seed)
            costs = CostTable(PERSON, capacity=0.05)
            fold_ids = np.arange(120) % 4
            found = cross_fitted(
                fold_ids,
                [parse_remedy("costs")],
                logits,
                labels,
                classes=NAMES,
                log_source=SHARES,
                log_target=SHARES,
                costs=costs,
            )
            shares.append((found.decided == 3).mean())
        assert np.mean(shares) <= 0.05
        assert np.mean(shares) > 0.035  # and is used, not wasted

    def test_each_rows_amount_decides(self):
        p = np.tile([0.9, 0.05, 0.05], (3, 1))
        amounts = np.array([0.0, 10.0, 1000.0])
        # By class 0: 0.05 a + 0.1 a; a person costs 1; the classes 1 and 2 cost 4.5 + ...
        assert cost_optimal(p, BY_ROW, amounts).tolist() == [0, 3, 3]
        cheap = replace(BY_ROW, fixed=np.column_stack([BY_ROW.fixed[:, :3], [9.0] * 3]))
        assert cost_optimal(p, cheap, amounts).tolist() == [0, 0, 2]

    def test_a_rule_by_amounts_asks_for_them_and_is_kept_whole(self, tmp_path):
        logits, labels = rows(200)
        amounts = np.random.default_rng(0).exponential(50, 200)
        rule = fit(["temperature", "costs"], logits, labels, costs=BY_ROW, amounts=amounts)
        assert "each row's amount" in rule.notes[1]
        with pytest.raises(DataError, match=r"'amount'.*come without it"):
            decide(rule, posterior(rule, logits))
        write_decision(tmp_path / "decision.json", rule)
        back = read_decision(tmp_path / "decision.json")
        p = posterior(rule, logits)
        np.testing.assert_array_equal(
            decide(back, p, None, amounts), decide(rule, p, None, amounts)
        )
        assert back.cost_column == "amount"


class TestByCoverage:
    def test_the_least_sure_rows_are_left(self):
        logits, labels = rows(1000)
        rule = fit(["deferral:coverage=0.8"], logits, labels)
        p = posterior(rule, logits)
        gone = left(rule, logits)
        assert gone.mean() == pytest.approx(0.2, abs=0.002)
        assert p[gone].max() < p[~gone].max(axis=1).min()
        assert rule.defer.kind == "threshold"
        np.testing.assert_array_equal(decide_class(rule, p), p.argmax(axis=1))

    def test_by_default_nine_rows_of_ten_are_decided(self):
        logits, labels = rows(1000)
        assert left(fit(["deferral"], logits, labels), logits).mean() == pytest.approx(
            0.1, abs=2e-3
        )

    def test_under_offsets_it_is_the_decided_class_that_must_be_sure(self):
        logits, labels = rows(500)
        rule = fit(["measure_offsets", "deferral:coverage=0.7"], logits, labels, start=-SHARES)
        p = posterior(rule, logits)
        own = p[np.arange(500), decide_class(rule, p)]
        gone = left(rule, logits)
        assert own[gone].max() <= own[~gone].min()

    def test_where_mistakes_have_prices_the_dearest_decisions_are_left(self):
        logits, labels = rows(500)
        costs = PERSON[:, :3]
        rule = fit(["costs", "deferral:coverage=0.9"], logits, labels, costs=costs)
        assert rule.defer.on == "cost"
        gone, p = left(rule, logits), posterior(rule, logits)
        least = (p @ costs).min(axis=1)
        assert least[gone].min() > least[~gone].max()
        assert gone.mean() == pytest.approx(0.1, abs=0.003)

    def test_capacity_is_the_smaller_of_what_is_asked_and_what_people_take(self):
        logits, labels = rows(1000)
        costs = CostTable(PERSON, capacity=0.02)
        rule = fit(["costs", "deferral:coverage=0.5"], logits, labels, costs=costs)
        assert left(rule, logits).mean() <= 0.02
        assert rule.defer.review_capacity == 0.02

    def test_coverage_of_one_leaves_nothing(self):
        logits, labels = rows(300)
        for more in ({}, {"costs": PERSON}):
            names = ["deferral:coverage=1"] if not more else ["costs", "deferral:coverage=1"]
            rule = fit(names, logits, labels, **more)
            assert not left(rule, logits).any()
            assert "as was asked" in rule.notes[-1]

    def test_by_cost_the_coverage_is_the_least(self):
        logits, labels = rows(1000)
        rule = fit(["costs", "deferral:by=cost,coverage=0.99"], logits, labels, costs=PERSON)
        assert left(rule, logits).mean() <= 0.01


class TestThreshold:
    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(st.integers(0, 20), min_size=0, max_size=60),
        st.floats(0.01, 1, allow_nan=False),
    )
    def test_of_n_plus_one_rows_at_most_the_share_lies_beyond(self, scores, share):
        """Leave each row out in turn: how often it passes the threshold of the others."""
        numbers = np.array(scores, dtype=np.float64)
        assert (numbers > threshold_for(numbers, share)).sum() <= share * len(numbers) + 1e-6
        passed = sum(
            numbers[i] > threshold_for(np.delete(numbers, i), share) for i in range(len(numbers))
        )
        assert passed <= share * len(numbers) + 1e-6

    def test_too_few_rows_leave_nothing(self):
        assert threshold_for(np.arange(10.0), 0.05) == NOBODY
        assert threshold_for(np.zeros(0), 0.5) == NOBODY
        logits, labels = rows(8)
        rule = fit(["deferral:coverage=0.95"], logits, labels)
        assert not left(rule, logits).any()
        assert "8 rows are too few" in rule.notes[0]

    def test_by_hand(self):
        assert threshold_for(np.arange(19.0), 0.1) == 17  # one of 20 beyond it, and itself the next
        assert threshold_for(np.arange(9.0), 1.0) < -1e300

    def test_one_class_and_one_row_are_no_trouble(self):
        defer, _ = fit_deferral(np.ones((1, 1)), np.zeros(1, np.int64), None, None)
        assert defer.threshold == 0.0


def test_by_cost_needs_a_persons_cost():
    logits, labels = rows(50)
    for more in ({}, {"costs": PERSON[:, :3]}):
        names = ["deferral:by=cost"] if not more else ["costs", "deferral:by=cost"]
        with pytest.raises(SettingsError, match=r"defer: \{cost"):
            fit(names, logits, labels, **more)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deferral:coverage=0", "coverage"),
        ("deferral:coverage=1.5", "coverage"),
        ("deferral:by=chance", "by"),
        ("deferral:share=0.1", "share"),
    ],
)
def test_settings_out_of_range_are_refused(text, words):
    with pytest.raises(SettingsError, match=words):
        parse_remedy(text)


@pytest.mark.parametrize("names", [["costs"], ["costs", "deferral"], ["deferral"]])
def test_odd_rows_are_no_trouble(names):
    """One class, one row, no row, mistakes of 1 : 100,000: the same rule every time, all finite."""
    steep = np.array([[0, 1, 0.5], [100_000, 0, 0.5]])
    cases = [
        (np.zeros((6, 1)), np.zeros(6, np.int64), np.array([[0.0, 0.1]])),
        (np.array([[0.3, -1.0]]), np.array([1]), steep),
        (np.zeros((0, 2)), np.zeros(0, np.int64), steep),
        (np.array([[9.0, -9], [-3, 3], [30, -30]]), np.array([0, 1, -1]), steep),
    ]
    for logits, labels, costs in cases:
        k = logits.shape[1]
        flat = np.full(k, -np.log(k))
        given = {"log_source": flat, "log_target": flat, "classes": NAMES[:k], "costs": costs}
        one, two = (fit(names, logits, labels, **given) for _ in range(2))
        p = posterior(one, logits)
        np.testing.assert_array_equal(decide(one, p), decide(two, p))
        assert np.isfinite(one.defer.threshold)
        assert len(one.notes) == len(names)


def test_how_many_new_rows_lie_beyond_a_threshold_is_known():
    """Of 4,000 thresholds for a tenth, fitted on 50 rows and tried on 200 of the same kind, the
    count that 1 in 40 should pass is passed by about 1 in 40."""
    rng = np.random.default_rng(0)
    left = np.array(
        [int((rng.random(200) > threshold_for(rng.random(50), 0.1)).sum()) for _ in range(4000)]
    )
    chance = np.array([chance_of_more(k, 200, 0.1, 50) for k in range(201)])
    assert chance[0] == pytest.approx(1)
    for wanted in (0.2, 0.025):
        place = int(np.argmax(chance < wanted))
        assert (left >= place).mean() == pytest.approx(chance[place], abs=0.012)
    assert chance_of_more(1, 200, 0.1, 5) == 1  # too few rows to place a threshold
