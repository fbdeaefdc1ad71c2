"""A dear mistake that no row has shown is not a mistake that can't happen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from equipoise.costs import CostTable
from equipoise.evaluate.compare import compare
from equipoise.evaluate.cost_intervals import (
    cost_difference,
    mistakes_differ_in_price,
    with_unseen_mistakes,
)
from equipoise.evaluate.judge import judge
from equipoise.evaluate.outcomes import Outcomes
from equipoise.records.scores import Estimate

K = 2


def seen(decided: np.ndarray, labels: np.ndarray, table: CostTable, **more: object) -> Outcomes:
    n = len(labels)
    given = {"clusters": np.arange(n), "amounts": None} | more
    known, p = np.ones(K, dtype=bool), np.full((n, K), 1 / K)
    return Outcomes(
        ("common", "rare"), known, labels, decided, probabilities=p, costs=table, **given
    )


def table(dear: float) -> CostTable:
    return CostTable(np.array([[0.0, 1.0, np.nan], [dear, 0.0, np.nan]]))


def test_caution_is_not_dearer_beyond_doubt_while_one_unseen_miss_would_outweigh_it():
    labels = np.repeat([0, 1], [980, 20])
    careful = labels.copy()
    careful[:30] = 1  # 30 false alarms at 1 each; the first model misses none of 20 rare rows
    pair = [seen(d, labels, table(1000.0)) for d in (labels, careful)]
    found = cost_difference((pair[0], pair[1]))
    assert found.value == pytest.approx(30.0)
    assert found.low < 0 < found.high
    mild = [seen(d, labels, table(2.0)) for d in (labels, careful)]
    assert cost_difference((mild[0], mild[1])).low > 0


def test_the_cost_of_one_model_allows_for_a_dear_mistake_that_no_row_has_shown():
    labels = np.repeat([0, 1], [980, 20])
    found = seen(labels, labels, table(100.0))
    plain = Estimate(0.0, 0.0, 10.0, method="bootstrap")
    allowed = with_unseen_mistakes(found, plain, resamples=40_000)
    # None of 1,000 rows: a share of Beta(1, 1000) at most, at 100 each.
    assert allowed.high == pytest.approx(100_000 * beta.ppf(0.975, 1, 1000), rel=0.02)
    assert (allowed.value, allowed.low) == (0.0, 0.0)
    wide = Estimate(0.0, 0.0, 1000.0, method="bootstrap")
    assert with_unseen_mistakes(found, wide, resamples=500) == wide
    none = Estimate(None, why="no price")
    assert with_unseen_mistakes(found, none) == none


def test_the_true_cost_is_below_the_high_end_as_often_as_it_is_said():
    """20 rare rows of 200, a tenth of which are missed at 100 each: by resamples alone the truth
    lay above in 1 of 15 splits."""
    rng = np.random.default_rng(0)
    labels, above = np.repeat([0, 1], [180, 20]), 0
    for k in range(150):
        decided = np.where((labels == 1) & (rng.random(200) < 0.1), 0, labels)
        found = seen(decided, labels, table(100.0))
        plain = Estimate(1000 * found.price.mean(), 0.0, 1000 * found.price.mean())
        above += with_unseen_mistakes(found, plain, seed=k, resamples=300).high < 1000
    assert above / 150 <= 0.03


def test_the_judge_uses_it_where_prices_differ():
    from tests.evaluate.test_compare import drawn

    one = drawn(skill=3)
    k = len(one.classes)
    steep = np.where(np.arange(k)[:, None] == 0, 100.0, 1.0) * (1 - np.eye(k))
    found = judge(one, split="test", costs=steep, resamples=300).measures["expected_cost"]
    assert found.method == "bounded-mean bootstrap"
    assert found.low <= found.value <= found.high
    alike = judge(one, split="test", costs=7 * (1 - np.eye(k)), resamples=300)
    assert alike.measures["expected_cost"].method == "bootstrap"


def test_one_kind_of_mistake_has_the_exact_interval_of_a_share():
    n, x = 200, 7
    labels = np.ones(n, dtype=np.int64)
    missed = np.where(np.arange(n) < x, 0, 1)
    found = cost_difference(
        (seen(labels, labels, table(5.0)), seen(missed, labels, table(5.0))), resamples=40_000
    )
    assert found.high == pytest.approx(5000 * beta.ppf(0.975, x + 1, n - x), rel=0.02)


def test_the_order_of_the_two_turns_the_interval_round():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    a, b = (seen(rng.integers(0, 2, 300), labels, table(50.0)) for _ in range(2))
    one = cost_difference((a, b), resamples=20_000)
    two = cost_difference((b, a), resamples=20_000)
    assert one.value == pytest.approx(-two.value)
    assert one.low == pytest.approx(-two.high, rel=0.05, abs=50)


def test_look_alikes_count_as_one_and_no_price_means_no_value():
    labels = np.array([0, 1, 1, 1])
    a, b = labels, 1 - labels
    together = np.zeros(4, dtype=np.int64)
    one = [seen(d, labels, table(9.0), clusters=together) for d in (a, b)]
    assert cost_difference((one[0], one[1])).low is None
    left = [seen(d, labels, table(9.0)) for d in (a, np.full(4, 2))]
    assert cost_difference((left[0], left[1])).value is None


TIMES = CostTable(
    np.array([[0.0, 1.0, np.nan], [0.0, 0.0, np.nan]]),
    np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    "amount",
)
"""A rare row that is missed costs its amount."""


def test_a_mistake_can_be_as_dear_as_the_dearest_row_of_its_class():
    labels = np.repeat([0, 1], [90, 10])
    amounts = np.where(labels == 1, 50.0, 1e6)  # of common rows no cost depends on it
    amounts[-1] = 400.0
    pair = [seen(labels, labels, TIMES, amounts=amounts) for _ in range(2)]
    found = cost_difference((pair[0], pair[1]), resamples=20_000)
    # No row differs: all that is left is the further row, at 400 among 100 others.
    assert found.high == pytest.approx(400_000 * beta.ppf(0.975, 1, 100), rel=0.05)


def test_a_range_of_costs_may_be_widest_at_the_least_amount():
    """A rare row costs 100 to look into, and its amount to miss."""
    fixed = np.array([[0.0, 1.0, np.nan], [0.0, 100.0, np.nan]])
    review = CostTable(fixed, TIMES.factor, "amount")
    labels, amounts = np.array([0] * 80 + [1] * 20), np.full(100, 90.0)
    amounts[-1] = 20.0
    pair = [seen(labels, labels, review, amounts=amounts) for _ in range(2)]
    found = cost_difference((pair[0], pair[1]), resamples=20_000)
    assert found.high == pytest.approx(80_000 * beta.ppf(0.975, 1, 100), rel=0.05)


def test_amounts_with_a_long_tail_are_held_as_often_as_is_said():
    """The careful model misses nothing, the careless one a twentieth of the rare rows. At the mean
    amount 0.81 of the intervals held the truth."""
    rng = np.random.default_rng(0)
    labels, held, miss = np.repeat([0, 1], [100, 100]), 0, 0.05
    for k in range(200):
        amounts = rng.lognormal(0, 1.5, 200)
        careless = np.where((labels == 1) & (rng.random(200) < miss), 0, labels)
        pair = [seen(d, labels, TIMES, amounts=amounts) for d in (labels, careless)]
        found = cost_difference((pair[0], pair[1]), seed=k, resamples=200)
        held += found.low <= 500 * miss * np.exp(1.5**2 / 2) <= found.high
    assert held / 200 >= 0.95


def test_copies_of_every_row_change_nothing():
    """The further mistake is a cluster of the mean size: with one row, 20 copies of each row called
    caution dearer beyond doubt, and 0.585 of the intervals held the truth."""
    labels = np.repeat([0, 1], [80, 20])
    careful = np.where(np.arange(100) < 24, 1, labels)
    once = cost_difference(
        (seen(careful, labels, table(100.0)), seen(labels, labels, table(100.0))), resamples=500
    )
    assert once.low < 0 < once.high
    of = np.repeat(np.arange(100), 20)
    many = [seen(d[of], labels[of], table(100.0), clusters=of) for d in (careful, labels)]
    found = cost_difference((many[0], many[1]), resamples=500)
    assert (found.low, found.high) == pytest.approx((once.low, once.high), rel=1e-9)


def test_equal_prices_keep_the_interval_that_coverage_was_simulated_for():
    labels = np.array([0, 0, 1])
    assert not mistakes_differ_in_price(seen(labels, labels, table(1.0)))
    assert mistakes_differ_in_price(seen(labels, labels, table(1.5)))
    assert not mistakes_differ_in_price(seen(labels[:2], labels[:2], table(1.5)))


def test_the_true_difference_is_inside_as_often_as_it_is_said():
    """Rare dear misses, a careful model and a careless one; 400 splits of 400 rows."""
    rng = np.random.default_rng(5)
    rare, dear, inside = 0.03, 300.0, 0
    truth = 1000 * ((1 - rare) * 0.10 - rare * 0.2 * dear)
    for k in range(400):
        labels = (rng.random(400) < rare).astype(np.int64)
        luck = rng.random(400)
        careless = np.where((labels == 1) & (luck < 0.2), 0, labels)
        careful = np.where((labels == 0) & (luck < 0.1), 1, labels)
        pair = [seen(d, labels, table(dear)) for d in (careless, careful)]
        found = cost_difference((pair[0], pair[1]), seed=k, resamples=500)
        inside += found.low <= truth <= found.high
    assert inside / 400 >= 0.94


def test_compare_uses_it_where_prices_differ():
    from tests.evaluate.test_compare import drawn

    two = drawn(skill=1), drawn(skill=3)
    k = len(two[0].classes)
    steep = np.where(np.arange(k)[:, None] == 0, 100.0, 1.0) * (1 - np.eye(k))
    assert compare(*two, measure="expected_cost", costs=steep).difference.method == (
        "bounded-mean bootstrap"
    )
    assert compare(*two, measure="expected_cost").difference.method == "bootstrap"
