"""The cells of one file before they get their roles, and how row numbers are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LISTED = 10
"""Row numbers listed per kind of fault; the count of the rest follows."""


@dataclass(frozen=True, eq=False)
class RawPart:
    """One file (or the shards of one split) as columns of cells."""

    where: str
    """Path or hub name, for messages."""
    cells: dict[str, list[Any]]
    """Column name to its cells, one per row. Text files give str; JSON and Parquet give what they
    hold, None for a missing value. A row that could not be read has `BROKEN` cells."""
    rows: int
    faults: tuple[str, ...] = ()
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns stored as class numbers: the name of each number (Hugging Face `ClassLabel`)."""
    text_only: bool = False
    """Whether the form knows nothing but text (.csv, .tsv), so that a list is written as JSON."""


class _Broken:
    def __repr__(self) -> str:
        return "BROKEN"


BROKEN = _Broken()
"""Stands in the cells of a line that was reported already, so that rows keep their numbers."""


def listing(numbers: Sequence[int], noun: str = "row") -> str:
    """ "row 3", "rows 3, 7, 9", or "rows 3, 7, ... (and 90 more)"."""
    shown = ", ".join(str(number) for number in numbers[:LISTED])
    more = len(numbers) - LISTED
    ending = f" (and {more:,} more)" if more > 0 else ""
    return f"{noun}{'' if len(numbers) == 1 else 's'} {shown}{ending}"


def join_parts(where: str, parts: list[RawPart]) -> RawPart:
    """The shards of one split as one part, with the columns of the first; a shard that lacks one
    of them gets None cells there."""
    if len(parts) == 1:
        return parts[0]
    cells: dict[str, list[Any]] = {name: [] for name in parts[0].cells}
    for part in parts:
        for name, column in cells.items():
            column.extend(part.cells.get(name, [None] * part.rows))
    return RawPart(
        where=where,
        cells=cells,
        rows=sum(part.rows for part in parts),
        faults=tuple(fault for part in parts for fault in part.faults),
        class_names=parts[0].class_names,
        text_only=all(part.text_only for part in parts),
    )
