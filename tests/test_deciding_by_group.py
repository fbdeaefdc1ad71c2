"""A run with thresholds per group decides new rows by their groups through every door, and where
nobody says the groups it decides nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import equipoise
from equipoise import EquipoiseClassifier
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError
from equipoise.records.decision import DecisionRule, read_decision, write_decision
from equipoise.summary import decisions_table
from tests.cli_runner import run_cli
from tests.tiny_estimator import TEXTS, TOPICS, tiny_estimator
from tests.tiny_rows import write_rows

TO_MUSIC = np.array([0.0, 0.0, 60.0])
"""Offsets that no score withstands: who is decided by them is seen at once."""


def with_group(rule: DecisionRule, name: str) -> DecisionRule:
    """The rule as if the group had earned offsets, which no group of so few rows does."""
    return replace(rule, kind="offsets", group_offsets={name: TO_MUSIC})


def regrouped(run: Path, name: str, to: Path) -> Path:
    """A copy of the run, in which the group has offsets of its own."""
    copy = Path(shutil.copytree(run, to))
    rule = read_decision(copy / "decision.json")
    write_decision(copy / "decision.json", with_group(rule, name))
    return copy


def with_site(path: Path, *, seed: int, start: int = 0) -> Path:
    """Rows with a column `site`: north, south, and for every fifth row none."""
    rows = pd.read_csv(write_rows(path, seed=seed, start=start))
    rows["site"] = [("north", "south", "north", "south", None)[n % 5] for n in range(len(rows))]
    rows.to_csv(path, index=False)
    return path


def trained(base: Path, folder: Path, *options: str) -> Path:
    done = run_cli(
        *("train", with_site(folder / "rows.csv", seed=0), "--model", base, "--method", "head"),
        *("--epochs", "1", "--baseline", "none", "--out", folder / "run", "--quiet", *options),
    )
    assert done.code == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def by_role(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decides by the group columns."""
    folder = tmp_path_factory.mktemp("role")
    options = ("--group", "customer", "--remedy", "per_group_thresholds")
    return regrouped(trained(tiny_base, folder, *options), "c251", folder / "grouped")


@pytest.fixture(scope="module")
def by_column(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decides by a column that keeps no rows together."""
    folder = tmp_path_factory.mktemp("column")
    remedy = "per_group_thresholds:column=site"
    return regrouped(trained(tiny_base, folder, "--remedy", remedy), "north", folder / "grouped")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_site(tmp_path_factory.mktemp("new") / "rows.csv", seed=3, start=500)


def without(rows: Path, to: Path, *columns: str) -> Path:
    pd.read_csv(rows).drop(columns=list(columns)).to_csv(to, index=False)
    return to


# ── predict, evaluate and Python decide alike ─────────────────────────────────────────────────


@pytest.mark.parametrize(("which", "column"), [("by_role", "customer"), ("by_column", "site")])
def test_predict_decides_as_evaluate_and_python_do(
    which: str, column: str, new: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(which)
    rows = pd.read_csv(new)
    groups = [None if pd.isna(name) else name for name in rows[column]]
    expected = equipoise.load(run).predict(rows["text"].tolist(), groups=groups).decided
    own = rows[column].isin(["c251", "north"]).to_numpy()
    assert set(expected[own]) == {"music"} != set(expected[~own])

    done = run_cli("predict", run, new, "--out", tmp_path / "decided.csv")
    assert done.code == 0, done.stderr
    assert pd.read_csv(tmp_path / "decided.csv")["decided"].tolist() == expected.tolist()
    done = run_cli("evaluate", run, new, "--out", tmp_path / "scores")
    assert done.code == 0, done.stderr
    judged = pd.read_parquet(tmp_path / "scores" / "predictions.parquet")
    assert judged["decided"].tolist() == expected.tolist()


def test_every_part_of_a_folder_is_decided_by_its_groups(
    by_column: Path, new: Path, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        shutil.copy(new, tmp_path / f"{part}.csv")
    found = decisions_table(equipoise.load(by_column), read_rows(tmp_path))
    north = pd.concat([pd.read_csv(new)["site"]] * 2) == "north"
    assert set(found["decided"][north.to_numpy()]) == {"music"}
    without(new, tmp_path / "test.csv", "site")
    with pytest.raises(DataError, match="has no column 'site', by which the run decides"):
        decisions_table(equipoise.load(by_column), read_rows(tmp_path))


def test_the_groups_may_have_another_name(by_role: Path, new: Path, tmp_path: Path) -> None:
    pd.read_csv(new).rename(columns={"customer": "who"}).to_csv(tmp_path / "who.csv", index=False)
    for name in ("one", "two"):
        rows, named = (new, ()) if name == "one" else (tmp_path / "who.csv", ("--group", "who"))
        done = run_cli("predict", by_role, rows, "--out", tmp_path / f"{name}.csv", *named)
        assert done.code == 0, done.stderr
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


# ── nobody says the groups ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_rows_without_the_column_are_refused(
    command: str, by_role: Path, by_column: Path, new: Path, tmp_path: Path
) -> None:
    rows = without(new, tmp_path / "rows.csv", "customer", "site")
    out = ("--out", tmp_path / "decided.csv") if command == "predict" else ()
    for run, said in (
        (by_role, "has no group column, by which the run decides (per_group_thresholds); name it "
         "with --group, or add 'customer': a row with nothing there is decided by the common"),
        (by_column, "has no column 'site', by which the run decides (per_group_thresholds); add "
         "it: a row with nothing there is decided by the common offsets"),
    ):  # fmt: skip
        done = run_cli(command, run, rows, *out)
        assert done.code == 2
        assert f"error: {rows}: {said}" in done.stderr
    assert not (tmp_path / "decided.csv").exists()


def test_python_asks_for_the_groups_too(by_role: Path, new: Path) -> None:
    loaded = equipoise.load(by_role)
    with pytest.raises(DataError, match=r"this run decides by group .*; give groups, one per text"):
        loaded.predict(["a lamp"])
    with pytest.raises(DataError, match="1 groups for 2 texts"):
        loaded.predict(["a lamp", "a song"], groups=["c251"])
    table = read_rows(new, columns=ColumnNames())
    with pytest.raises(DataError, match="has no group column"):
        loaded.evaluate(table)


def test_a_row_of_no_group_is_in_none_that_is_called_none(by_role: Path) -> None:
    loaded = equipoise.load(by_role)
    loaded.rule = with_group(loaded.rule, "None")
    decided = loaded.predict(["the bank card fee"] * 4, groups=[None, "", "c9", "None"]).decided
    assert set(decided[:3]) != {"music"} == set(decided[3:])


def test_a_run_whose_groups_earned_nothing_asks_for_none(
    by_role: Path, new: Path, tmp_path: Path
) -> None:
    rows = without(new, tmp_path / "rows.csv", "customer")
    done = run_cli("predict", by_role.parent / "run", rows, "--out", tmp_path / "decided.csv")
    assert done.code == 0, done.stderr


def test_a_group_that_decides_nothing_is_refused(
    tiny_run: Path, by_column: Path, new: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "decided.csv")
    for run, said in (
        (tiny_run, "decides the rows of all groups alike; leave --group out"),
        (by_column, "decides by the column 'site', as per_group_thresholds names it; leave"),
    ):
        done = run_cli("predict", run, new, "--group", "customer", *out)
        assert done.code == 2
        assert f"error: --group customer: {run} {said}" in done.stderr
    # The same column by its role is no other.
    for command in (("predict", by_column, new, *out), ("evaluate", by_column, new)):
        done = run_cli(*command, "--group", "site")
        assert done.code == 0, done.stderr
    assert set(pd.read_csv(out[1])["decided"][pd.read_csv(new)["site"] == "north"]) == {"music"}


# ── the estimator ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def estimator(tiny_base: Path) -> EquipoiseClassifier:
    model = tiny_estimator(tiny_base, epochs=1, remedies=["per_group_thresholds", "temperature"])
    model.fit(TEXTS, TOPICS, groups=np.arange(60) // 2)
    loaded = model.run_.loaded()
    loaded.rule = with_group(loaded.rule, "7")
    return model


def test_the_estimator_decides_by_group(estimator: EquipoiseClassifier) -> None:
    groups = np.where(np.arange(60) % 3 == 0, 7.0, np.nan)  # as pandas holds numbers with gaps
    decided = estimator.predict(TEXTS, groups=groups)
    own = groups == 7
    assert set(decided[own]) == {"music"} != set(decided[~own])
    names = ["7" if one else None for one in own]
    expected = estimator.run_.loaded().predict(TEXTS, groups=names).decided
    np.testing.assert_array_equal(decided, expected)
    scores = estimator.decision_function(TEXTS, groups=groups)
    np.testing.assert_array_equal(estimator.classes_[scores.argmax(axis=1)], decided)
    assert not estimator.deferred(TEXTS, groups=groups).any()


def test_the_estimator_asks_for_groups_where_it_decides(
    estimator: EquipoiseClassifier, tiny_base: Path
) -> None:
    for ask in (estimator.predict, estimator.deferred, estimator.decision_function):
        with pytest.raises(ValueError, match="give groups, one per text"):
            ask(TEXTS)
        with pytest.raises(ValueError, match="X holds 60, groups 1"):
            ask(TEXTS, groups=["7"])
    assert estimator.predict_proba(TEXTS).shape == (60, 3)
    model = tiny_estimator(tiny_base, remedies=["per_group_thresholds:column=site"])
    for column in ("", ":column=site"):
        model.set_params(remedies=[f"per_group_thresholds{column}"])
        with pytest.raises(ValueError, match="give the rows' groups to fit, and the remedy no"):
            model.fit(TEXTS, TOPICS)


def test_the_estimator_s_run_is_told_the_column(
    estimator: EquipoiseClassifier, new: Path, tmp_path: Path
) -> None:
    folder = estimator.save_run(tmp_path / "saved")
    write_decision(folder / "decision.json", estimator.run_.loaded().rule)
    out = ("--out", tmp_path / "decided.csv")
    assert "name it with --group, or add one" in run_cli("predict", folder, new, *out).stderr
    done = run_cli("predict", folder, new, *out, "--group", "customer")
    assert done.code == 0, done.stderr


def test_a_group_that_can_not_be_written_is_told_before_training(
    tiny_base: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(with_site(tmp_path / "rows.csv", seed=0))
    path = tmp_path / "rows.jsonl"
    kept = rows.drop(columns="site").to_dict("records")
    path.write_text("\n".join(json.dumps(row | {"site": "north\ud83d"}) for row in kept))
    done = run_cli(
        *("train", path, "--model", tiny_base, "--method", "head", "--check"),
        *("--remedy", "per_group_thresholds:column=site", "--out", tmp_path / "run"),
    )
    assert done.code == 2, done.stderr
    assert "names in column 'site' hold half a surrogate pair" in done.stderr
