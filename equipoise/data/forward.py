"""Splitting forward in time: the latest rows judge, those before them choose, the rest train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.data.raw import listing
from equipoise.errors import DataError


def time_values(cells: Sequence[Any], column: str, where: str) -> NDArray[np.float64]:
    """(rows,) times that can be compared: the numbers themselves if every cell is one, else
    seconds since 1970 in UTC; a time without a zone counts as UTC.

    Raises DataError naming the rows whose cell is neither.
    """
    numbers = np.array([_number(cell) for cell in cells])
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
            f"{'holds' if len(missing) == 1 else 'hold'} {str(shown)[:40]!r}; mend the cells"
        )
    micros = parsed.dt.tz_localize(None).astype("datetime64[us]").to_numpy()
    return np.asarray(micros.astype(np.int64) / 1e6)


def latest(times: NDArray[np.float64], rows: float) -> float | None:
    """The time from which on (inclusive) there are as nearly `rows` rows as rows of one time
    allow; None if all rows have one time, so that they can't be divided."""
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < 2:
        return None
    after = np.cumsum(counts[::-1])[::-1][1:]  # rows from each moment but the first
    return float(moments[1:][int(np.argmin(np.abs(after - rows)))])


def _number(cell: Any) -> float:
    """The cell as a finite number, or NaN."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return math.nan
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
