"""Cells that hold several labels: text with a separator, or lists, to sorted tuples of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from equipoise.data.raw import BROKEN, RawPart, listing
from equipoise.data.text_files import json_name
from equipoise.records.rows import Column, text_column

Name = Callable[[Any, tuple[str, ...] | None], str | None]
"""(cell, class names by number) -> a name, "" for a missing cell, None for what can't be one."""


def are_lists(columns: Iterable[list[Any]]) -> bool:
    """Whether every cell that holds anything holds a list, and at least one does: then a row may
    have several labels. A single list among texts is a slip, and stays an error."""
    seen = False
    for cells in columns:
        for cell in cells:
            if cell is None or cell is BROKEN:
                continue
            if not isinstance(cell, list | tuple):
                return False
            seen = True
    return seen


def several_labels(
    part: RawPart,
    column: str,
    separator: str | None,
    name_of: Name,
    faults: list[str],
    warnings: list[str],
) -> Column:
    """A sorted tuple of names for each row; an empty cell is the empty tuple, a row without
    labels. None where the cell is at fault, which is reported here."""
    classes = part.class_names.get(column)
    values: list[tuple[str, ...] | None] = []
    wrong: list[int] = []
    empty: list[int] = []
    twice: list[int] = []
    for number, cell in enumerate(part.cells[column], start=1):
        names = None if cell is BROKEN else _names(cell, classes, separator, name_of)
        values.append(None if names is None else tuple(sorted(set(names))))
        if names is None:
            if cell is not BROKEN:
                wrong.append(number)
        elif not all(name.strip() for name in names):
            empty.append(number)
            values[-1] = None
        elif len(set(names)) < len(names):
            twice.append(number)
    where = f"{part.where}: the cells of {column!r} (label)"
    if wrong:
        held = json_name(part.cells[column][wrong[0] - 1])
        faults.append(
            f"{where} should hold labels, text or numbers; {listing(wrong)} "
            f"{'holds' if len(wrong) == 1 else 'hold'} {held} where a label should be; "
            "write names only"
        )
    if empty:
        divided = "" if separator is None else f" ({separator * 2!r}, or one at an end)"
        faults.append(
            f"{where}: {listing(empty)} {'names' if len(empty) == 1 else 'name'} an empty label"
            f"{divided}; leave it out, or leave the whole cell empty for a row without labels"
        )
    if twice:
        warnings.append(f"{part.where}: a label is named twice in {listing(twice)}; it counts once")
    return text_column(values)


def _names(
    cell: Any, classes: tuple[str, ...] | None, separator: str | None, name_of: Name
) -> list[str] | None:
    """None if the cell, or something in its list, can't be a name."""
    if isinstance(cell, list | tuple):
        found = [name_of(inner, classes) for inner in cell]
        return None if any(name is None for name in found) else [name or "" for name in found]
    whole = name_of(cell, classes)
    if whole is None:
        return None
    if not whole.strip():
        return []
    return [whole] if separator is None else [name.strip() for name in whole.split(separator)]


def unused_separator(columns: Iterable[Column], separator: str) -> list[str]:
    """A warning if no row has two labels: it is then most likely the wrong separator."""
    cells = [cell for column in columns for cell in column if cell is not None]
    if any(len(cell) > 1 for cell in cells):
        return []
    return [
        f"no row has two labels: {separator!r} (--label-separator) occurs in no cell of labels; "
        "is it the right one?"
    ]
