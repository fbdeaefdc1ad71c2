"""Paired differences: signs, words, and refusal of rows that differ."""

from __future__ import annotations

import numpy as np
import pytest
from make_predictions import drawn, predictions
from scipy.special import softmax

from equipoise.errors import DataError, SettingsError
from equipoise.evaluate import compare, judge
from equipoise.evaluate.compare import BY_ROW, MEASURES
from equipoise.evaluate.estimates import mean_difference


def test_a_better_model_is_called_better():
    found = compare(drawn(skill=1), drawn(skill=3), names=("plain", "treated"))
    assert found.difference.low > 0
    assert found.says.startswith("Treated is better than plain by macro_f1 on 300 rows")
    cost = compare(drawn(skill=1), drawn(skill=3), measure="expected_cost")
    assert cost.difference.high < 0
    assert "better" in cost.says


@pytest.mark.parametrize("measure", ["macro_f1", "accuracy", "expected_cost", "log_loss", "brier"])
def test_turning_the_pair_round_turns_the_sign(measure):
    one = compare(drawn(skill=1), drawn(skill=3), measure=measure)
    two = compare(drawn(skill=3), drawn(skill=1), measure=measure)
    assert one.difference.value == pytest.approx(-two.difference.value)
    assert one.difference.low == pytest.approx(-two.difference.high, rel=0.15)
    assert "better" in one.says
    assert "worse" in two.says


def test_a_model_cannot_be_told_from_itself_and_is_not_called_equal():
    found = compare(drawn(), drawn())
    assert found.difference.value == 0
    assert found.difference.low <= 0 <= found.difference.high
    assert "can't be told apart" in found.says
    assert "equal" not in found.says


def test_difference_is_that_of_the_judged_values():
    found = compare(drawn(skill=1), drawn(skill=3), measure="mcc")
    assert found.difference.value == pytest.approx(found.b - found.a)


def test_rows_may_come_in_another_order():
    other = drawn(skill=3)
    shuffled = other.take(np.random.default_rng(0).permutation(300))
    assert compare(drawn(), other).to_json() == compare(drawn(), shuffled).to_json()


def test_models_that_know_different_classes_are_judged_on_all():
    a = predictions(["a", "b", "c", "a"], ["a", "b", "b", "a"], classes=["a", "b"])
    b = predictions(["a", "b", "c", "a"], ["a", "b", "c", "a"], classes=["a", "b", "c"])
    found = compare(a, b, measure="balanced_accuracy")
    assert (found.a, found.b) == pytest.approx((2 / 3, 1))
    # Of the rows whose class both know, a, b and a, each says the same.
    assert compare(a, b, measure="log_loss").difference.value == pytest.approx(0)
    assert compare(a, b, measure="brier").difference.value < 0


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_can_be_asked_for(measure):
    found = compare(drawn(skill=1), drawn(skill=3), measure=measure, resamples=100)
    assert found.difference.value is not None
    assert found.difference.low is not None or "is open" in found.says


def test_other_rows_or_labels_are_refused():
    with pytest.raises(DataError, match="1 rows of the first are missing"):
        compare(drawn(), drawn().take(np.arange(1, 300)))
    with pytest.raises(DataError, match="2 are only in the second"):
        compare(drawn().take(np.arange(298)), drawn())
    relabelled = drawn()
    relabelled.labels[5] = "c3" if relabelled.labels[5] != "c3" else "c0"
    with pytest.raises(DataError, match=r"1 rows have another label.*'r5'"):
        compare(drawn(), relabelled)
    twice = drawn().take(np.array([0, 0, 1]))
    with pytest.raises(DataError, match="an id twice"):
        compare(twice, twice)


def test_why_there_is_no_difference_is_what_the_judge_says():
    """The second leaves a row to a person, and the costs do not say what that costs."""
    both = predictions(["a", "b", "a"], ["a", "b", "b"])
    left = predictions(["a", "b", "a"], ["a", "b", "defer"], classes=["a", "b"])
    costs = np.array([[0.0, 5.0], [2.0, 0.0]])
    for pair in ((both, left), (left, both)):
        found = compare(*pair, measure="expected_cost", costs=costs).difference
        judged = judge(left, split="test", costs=costs).measures["expected_cost"]
        assert found.why == judged.why
        assert "to a person" in found.why
    one = predictions(["a", "a"], ["a", "a"], classes=["a", "b"])
    found = compare(one, one, measure="mcc").difference
    assert found.why == judge(one, split="test").measures["mcc"].why


def test_unknown_measure_lists_the_known():
    with pytest.raises(SettingsError, match="macro_f1"):
        compare(drawn(), drawn(), measure="f2")


def test_copies_do_not_make_a_difference_surer():
    a, b = drawn(120, skill=1.5), drawn(120, skill=2.0)
    thrice = np.repeat(np.arange(120), 3)
    many = [p.take(thrice) for p in (a, b)]
    for p in many:
        p.ids[:] = [f"x{i}" for i in range(360)]
    once = compare(a, b).difference
    more = compare(*many).difference
    assert more.high - more.low == pytest.approx(once.high - once.low, rel=0.15)


@pytest.mark.parametrize("measure", BY_ROW)
def test_equally_good_models_are_seldom_called_different(measure):
    """Two good models of one skill on 60 rows. Hall's correction alone named a winner in about one
    pair of ten: it takes the one or two rows that are hard for one of them for a long tail."""
    rng, called, pairs = np.random.default_rng(0), 0, 400
    labels, rows = np.arange(60) % 6, np.arange(60)
    for _ in range(pairs):
        z = rng.normal(size=(2, 60, 6)) + 4 * np.eye(6)[labels]
        a, b = (BY_ROW[measure](p, labels) for p in softmax(1.5 * z, axis=2))
        found = mean_difference(a, b, rows)[2]
        called += not found.low <= 0 <= found.high
    assert called / pairs <= 0.05
