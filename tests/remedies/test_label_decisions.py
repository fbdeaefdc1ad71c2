"""Decisions where a row may have several labels: probabilities, thresholds, and what they earn."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from equipoise.errors import DivergedError, FolderError, SettingsError, ShapeError
from equipoise.records.decision import DecisionRule, Defer, read_decision, write_decision
from equipoise.remedies.decisions.apply import posterior
from equipoise.remedies.decisions.fit_several import cross_fitted_labels, fit_label_rule
from equipoise.remedies.decisions.label_offsets import (
    _gain_errors,
    common_offset,
    fit_label_offsets,
)
from equipoise.remedies.decisions.label_values import LABEL_VALUES, label_measure
from equipoise.remedies.decisions.several import decide_labels, label_thresholds
from equipoise.remedies.log_odds import log_odds, sigmoid
from equipoise.remedies.spec import parse_remedies

ZERO = np.zeros(3)
FIT = {"shrink_rows": 10.0, "folds": 5, "passes": 3}


def rule(**parts: object) -> DecisionRule:
    whole = {"offsets": ZERO, "log_source": ZERO, "log_target": ZERO, **parts}
    return DecisionRule(classes=("a", "b", "c"), temperature=1.0, kind="labels", **whole)  # type: ignore[arg-type]


def drawn(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and labels that are calibrated: y is drawn with probability sigmoid(z)."""
    rng = np.random.default_rng(seed)
    z = rng.normal([-1.0, -2.0, -3.0], 2.0, (n, 3))
    return z, (rng.random((n, 3)) < sigmoid(z)).astype(np.int64)


def macro_f1(y: np.ndarray, z: np.ndarray, offsets: np.ndarray) -> float:
    return float(f1_score(y, (z + offsets >= 0).astype(int), average="macro", zero_division=0))


def fit(z: np.ndarray, y: np.ndarray, measure: str = "macro_f1", start: np.ndarray = ZERO):
    return fit_label_offsets(
        z, y, measure, start, np.arange(len(y)), np.random.default_rng(0), **FIT
    )


class TestRule:
    def test_probabilities_of_labels_stand_alone(self) -> None:
        z = np.array([[0.0, 2.0, -1000.0], [1.0, 1.0, 1000.0]])
        np.testing.assert_allclose(posterior(rule(), z), sigmoid(z))

    def test_shares_move_the_log_odds(self) -> None:
        """A score meant for a label on half of the rows, asked for one on a tenth: log 1/9."""
        moved = rule(log_target=np.full(3, np.log(1 / 9)))
        np.testing.assert_allclose(posterior(moved, np.zeros((1, 3))), 0.1)

    def test_an_offset_is_a_threshold(self) -> None:
        threshold = np.array([0.5, 0.2, 0.9])
        one = rule(offsets=np.log(1 - threshold) - np.log(threshold))
        np.testing.assert_allclose(label_thresholds(one), threshold)
        p = np.array([[0.5, 0.19, 0.91], [0.49, 0.21, 0.89], [0.0, 1.0, 0.0]])
        assert decide_labels(one, p).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]

    def test_at_least_one_label(self) -> None:
        one = rule(offsets=np.array([0.0, 1.0, 0.0]), at_least_one=True)
        p = np.array([[0.45, 0.2, 0.1], [0.3, 0.26, 0.1], [0.9, 0.9, 0.1]])
        # Log-odds + offset: -0.20, -0.39 and -2.2 in the first row, -0.85, -0.05, -2.2 in the next.
        assert decide_labels(one, p).tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
        assert decide_labels(replace(one, at_least_one=False), p)[0].tolist() == [0, 0, 0]

    def test_it_is_written_and_read(self, tmp_path: Path) -> None:
        one = rule(offsets=np.array([0.1, -2.0, 0.0]), at_least_one=True, notes=("why",))
        write_decision(tmp_path / "d.json", one)
        back = read_decision(tmp_path / "d.json")
        assert (back.kind, back.at_least_one, back.notes) == ("labels", True, ("why",))
        assert back.offsets.tolist() == one.offsets.tolist()
        text = (tmp_path / "d.json").read_text().replace('"labels"', '"offsets"')
        (tmp_path / "d.json").write_text(text)
        with pytest.raises(FolderError, match="at_least_one"):
            read_decision(tmp_path / "d.json")

    def test_what_belongs_to_one_label_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="has no defer"):
            rule(defer=Defer("threshold", 0.5))

    def test_scores_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="one column per label"):
            posterior(rule(), np.zeros((2, 4)))
        with pytest.raises(DivergedError, match="the first is row 1"):
            posterior(rule(), np.array([[0.0, 0, 0], [np.nan, 0, 0]]))


class TestTemperature:
    @pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
    def test_what_was_stretched_is_put_back(self, factor: float) -> None:
        z, y = drawn(4000)
        own = log_odds(y.sum(axis=0), len(y))
        one = fit_label_rule(
            parse_remedies(["temperature"]),
            z * factor,
            y,
            classes=("a", "b", "c"),
            log_source=own,
            log_target=own,
            log_train=own,
            start=ZERO,
        )
        assert one.temperature == pytest.approx(factor, rel=0.06)
        assert "4000 rows of 3 labels" in one.notes[0]

    def test_few_rows_leave_it_at_1(self) -> None:
        z, y = drawn(9)
        found = cross_fitted_labels(
            np.arange(9) % 3,
            parse_remedies(["temperature", "measure_offsets"]),
            z,
            y,
            classes=("a", "b", "c"),
            log_source=ZERO,
            log_target=ZERO,
            log_train=ZERO,
            start=ZERO,
        )
        assert found.rule.temperature == 1
        assert not found.rule.offsets.any()


class TestThresholds:
    @pytest.mark.parametrize("measure", LABEL_VALUES)
    def test_values_are_scikit_learns(self, measure: str) -> None:
        from sklearn import metrics

        z, y = drawn(200)
        d = (z >= 0).astype(int)
        theirs = {
            "macro_f1": metrics.f1_score(y, d, average="macro"),
            "micro_f1": metrics.f1_score(y, d, average="micro"),
            "weighted_f1": metrics.f1_score(y, d, average="weighted"),
            "balanced_accuracy": np.mean(
                [metrics.balanced_accuracy_score(y[:, k], d[:, k]) for k in range(3)]
            ),
            "hamming_loss": 1 - metrics.hamming_loss(y, d),
        }
        counts = (np.sum(part, 0, float) for part in (y & d, d, y))
        assert label_measure(measure, *counts, 200.0) == pytest.approx(theirs[measure])

    @pytest.mark.parametrize("worth", [(1, 1), (0.5, 4)])
    @pytest.mark.parametrize("measure", LABEL_VALUES)
    def test_the_common_offset_is_the_best_of_all(
        self, measure: str, worth: tuple[float, float]
    ) -> None:
        """Against every place where a decision changes, tried one by one."""
        z, y = drawn(40, seed=3)
        w = np.where(y, worth[1], worth[0]).astype(float)
        (found,) = set(common_offset(z, y, w, measure).tolist())

        def value(offset: float) -> float:
            d = (z + offset >= 0).astype(int)
            counts = (np.sum(w * part, 0) for part in (y & d, d, y, np.ones_like(y)))
            return float(label_measure(measure, *counts))

        places = np.sort(-z.ravel())
        tried = [value(offset) for offset in (*places + 1e-9, places[0] - 1, places[-1] + 1)]
        assert value(found) == pytest.approx(max(tried))

    def test_offsets_per_label_are_the_best_when_nothing_draws_them_back(self) -> None:
        z, y = drawn(300, seed=5)
        offsets, note = fit_label_offsets(
            z, y, "macro_f1", ZERO, np.arange(300), np.random.default_rng(0),
            shrink_rows=0.0, folds=5, passes=3,
        )  # fmt: skip
        assert "a threshold per label" in note
        best = sum(
            max(f1_score(y[:, k], z[:, k] + o >= 0) for o in -z[:, k] + 1e-9) for k in range(3)
        )
        assert macro_f1(y, z, offsets) == pytest.approx(best / 3)

    def test_they_raise_the_measure_on_rows_never_seen(self) -> None:
        z, y = drawn(2000)
        offsets, note = fit(z, y)
        fresh_z, fresh_y = drawn(20_000, seed=9)
        assert macro_f1(fresh_y, fresh_z, offsets) > macro_f1(fresh_y, fresh_z, ZERO) + 0.01
        assert "standard error of the gain" in note
        # F1 wants thresholds below a half, the more so the harder the label.
        assert (offsets > 0).all()

    def test_nothing_is_kept_that_is_not_earned(self) -> None:
        """Labels that are at their best threshold already."""
        rng = np.random.default_rng(0)
        y = (rng.random((200, 3)) < 0.3).astype(np.int64)
        z = np.where(y, 3.0, -3.0) + rng.normal(0, 0.1, y.shape)
        offsets, note = fit(z, y)
        assert offsets.tolist() == [0, 0, 0]
        assert "thresholds of 0.5 stay" in note

    def test_a_label_without_rows_keeps_the_common_threshold(self) -> None:
        z, y = drawn(1000)
        y[:, 2] = 0
        offsets, _ = fit(z, y)
        assert offsets[2] == common_offset(z, y, np.ones(y.shape), "macro_f1")[2]

    def test_rare_labels_stay_nearer_to_the_common_threshold(self) -> None:
        z, y = drawn(3000)
        z[:, 2] -= 4  # its own best threshold is far off
        keep = np.flatnonzero(y[:, 2])[12:]
        y[keep, 2] = 0
        loose, _ = fit_label_offsets(
            z, y, "macro_f1", ZERO, np.arange(3000), np.random.default_rng(0),
            shrink_rows=0.0, folds=5, passes=3,
        )  # fmt: skip
        drawn_back, note = fit(z, y)
        if "per label" in note:
            common = common_offset(z, y, np.ones(y.shape), "macro_f1")[2]
            assert abs(drawn_back[2] - common) < abs(loose[2] - common)

    @pytest.mark.parametrize("measure", ["macro_f1", "hamming_loss"])
    def test_they_are_for_the_shares_that_are_stated(self, measure: str) -> None:
        """Labels that a tenth of the rows have, thresholds for half of the rows: those that half of
        the rows would have had them at, near a half; not those of such rows as there are."""
        tenth, even, rng = np.full(3, np.log(1 / 9)), ZERO, np.random.default_rng(0)

        def rows_of(log_share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
            y = (rng.random((n, 3)) < sigmoid(log_share)).astype(np.int64)
            return 2 * (rng.normal(size=y.shape) + 2 * y - 1) + tenth, y

        z, y = rows_of(tenth, 3000)
        fitted = fit_label_rule(
            parse_remedies(["measure_offsets"]), z, y, classes=("a", "b", "c"), log_source=tenth,
            log_target=even, log_train=tenth, start=ZERO, measure=measure,
        )  # fmt: skip
        assert "counted by the shares that are stated" in fitted.notes[-1]
        fresh, truth = rows_of(even, 20_000)
        best = f1_score(truth, fresh - tenth >= 0, average="macro")
        assert f1_score(truth, posterior(fitted, fresh) >= label_thresholds(fitted),
                        average="macro") > best - 0.01  # fmt: skip

    def test_micro_f1_has_one_threshold(self) -> None:
        z, y = drawn(2000)
        offsets, _ = fit(z, y, "micro_f1")
        assert len(set(offsets.tolist())) == 1

    def test_they_start_from_what_training_has_moved(self) -> None:
        z, y = drawn(12)
        start = np.array([1.0, 0.0, 2.0])
        offsets, note = fit(z[:9], y[:9], start=start)
        assert offsets.tolist() == start.tolist()
        assert "too few" in note

    def test_unknown_measures_are_refused(self) -> None:
        z, y = drawn(4)
        with pytest.raises(SettingsError, match="thresholds of labels can't be fitted"):
            fit(z, y, "g_mean")


class TestCrossFitting:
    def test_no_row_is_decided_by_itself(self) -> None:
        """Changing a row's labels must leave its own decision alone."""
        z, y = drawn(120)
        fold = np.arange(120) % 4
        specs = parse_remedies(["temperature", "measure_offsets:shrink_rows=0"])
        given = log_odds(y.sum(0), 120)

        def found(labels: np.ndarray) -> np.ndarray:
            return cross_fitted_labels(
                fold, specs, z, labels, classes=("a", "b", "c"), log_source=given,
                log_target=given, log_train=given, start=ZERO,
            ).probabilities  # fmt: skip

        before = found(y)
        for row, k in itertools.product((0, 5), range(3)):
            changed = y.copy()
            changed[row, k] = 1 - changed[row, k]
            np.testing.assert_array_equal(
                found(changed)[fold == fold[row]], before[fold == fold[row]]
            )

    def test_remedies_for_one_label_are_refused(self) -> None:
        z, y = drawn(20)
        with pytest.raises(SettingsError, match="posthoc_logit_adjustment: is for rows of one"):
            fit_label_rule(
                parse_remedies(["posthoc_logit_adjustment"]), z, y, classes=("a", "b", "c"),
                log_source=ZERO, log_target=ZERO, log_train=ZERO, start=ZERO,
            )  # fmt: skip


def test_rows_of_one_cluster_are_too_few_for_thresholds() -> None:
    z, labels = drawn(40)
    start = np.array([0.1, 0.2, 0.3])
    one = np.zeros(40, dtype=np.int64)
    rng = np.random.default_rng(0)
    offsets, note = fit_label_offsets(z, labels, "macro_f1", start, one, rng, **FIT)
    np.testing.assert_array_equal(offsets, start)
    assert "too few" in note


@pytest.mark.parametrize("measure", LABEL_VALUES)
def test_copies_are_no_further_evidence_for_thresholds(measure: str) -> None:
    z, labels = drawn(60)
    plain = (z >= 0).astype(np.int64)
    other = (z >= 0.7).astype(np.int64)
    lone = np.arange(60)
    errors = [
        _gain_errors(
            *(np.repeat(t, times, axis=0) for t in (labels, np.ones(labels.shape), plain)),
            [np.repeat(other, times, axis=0)],
            measure,
            np.repeat(lone, times),
            np.random.default_rng(1),
        )[0]
        for times in (1, 20)
    ]
    assert errors[0] > 0
    assert errors[1] == pytest.approx(errors[0])
