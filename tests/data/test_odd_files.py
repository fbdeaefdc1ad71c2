"""Files that other programs wrote, with cells that are of no use to Python, or under odd names."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from equipoise.data import ColumnNames, check_rows, read_rows
from equipoise.data.forward import time_values
from equipoise.errors import DataError, SettingsError
from equipoise.records.rows import Rows

GOOD = "text,label\na,x\nb,y\n"


def parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]} | columns), path)
    return path


def check_and_take(path: Path, columns: ColumnNames) -> Rows:
    table = read_rows(path, columns=columns)
    check_rows(table)
    return table.parts["all"]


def test_cells_of_parquet_that_python_can_not_hold(tmp_path: Path) -> None:
    """Text that is not UTF-8, and a time beyond the year 9999: both at once."""
    ends = b"".join(place.to_bytes(4, "little") for place in (0, 2, 4))
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(ends), pa.py_buffer(b"a\xffbc")]
    )
    far = pa.array([4 * 10**17] * 2, pa.timestamp("us"))
    with pytest.raises(DataError) as caught:
        read_rows(parquet(tmp_path, text=broken, day=far))
    text, day = caught.value.faults
    assert "the column 'text' can't be read ('utf-8' codec can't decode byte 0xff" in text
    assert "the column 'day' can't be read (date value out of range); write" in day


@pytest.mark.parametrize("encoding", ["undefined", "a\0b"])
def test_encodings_that_are_for_no_file(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    with pytest.raises(SettingsError, match="can't be used for"):
        read_rows(tmp_path / "a.csv", encoding=encoding)


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    try:
        path.write_text(GOOD)
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert str(caught.value).endswith(
        r"caf\udce9.csv: the name is not UTF-8; rename the file or its folder"
    )


@pytest.mark.parametrize("places", [0, 2])
def test_decimals_are_numbers_in_every_role(places: int, tmp_path: Path) -> None:
    """A database's NUMERIC(38, 0) or NUMERIC(38, 2), which Parquet keeps as it was."""
    numbers = pa.array([Decimal(7), Decimal(10)], pa.decimal128(38, places))
    names = ColumnNames(id="n", group=("g",), weight="w", cost="c", time="t")
    path = parquet(tmp_path, **dict.fromkeys("ngwct", numbers), rest=numbers)
    rows = check_and_take(path, names)
    assert rows.groups is not None
    assert (rows.ids.tolist(), rows.groups.tolist()) == (["7", "10"], ["7", "10"])
    assert rows.weights is not None
    assert rows.amounts is not None
    assert (rows.weights.tolist(), rows.amounts.tolist()) == ([7.0, 10.0], [7.0, 10.0])
    assert time_values(rows.columns["t"].tolist(), "t", "here").tolist() == [7.0, 10.0]
    assert rows.columns["rest"].tolist() == [7, 10]


def test_decimals_with_a_fraction_are_floats(tmp_path: Path) -> None:
    numbers = pa.array([Decimal("7.25"), None], pa.decimal128(38, 2))
    rows = check_and_take(parquet(tmp_path, n=numbers), ColumnNames(group=("n",)))
    assert rows.groups is not None
    assert rows.groups.tolist() == ["7.25", ""]


def test_days_and_moments_may_be_groups(tmp_path: Path) -> None:
    moments = [datetime.datetime(2024, 5, 31, 14), None]
    path = parquet(tmp_path, day=[m and m.date() for m in moments], moment=moments)
    rows = check_and_take(path, ColumnNames(group=("day", "moment")))
    assert rows.groups is not None
    assert rows.groups.tolist() == ["2024-05-31 | 2024-05-31T14:00:00", ""]
    with pytest.raises(DataError, match="should be text or numbers"):
        check_and_take(path, ColumnNames(label="day"))
