"""Rows that were made from other rows (paraphrased, translated, generated).

Such a row trains if the row that it goes back to does. It neither chooses nor judges, since nobody
said that it is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from equipoise.data.raw import listing
from equipoise.data.table import TRAIN, Table
from equipoise.data.told import Told
from equipoise.records.rows import Rows

Places = NDArray[np.int64]


def origins(parts: Mapping[str, Rows]) -> Places:
    """(rows,) number, over the rows of all parts in order, of the given row that each row goes back
    to through all its parents; a given row's own.

    A parent is looked for in its row's part first, then in the others. Where there is none, or
    rows are each other's parents, a row that was made is named; `made_faults` tells of those.
    """
    parent = _parents(parts)
    for _ in range(len(parent).bit_length()):  # every round doubles the generations seen
        further = parent[parent]
        if np.array_equal(further, parent):
            break
        parent = further
    return parent


def made_faults(table: Table) -> Iterable[str]:
    """A line for every part with rows whose parents are not there, or that go back to
    themselves."""
    if not any(rows.made.any() for rows in table.parts.values()):
        return
    made = np.concatenate([rows.made for rows in table.parts.values()])
    parent, origin = _parents(table.parts), origins(table.parts)
    missing = made & (parent == np.arange(len(made)))
    circular = made[origin] & ~missing[origin]
    start = 0
    for name, rows in table.parts.items():
        own, start = slice(start, start + len(rows)), start + len(rows)
        where = table.source if len(table.parts) == 1 else f"{table.source} ({name})"
        column = f"{table.columns.get('parent', 'parent')!r} (parent)"
        named = [] if rows.parents is None else rows.parents.tolist()
        # A row that names itself has a parent that is there, and goes round.
        unknown = [n for n in _numbers(missing[own]) if named[n - 1] != rows.ids[n - 1]]
        round_ = sorted({*_numbers(circular[own]), *_numbers(missing[own])} - {*unknown})
        if unknown:
            yield (
                f"{where}: {column} names rows that are not there in {listing(unknown)}, as "
                f"{named[unknown[0] - 1]!r} (ids are like {rows.ids[0]!r}); give the id of the row "
                "that each was made from, or nothing, or name another column with --parent"
            )
        if round_:
            yield (
                f"{where}: {column} leads from row to row and back in {listing(round_)}; the first "
                "of each family was made from no other, so leave its cell empty"
            )


def given_rows(parts: Mapping[str, Rows], told: Told) -> dict[str, Rows]:
    """The parts without the rows that were made; `with_made` gives those of training back. A note
    counts those that were given to choose or to judge."""
    for name, rows in parts.items():
        if name != TRAIN and rows.made.any():
            told.notes.append(
                f"left out {int(rows.made.sum()):,} of {len(rows):,} {name} rows, which were made "
                "from other rows"
            )
    return {
        name: rows.take(~rows.made) if rows.made.any() else rows for name, rows in parts.items()
    }


def with_made(train: Rows, parts: Mapping[str, Rows], origin: Places, told: Told) -> Rows:
    """The training rows with those that were made from them, in their given order.

    train    Given rows that train.
    parts    All rows as they came, origin as `origins` says of them.
    """
    whole = parts[TRAIN]
    if not whole.made.any():
        return train
    names = list(parts)
    start = sum(len(parts[name]) for name in names[: names.index(TRAIN)])
    stays = np.zeros(len(origin), dtype=bool)
    here = slice(start, start + len(whole))
    stays[here] = ~whole.made & np.isin(whole.ids.astype(str), train.ids.astype(str))
    kept = stays[origin][here]
    made, lost = int((whole.made & kept).sum()), int((whole.made & ~kept).sum())
    told.notes.append(f"{made:,} training rows were made from others, which train too")
    if lost:
        told.notes.append(
            f"left out {lost:,} of {made + lost:,} rows that were made from others, since those do "
            "not train"
        )
    return whole.take(kept)


def _parents(parts: Mapping[str, Rows]) -> Places:
    """(rows,) number of the row that each was made from; its own where it is given, or where no
    such row is there."""
    found = np.arange(sum(map(len, parts.values())))
    if not any(rows.made.any() for rows in parts.values()):
        return found
    ids = [(name, id_) for name, rows in parts.items() for id_ in rows.ids.tolist()]
    own = {key: number for number, key in enumerate(ids)}
    anywhere: dict[str, int] = {}
    for number, (_, id_) in enumerate(ids):
        anywhere.setdefault(id_, number)
    start = 0
    for name, rows in parts.items():
        for place in np.flatnonzero(rows.made).tolist():
            assert rows.parents is not None
            parent = rows.parents[place]
            number = start + place
            found[number] = own.get((name, parent), anywhere.get(parent, number))
        start += len(rows)
    return found


def _numbers(mask: NDArray[np.bool_]) -> list[int]:
    """Row numbers, from 1."""
    return (np.flatnonzero(mask) + 1).tolist()
