"""Rows whose target is text, and the record of what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from equipoise.errors import FolderError, ShapeError
from equipoise.records.rows import Rows, text_column
from equipoise.records.turns import Turn, answer, asked, asked_text
from equipoise.records.written import Written, joined, read_written, write_written


def record(n: int = 3) -> Written:
    return Written(
        ids=text_column([f"r{k}" for k in range(n)]),
        splits=text_column(["test"] * (n - 1) + ["validation"]),
        categories=text_column(["news"] * n),
        asked=text_column(["Why?"] * n),
        written=text_column(["Because."] + [None] * (n - 1)),
        references=text_column([("Because.", "So.")] * (n - 1) + [()]),
        log_probs=np.array([-1.5] * (n - 1) + [np.nan]),
        tokens=np.full(n, 4),
        bytes=np.full(n, 8),
        clusters=np.arange(n),
    )


def test_several_turns_ask_for_the_last_answer() -> None:
    turns = (
        Turn("user", "One?"),
        Turn("assistant", "1"),
        Turn("user", "Two?"),
        Turn("assistant", "2"),
    )
    assert asked(turns) == turns[:3]
    assert answer(turns) == "2"
    assert asked_text(turns) == "One?\n1\nTwo?"


def test_a_plain_text_asks_nothing_and_is_known_by_itself() -> None:
    turns = (Turn("text", "Once upon a time"),)
    assert asked(turns) == ()
    assert answer(turns) == asked_text(turns) == "Once upon a time"


def test_turns_without_an_answer_are_all_asked() -> None:
    assert asked([Turn("user", "Hello?")]) == (Turn("user", "Hello?"),)
    assert answer([Turn("user", "Hello?")]) is None


def test_rows_take_their_turns_along() -> None:
    turns = text_column([(Turn("text", "a"),), (Turn("text", "b"),)])
    rows = Rows(ids=text_column(["1", "2"]), texts=text_column(["a", "b"]), turns=turns)
    assert rows.written
    kept = rows.take(np.array([1]))
    assert kept.turns is not None
    assert kept.turns.tolist() == [(Turn("text", "b"),)]
    assert not Rows(ids=rows.ids, texts=rows.texts).written


def test_what_was_written_comes_back_as_it_was(tmp_path: Path) -> None:
    ours = record()
    write_written(tmp_path / "w.parquet", ours)
    theirs = read_written(tmp_path / "w.parquet")
    assert theirs.references.tolist() == [("Because.", "So."), ("Because.", "So."), ()]
    assert theirs.written.tolist() == ["Because.", None, None]
    assert np.array_equal(theirs.log_probs, ours.log_probs, equal_nan=True)
    assert theirs.of_split("test").ids.tolist() == ["r0", "r1"]
    assert len(joined([ours, theirs])) == 6


def test_columns_of_different_length_are_refused() -> None:
    ours = record()
    with pytest.raises(ShapeError, match="tokens has 2"):
        Written(**{**vars(ours), "tokens": np.zeros(2, np.int64)})


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="missing; copy the whole folder"):
        read_written(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(FolderError, match="not a parquet file"):
        read_written(tmp_path / "text.parquet")
