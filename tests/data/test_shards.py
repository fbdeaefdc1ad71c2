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


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_shards_with_other_columns_are_refused(form: str, tmp_path: Path) -> None:
    """Groups of the second shard would all be none, and its own column lost."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, form, [row(0, who="Ada")], [row(1, customer="Ada")], columns=BY_CUSTOMER)
    (said,) = caught.value.faults
    assert f"train-1-of-2.{form}: lacks the column 'who' and adds the column 'customer'" in said
    assert f"unlike {tmp_path}/train-0-of-2.{form};" in said


def test_many_unlike_shards_are_a_few_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "csv", [row(0)], *([row(n, day="1")] for n in range(20)))
    assert len(caught.value.faults) == 11
    assert "10 more columns of shards differ" in caught.value.faults[-1]


def test_the_order_of_columns_is_free(tmp_path: Path) -> None:
    turned = dict(reversed(row(1).items()))
    rows = read(tmp_path, "csv", [row(0)], [turned]).parts["train"]
    assert rows.texts.tolist() == ["text 0", "text 1"]


def test_json_lines_keep_the_columns_of_every_shard(tmp_path: Path) -> None:
    rows = read(tmp_path, "jsonl", [row(0)], [row(1, day="Monday")]).parts["train"]
    assert rows.columns["day"].tolist() == [None, "Monday"]


def test_a_group_that_whole_shards_of_json_lines_lack(tmp_path: Path) -> None:
    shards = [[row(0), row(1)], [row(2, who="Ada")], [row(3)]]
    with pytest.raises(DataError) as caught:
        read(tmp_path, "jsonl", *shards, columns=BY_CUSTOMER)
    (said,) = caught.value.faults
    assert said.startswith(f"{tmp_path}/train-0-of-3.jsonl: no row has the column 'who' for the g")
    assert "(and 1 more lack)" in said
    for rows in shards[::2]:
        rows[0]["who"] = None
    table = read(tmp_path, "jsonl", *shards, columns=BY_CUSTOMER)
    check_rows(table)
    assert table.parts["train"].groups is not None
    assert table.parts["train"].groups.tolist() == ["", "", "Ada", ""]


def test_one_number_is_one_class_in_every_shard(tmp_path: Path) -> None:
    for shard, names in enumerate((["ok", "fraud"], ["fraud", "ok"])):
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
        )
        made = datasets.Dataset.from_dict({"text": ["a"], "label": [0]}, features=features)
        made.to_parquet(str(tmp_path / f"train-{shard}-of-2.parquet"))
    with pytest.raises(DataError, match="other names for the numbers of 'label'"):
        read_rows(tmp_path)
