"""Runs whose decision is made by what this project offers beside temperature and offsets, and by
the measures of users: in the folder, read back, judged and compared."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equipoise
from equipoise.classifier import EquipoiseClassifier
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import SettingsError
from equipoise.fit import Run, fit
from equipoise.recipe import make_recipe
from equipoise.records.decision import PriorShift, read_decision
from equipoise.records.predictions import Predictions, read_predictions
from equipoise.records.scores import read_scores
from tests.tiny_rows import write_rows

BUDGET = "recall_at_budget:class=music,budget=0.2"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a column `site` that is no group: both of its sites are on all sides."""
    path = write_rows(tmp_path_factory.mktemp("rows") / "rows.csv", seed=2)
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    for number, row in enumerate(table):
        row.append("site" if number == 0 else ("north", "south")[number % 2])
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)
    return path


def fitted(rows: Path, base: Path, out: Path, *remedies: str, **more: Any) -> Run:
    measure = more.pop("function", None)
    settings = {
        "model": {"name": str(base), "head": more.pop("head", "auto")},
        "train": {"epochs": 2, "batch_rows": 8, "device_rows": 8},
        "split": {"validation_share": 0.3, "test_share": 0.3},
        "remedies": remedies,
        "baselines": ("tfidf",),
        **more,
    }
    return fit(rows, out, make_recipe(settings), columns=ColumnNames(), measure=measure)


def predictions(run: Run) -> Predictions:
    return read_predictions(run.folder / "predictions.parquet")


def texts_of(rows: Path, wanted: Predictions) -> tuple[list[str], list[str]]:
    """Texts and sites of the rows of these predictions, in their order."""
    with rows.open(encoding="utf-8", newline="") as file:
        table = {row["id"]: row for row in csv.DictReader(file)}
    found = [table[i] for i in wanted.ids]
    return [row["text"] for row in found], [row["site"] for row in found]


def gain(labels: np.ndarray, decided: np.ndarray) -> float:
    """Three for every music found, one off for every other row so decided."""
    music = decided == "music"
    return float(3 * (music & (labels == "music")).sum() - (music & (labels != "music")).sum())


def sureness(labels: np.ndarray, decided: np.ndarray, *, probabilities: np.ndarray) -> float:
    return float(probabilities.max(axis=1).mean())


def test_the_prior_is_estimated_from_the_rows_decided(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    run = fitted(rows, tiny_base, tmp_path / "run", "temperature", "prior_shift:pull_rows=5")
    rule, seen = read_decision(run.folder / "decision.json"), predictions(run)
    test = seen.of_split("test")
    assert isinstance(rule.prior_shift, PriorShift)
    assert (rule.prior_shift.rows, rule.prior_shift.pull_rows) == (len(test), 5)
    # Bit for bit what the run decided for its test rows, whatever the number of rows asked for.
    texts, _ = texts_of(rows, test)
    loaded = equipoise.load(run.folder)
    np.testing.assert_array_equal(loaded.predict(texts).probabilities, test.probabilities)
    alone = loaded.predict(texts[:1]).probabilities
    np.testing.assert_allclose(alone, test.probabilities[:1], atol=1e-6)
    # Estimated anew from the same rows it is the same; from others, another.
    again = loaded.predict(texts, estimate_prior=True)
    np.testing.assert_allclose(again.probabilities, test.probabilities, atol=1e-12)
    music = [t for t, label in zip(texts, test.labels, strict=True) if label == "music"]
    only = loaded.predict(music * 20, estimate_prior=True)
    k = test.classes.index("music")
    stated = loaded.predict(music).probabilities[:, k].mean()
    assert only.probabilities[:, k].mean() > stated
    table = read_rows(str(rows), columns=ColumnNames(), encoding=None)
    assert loaded.evaluate(table, estimate_prior=True)[0].probabilities.shape == (96, 3)
    assert "labels unseen" in run.manifest.remedies[1].effect


def test_a_linear_heads_norms_are_taken_out_and_other_heads_refused(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="this one is cosine; add --head linear"):
        fitted(rows, tiny_base, tmp_path / "run", "tau_normalisation")
    with pytest.raises(SettingsError, match="this one is native"):
        fitted(
            rows, tiny_base, tmp_path / "run", "tau_normalisation",
            model={"name": str(tiny_base), "method": "full", "head": "native"},
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
    run = fitted(
        rows, tiny_base, tmp_path / "run", "tau_normalisation:tau=0.7", "temperature",
        head="linear",
    )  # fmt: skip
    rule, test = read_decision(run.folder / "decision.json"), predictions(run).of_split("test")
    assert rule.rescale is not None
    loaded = equipoise.load(run.folder)
    head = loaded.classifier.module.head.linear
    norms = np.linalg.norm(head.weight.detach().cpu().double().numpy(), axis=1)
    bias = head.bias.detach().cpu().double().numpy()
    exact = (test.logits - bias) / norms**0.7
    decided = np.array(test.classes, dtype=object)[exact.argmax(axis=1)]
    np.testing.assert_array_equal(test.decided, decided)
    again = loaded.predict(texts_of(rows, test)[0])
    np.testing.assert_array_equal(again.probabilities, test.probabilities)


@pytest.mark.parametrize("name", ["vector_scaling_calibration", "isotonic_calibration"])
def test_calibrations_are_kept_and_read_back(
    name: str, rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    extra = {"isotonic_calibration": ",fewest_rows=3"}.get(name, "")
    run = fitted(rows, tiny_base, tmp_path / "run", f"{name}:folds=0{extra}", "measure_offsets")
    assert read_decision(run.folder / "decision.json").calibration is not None
    test = predictions(run).of_split("test")
    again = equipoise.load(run.folder).predict(texts_of(rows, test)[0])
    np.testing.assert_array_equal(again.probabilities, test.probabilities)
    np.testing.assert_array_equal(again.decided, test.decided)


def test_groups_by_a_column_are_decided_by_their_own_offsets(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="no column 'plant'"):
        fitted(rows, tiny_base, tmp_path / "none", "per_group_thresholds:column=plant")
    with pytest.raises(SettingsError, match="no group column; name one with --group"):
        fitted(rows, tiny_base, tmp_path / "none", "per_group_thresholds")
    with pytest.raises(SettingsError, match="recall_at_budget keeps a limit over all rows"):
        fitted(
            rows, tiny_base, tmp_path / "none", "per_group_thresholds:column=site", measure=BUDGET
        )
    assert not (tmp_path / "none").exists()
    run = fitted(
        rows, tiny_base, tmp_path / "run", "per_group_thresholds:column=site,fewest_rows=5"
    )
    rule = read_decision(run.folder / "decision.json")
    assert rule.group_column == "site"
    # Whether 30 validation rows earned them or not: what the rule holds is what decides.
    test = predictions(run).of_split("test")
    texts, sites = texts_of(rows, test)
    loaded = equipoise.load(run.folder)
    np.testing.assert_array_equal(loaded.predict(texts, groups=sites).decided, test.decided)
    offsets = np.full(3, -50.0)
    offsets[0] = 50.0
    object.__setattr__(loaded.rule, "group_offsets", {"north": offsets})
    decided = loaded.predict(texts, groups=sites).decided
    assert set(decided[np.array(sites) == "north"]) == {"bank"}
    table = read_rows(str(rows), columns=ColumnNames(), encoding=None)
    judged, _ = loaded.evaluate(table)
    north = np.array([int(i[1:]) % 2 == 1 for i in judged.ids])
    assert set(judged.decided[north]) == {"bank"}
    assert set(judged.decided[~north]) != {"bank"}


@pytest.mark.parametrize(
    "measure",
    [BUDGET, "recall_at_budget:class=music,rows=6", "recall_at_fpr:class=music,fpr=0.1",
     "net_benefit:class=music,threshold=0.3"],
)  # fmt: skip
def test_a_run_decides_by_a_measure_of_one_class(
    measure: str, rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    run = fitted(
        rows, tiny_base, tmp_path / "run", "temperature", "measure_offsets", measure=measure
    )
    for name in ("scores.json", "scores_validation.json", "baselines/tfidf/scores.json"):
        assert read_scores(run.folder / name).measures[measure].value is not None
    assert [c.measure for c in run.manifest.comparisons] == [measure]
    assert measure in run.manifest.remedies[1].effect
    if "budget" in measure:
        validation = predictions(run).of_split("validation")
        loaded = equipoise.load(run.folder)
        decided = loaded.predict(texts_of(rows, validation)[0]).decided
        test = len(predictions(run).of_split("test"))
        share = 0.2 if measure == BUDGET else 6 / test
        assert (decided == "music").sum() <= share * len(validation)
        assert (decided == "music").sum() >= share * len(validation) - 3  # copies tie


def test_precision_at_a_prevalence_decides_between_arms_alone(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    measure = "precision_at_prevalence:class=bank,prevalence=0.05"
    with pytest.raises(SettingsError, match="offsets can't be fitted for precision_at_prevalence"):
        make_recipe({"measure": measure, "remedies": ["measure_offsets"]})
    with pytest.raises(SettingsError, match="offsets can't be fitted for mcc"):
        make_recipe({"measure": "mcc", "remedies": ["per_group_thresholds"]})
    with pytest.raises(SettingsError, match="remedy cost_weights: no costs are given; add --costs"):
        make_recipe({"remedies": ["cost_weights"]})
    assert make_recipe({"measure": measure}).resolved().remedies == ("temperature",)
    run = fitted(rows, tiny_base, tmp_path / "run", "temperature", measure=measure)
    assert read_scores(run.folder / "scores.json").measures[measure].value is not None
    again = equipoise.load(run.folder)
    table = read_rows(str(rows), columns=ColumnNames(), encoding=None)
    assert again.evaluate(table)[1].measures[measure].value is not None


def test_a_measure_that_does_not_fit_is_refused_before_training(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    for measure, says in (
        ("recall_at_budget:class=musik,budget=0.2", "did you mean 'music'"),
        ("python:some.where@0123456789ab", "give the function itself"),
    ):
        with pytest.raises(SettingsError, match=says):
            fitted(rows, tiny_base, tmp_path / "run", "temperature", measure=measure)
    with pytest.raises(SettingsError, match="expected recall_at_budget:class=NAME"):
        make_recipe({"measure": "recall_at_budget:fraud"})
    with pytest.raises(SettingsError, match="asks for probabilities"):
        fitted(rows, tiny_base, tmp_path / "run", "measure_offsets", function=sureness)
    with pytest.raises(SettingsError, match="lambda"):
        fitted(rows, tiny_base, tmp_path / "run", function=lambda labels, decided: 0.0)
    assert not (tmp_path / "run").exists()


def test_a_function_of_ones_own_decides_and_names_the_run(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    remedies = ("temperature", "measure_offsets")
    run = fitted(rows, tiny_base, tmp_path / "run", *remedies, function=gain)
    text = run.manifest.recipe["measure"]
    assert text.startswith(f"python:{__name__}.gain@")
    test = predictions(run).of_split("test")
    found = read_scores(run.folder / "scores.json").measures[text]
    assert found.value == gain(test.labels, test.decided)
    assert run.manifest.comparisons[0].measure == text
    assert "offsets for gain" in run.manifest.remedies[1].effect
    # The same function finds its run finished; another function's is another run.
    assert fitted(rows, tiny_base, tmp_path / "run", *remedies, function=gain).resumed
    with pytest.raises(equipoise.EquipoiseError, match="another"):
        fitted(rows, tiny_base, tmp_path / "run", *remedies)


def test_the_estimator_takes_a_function_and_a_measure(rows: Path, tiny_base: Path) -> None:
    with rows.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    texts, labels = ([row[name] for row in table] for name in ("text", "label"))
    for measure in (gain, BUDGET):
        one = EquipoiseClassifier(
            model=str(tiny_base), measure=measure, epochs=1, validation_share=0.3
        ).fit(texts, labels)
        assert one.manifest_.recipe["measure"].startswith(
            BUDGET if measure is BUDGET else "python:"
        )
        assert len(one.predict(texts[:5])) == 5
    with pytest.raises(ValueError, match="lambda"):
        EquipoiseClassifier(model=str(tiny_base), measure=lambda a, b: 0.0).fit(texts, labels)
