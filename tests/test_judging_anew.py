"""A finished run on new rows: by a measure of the user's own, and for other class shares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import equipoise
from equipoise.data.read import read_rows
from equipoise.errors import SettingsError
from tests.cli_runner import run_cli
from tests.tiny_rows import write_rows

MEASURES = '''
def found(labels, decided):
    """Share of the rows of music that are found."""
    return float((decided[labels == "music"] == "music").mean())


def broken(labels, decided):
    raise ValueError("not today")
'''


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anew")
    (folder / "measures.py").write_text(MEASURES, encoding="utf-8")
    write_rows(folder / "rows.csv", seed=7, start=5000)
    return folder


@pytest.fixture(scope="module")
def argmax_run(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_rows: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "argmax"
    done = run_cli(
        *("train", tiny_rows, "--model", tiny_base, "--epochs", "1", "--out", out, "--quiet"),
        *("--baseline", "none", "--remedy", "temperature"),
    )
    assert done.code == 0, done.stderr
    return out


def test_a_function_of_the_users_own(tiny_run: Path, given: Path) -> None:
    place = f"{given / 'measures.py'}:found"
    done = run_cli("evaluate", tiny_run, given / "rows.csv", "--measure", place, "--json")
    assert done.code == 0, done.stderr
    scores = json.loads(done.stdout)
    (name,) = [n for n in scores["measures"] if n.startswith("python:measures.found@")]
    recall = scores["classes"]["music"]["recall"]["value"]
    assert scores["measures"][name]["value"] == recall
    shown = run_cli("evaluate", tiny_run, given / "rows.csv", "--measure", place)
    assert name in shown.stdout


def test_what_the_users_file_prints_is_no_part_of_the_answer(tiny_run: Path, given: Path) -> None:
    path = given / "chatty.py"
    path.write_text("print('at import')\n" + MEASURES)
    asked = ("evaluate", tiny_run, given / "rows.csv", "--measure", f"{path}:found", "--json")
    done = run_cli(*asked)
    assert json.loads(done.stdout)["measures"]
    assert "at import" in done.stderr


def test_a_measure_of_one_class(tiny_run: Path, given: Path) -> None:
    table = read_rows(str(given / "rows.csv"))
    text = "recall_at_fpr:class=music,fpr=0.1"
    _, scores = equipoise.load(tiny_run).evaluate(table, measure=text)
    assert scores.measures[text].value is not None
    _, without = equipoise.load(tiny_run).evaluate(table)
    assert set(scores.measures) - set(without.measures) == {text}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("{}/nothing.py:found", "is no file"),
        ("{}/measures.py:lost", "has no 'lost'"),
        ("{}/measures.py:broken", "not today"),
        ("{}/rows.csv:found", "give one of a class"),
        ("macro_f1", "give one of a class"),
        ("recall_at_fpr:class=trombone,fpr=0.1", "no class 'trombone'"),
        ("{}/faulty.py:found", "can't be run (NameError"),
    ],
)
def test_what_can_not_judge_is_refused(
    tiny_run: Path, given: Path, tmp_path: Path, asked: str, said: str
) -> None:
    (given / "faulty.py").write_text("nonsense", encoding="utf-8")
    measure = asked.format(given)
    done = run_cli(
        *("evaluate", tiny_run, given / "rows.csv", "--measure", measure, "--out", tmp_path / "s")
    )
    assert done.code == 2
    assert said in done.stderr
    assert all(line.startswith("error:") for line in done.stderr.splitlines())
    assert not (tmp_path / "s").exists()


def test_the_prior_of_new_rows_by_either_command(
    argmax_run: Path, given: Path, tmp_path: Path
) -> None:
    def probabilities(name: str, *more: str) -> str:
        out = tmp_path / name
        done = run_cli("predict", argmax_run, given / "rows.csv", "--out", out, *more)
        assert done.code == 0, done.stderr
        return out.read_text(encoding="utf-8")

    assert probabilities("a.csv") != probabilities("b.csv", "--estimate-prior")
    table = read_rows(str(given / "rows.csv"))
    wanted, _ = equipoise.load(argmax_run).evaluate(table, estimate_prior=True)
    told = run_cli(
        *("evaluate", argmax_run, given / "rows.csv", "--estimate-prior", "--out", tmp_path / "s")
    )
    assert told.code == 0, told.stderr
    from equipoise.records.predictions import read_predictions

    found = read_predictions(tmp_path / "s" / "predictions.parquet")
    assert found.probabilities.tolist() == wanted.probabilities.tolist()


@pytest.mark.parametrize(
    "remedy",
    ["measure_offsets", "plugin_adjustment", "posthoc_logit_adjustment", "per_group_thresholds"],
)
def test_offsets_of_one_prior_are_not_taken_to_another(tiny_run: Path, remedy: str) -> None:
    from dataclasses import replace

    import numpy as np

    run = equipoise.load(tiny_run)
    recipe = run.manifest.recipe | {"remedies": ["temperature", remedy]}
    run.manifest = run.manifest.model_copy(update={"recipe": recipe})
    run.rule = replace(run.rule, kind="offsets", offsets=np.array([0.0, 0.5, 1.0]))
    with pytest.raises(SettingsError, match="hold for no others"):
        run.predict(["a song"], estimate_prior=True)
    run.predict(["a song"])
