"""Rows made from others: they train where those do, are nowhere else, and cross no split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.auditing.gather import gather
from equipoise.data import ColumnNames, Table, check_rows, folds, read_rows, split_table
from equipoise.data.made import origins
from equipoise.errors import DataError
from equipoise.records.rows import Rows, text_column
from equipoise.records.turns import Turn
from tests.data.test_split import parts_of, rows_of, table_of, text_of


def with_parents(rows: Rows, parents: list[str | None]) -> Rows:
    return replace(rows, parents=text_column(parents))


def written(rows: Rows) -> Rows:
    """The same rows with prompts and completions in place of texts and classes."""
    turns = [(Turn("user", text), Turn("assistant", "Yes.")) for text in rows.texts]
    return replace(rows, turns=text_column(turns))


def family_rows(seed: int, given_rows: int, made: int) -> tuple[Rows, dict[str, str]]:
    """Rows of which `made` go back to others, through up to three parents, shuffled; and the given
    row of each that was made."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["a"] * 8 + ["b"] * 3 + ["c"], size=given_rows).tolist()
    labels[:2] = ["a", "b"]
    parents: list[int | None] = [None] * given_rows
    root = list(range(given_rows))
    for row in range(given_rows, given_rows + made):
        near = rng.random() < 0.3 and row > given_rows  # of a made row
        parent = int(rng.integers(given_rows, row) if near else rng.integers(given_rows))
        parents.append(parent)
        root.append(root[parent])
        labels.append(labels[parent])
    rows = with_parents(rows_of(labels), [None if p is None else str(p) for p in parents])
    shuffled = rng.permutation(len(rows))
    return rows.take(shuffled), {str(n): str(root[n]) for n in range(given_rows, len(root))}


@settings(max_examples=24, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(30, 60),
    st.integers(1, 80),
    st.sampled_from(["one file", "time", "train and test", "written"]),
)
def test_no_child_crosses_a_split(seed: int, given_rows: int, made: int, way: str) -> None:
    rows, root = family_rows(seed, given_rows, made)
    rng = np.random.default_rng(seed + 1)
    times = text_column(rng.integers(0, 1000, len(rows)).tolist())
    rows = replace(rows, columns={"when": times})
    tests = rng.random(len(rows)) < 0.2
    table = {
        "train and test": table_of(train=rows.take(~tests), test=rows.take(tests)),
        "written": table_of(all=written(rows)),
    }.get(way, table_of(all=rows))
    splits = split_table(table, seed=seed % 7, time_column="when" if way == "time" else None)
    side = {id_: name for name, part in parts_of(splits).items() for id_ in part.ids}
    for child, parent in root.items():
        assert side.get(child) in ("train", None), "made rows only train"
        if side.get(child) == "train":
            assert side.get(parent) == "train"
    given_ones = {id_ for id_ in rows.ids if id_ not in root}
    if way in ("one file", "written"):
        assert given_ones <= side.keys(), "every given row is somewhere"
        assert {c for c, p in root.items() if side[p] == "train"} == root.keys() & side.keys()
    train = table.parts["all" if "all" in table.parts else "train"].ids.tolist()
    kept = splits.train.ids.tolist()
    assert kept == [id_ for id_ in train if id_ in set(kept)], "in the order of the file"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_no_child_crosses_folds(seed: int, k: int) -> None:
    rows, root = family_rows(seed, 40, 30)
    train = split_table(table_of(all=rows), seed=0).train
    assert train.clusters is not None
    assert train.labels is not None
    fold = dict(zip(train.ids, folds(train.labels, train.clusters, k, seed), strict=True))
    assert all(fold[child] == fold[root[child]] for child in root if child in fold)


def test_a_large_family_is_never_cut_and_takes_no_share_of_the_judged() -> None:
    """A hundred rows made of one are more than look-alikes may tie; the given rows divide as if
    they were not there."""
    given_ones = rows_of(["a", "b"] * 50)
    rows = rows_of(["a", "b"] * 50 + ["a"] * 100)
    rows = with_parents(rows, [None] * 100 + ["0"] * 100)
    splits, alone = split_table(table_of(all=rows)), split_table(table_of(all=given_ones))
    assert alone.test is not None
    assert splits.test is not None
    assert (len(splits.validation), len(splits.test)) == (15, 15)
    assert len(splits.train) in (70, 170)
    said = " ".join(splits.notes)
    if len(splits.train) == 170:
        assert "100 training rows were made from others" in said
    else:
        assert "left out 100 of 100 rows that were made from others" in said


def test_made_rows_follow_the_row_they_go_back_to() -> None:
    """Of given files: rows made of a test row, of a row left out and of a made one; and a test
    file that holds a made row."""
    texts = [text_of(n) for n in range(46)]
    texts[3] = text_of(100).upper()
    parents = [None] * 40 + ["100", "3", "4", "42", None, None]
    train = with_parents(rows_of(["a", "b"] * 23, texts=texts), parents)
    test = with_parents(rows_of(["a", "b"] * 4, begin=100), [None] * 7 + ["5"])
    splits = split_table(table_of(train=train, test=test), validation_share=0.05, seed=1)
    assert splits.test is not None
    assert splits.test.ids.tolist() == [str(n) for n in range(100, 107)]
    trains = splits.train.ids.tolist()
    assert not {"3", "40", "41"} & {*trains}
    assert ("42" in trains) == ("43" in trains) == ("4" in trains)
    assert "left out 1 of 8 test rows, which were made from other rows" in splits.notes
    assert any("left out 1 of 42 train rows that repeat" in note for note in splits.notes)


def test_forward_in_time_a_made_row_needs_no_time_of_its_own() -> None:
    rows = rows_of(["a", "b"] * 25, when=[*range(40), *[None] * 10])
    rows = with_parents(rows, [None] * 40 + [*"0123456789"[:5], "35", "36", "37", "38", "39"])
    splits = split_table(table_of(all=rows), time_column="when")
    assert [id_ for id_ in splits.train.ids if int(id_) >= 40] == ["40", "41", "42", "43", "44"]
    assert "left out 5 of 10 rows that were made from others, since those do not train" in (
        splits.notes
    )
    table = replace(table_of(all=rows), columns={"time": "when"})
    assert gather(table, costs=None, seed=0, keep_texts=False)[0].times[40] == 0


def test_parents_are_looked_for_at_home_first() -> None:
    """Row 1 of train and row 1 of test share a name; row 3 goes back to row 1 by way of row 2."""
    train = with_parents(rows_of(["a"] * 3, begin=1), [None, "1", "2"])
    test = with_parents(rows_of(["a"] * 2, begin=1), [None, None])
    assert origins({"train": train, "test": test}).tolist() == [0, 0, 0, 3, 4]


def test_parents_that_are_not_there_or_go_round() -> None:
    parents = [None, None, "1", "no", "5", "4", "6", None, "nor", "8"]
    table = table_of(all=with_parents(rows_of(["a", "b"] * 5), parents))
    with pytest.raises(DataError) as caught:
        check_rows(table)
    unknown, rounds = caught.value.faults
    assert unknown == (
        "rows: 'parent' (parent) names rows that are not there in rows 4, 9, as 'no' (ids are "
        "like '0'); give the id of the row that each was made from, or nothing, or name another "
        "column with --parent"
    )
    assert "leads from row to row and back in rows 5, 6, 7" in rounds


def test_made_rows_help_no_class_to_be_divided() -> None:
    rows = with_parents(rows_of(["a", "b"] * 10 + ["c"] * 5), [None] * 21 + ["20"] * 4)
    warnings = check_rows(table_of(all=rows))
    assert any("'c' (1)" in warning for warning in warnings)
    splits = split_table(table_of(all=rows))
    assert splits.train.counts()["c"] == 5


CSV = "id,text,label,parent\n1,one thing,a,\n2,another,b,\n3,a thing,a,1\n"


def read(folder: Path, **columns: Any) -> Table:
    return read_rows(folder, columns=ColumnNames(**columns))


def test_the_column_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(CSV)
    table = read(path, parent="parent")
    assert table.columns["parent"] == "parent"
    found = table.parts["all"]
    assert found.parents is not None
    assert found.parents.tolist() == [None, None, "1"]
    assert found.made.tolist() == [False, False, True]
    assert not found.columns
    threads = read(path).parts["all"]  # of messages, say: nobody said that rows were made
    assert threads.parents is None
    assert [*threads.columns] == ["parent"]
    path.write_text(CSV.replace("parent", "made_from"))
    named = read(path, parent="made_from")
    assert named.fingerprint == table.fingerprint
    path.write_text(CSV.replace("a,1", "a,2"))
    assert read(path, parent="parent").fingerprint != table.fingerprint
    with pytest.raises(DataError, match=r"no column 'parents' for the parent.*perhaps 'parent'"):
        read(path, parent="parents")
    assert read_rows(path, need_labels=False).parts["all"].parents is None


def test_judged_files_may_lack_the_column(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(CSV)
    (tmp_path / "test.csv").write_text("id,text,label\n1,a test,a\n")
    table = read(tmp_path, parent="parent")
    assert table.columns["parent"] == "parent"
    assert table.parts["test"].parents is None
    check_rows(table)
