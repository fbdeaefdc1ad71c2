"""Files that other programs wrote, with cells that are of no use to Python, or under odd names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from equipoise.data import read_rows
from equipoise.errors import DataError, SettingsError

GOOD = "text,label\na,x\nb,y\n"


def parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]} | columns), path)
    return path


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
