"""The judgement as a whole: the contract, the edges, and honesty about small counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_predictions import drawn, predictions
from scipy.special import softmax
from scipy.stats import binom
from sklearn import metrics

from equipoise.errors import DataError, ShapeError
from equipoise.evaluate import judge
from equipoise.evaluate.estimates import band_of, mean_estimate, share_of_rows
from equipoise.evaluate.measures import likeliest_mistake, row_brier, row_log_loss

MEASURES = {
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "mcc",
    "g_mean",
    "macro_average_precision",
    "macro_roc_auc",
    "log_loss",
    "brier",
    "ece",
    "expected_cost",
}


def test_the_contract():
    p = drawn()
    record = json.loads(json.dumps(judge(p, split="test").to_json(), allow_nan=False))
    assert record["schema"] == 1
    assert (record["split"], record["rows"]) == ("test", 300)
    assert set(record["measures"]) == MEASURES
    assert list(record["classes"]) == ["c0", "c1", "c2", "c3"]
    for scores in record["classes"].values():
        assert {"rows", "precision", "recall", "f1", "average_precision"} <= set(scores)
    labels, decided = p.labels.tolist(), p.decided.tolist()
    assert record["measures"]["macro_f1"]["value"] == pytest.approx(
        metrics.f1_score(labels, decided, average="macro")
    )
    assert record["measures"]["macro_roc_auc"]["value"] == pytest.approx(
        metrics.roc_auc_score(labels, p.probabilities, multi_class="ovr", average="macro")
    )
    assert record["measures"]["log_loss"]["value"] == pytest.approx(
        metrics.log_loss(labels, p.probabilities)
    )


def test_every_interval_holds_its_value_and_every_gap_has_a_reason():
    scores = judge(drawn(), split="test")
    estimates = list(scores.measures.values())
    estimates += [e for c in scores.classes.values() for e in c.measures.values()]
    for e in estimates:
        if e.low is None or e.high is None or e.value is None:
            assert e.why
        else:
            assert e.low <= e.value <= e.high
            assert e.low < e.high


def test_ten_of_ten_is_not_certain():
    labels = ["a"] * 10 + ["b"] * 10
    scores = judge(predictions(labels, labels), split="test")
    for measure in ("recall", "precision", "f1", "average_precision"):
        found = scores.classes["a"].measures[measure]
        assert (found.value, found.high) == (1.0, 1.0)
        assert found.low < 0.9
    for measure in ("macro_f1", "balanced_accuracy", "accuracy", "g_mean", "weighted_f1"):
        assert scores.measures[measure].low < 0.97


def test_the_guarantee_is_wider():
    p = drawn()
    plain, sure = judge(p, split="test"), judge(p, split="test", guarantee=True)
    for name in plain.classes:
        for measure in ("recall", "precision", "f1"):
            a, b = plain.classes[name].measures[measure], sure.classes[name].measures[measure]
            assert b.low <= a.low
            assert a.high <= b.high
            assert b.method == "clopper-pearson"


def test_copies_of_rows_do_not_narrow_anything():
    """Every row three times, as one cluster: intervals as wide as those of the rows once."""
    once = drawn(90, 3)
    thrice = once.take(np.repeat(np.arange(90), 3))
    a, b = judge(once, split="test"), judge(thrice, split="test")
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "log_loss", "brier"):
        one, three = a.measures[name], b.measures[name]
        assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.12)
    for name in a.classes:
        one, three = a.classes[name].measures["recall"], b.classes[name].measures["recall"]
        assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=0.01)


def test_copies_that_are_all_right_are_as_uncertain_as_one_of_each():
    once = judge(predictions(["a", "b"] * 5, ["a", "b"] * 5), split="test").measures["accuracy"]
    copied = judge(
        predictions(["a", "b"] * 50, ["a", "b"] * 50, clusters=np.arange(100) % 10), split="test"
    ).measures["accuracy"]
    assert copied.low == pytest.approx(once.low) == pytest.approx(0.05 ** (1 / 10))
    # A rare class of five texts, six times each, beside 100 rows of others, some of them wrong.
    decided = ["rare"] * 30 + ["common"] * 90 + ["other"] * 10
    labels = ["rare"] * 30 + ["common"] * 100
    clusters = np.concatenate([np.arange(30) % 5, 5 + np.arange(100)])
    found = judge(predictions(labels, decided, clusters=clusters), split="test").classes["rare"]
    assert found.measures["recall"].low == pytest.approx(0.05 ** (1 / 5))


def test_accuracy_of_copied_texts_is_held_as_often_as_it_says():
    """30 texts, ten times each, of which a model gets 97 % right: how many it gets wrong decides
    the interval. Weighed by clusters, not by mistakes, it held 53 %."""
    of, held = np.repeat(np.arange(30), 10), 0.0
    for wrong in range(8):
        found = share_of_rows(of >= wrong, of, guarantee=False)
        held += binom.pmf(wrong, 30, 0.03) * (found.low <= 0.97 <= found.high)
    assert held >= 0.95


def test_a_class_never_seen_in_training_counts_zero_and_is_named():
    p = predictions(["a", "a", "b", "z"], ["a", "a", "b", "b"], classes=["a", "b"])
    scores = judge(p, split="test", trained_counts={"a": 7, "b": 3})
    assert scores.classes["z"].trained == 0
    assert scores.measures["balanced_accuracy"].value == pytest.approx(2 / 3)
    assert scores.measures["macro_f1"].value == pytest.approx((1 + 2 / 3 + 0) / 3)
    # The row of z ties with that of b, so half of what ranks first for b is right.
    assert scores.measures["macro_average_precision"].value == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.measures["g_mean"].value == 0
    assert "z" in scores.measures["g_mean"].why
    assert any("never seen in training: z" in note for note in scores.notes)
    assert scores.measures["log_loss"].value == pytest.approx(-np.log(0.8))
    assert scores.measures["expected_cost"].value == 250
    assert scores.classes["z"].measures["recall"].value == 0
    assert scores.classes["z"].measures["precision"].value is None


def test_a_known_class_without_rows():
    p = predictions(["a", "a", "b"], ["a", "c", "b"], classes=["a", "b", "c", "d"])
    scores = judge(p, split="test")
    assert scores.classes["c"].measures["recall"].value is None
    assert scores.classes["c"].measures["precision"].value == 0
    assert scores.classes["d"].measures["f1"].value == 0
    assert "0/0" in scores.classes["d"].measures["f1"].why
    assert scores.measures["macro_f1"].value == pytest.approx((2 / 3 + 1) / 2)
    assert any("no rows in this split: c, d" in note for note in scores.notes)


def test_rows_left_to_a_person_lower_recall():
    p = predictions(["a", "a", "b", "b"], ["a", "defer", "b", "b"])
    scores = judge(p, split="test")
    assert scores.classes["a"].measures["recall"].value == 0.5
    assert scores.classes["a"].measures["precision"].value == 1
    assert scores.measures["accuracy"].value == 0.75
    assert any("1 rows are left to a person" in note for note in scores.notes)
    unpriced = judge(p, split="test", costs=1 - np.eye(2)).measures["expected_cost"]
    assert unpriced.value is None
    assert "left to a person" in unpriced.why
    priced = judge(p, split="test", costs=np.array([[0, 9, 2.0], [9, 0, 2.0]]))
    assert priced.measures["expected_cost"].value == 500


def test_an_unknown_row_costs_the_dearest_mistake_of_its_decision():
    p = predictions(["a", "b", "z"], ["a", "b", "b"], classes=["a", "b"])
    scores = judge(p, split="test", costs=np.array([[0.0, 6.0], [3.0, 0.0]]))
    assert scores.measures["expected_cost"].value == pytest.approx(2000)


def test_one_row_can_be_judged():
    scores = judge(predictions(["a"], ["a"], classes=["a", "b"]), split="test")
    assert scores.classes["a"].measures["recall"].low == pytest.approx(0.05)
    assert scores.measures["mcc"].value is None
    assert scores.measures["macro_roc_auc"].value is None
    assert scores.measures["log_loss"].low is None


def test_bands_follow_training_rows():
    assert [band_of(n) for n in (0, 19, 20, 100, 101)] == [
        "tail", "tail", "middle", "middle", "head",
    ]  # fmt: skip
    p = drawn()
    scores = judge(p, split="test", trained_counts={"c0": 900, "c1": 50, "c2": 8, "c3": 3})
    assert scores.bands["tail"]["classes"] == ["c2", "c3"]
    f1 = [scores.classes[name].measures["f1"].value for name in ("c2", "c3")]
    assert scores.bands["tail"]["macro_f1"].value == pytest.approx(np.mean(f1))
    assert judge(p, split="test").bands == {}


def test_same_seed_same_scores():
    p = drawn()
    one, two, other = (judge(p, split="test", seed=s).to_json() for s in (1, 1, 2))
    assert one == two
    assert one != other


def test_only_the_split_is_judged():
    p = drawn()
    p.splits[:100] = "validation"
    assert judge(p, split="validation").rows == 100


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="no rows to judge"):
        judge(drawn(), split="nowhere")
    with pytest.raises(DataError, match="1 of 2 rows have no label"):
        judge(predictions([None, "a"], ["a", "b"], classes=["a", "b"]), split="test")
    with pytest.raises(DataError, match="'x' is no class"):
        judge(predictions(["a", "b"], ["a", "x"], classes=["a", "b"]), split="test")


def test_costs_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"\(4, 5\)"):
        judge(drawn(), split="test", costs=np.zeros((3, 3)))


class TestLossesWithoutAMistake:
    """What a mistake would cost is not seen where none is made."""

    @staticmethod
    def sure(labels, decided, p=0.99):
        columns = np.array(["a", "b"]) == np.array(decided)[:, None]
        found = np.where(columns, p, 1 - p)
        return predictions(labels, decided, classes=["a", "b"], probabilities=found)

    def test_twenty_right_rows_may_be_followed_by_wrong_ones(self):
        found = judge(self.sure(["a", "b"] * 10, ["a", "b"] * 10), split="test").measures
        share = 1 - 0.025 ** (1 / 20)  # of rows unlike the 20 seen, at most
        brier, loss = found["brier"], found["log_loss"]
        assert brier.value == pytest.approx(0.0002)
        assert brier.high == pytest.approx(0.0002 + share * (1.9602 - 0.0002))
        assert loss.high == pytest.approx(-np.log(0.99) + share * np.log(0.99 / 0.01))

    def test_one_mistake_shows_what_they_cost(self):
        labels = ["a", "b"] * 10
        found = judge(self.sure(labels, ["b", *labels[1:]]), split="test")
        rows = np.array([1.9602] + [0.0002] * 19)
        plain = mean_estimate(rows, np.arange(20), most=2.0)
        assert found.measures["brier"].high == pytest.approx(plain.high)

    def test_copies_are_no_further_evidence(self):
        labels = ["a", "b"] * 10
        p = self.sure(labels, labels)
        once = judge(p, split="test")
        many = judge(p.take(np.repeat(np.arange(20), 5)), split="test")
        for name in ("brier", "log_loss"):
            assert many.measures[name].high == pytest.approx(once.measures[name].high)

    @pytest.mark.parametrize("row_loss", [row_log_loss, row_brier])
    def test_an_overconfident_models_losses_are_held_as_often_as_is_said(self, row_loss):
        """20 rows, 95 % right, far too sure: without the allowance two in three were held."""
        rng, rows, held = np.random.default_rng(0), np.arange(20), 0
        truth = row_loss(*self.overconfident(50_000, rng)).mean()
        for _ in range(200):
            p, labels = self.overconfident(20, rng)
            mistaken = row_loss(p, likeliest_mistake(p))
            found = mean_estimate(row_loss(p, labels), rows, mistaken=mistaken)
            held += found.low <= truth <= found.high
        assert held / 200 >= 0.95

    @staticmethod
    def overconfident(n, rng):
        labels = np.arange(n) % 2
        z = rng.normal(size=(n, 2)) + 2.4 * np.eye(2)[labels]
        return softmax(6 * z, axis=1), labels
