"""A text of several columns: `--text "subject + body"`."""

from __future__ import annotations

from dataclasses import replace

from equipoise.data.cells import texts
from equipoise.data.raw import BROKEN, RawPart
from equipoise.data.table import ColumnNames

JOINED = ("text", "prompt")
"""Roles whose column may be several."""
BETWEEN = "\n\n"


def columns_in(name: str) -> tuple[str, ...]:
    """The columns that a name joins; itself alone, where it joins none.

    >>> columns_in("subject + body"), columns_in("C++")
    (('subject', 'body'), ('C++',))
    """
    parts = tuple(part.strip() for part in name.split("+"))
    return parts if len(parts) > 1 and all(parts) else (name,)


def with_joined(
    raw: dict[str, RawPart], columns: ColumnNames, faults: list[str]
) -> dict[str, RawPart]:
    """The parts with a column for every name that joins others and is no column itself: their
    texts with a blank line between them, empty ones left out. A part that lacks one of them gets
    none."""
    for role in JOINED:
        name = getattr(columns, role)
        if name is not None and len(columns_in(name)) > 1:
            raw = {part: _joined(own, name, faults) for part, own in raw.items()}
    return raw


def _joined(part: RawPart, name: str, faults: list[str]) -> RawPart:
    names = columns_in(name)
    if name in part.cells or not all(column in part.cells for column in names):
        return part
    rows = zip(*(texts(part, column, faults) for column in names), strict=True)
    joined = [
        BROKEN if any(text is None for text in row) else BETWEEN.join(t for t in row if t.strip())
        for row in rows
    ]
    return replace(part, cells={**part.cells, name: joined})
