"""Costs through the whole house: read with the rows, fitted, judged, kept, and asked for again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import equipoise
from equipoise.costs import read_costs
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError, SettingsError
from equipoise.recipe import make_recipe
from equipoise.records.decision import read_decision
from equipoise.records.predictions import read_predictions
from tests.cli_runner import run_cli
from tests.tiny_estimator import tiny_estimator
from tests.tiny_rows import write_rows

COSTS = """
unit: EUR
default: 1
costs:
  music: {bank: {times: amount}, light: 40}
defer: {cost: 0.3, capacity: 25%}
"""


def with_amounts(path: Path, name: str = "amount") -> Path:
    """The rows with a column of amounts."""
    rng = np.random.default_rng(0)
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head, name])
        writer.writerows([*row, round(float(rng.exponential(50)), 2)] for row in rows)
    return path


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("priced")
    rows = with_amounts(write_rows(folder / "rows.csv", seed=2))
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    done = run_cli(
        *("train", rows, "--model", tiny_base, "--group", "customer", "--epochs", "2"),
        *("--costs", folder / "costs.yaml", "--baseline", "tfidf"),
        *("--out", folder / "run", "--quiet"),
    )
    assert done.code == 0, done.stderr
    return folder


def test_every_row_is_priced_by_its_own_amount(priced):
    run = priced / "run"
    predictions = read_predictions(run / "predictions.parquet")
    given = pd.read_csv(priced / "rows.csv").set_index("id")["amount"]
    np.testing.assert_array_equal(predictions.amounts, given[predictions.ids.tolist()])
    test = predictions.of_split("test")
    table = read_costs(priced / "costs.yaml").table(test.classes)
    place = {name: k for k, name in enumerate((*test.classes, "defer"))}
    labels, decided = (
        np.array([place[name] for name in column]) for column in (test.labels, test.decided)
    )
    price = table.of_rows(labels, decided, test.amounts)
    scores = json.loads((run / "scores.json").read_text())
    assert scores["measures"]["expected_cost"]["value"] == pytest.approx(1000 * price.mean())
    # What is decided is the least expected cost under the probabilities that were saved.
    rule = read_decision(run / "decision.json")
    assert rule.cost_column == "amount"
    expected = table.expected(test.probabilities, test.amounts)
    own = expected[np.arange(len(test)), decided]
    left = decided == 3
    np.testing.assert_allclose(own[~left], expected[~left, :3].min(axis=1))
    saving = expected[:, :3].min(axis=1) - expected[:, 3]
    np.testing.assert_array_equal(left, saving > rule.defer.threshold)
    assert rule.defer.review_capacity == 0.25


def test_the_run_decides_again_as_it_did_and_asks_for_amounts(priced):
    run = equipoise.load(priced / "run")
    saved = read_predictions(priced / "run" / "predictions.parquet").of_split("test")
    rows = pd.read_csv(priced / "rows.csv").set_index("id").loc[saved.ids.tolist()]
    again = run.predict(rows["text"].tolist(), amounts=rows["amount"].tolist())
    assert again.decided.tolist() == saved.decided.tolist()
    np.testing.assert_array_equal(again.probabilities, saved.probabilities)
    with pytest.raises(DataError, match=r"'amount'.*come without it"):
        run.predict(rows["text"].tolist())
    with pytest.raises(DataError, match="row 1 is -1"):
        run.predict(["the lamp"], amounts=[-1.0])


def test_commands_read_the_column_and_say_where_it_is_missing(priced, tmp_path):
    run, out = priced / "run", tmp_path / "decided.csv"
    bare = write_rows(tmp_path / "bare.csv", seed=5)
    missing = run_cli("predict", run, bare, "--out", out)
    assert missing.code == 2
    assert "has no column 'amount' for the cost" in missing.stderr
    other = with_amounts(write_rows(tmp_path / "other.csv", seed=5), "betrag")
    done = run_cli("predict", run, other, "--out", out, "--cost", "betrag")
    assert done.code == 0, done.stderr
    assert len(pd.read_csv(out)) == 96
    judged = run_cli("evaluate", run, other, "--cost", "betrag", "--json")
    assert judged.code == 0, judged.stderr
    assert json.loads(judged.stdout)["measures"]["expected_cost"]["value"] is not None


def test_the_report_tells_what_costs_changed(priced):
    page = (priced / "run" / "report.html").read_text(encoding="utf-8")
    for said in ('id="costs"', "most probable class", "Left to a person", "amount"):
        assert said in page


def test_amounts_are_read_and_make_another_table(tmp_path):
    rows = with_amounts(write_rows(tmp_path / "rows.csv"))
    plain = read_rows(rows)
    priced = read_rows(rows, columns=ColumnNames(cost="amount"))
    assert plain.parts["all"].amounts is None
    assert "amount" in plain.parts["all"].columns
    assert priced.parts["all"].amounts.dtype == np.float64
    assert priced.columns["cost"] == "amount"
    assert plain.fingerprint != priced.fingerprint
    half = priced.parts["all"].take(np.arange(3))
    assert half.amounts.tolist() == priced.parts["all"].amounts[:3].tolist()


def test_a_column_that_no_cost_is_times_of_is_refused():
    for recipe in (make_recipe({}), make_recipe({"costs": {"default": 2}})):
        assert recipe.columns(ColumnNames()) == ColumnNames()
        with pytest.raises(SettingsError, match="no cost is times a column"):
            recipe.columns(ColumnNames(cost="amount"))
    priced = make_recipe({"costs": {"default": {"times": "amount"}}})
    assert priced.columns(ColumnNames()).cost == "amount"
    assert priced.columns(ColumnNames(cost="betrag")).cost == "betrag"


def test_costs_decide_where_a_recipe_names_no_remedies():
    costs = {"default": 2}
    unsaid, null = (make_recipe({"costs": costs} | more) for more in ({}, {"remedies": None}))
    assert "costs" in [spec.name for spec in null.specs]
    assert null == unsaid
    assert make_recipe({"costs": costs, "remedies": []}).remedies == ()


def test_deferral_by_cost_needs_costs():
    with pytest.raises(SettingsError, match="needs the remedy costs"):
        make_recipe({"remedies": ["deferral:by=cost"]})


def test_the_estimator_takes_amounts_and_says_which_rows_it_leaves(tmp_path, tiny_base):
    rows = pd.read_csv(with_amounts(write_rows(tmp_path / "rows.csv", seed=2)))
    costs = {
        "costs": {"music": {"bank": {"times": "euros"}}},
        "missed": {"light": 3},
        "defer": {"cost": 0.3},
    }
    estimator = tiny_estimator(tiny_base, costs=costs)
    estimator.fit(rows["text"], rows["label"], amounts=rows["amount"])
    left = estimator.deferred(rows["text"], amounts=rows["amount"])
    decided = estimator.predict(rows["text"], amounts=rows["amount"])
    scores = estimator.decision_function(rows["text"], amounts=rows["amount"])
    assert left.dtype == bool
    assert set(decided) <= set(estimator.classes_)
    assert (estimator.classes_[scores.argmax(axis=1)] == decided).all()
    np.testing.assert_array_equal(-scores.max(axis=1) > 0.3, left)
    assert estimator.predict_proba(rows["text"]).shape == (96, 3)
    with pytest.raises(ValueError, match="come without it"):
        estimator.predict(rows["text"])
    with pytest.raises(ValueError, match="Negative values"):
        estimator.predict(rows["text"], amounts=-rows["amount"])
    with pytest.raises(ValueError, match="come without its amounts"):
        tiny_estimator(tiny_base, costs=costs).fit(rows["text"], rows["label"])
