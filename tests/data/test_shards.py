"""Shards of one split are one table: what a row has in one of them it has in all, or it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from equipoise.data import ColumnNames, Table, check_rows, read_rows
from equipoise.errors import DataError

BY_CUSTOMER = ColumnNames(group=("who",))


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"text": f"text {number}", "label": "ab"[number % 2], **more}


def read(folder: Path, form: str, *shards: list[dict[str, Any]], **names: Any) -> Table:
    for place, rows in enumerate(shards):
        path = folder / f"train-{place}-of-{len(shards)}.{form}"
        if form == "csv":
            lines = [list(rows[0]), *(list(cells.values()) for cells in rows)]
            path.write_text("\n".join(",".join(line) for line in lines))
        elif form == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        else:
            path.write_text("\n".join(map(json.dumps, rows)))
    return read_rows(folder, **names)


def test_the_order_of_columns_is_free(tmp_path: Path) -> None:
    turned = dict(reversed(row(1).items()))
    rows = read(tmp_path, "csv", [row(0)], [turned]).parts["train"]
    assert rows.texts.tolist() == ["text 0", "text 1"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_columns_of_every_shard_are_kept(form: str, tmp_path: Path) -> None:
    rows = read(tmp_path, form, [row(0)], [row(1, day="Monday")]).parts["train"]
    assert rows.columns["day"].tolist() == [None, "Monday"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_whole_shards_without_the_group_are_refused(form: str, tmp_path: Path) -> None:
    """Else their groups would all be none, and on both sides of splits."""
    shards = [[row(0), row(1)], [row(2, who="Ada")], [row(3, customer="Ada")]]
    with pytest.raises(DataError) as caught:
        read(tmp_path, form, *shards, columns=BY_CUSTOMER)
    (said,) = caught.value.faults
    assert said.startswith(f"{tmp_path}/train-0-of-3.{form}: no row has the column 'who' for the g")
    assert "(and 1 more lack)" in said


def test_groups_that_shards_leave_open(tmp_path: Path) -> None:
    shards = [[row(0, who=None), row(1)], [row(2, who="Ada")]]
    table = read(tmp_path, "jsonl", *shards, columns=BY_CUSTOMER)
    check_rows(table)
    assert table.parts["train"].groups is not None
    assert table.parts["train"].groups.tolist() == ["", "", "Ada"]


@pytest.mark.parametrize("before", [0, 1])
def test_one_number_is_one_class_in_every_shard(before: int, tmp_path: Path) -> None:
    """Also where the first shard lacks the column."""
    total = 2 + before
    if before:
        pq.write_table(
            pa.Table.from_pylist([{"text": "a"}]), tmp_path / f"train-0-of-{total}.parquet"
        )
    for shard, names in enumerate((["ok", "fraud"], ["fraud", "ok"]), start=before):
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
        )
        made = datasets.Dataset.from_dict({"text": ["a"], "label": [0]}, features=features)
        made.to_parquet(str(tmp_path / f"train-{shard}-of-{total}.parquet"))
    with pytest.raises(DataError, match="other names for the numbers of 'label'"):
        read_rows(tmp_path)
