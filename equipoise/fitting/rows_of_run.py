"""The rows of a finished run, found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equipoise.data.check import check_rows
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import DataError
from equipoise.records.run import Manifest


def rows_of_run(
    run: Path,
    manifest: Manifest,
    rows: str | None,
    columns: ColumnNames | None,
    encoding: str | None,
    *,
    again: str,
) -> Table:
    """rows    Where they are, if they lie elsewhere than when the run was made.
    columns  Their columns, if they are called otherwise than then.
    again    How a user gives them, for messages: "give the rows of RUN: equipoise ...".

    Raises DataError unless they are the rows that the run was made of.
    """
    source = manifest.rows.source if rows is None else rows
    try:
        table = read_rows(
            source,
            columns=columns or _columns_of(manifest),
            encoding=encoding,
            task="write" if manifest.writes else "classify",
        )
    except DataError as error:
        if rows is not None:
            raise
        raise DataError(*error.faults, f"{source}: is where the run's rows lay; {again}") from None
    check_rows(table)
    if table.fingerprint != manifest.rows.fingerprint:
        raise DataError(
            f"{source}: holds other rows than {run} was made of (ids, texts, labels, "
            f"other cells or their order differ); {again}"
        )
    return table


def _columns_of(manifest: Manifest) -> ColumnNames:
    """Under the names that they had."""
    named: dict[str, Any] = dict(manifest.rows.columns)
    return ColumnNames(**{k: v for k, v in named.items() if k in ColumnNames.__dataclass_fields__})
