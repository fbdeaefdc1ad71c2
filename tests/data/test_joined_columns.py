"""A text that is made of several columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from equipoise.data.check import check_rows
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError
from tests.cli_runner import run_cli

NAME = "subject + body"
NAMED = ColumnNames(text=NAME)


def table(folder: Path, *rows: tuple[str, ...], name: str = "mail.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("subject", "body", "label"), *rows])
    return path


def json_lines(folder: Path, *records: dict[str, object]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_texts_stand_in_the_order_named_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, ("Late", "My parcel?", "a"), ("", "Cancel it", "b"), ("Hi", " ", "a"))
    rows = read_rows(path, columns=NAMED).parts["all"]
    assert rows.texts.tolist() == ["Late\n\nMy parcel?", "Cancel it", "Hi"]
    assert rows.columns["subject"].tolist() == ["Late", "", "Hi"]
    turned = read_rows(path, columns=ColumnNames(text="body+subject")).parts["all"]
    assert turned.texts[0] == "My parcel?\n\nLate"


def test_a_row_of_empty_cells_is_an_empty_text(tmp_path: Path) -> None:
    path = table(tmp_path, ("a", "b", "x"), ("", " ", "y"))
    with pytest.raises(DataError, match="row 2"):
        check_rows(read_rows(path, columns=NAMED))


def test_a_column_that_is_called_so_is_itself(tmp_path: Path) -> None:
    path = json_lines(
        tmp_path, {NAME: "own", "subject": "s", "body": "b", "label": "x", "C++": "y"}
    )
    assert read_rows(path, columns=NAMED).parts["all"].texts.tolist() == ["own"]
    plus = ColumnNames(text="C++")
    assert read_rows(path, columns=plus).parts["all"].texts.tolist() == ["y"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, ("a", "b", "x"))
    with pytest.raises(DataError, match=r"no column 'titel' or 'bodi' for the text; .*'body'"):
        read_rows(path, columns=ColumnNames(text="titel + subject + bodi"))
    with pytest.raises(DataError, match=r"no column 'label \+ subject' for the group"):
        read_rows(path, columns=ColumnNames(text=NAME, group=("label + subject",)))


def test_cells_that_are_no_texts_are_faults_once(tmp_path: Path) -> None:
    path = json_lines(
        tmp_path,
        {"subject": "s", "body": 5, "label": "x"},
        {"subject": None, "body": "b", "label": "y"},
    )
    found = read_rows(path, columns=NAMED)
    assert found.parts["all"].texts.tolist() == [None, "b"]
    (fault,) = found.faults
    assert "cells of 'body' should be text; row 1 holds" in fault


def test_a_line_that_can_not_be_read_is_one_fault(tmp_path: Path) -> None:
    path = table(tmp_path, ("a", "b", "x"), ("too few", "y"), ("c", "d", "z"))
    found = read_rows(path, columns=NAMED)
    assert len(found.faults) == 1
    assert found.parts["all"].texts.tolist() == ["a\n\nb", None, "c\n\nd"]


def test_prompts_of_two_columns(tmp_path: Path) -> None:
    path = json_lines(
        tmp_path,
        {"instruction": "Add.", "input": "2 and 3", "output": "5"},
        {"instruction": "Say hi.", "input": "", "output": "hi"},
    )
    named = ColumnNames(prompt="instruction + input", completion="output")
    rows = read_rows(path, columns=named).parts["all"]
    assert rows.turns is not None
    assert [turns[0].text for turns in rows.turns] == ["Add.\n\n2 and 3", "Say hi."]


def test_a_run_predicts_rows_with_the_same_columns(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    with (tiny_rows / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    halves = [(*text.split(" ", 1), label) for text, label in rows]
    path, out = table(tmp_path, *halves), tmp_path / "run"
    done = run_cli(
        *("train", path, "--text", NAME, "--model", tiny_base, "--method", "head"),
        *("--baseline", "none", "--out", out, "--quiet"),
    )
    assert done.code == 0, done.stderr
    given = run_cli("predict", out, path, "--out", tmp_path / "said.csv")
    assert given.code == 0, given.stderr
    with (tmp_path / "said.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(halves)
    lacking = tmp_path / "other.csv"
    lacking.write_text("subject\nHello\n", encoding="utf-8")
    refused = run_cli("predict", out, lacking, "--out", tmp_path / "other_said.csv")
    assert refused.code == 2
    assert "has no column 'body' for the text" in refused.stderr
