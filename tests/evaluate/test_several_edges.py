"""Rows with several labels at the edges: all right, none labelled, all labelled alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from equipoise.evaluate import compare, judge
from equipoise.evaluate.estimates import (
    bounded_mean_estimate,
    counted_difference,
    mean_estimate,
    share_of_rows,
)
from equipoise.evaluate.several.compare import LABEL_MEASURES
from tests.evaluate.test_several_labels import drawn, predictions

TWO = ("a", "b")


def sure(y, decided=None, p=0.1, **more):
    d = y if decided is None else decided
    return predictions(y, np.where(d, 1 - p, p), decided=d, names=TWO, **more)


def some(n):
    return np.array([[1, 0], [0, 1], [1, 1], [0, 0]])[np.arange(n) % 4]


class TestAllRight:
    def test_ten_rows_without_a_fault_do_not_make_the_next_one_right(self):
        found = judge(sure(some(10)), split="test", resamples=20_000).measures
        assert found["accuracy"].value == 1
        assert found["accuracy"].low == pytest.approx(0.05 ** (1 / 10), abs=1e-6)
        assert found["hamming_loss"].value == 0
        # One further row with both labels wrong: the exact interval of a share of 0 in 10.
        most = beta.ppf(0.975, 1, 10)
        assert found["hamming_loss"].high == pytest.approx(most, abs=0.01)
        assert found["expected_cost"].high == pytest.approx(2000 * found["hamming_loss"].high)

    def test_ten_rows_without_a_fault_do_not_make_losses_certain(self):
        y = some(10)
        found = judge(sure(y, p=0.01), split="test").measures
        share = 1 - 0.025 ** (1 / 10)  # of rows that are wrong about one label of the two, at most
        assert found["brier"].value == pytest.approx(0.0001)
        assert found["brier"].high == pytest.approx(0.0001 + share * (0.98 / 2))
        assert found["log_loss"].high == pytest.approx(-np.log(0.99) + share * np.log(99) / 2)

    def test_the_guarantee_makes_the_share_of_whole_rows_wider(self):
        found = judge(sure(some(10)), split="test", guarantee=True).measures["accuracy"]
        assert found.low == pytest.approx(0.025 ** (1 / 10), abs=1e-6)
        assert found.method == "clopper-pearson"

    def test_nothing_leaves_its_range(self):
        y = np.array([[1, 0], [0, 1], [1, 0]])
        found = judge(sure(y, 1 - y), split="test").measures
        for name, most in (("hamming_loss", 1), ("expected_cost", 2000), ("brier", 1)):
            assert found[name].low >= 0
            assert found[name].high <= most
        y[0] = 1 - y[0]
        mixed = judge(sure(y, np.tile([0, 1], (3, 1))), split="test").measures
        assert mixed["brier"].high <= 1
        assert mixed["expected_cost"].high <= 2000

    def test_copies_of_every_row_change_nothing(self):
        y, p = drawn(60)
        of = np.repeat(np.arange(60), 5)
        once = judge(predictions(y, p), split="test").measures
        many = judge(predictions(y[of], p[of], clusters=of), split="test").measures
        for name in ("hamming_loss", "expected_cost", "brier", "log_loss", "macro_f1"):
            assert many[name].low == pytest.approx(once[name].low, rel=1e-6), name
            assert many[name].high == pytest.approx(once[name].high, rel=1e-6), name

    def test_accuracy_of_whole_rows_is_held_as_often_as_it_says(self):
        """0.9 on 10 rows, 0.95 on 20: Student's t held 0.64 and 0.63 of them."""
        for chance, rows in ((0.9, 10), (0.95, 20)):
            rng, held = np.random.default_rng(0), 0
            for _ in range(500):
                found = share_of_rows(rng.random(rows) < chance, np.arange(rows), guarantee=False)
                held += found.low <= chance <= found.high
            assert held / 500 >= 0.93

    def test_small_losses_are_held_and_never_narrower_than_students_t(self):
        """Share of four labels wrong, 0.05 each on 10 rows: Student's t held 0.86."""
        held = 0
        for trial in range(200):
            x = (np.random.default_rng(trial).random((10, 4)) < 0.05).mean(axis=1)
            rng, of = np.random.default_rng(0), np.arange(10)
            found = bounded_mean_estimate(x, of, rng, most=1.0, resamples=500)
            plain = mean_estimate(x, of, most=1.0)
            assert found.low <= plain.low
            assert found.high >= plain.high
            held += found.low <= 0.05 <= found.high
        assert held / 200 >= 0.95


class TestDifferences:
    """The first model sets a wrong label on some rows, on which the second is right."""

    @staticmethod
    def compared(measure, *, rows, wrong, clusters=None):
        y = some(rows)
        worse = y.copy()
        worse[:wrong, 1] = 1 - worse[:wrong, 1]
        pair = (sure(y, decided, clusters=clusters) for decided in (worse, y))
        return compare(*pair, measure=measure, resamples=20_000)

    @pytest.mark.parametrize("measure", ["accuracy", "hamming_loss", "expected_cost"])
    @pytest.mark.parametrize(("rows", "wrong"), [(1000, 2), (50, 2), (3, 3), (40, 0)])
    def test_a_few_rows_that_differ_name_no_winner(self, measure, rows, wrong):
        found = self.compared(measure, rows=rows, wrong=wrong)
        assert "can't be told apart" in found.says
        assert found.difference.low < 0 < found.difference.high

    def test_many_do(self):
        for measure in ("accuracy", "hamming_loss", "expected_cost"):
            assert "is better" in self.compared(measure, rows=200, wrong=10).says

    def test_three_of_three_rows_are_worth_a_share_of_three(self):
        found = self.compared("accuracy", rows=3, wrong=3).difference
        # One further row, on which the second is worse: twice Beta(3, 1) less 1.
        assert found.value == 1 == found.high
        assert found.low == pytest.approx(2 * beta.ppf(0.025, 3, 1) - 1, abs=0.03)

    def test_a_further_row_differs_by_a_label_where_none_has_by_more(self):
        found = self.compared("hamming_loss", rows=40, wrong=0).difference
        most = 0.5 * beta.ppf(0.975, 1, 40)
        assert (-found.low, found.high) == pytest.approx((most, most), rel=0.1)

    def test_copies_of_every_row_are_no_further_evidence(self):
        of = np.arange(12) // 4
        found = self.compared("accuracy", rows=12, wrong=12, clusters=of).difference
        assert found.low == pytest.approx(2 * beta.ppf(0.025, 3, 1) - 1, abs=0.03)

    def test_equally_good_models_are_seldom_called_different(self):
        """On one row in 50 the two differ in a label: of 100 rows Student's t by Hall's correction
        called a winner in 20 pairs of 100."""
        called, rng, rows = 0, np.random.default_rng(0), np.arange(100)
        for _ in range(200):
            a, b = (rng.random((2, 100, 4)) < 0.0025).mean(axis=2)
            draw = np.random.default_rng(0)
            how = {"step": 0.25, "most": 1.0, "resamples": 300}
            found = counted_difference(a, b, rows, draw, **how)[2]
            called += not found.low <= 0 <= found.high
        assert called / 200 <= 0.05


class TestNothingToRank:
    @pytest.mark.parametrize("measure", LABEL_MEASURES)
    @pytest.mark.parametrize("value", [0, 1])
    def test_all_rows_without_labels_or_all_with_every_label(self, measure, value):
        y = np.full((6, 2), value)
        one = sure(y, np.tile([1, 0], (6, 1)))
        judged = judge(one, split="test").measures[measure]
        found = compare(one, one, measure=measure, resamples=50)
        if judged.value is None:
            assert (found.a, found.b, found.difference.value) == (None, None, None)
            assert found.difference.why.startswith("0/0")
            assert "is open" in found.says
        else:
            assert (found.a, found.b) == pytest.approx((judged.value, judged.value))

    def test_the_reason_is_the_judges(self):
        none = sure(np.zeros((6, 2), dtype=int))
        for measure in ("macro_average_precision", "macro_roc_auc"):
            wanted = judge(none, split="test").measures[measure].why
            assert compare(none, none, measure=measure).difference.why == wanted
