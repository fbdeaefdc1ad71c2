"""Cells of a column to the values of a role: texts, names, groups, numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from numbers import Real
from typing import Any

import numpy as np

from equipoise.data.raw import BROKEN, RawPart, listing
from equipoise.data.text_files import json_name
from equipoise.records.rows import Column, text_column

GROUP_JOIN = " | "
"""Between the cells of several group columns."""
_LARGEST_WHOLE = 2.0**64
"""Beyond it no column of whole numbers reaches, and the digits of a float are not its own."""


def texts(part: RawPart, column: str, faults: list[str]) -> Column:
    """Text cells; "" where missing (`check_rows` reports those), None where reported here."""
    cells = part.cells[column]
    if all(type(cell) is str for cell in cells):
        return text_column(cells)
    wrong = [n for n, c in enumerate(cells, 1) if not (c is None or c is BROKEN or is_text(c))]
    if wrong:
        held = json_name(cells[wrong[0] - 1])
        faults.append(
            f"{part.where}: the cells of {column!r} should be text; {listing(wrong)} "
            f"{'holds' if len(wrong) == 1 else 'hold'} {held} or the like; write it as text"
        )
    return text_column(["" if c is None else c if is_text(c) else None for c in cells])


def names(part: RawPart, column: str, role: str, faults: list[str]) -> Column:
    """Cells that name something (class, row): text, or numbers and truth values as their text; of
    groups dates too."""
    cells = part.cells[column]
    if all(type(cell) is str for cell in cells):
        return text_column(cells)
    classes = part.class_names.get(column)
    values: list[str | None] = []
    wrong: list[int] = []
    for number, cell in enumerate(cells, start=1):
        dated = role == "group" and isinstance(cell, date)
        name = cell.isoformat() if dated else name_of(cell, classes)
        if name is None and cell is not BROKEN:
            wrong.append(number)
        values.append(name)
    if wrong:
        faults.append(
            f"{part.where}: the cells of {column!r} ({role}) should be text or numbers; "
            f"{listing(wrong)} {'holds' if len(wrong) == 1 else 'hold'} "
            f"{json_name(cells[wrong[0] - 1])}; write one {role} per row"
            f"{_or_lists(cells, wrong) if role == 'label' else ''}"
        )
    return text_column(values)


def _or_lists(cells: list[Any], wrong: list[int]) -> str:
    """What else to do where some cells are lists and others are not."""
    if all(isinstance(cells[n - 1], list | tuple) for n in wrong):
        return ", or a list in every row if a row may have several"
    return ""


def name_of(cell: Any, classes: tuple[str, ...] | None) -> str | None:
    """The cell as a name; "" if it is missing, None if it can't be one."""
    if cell is None:
        return ""
    if is_text(cell):
        return str(cell)
    cell = whole(cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int):
        # The hub marks hidden labels of public test sets with -1.
        return classes[cell] if classes and 0 <= cell < len(classes) else str(cell)
    if isinstance(cell, float):
        return "" if math.isnan(cell) else repr(cell)
    return None


def whole(cell: Any) -> Any:
    """A whole number that is kept as a float as an int, a number of numpy's as Python's; anything
    else as it is.

    pandas keeps a column of whole numbers as floats once a single cell is missing: customer 7 of
    one file is customer 7.0 of another, and is to stay one customer.

    >>> whole(7.0), whole(7.5), whole("7.0")
    (7, 7.5, '7.0')
    """
    if isinstance(cell, np.number | np.bool_):
        cell = cell.item()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _LARGEST_WHOLE:
        return int(cell)
    return cell


def groups(part: RawPart, columns: tuple[str, ...], faults: list[str]) -> Column:
    """One group name per row, "" where every group cell is empty: such a row has no group."""
    each = [names(part, column, "group", faults).tolist() for column in columns]
    if len(each) == 1:
        return text_column([cell or "" for cell in each[0]])
    return text_column(
        [
            GROUP_JOIN.join(cell or "" for cell in cells) if any(cells) else ""
            for cells in zip(*each, strict=True)
        ]
    )


def parents(part: RawPart, column: str, faults: list[str]) -> Column:
    """The id of the row that each row was made from, None where the cell is empty."""
    return text_column([cell or None for cell in names(part, column, "parent", faults)])


def weights(part: RawPart, column: str, faults: list[str]) -> Column:
    return _numbers(
        part,
        column,
        lambda number: number > 0,
        ("weights", "above 0", "leave out rows that should not count"),
        faults,
    )


def amounts(part: RawPart, column: str, faults: list[str]) -> Column:
    return _numbers(
        part,
        column,
        lambda number: number >= 0,
        (
            "amounts",
            "of 0 or more",
            "write 1200.50, without signs of currency; the cost file says by `factor` what is a "
            "benefit",
        ),
        faults,
    )


def _numbers(
    part: RawPart,
    column: str,
    right: Callable[[float], bool],
    words: tuple[str, str, str],
    faults: list[str],
) -> Column:
    """float64; NaN where the cell is no finite number as it should be, which is reported here.

    words   What the numbers are, which ones are right, and what to do about others.
    """
    values = np.full(part.rows, np.nan)
    wrong: list[int] = []
    for place, cell in enumerate(part.cells[column]):
        number = _number(cell)
        if number is not None and math.isfinite(number) and right(number):
            values[place] = number
        elif cell is not BROKEN:
            wrong.append(place + 1)
    if wrong:
        what, which, then = words
        held = list(dict.fromkeys(str(part.cells[column][n - 1])[:40] for n in wrong))
        faults.append(
            f"{part.where}: {what} in {column!r} should be finite numbers {which}; "
            f"{listing(wrong)} {'holds' if len(wrong) == 1 else 'hold'} {held[0]!r}"
            f"{' or the like' if len(held) > 1 else ''}; {then}"
        )
    return values


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, Real | str):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def is_text(cell: Any) -> bool:
    return isinstance(cell, str)
