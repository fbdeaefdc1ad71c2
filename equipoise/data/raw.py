"""The cells of one file before they get their roles, and how row numbers are listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from equipoise.errors import DataError

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
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns that no row of some shards has: those shards."""


class _Broken:
    def __repr__(self) -> str:
        return "BROKEN"


BROKEN = _Broken()
"""Stands in the cells of a line that was reported already, so that rows keep their numbers."""


def listing(numbers: Sequence[int | str], noun: str = "row") -> str:
    """ "row 3", "rows 3, 7, 9", or "rows 3, 7, ... (and 90 more)"."""
    shown = ", ".join(str(number) for number in numbers[:LISTED])
    more = len(numbers) - LISTED
    ending = f" (and {more:,} more)" if more > 0 else ""
    return f"{noun}{'' if len(numbers) == 1 else 's'} {shown}{ending}"


def occur(count: int, nouns: str) -> str:
    """
    >>> occur(1, "texts"), occur(1200, "texts")
    ('1 text occurs', '1,200 texts occur')
    """
    return f"{count:,} {nouns} occur" if count != 1 else f"1 {nouns.removesuffix('s')} occurs"


def capped(faults: list[str], where: str, what: str) -> tuple[str, ...]:
    """The first `LISTED` faults, and how many more there are of what is wrong."""
    if len(faults) <= LISTED:
        return tuple(faults)
    return (*faults[:LISTED], f"{where}: {len(faults) - LISTED:,} more {what}; mend them likewise")


def join_parts(where: str, parts: list[RawPart]) -> RawPart:
    """The shards of one split as one part, with the columns of any of them: None where a shard
    lacks one, which is on record.

    Raises DataError for shards of which one stores other names for a column's numbers.
    """
    if len(parts) == 1:
        return parts[0]
    faults = list(_unlike(parts))
    if faults:
        raise DataError(*capped(faults, where, "shards store other names"))
    cells: dict[str, list[Any]] = {name: [] for part in parts for name in part.cells}
    absent: dict[str, list[str]] = {}
    for part in parts:
        for name, column in cells.items():
            column.extend(part.cells.get(name, [None] * part.rows))
            if name not in part.cells:
                absent.setdefault(name, []).append(part.where)
    return RawPart(
        where=where,
        cells=cells,
        rows=sum(part.rows for part in parts),
        faults=tuple(fault for part in parts for fault in part.faults),
        text_only=all(part.text_only for part in parts),
        class_names={name: named for part in parts for name, named in part.class_names.items()},
        absent={name: tuple(shards) for name, shards in absent.items()},
    )


def _unlike(parts: list[RawPart]) -> Iterable[str]:
    """Faults of shards that can't stand in one table with the first that has the same column."""
    first: dict[str, RawPart] = {}
    for part in parts:
        for name in part.cells:
            before = first.setdefault(name, part)
            if part.class_names.get(name) != before.class_names.get(name):
                yield (
                    f"{part.where}: stores other names for the numbers of {name!r} than "
                    f"{before.where}; write all shards of one part with the same names"
                )
