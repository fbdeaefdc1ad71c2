"""Classes that a model does not know: judged alone, and beside a model that knows them."""

from __future__ import annotations

import numpy as np
import pytest
from make_predictions import predictions

from equipoise.evaluate import compare, judge
from equipoise.evaluate.compare import MEASURES
from equipoise.evaluate.several.compare import LABEL_MEASURES
from equipoise.evaluate.several.outcomes import label_outcomes
from tests.evaluate.test_several_labels import NAMES, sets
from tests.evaluate.test_several_labels import drawn as drawn_labels
from tests.evaluate.test_several_labels import predictions as label_predictions

LABELS = ["a"] * 10 + ["b"] * 10 + ["c"] * 10


def narrow(**more):
    """Knows a and b of a, b and c."""
    return predictions(LABELS, ["a"] * 10 + ["b"] * 10 + ["a"] * 10, classes=["a", "b"], **more)


class TestJudge:
    @pytest.mark.parametrize("labels", [["c"] * 3 + ["d"] * 3, ["c"] * 6])
    def test_no_row_is_of_a_known_class(self, labels):
        found = judge(predictions(labels, ["a"] * 6, classes=["a", "b"]), split="test").measures
        assert found["macro_average_precision"].value == 0
        assert found["log_loss"].value is None
        for name in ("macro_roc_auc", "macro_f1"):
            assert found[name].low is None
            assert found[name].why

    def test_a_model_of_one_class(self):
        p = np.ones((6, 1))
        right = predictions(["a"] * 6, ["a"] * 6, classes=["a"], probabilities=p)
        found = judge(right, split="test").measures
        assert found["accuracy"].low == pytest.approx(0.05 ** (1 / 6), abs=0.01)
        assert found["balanced_accuracy"].value == 1
        other = predictions(["a"] * 5 + ["b"], ["a"] * 6, classes=["a"], probabilities=p)
        found = judge(other, split="test").measures
        assert found["balanced_accuracy"].value == 0.5
        assert found["macro_roc_auc"].value == pytest.approx((0.5 + 0) / 2)
        assert found["expected_cost"].low is not None

    def test_brier_stays_within_its_range(self):
        """Two rows surely wrong and one right: 1.805, 1.805 and 0.02 have a mean of 1.21."""
        p = np.array([[0.95, 0.05], [0.05, 0.95], [0.9, 0.1]])
        one = predictions(["b", "a", "a"], ["a", "b", "a"], classes=["a", "b"], probabilities=p)
        found = judge(one, split="test").measures["brier"]
        assert found.value == pytest.approx((2 * 1.805 + 0.02) / 3)
        assert found.low >= 0
        assert found.high == 2


class TestCompare:
    @pytest.mark.parametrize("measure", MEASURES)
    def test_each_side_has_the_value_that_it_is_judged_by(self, measure):
        sides = predictions(LABELS, LABELS), narrow()
        judged = [judge(one, split="test").measures[measure].value for one in sides]
        found = compare(*sides, measure=measure, resamples=50)
        assert [found.a, found.b] == pytest.approx(judged)
        assert found.difference.value == pytest.approx(judged[1] - judged[0])
        turned = compare(*sides[::-1], measure=measure, resamples=50)
        assert [turned.a, turned.b] == pytest.approx(judged[::-1])

    def test_a_class_that_neither_side_has_rows_of_does_not_matter_to_the_g_mean(self):
        labels = ["a", "b"] * 20
        sides = (
            predictions(labels, labels, classes=["a", "b", "c"]),
            predictions(labels, labels, classes=["a", "b"]),
        )
        assert compare(*sides, measure="g_mean", resamples=50).difference.low is not None
        unknown = compare(predictions(LABELS, LABELS), narrow(), measure="g_mean", resamples=50)
        assert "c never seen" in unknown.difference.why

    def test_log_loss_is_of_the_rows_whose_class_both_know(self):
        p = np.tile([0.5, 0.3, 0.2], (30, 1))
        wide = predictions(LABELS, LABELS, probabilities=p)
        two = narrow(probabilities=np.tile([0.9, 0.1], (30, 1)))
        found = compare(wide, two, measure="log_loss")
        assert found.a == pytest.approx(-(np.log(0.5) + np.log(0.3)) / 2)
        assert found.b == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)
        assert found.difference.value == pytest.approx(found.b - found.a)

    def test_without_a_class_that_both_know_there_is_no_log_loss(self):
        a = predictions(["a", "b"] * 3, ["a"] * 6, classes=["a", "b"])
        b = predictions(["a", "b"] * 3, ["c"] * 6, classes=["c", "d"])
        found = compare(a, b, measure="log_loss")
        assert (found.a, found.b, found.difference.value) == (None, None, None)
        assert "no row is of a class that both models know" in found.says
        assert compare(a, b, measure="macro_roc_auc").b == 0

    def test_an_unknown_class_is_never_right_in_resamples_either(self):
        """Ten rows of each class: the second model can have at most 2/3, the first about 1."""
        found = compare(predictions(LABELS, LABELS), narrow(), measure="balanced_accuracy")
        assert found.difference.low < found.difference.value == pytest.approx(-1 / 3)
        one = judge(narrow(), split="test").measures["balanced_accuracy"]
        assert one.high == pytest.approx(2 / 3)

    def test_costs_of_both_models_classes_price_what_only_one_knows(self):
        costs = np.array([[0.0, 1, 1], [1, 0, 1], [7, 7, 0]])
        found = compare(predictions(LABELS, LABELS), narrow(), measure="expected_cost", costs=costs)
        assert (found.a, found.b) == pytest.approx((0, 7000 / 3))


class TestSeveralLabels:
    @pytest.mark.parametrize("measure", LABEL_MEASURES)
    def test_each_side_has_the_value_that_it_is_judged_by(self, measure):
        y, p = drawn_labels(200)
        wide = label_predictions(y, p)
        three = label_predictions(y, p[:, :3], names=NAMES[:3], labels=sets(y))
        judged = [judge(one, split="test").measures[measure].value for one in (wide, three)]
        if measure == "log_loss":  # of the labels that both know
            both = label_outcomes(three)
            assert both.known.tolist() == [True, True, True, False]
            judged[0] = judged[1]
        found = compare(wide, three, measure=measure, resamples=50)
        assert [found.a, found.b] == pytest.approx(judged)
        assert found.difference.value == pytest.approx(judged[1] - judged[0])

    def test_without_a_label_that_both_know_there_is_no_log_loss(self):
        y, p = drawn_labels(20)
        a = label_predictions(y, p[:, :2], names=NAMES[:2], labels=sets(y))
        b = label_predictions(y, p[:, 2:], names=NAMES[2:], labels=sets(y))
        found = compare(a, b, measure="log_loss")
        assert found.difference.value is None
        assert "no label that both models know" in found.says
