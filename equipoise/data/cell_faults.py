"""What can be wrong with a cell of text, whatever its role, and in which rows it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from equipoise.data.raw import LISTED, listing
from equipoise.records.rows import names_in


def faulty_rows(cells: list[Any], is_faulty: Callable[[str], bool]) -> list[int]:
    """Numbers of the rows whose cell, or a name in it, is faulty."""
    return [
        n
        for n, cell in enumerate(cells, start=1)
        if cell is not None and any(map(is_faulty, names_in(cell)))
    ]


def has_half_surrogate(cell: str) -> bool:
    if cell.isascii():
        return False
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


CELL_FAULTS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("empty", lambda cell: not cell.strip(), "fill it in or leave the rows out"),
    ("a null byte", lambda cell: "\0" in cell, "remove it; was the file cut off or binary?"),
    (
        "half a surrogate pair",
        has_half_surrogate,
        r"it is no character; write \ud83d\ude00 as a pair, or the character itself",
    ),
)


def repeated_ids(cells: list[str | None], where: str) -> Iterable[str]:
    places = defaultdict(list)
    for number, cell in enumerate(cells, start=1):
        if cell:
            places[cell].append(number)
    repeated = {name: numbers for name, numbers in places.items() if len(numbers) > 1}
    for name, numbers in list(repeated.items())[:LISTED]:
        yield (
            f"{where}: the id {name!r} occurs {len(numbers)} times, in {listing(numbers)}; "
            "give every row its own id, or name another column with --id"
        )
    if len(repeated) > LISTED:
        yield f"{where}: {len(repeated) - LISTED:,} more ids occur more than once"
