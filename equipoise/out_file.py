"""The file that `equipoise predict` leaves: where it may be written, and in which forms."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd

from equipoise.errors import SettingsError
from equipoise.records.files import replacing
from equipoise.records.folders import place_faults

FORMS = (".csv", ".jsonl", ".parquet")


def check_out_file(path: Path, rows: str) -> None:
    """Raises SettingsError if decisions about `rows` can't or must not be written to `path`."""
    faults = []
    if path.suffix not in FORMS:
        faults.append(f"--out {path}: give a name that ends in .csv, .jsonl or .parquet")
    if path.is_dir():
        faults.append(f"--out {path}: is a folder; give the name of a file in it")
    elif path.exists() and Path(rows).exists() and path.samefile(rows):
        faults.append(f"--out {path}: these are the rows to decide; give another name")
    elif path.exists() and not _made_here(path):
        faults.append(f"--out {path}: is there and was not written by predict; give another name")
    faults += place_faults(path, path.parent)
    if faults:
        raise SettingsError(*faults)


def _made_here(path: Path) -> bool:
    """Whether the file's columns are those of `decisions_table` or `written_table`; only then may
    it be replaced. False for what can't be read."""
    try:
        names = set(_column_names(path))
    except (OSError, ValueError):  # ValueError: no UTF-8, no JSON, or no Parquet
        return False
    decided = {name for name in names if not name.startswith("p:")} - {"split"}
    return decided in ({"id", "decided"}, {"id", "category", "written"})


def _column_names(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        if path.suffix == ".jsonl":
            line = json.loads(first)
            return list(line) if isinstance(line, dict) else []
        return next(csv.reader([first]), [])


def write_table(table: pd.DataFrame, path: Path, separator: str = "|") -> None:
    """separator: what stands between several labels in a .csv, whose cells hold no lists."""
    if path.suffix == ".csv" and "decided" in table:
        joined = [separator.join(c) if isinstance(c, list) else c for c in table["decided"]]
        table = table.assign(decided=joined)
    try:
        with replacing(path) as temporary:
            if path.suffix == ".csv":
                table.to_csv(temporary, index=False)
            elif path.suffix == ".jsonl":
                table.to_json(temporary, orient="records", lines=True, force_ascii=False)
            else:
                table.to_parquet(temporary, index=False)
    except OSError as error:
        raise SettingsError(f"--out {path}: can't be written ({error.strerror})") from None
