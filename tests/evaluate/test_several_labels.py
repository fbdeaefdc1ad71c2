"""Judging rows with several labels: scikit-learn as reference, worked values, laws, coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from equipoise.errors import DataError, SettingsError
from equipoise.evaluate.compare import compare
from equipoise.evaluate.judge import judge
from equipoise.evaluate.several.compare import LABEL_MEASURES
from equipoise.evaluate.several.outcomes import label_outcomes
from equipoise.evaluate.several.quick import check_label_measure, quick_label_measures
from equipoise.records.predictions import Predictions, joined, read_predictions, write_predictions
from equipoise.records.rows import Rows, text_column
from equipoise.records.scores import read_scores, write_scores
from equipoise.statistics.label_bootstrap import label_resampler, label_sums

NAMES = ("a", "b", "c", "d")
CONTRACT = [
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "g_mean"),
    *("macro_average_precision", "macro_roc_auc", "log_loss", "brier", "ece", "expected_cost"),
    *("micro_f1", "hamming_loss"),
]


def sets(table: np.ndarray, names: tuple[str, ...] = NAMES) -> Any:
    return text_column([tuple(n for n, y in zip(names, row, strict=True) if y) for row in table])


def predictions(
    y: np.ndarray,
    p: np.ndarray,
    *,
    decided: np.ndarray | None = None,
    names: tuple[str, ...] = NAMES,
    labels: Any = None,
    clusters: Any = None,
) -> Predictions:
    n = len(p)
    return Predictions(
        classes=names,
        ids=text_column([f"r{k}" for k in range(n)]),
        splits=np.full(n, "test", dtype=object),
        folds=np.full(n, -1),
        groups=text_column([None] * n),
        clusters=np.arange(n) if clusters is None else clusters,
        labels=sets(y, names) if labels is None else labels,
        decided=sets(p > 0.5 if decided is None else decided, names),
        logits=np.log(p) - np.log1p(-p),
        probabilities=p,
    )


def drawn(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.random((n, 4)) < [0.6, 0.3, 0.1, 0.03]
    z = np.where(y, 1.0, -2.0) + rng.normal(0, 1.5, (n, 4))
    return y.astype(int), 1 / (1 + np.exp(-z))


class TestJudge:
    def test_values_are_scikit_learns(self) -> None:
        y, p = drawn()
        d = (p > 0.5).astype(int)
        found = judge(predictions(y, p), split="test").measures
        theirs = {
            "macro_f1": metrics.f1_score(y, d, average="macro"),
            "micro_f1": metrics.f1_score(y, d, average="micro"),
            "weighted_f1": metrics.f1_score(y, d, average="weighted"),
            "accuracy": metrics.accuracy_score(y, d),
            "hamming_loss": metrics.hamming_loss(y, d),
            "expected_cost": 4000 * metrics.hamming_loss(y, d),
            "macro_average_precision": metrics.average_precision_score(y, p, average="macro"),
            "macro_roc_auc": metrics.roc_auc_score(y, p, average="macro"),
            "log_loss": np.mean([metrics.log_loss(y[:, k], p[:, k]) for k in range(4)]),
            "brier": np.mean([metrics.brier_score_loss(y[:, k], p[:, k]) for k in range(4)]),
            "balanced_accuracy": np.mean(
                [metrics.balanced_accuracy_score(y[:, k], d[:, k]) for k in range(4)]
            ),
        }
        for name, value in theirs.items():
            assert found[name].value == pytest.approx(value), name

    def test_every_measure_of_the_contract_is_there_with_an_interval_or_a_reason(self) -> None:
        y, p = drawn()
        scores = judge(predictions(y, p), split="test", trained_counts=dict.fromkeys(NAMES, 50))
        assert set(CONTRACT) == set(scores.measures)
        for name, e in scores.measures.items():
            if e.low is None or e.value is None or e.high is None:
                assert e.why, name
            else:
                assert e.low <= e.value <= e.high
        assert scores.measures["mcc"].value is None
        assert scores.bands["middle"]["classes"] == list(NAMES)

    def test_labels_are_2_by_2_tables(self) -> None:
        y, p = drawn()
        d = p > 0.5
        classes = judge(predictions(y, p), split="test").classes
        for k, name in enumerate(NAMES):
            judged = classes[name]
            assert (judged.rows, judged.decided) == (y[:, k].sum(), d[:, k].sum())
            values = {measure: e.value for measure, e in judged.measures.items()}
            assert values == pytest.approx(
                {
                    "precision": metrics.precision_score(y[:, k], d[:, k]),
                    "recall": metrics.recall_score(y[:, k], d[:, k]),
                    "f1": metrics.f1_score(y[:, k], d[:, k]),
                    "average_precision": metrics.average_precision_score(y[:, k], p[:, k]),
                }
            )

    def test_by_hand(self) -> None:
        """Three rows: {a, b} found as {a}; {} found as {b}; {b} found as {b}. a is right once;
        b is right once, missed once, wrongly set once."""
        y = np.array([[1, 1], [0, 0], [0, 1]])
        d = np.array([[1, 0], [0, 1], [0, 1]])
        p = np.where(d, 0.8, 0.2).astype(float)
        found = judge(predictions(y, p, names=("a", "b")), split="test")
        values = {name: e.value for name, e in found.measures.items()}
        assert values["accuracy"] == pytest.approx(1 / 3)
        assert values["hamming_loss"] == pytest.approx(2 / 6)
        assert values["expected_cost"] == pytest.approx(2000 / 3)
        assert values["macro_f1"] == pytest.approx((1 + 0.5) / 2)
        assert values["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
        assert values["weighted_f1"] == pytest.approx((1 + 2 * 0.5) / 3)
        assert values["balanced_accuracy"] == pytest.approx((1 + (0.5 + 0) / 2) / 2)
        right, wrong = -np.log(0.8), -np.log(0.2)
        assert values["log_loss"] == pytest.approx((4 * right + 2 * wrong) / 6)
        assert values["brier"] == pytest.approx((4 * 0.04 + 2 * 0.64) / 6)

    def test_a_label_that_training_lacked_counts_0_and_is_named(self) -> None:
        y, p = drawn()
        labels = text_column([*(sets(y)[:-1]), ("a", "new")])
        scores = judge(predictions(y, p, labels=labels), split="test", trained_counts={"a": 3})
        assert scores.classes["new"].measures["f1"].value == 0
        assert scores.classes["new"].trained == 0
        known = [scores.classes[name].measures["f1"].value or 0 for name in NAMES]
        assert scores.measures["macro_f1"].value == pytest.approx(sum(known) / 5)
        assert any("never seen in training: new" in note for note in scores.notes)

    def test_a_label_without_rows_is_left_out_and_named(self) -> None:
        y, p = drawn()
        y[:, 3] = 0
        scores = judge(predictions(y, p), split="test")
        assert any("no rows in this split: d" in note for note in scores.notes)
        known = [scores.classes[name].measures["f1"].value or 0 for name in NAMES[:3]]
        assert scores.measures["macro_f1"].value == pytest.approx(np.mean(known))

    def test_rows_and_labels_in_another_order_change_nothing(self) -> None:
        y, p = drawn(60)
        order = np.random.default_rng(1).permutation(60)
        one = judge(predictions(y, p), split="test").measures
        two = judge(predictions(y[order], p[order], clusters=order), split="test").measures
        for name in ("macro_f1", "accuracy", "macro_average_precision", "log_loss"):
            assert one[name].value == pytest.approx(two[name].value)
        assert one["accuracy"].low == pytest.approx(two["accuracy"].low)

    def test_copies_of_rows_widen_the_interval_back(self) -> None:
        y, p = drawn(100)
        once = judge(predictions(y, p), split="test")
        copied = predictions(
            np.repeat(y, 4, 0), np.repeat(p, 4, 0), clusters=np.repeat(np.arange(100), 4)
        )
        four = judge(copied, split="test")
        for name in ("macro_f1", "accuracy", "log_loss"):
            a, b = once.measures[name], four.measures[name]
            assert a.value == pytest.approx(b.value)
            assert a.low is not None
            assert b.low is not None
            assert a.low == pytest.approx(b.low, abs=0.03), name
        a, b = once.classes["b"].measures["f1"], four.classes["b"].measures["f1"]
        assert b.low == pytest.approx(a.low, abs=0.05)

    def test_faults(self) -> None:
        y, p = drawn(10)
        blank = text_column([None, *sets(y)[1:]])
        with pytest.raises(DataError, match="1 of 10 rows have no known labels"):
            judge(predictions(y, p, labels=blank), split="test")
        with pytest.raises(DataError, match="no rows"):
            label_outcomes(predictions(y, p).of_split("validation"))


class TestCompare:
    def test_the_same_decisions_have_no_difference(self) -> None:
        y, p = drawn(80)
        one = predictions(y, p)
        for measure in LABEL_MEASURES:
            found = compare(one, one, measure=measure).difference
            assert found.value == 0, measure
            if measure in ("accuracy", "hamming_loss", "expected_cost"):
                assert found.low < 0 < found.high  # further rows may be decided otherwise
            elif found.low is not None:
                assert (found.low, found.high) == (0, 0), measure

    def test_differences_are_those_of_the_judged_values(self) -> None:
        y, p = drawn()
        worse = np.clip(p + np.random.default_rng(2).normal(0, 0.3, p.shape), 0.01, 0.99)
        a, b = predictions(y, worse), predictions(y, p)
        judged = [judge(one, split="test").measures for one in (a, b)]
        for measure in LABEL_MEASURES:
            found = compare(a, b, measure=measure)
            values = [m[measure].value for m in judged]
            assert [found.a, found.b] == pytest.approx(values), measure
            assert found.difference.value == pytest.approx(values[1] - values[0])
        found = compare(a, b, measure="macro_f1")
        assert found.difference.low is not None
        assert found.difference.low > 0
        assert "is better than" in found.says
        loss = compare(a, b, measure="hamming_loss")
        assert "is better than" in loss.says

    def test_pairing_narrows_the_interval(self) -> None:
        y, p = drawn(300)
        flip = p.copy()
        flip[:6] = 1 - flip[:6]
        apart = compare(predictions(y, p), predictions(y, flip), measure="macro_f1").difference
        alone = judge(predictions(y, p), split="test").measures["macro_f1"]
        assert apart.high is not None
        assert apart.low is not None
        assert alone.high is not None
        assert alone.low is not None
        assert apart.high - apart.low < 0.7 * (alone.high - alone.low)

    def test_other_labels_and_unknown_measures_are_refused(self) -> None:
        y, p = drawn(20)
        other = y.copy()
        other[0] = 1 - other[0]
        with pytest.raises(DataError, match="another label in the second"):
            compare(predictions(y, p), predictions(other, p))
        with pytest.raises(SettingsError, match="where a row may have several labels"):
            compare(predictions(y, p), predictions(y, p), measure="mcc")


class TestQuick:
    def test_measures_of_logits(self) -> None:
        y, p = drawn(50)
        rows = Rows(
            ids=text_column([str(k) for k in range(50)]),
            texts=text_column(["x"] * 50),
            labels=sets(y),
        )
        z = np.log(p) - np.log1p(-p)
        found = quick_label_measures(rows, NAMES, "recall:b")(z)
        judged = judge(predictions(y, p), split="test")
        for name in ("macro_f1", "micro_f1", "accuracy", "log_loss", "brier"):
            assert found[name] == pytest.approx(judged.measures[name].value), name
        assert found["recall:b"] == pytest.approx(judged.classes["b"].measures["recall"].value)

    @pytest.mark.parametrize("name", ["recall:z", "mcc", "nothing"])
    def test_unknown_measures_are_refused(self, name: str) -> None:
        with pytest.raises(SettingsError, match="choose_by"):
            check_label_measure(name, NAMES)


class TestRecords:
    def test_lists_come_back_as_tuples(self, tmp_path: Path) -> None:
        y, p = drawn(5)
        one = predictions(y, p, labels=text_column([None, (), ("a",), ("a", "b"), ("zz",)]))
        write_predictions(tmp_path / "p.parquet", one)
        back = read_predictions(tmp_path / "p.parquet")
        assert back.several
        assert back.labels.tolist() == one.labels.tolist()
        assert back.decided.tolist() == one.decided.tolist()
        assert back.probabilities.tobytes() == one.probabilities.tobytes()
        assert len(joined([back, back])) == 10

    def test_scores_keep_their_schema(self, tmp_path: Path) -> None:
        y, p = drawn()
        scores = judge(predictions(y, p), split="test", trained_counts={"a": 200, "d": 3})
        write_scores(tmp_path / "scores.json", scores)
        assert read_scores(tmp_path / "scores.json").to_json() == scores.to_json()


class TestResampling:
    def test_sums_of_a_resample_stay_within_bounds_and_have_the_right_mean(self) -> None:
        y, p = drawn(200)
        labels, decided = y.astype(bool), (p > 0.5)[None]
        known = np.ones(4, dtype=bool)
        one = label_resampler(labels, decided, np.arange(200), known)
        (sums,) = one.draw(3000, np.random.default_rng(0))
        assert (sums.both <= np.minimum(sums.held, sums.decided)).all()
        assert (sums.rows == 200).all()
        seen = label_sums(labels, decided[0])
        np.testing.assert_allclose(sums.held.mean(0)[:2], seen.held[:2], rtol=0.03)
        again = one.draw(3000, np.random.default_rng(0))[0]
        assert again.both.tobytes() == sums.both.tobytes()

    def test_a_label_the_model_does_not_know_is_never_right(self) -> None:
        y, p = drawn(50)
        known = np.array([True, True, True, False])
        decided = (p > 0.5) & known
        one = label_resampler(y.astype(bool), decided[None], np.arange(50), known)
        (sums,) = one.draw(200, np.random.default_rng(0))
        assert not sums.both[:, 3].any()
        assert not sums.decided[:, 3].any()

    @pytest.mark.parametrize("rows", [60, 300])
    def test_the_interval_of_macro_f1_keeps_its_promise(self, rows: int) -> None:
        """Splits drawn from one large table, whose own macro F1 is the truth; labels of 2 to 120
        rows. 95 % is claimed."""
        rng = np.random.default_rng(4)
        share = np.array([0.4, 0.2, 0.1, 0.05, 0.03, 0.03])
        y = rng.random((60_000, 6)) < share
        d = np.where(y, rng.random(y.shape) < 0.7, rng.random(y.shape) < 0.3 * share)
        whole = label_sums(y, d)
        truth = (2 * whole.both / (whole.held + whole.decided)).mean()
        held = 0
        for trial in range(150):
            at = rng.integers(0, len(y), rows)
            one = label_resampler(y[at], d[at][None], np.arange(rows), np.ones(6, dtype=bool))
            (sums,) = one.draw(300, np.random.default_rng(trial))
            f1 = 2 * sums.both / np.maximum(sums.held + sums.decided, 1)
            present = sums.held > 0
            macro = (f1 * present).sum(1) / present.sum(1)
            low, high = np.quantile(macro, [0.025, 0.975])
            held += low <= truth <= high
        assert held / 150 >= 0.92
