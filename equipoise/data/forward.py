"""Splitting forward in time: the latest rows judge, those before them choose, the rest train."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.data.raw import listing
from equipoise.data.table import TRAIN
from equipoise.errors import DataError
from equipoise.records.rows import Rows

Times = NDArray[np.float64]


def time_values(cells: Sequence[Any], column: str, where: str) -> Times:
    """(rows,) times that can be compared: the numbers themselves if every cell is one, else
    seconds since 1970 in UTC; a time without a zone counts as UTC.

    Raises DataError naming the rows whose cell is neither.
    """
    numbers = _numbers(cells)
    if not np.isnan(numbers).any():
        return numbers
    import pandas as pd

    written = [c.isoformat() if isinstance(c, date | datetime) else c for c in cells]
    texts = pd.Series([c if isinstance(c, str) else None for c in written], dtype="object")
    parsed = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    missing = np.flatnonzero(parsed.isna().to_numpy())
    if len(missing):
        shown = cells[missing[0]]
        raise DataError(
            f"{where}: the cells of {column!r} (time) should be dates such as 2024-05-31 or "
            f"2024-05-31T14:00:00Z, or all numbers; {listing((missing + 1).tolist())} "
            f"{'holds' if len(missing) == 1 else 'hold'} {str(shown)[:40]!r}; write the year first"
        )
    micros = parsed.dt.tz_localize(None).astype("datetime64[us]").to_numpy()
    return np.asarray(micros.astype(np.int64) / 1e6)


def part_times(parts: Mapping[str, Rows], column: str, source: str) -> dict[str, Times]:
    """(rows,) times of every part, all on one scale.

    Raises DataError if a part lacks the column, as `time_values`, or if it holds numbers in one
    part and dates in another.
    """
    cells = {
        name: _cells(rows, column, f"{source} ({name})").tolist() for name, rows in parts.items()
    }
    counted = [name for name, own in cells.items() if not np.isnan(_numbers(own)).any()]
    times = {name: time_values(own, column, f"{source} ({name})") for name, own in cells.items()}
    dated = [name for name in parts if name not in counted]
    if counted and dated:
        raise DataError(
            f"{source}: {column!r} (time) holds numbers in {' and '.join(counted)}, dates in "
            f"{' and '.join(dated)}, which can't be compared; write them alike"
        )
    return times


def hold_out_latest(
    rows: Rows, taken: dict[str, float], column: str, source: str
) -> tuple[dict[str, Rows], str]:
    """Training rows, and the latest as the parts taken from them; and from when on in words.

    taken   Part to its share of the rows, the part nearest to judging last.
    """
    cells = _cells(rows, column, source)
    times = time_values(cells.tolist(), column, source)
    left = np.ones(len(rows), dtype=bool)
    parts: dict[str, Rows] = {}
    borders = []
    for name in reversed(taken):
        border = latest(times[left], taken[name] * len(rows))
        if border is None:
            raise DataError(
                f"{source}: {column!r} holds too few different times to divide the rows forward "
                "in time; leave --time out, or name a finer column"
            )
        here = left & (times >= border)
        parts[name] = rows.take(here)
        left &= ~here
        borders.append(f"{name} from {cells[int(np.flatnonzero(times == border)[0])]}")
    parts[TRAIN] = rows.take(left)
    return {name: parts[name] for name in (TRAIN, *taken)}, ", ".join(reversed(borders))


def latest(times: Times, rows: float) -> float | None:
    """The time from which on (inclusive) there are as nearly `rows` rows as rows of one time
    allow; None if all rows have one time, so that they can't be divided."""
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < 2:
        return None
    after = np.cumsum(counts[::-1])[::-1][1:]  # rows from each moment but the first
    return float(moments[1:][int(np.argmin(np.abs(after - rows)))])


def _cells(rows: Rows, column: str, where: str) -> NDArray[Any]:
    if column not in rows.columns:
        raise DataError(
            f"{where}: has no column {column!r} for the time; its other columns are "
            f"{', '.join(map(repr, rows.columns)) or 'none'}; name the right one with --time"
        )
    return rows.columns[column]


def _numbers(cells: Sequence[Any]) -> Times:
    """(rows,) the cells as finite numbers; NaN where one is none."""
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: Any) -> float:
    if isinstance(cell, bool) or not isinstance(cell, Real | str):
        return math.nan
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
