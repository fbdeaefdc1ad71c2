"""Several labels in one cell, where nobody said so: noticed, and names with marks left in peace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from equipoise.data.check import check_rows
from equipoise.data.joined_labels import joined_labels
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError
from equipoise.records.rows import Rows, text_column
from tests.cli_runner import run_cli


def rows(*labels: str) -> Rows:
    ids = text_column(list(map(str, range(len(labels)))))
    return Rows(ids=ids, texts=ids, labels=text_column(list(labels)))


@pytest.mark.parametrize("separator", ["|", ";", "/", ","])
def test_joined_labels_are_noticed(separator: str) -> None:
    both = f"money {separator} dispute"
    found = joined_labels([rows("money", "fraud", both, both, f"fraud{separator}money")])
    assert found is not None
    assert found[0] == separator
    assert f"such as '{both}' (3 rows in all)" in found[1]
    assert f"add --label-separator '{separator}'" in found[1]


@pytest.mark.parametrize(
    "labels",
    [
        ("tech/ai", "tech/web", "news"),  # a tree of names
        ("tech", "tech/ai", "tech/web"),
        ("n/a", "yes", "no"),
        ("a |", "a", "b"),
        ("a", "b"),
        ("Salt, pepper", "Rice, beans"),
    ],
)
def test_names_that_hold_a_mark_are_left_in_peace(labels: tuple[str, ...]) -> None:
    assert joined_labels([rows(*labels)]) is None


def written(path: Path, labels: list[str]) -> Path:
    lines = [f"text number {k} of them;{label}" for k, label in enumerate(labels)]
    path.write_text("\n".join(["text;label", *lines]), encoding="utf-8")
    return path


def test_train_and_audit_warn_of_them(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ["money", "fraud", "money | fraud"] * 12)
    said = "labels look joined by '|', such as 'money | fraud' (12 rows in all)"
    assert any(warning.startswith(said) for warning in check_rows(read_rows(path)))
    audit = ("audit", path, "--model", "none", "--out", tmp_path / "audit", "--quiet")
    assert f"warning: {said}" in run_cli(*audit).stdout
    told = json.loads(run_cli(*audit, "--json").stdout)
    assert any(warning.startswith(said) for warning in told["warnings"])
    divided = read_rows(path, columns=ColumnNames(label_separator="|"))
    assert not any("look joined" in warning for warning in check_rows(divided))


def test_an_empty_label_is_told_what_it_may_be(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ["money", "", "money | fraud", "fraud"])
    with pytest.raises(DataError, match=r"empty label in row 2; .*add --label-separator '\|'"):
        check_rows(read_rows(path))
    path = written(tmp_path / "plain.csv", ["money", "", "fraud"])
    with pytest.raises(DataError) as caught:
        check_rows(read_rows(path))
    assert "--label-separator" not in str(caught.value)
