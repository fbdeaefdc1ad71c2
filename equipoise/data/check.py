"""What is wrong with the rows: everything at once, with row numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.data.normalise import plain_key
from equipoise.data.raw import LISTED, listing
from equipoise.data.table import TRAIN, Table
from equipoise.errors import DataError
from equipoise.records.rows import Rows, label_text, names_in

FEW_ROWS = 3
"""A class needs a row each for training, validation and test."""


def check_rows(table: Table) -> list[str]:
    """Warnings, one line each, about rows that can be used but deserve a look; the caller may add
    its own to the list.

    Row numbers count the rows of their file from 1, after a line of column names.
    Raises DataError with every fault of the table: cells that are not text (found in reading),
    empty texts and labels, null bytes, lone surrogates, ids that occur twice, weights that are
    not positive, fewer than two classes to train on (of several labels a row: none that some
    rows have and others lack).
    """
    faults = list(table.faults)
    for part, rows in table.parts.items():
        faults.extend(_part_faults(rows, _where(table, part)))
    train = table.train
    if train is not None and train.labels is not None and train.several:
        faults.extend(_nothing_to_tell(train, table.source))
    elif train is not None and train.labels is not None:
        classes = {label for label in train.labels.tolist() if label}
        if len(classes) < 2:
            held = f"one class, {next(iter(classes))!r}" if classes else "no class"
            faults.append(
                f"{table.source}: the training rows hold {held}; "
                "add rows of at least one more class, or name another column with --label"
            )
    if faults:
        raise DataError(*faults)
    return [
        *table.warnings,
        *_rows_without_labels(table),
        *_look_alike_labels(table),
        *_rare_classes(table),
        *_classes_across_parts(table),
        *_conflicting_labels(table),
        *_shared_ids(table),
    ]


def check_texts(table: Table) -> None:
    """Raises DataError for faults of ids and texts; labels, if there are any, don't matter."""
    bare = {name: replace(rows, labels=None) for name, rows in table.parts.items()}
    check_rows(replace(table, parts=bare))


def _where(table: Table, part: str) -> str:
    return table.source if len(table.parts) == 1 else f"{table.source} ({part})"


def _part_faults(rows: Rows, where: str) -> Iterable[str]:
    named = [("text", rows.texts.tolist()), ("id", rows.ids.tolist())]
    if rows.labels is not None:
        named.insert(1, ("label", rows.labels.tolist()))
    for role, cells in named:
        for what, is_faulty, advice in _CELL_FAULTS:
            numbers = _numbers(cells, is_faulty)
            if numbers:
                found = f"{what} {role}" if what == "empty" else f"{role} with {what}"
                yield f"{where}: {found} in {listing(numbers)}; {advice}"
        if role == "id":
            yield from _repeated_ids(cells, where)


def _numbers(cells: list[Any], is_faulty: Callable[[str], bool]) -> list[int]:
    """Numbers of the rows whose cell, or a name in it, is faulty."""
    return [
        n
        for n, cell in enumerate(cells, start=1)
        if cell is not None and any(map(is_faulty, names_in(cell)))
    ]


def _has_surrogate(cell: str) -> bool:
    if cell.isascii():
        return False
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


_CELL_FAULTS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("empty", lambda cell: not cell.strip(), "fill it in or leave the rows out"),
    ("a null byte", lambda cell: "\0" in cell, "remove it; was the file cut off or binary?"),
    (
        "half a surrogate pair",
        _has_surrogate,
        r"it is no character; write \ud83d\ude00 as a pair, or the character itself",
    ),
)


def _repeated_ids(cells: list[str | None], where: str) -> Iterable[str]:
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


def _nothing_to_tell(train: Rows, source: str) -> Iterable[str]:
    """A fault if every label is on all rows or on none."""
    assert train.labels is not None
    # Cells that were found faulty are None, and reported already.
    sound = train.take(np.array([cell is not None for cell in train.labels], dtype=bool))
    if all(count == len(sound) for count in sound.counts().values()):
        held = ", ".join(map(repr, sound.counts())) or "no label"
        yield (
            f"{source}: all training rows hold {held}, so there is nothing to tell apart; "
            "add rows that differ, or name another column with --label"
        )


def _rows_without_labels(table: Table) -> Iterable[str]:
    for part, rows in table.parts.items():
        if rows.several:
            assert rows.labels is not None
            bare = [n for n, cell in enumerate(rows.labels.tolist(), 1) if cell == ()]
            if bare:
                yield (
                    f"{_where(table, part)}: {len(bare):,} of {len(rows):,} rows have no label "
                    f"({listing(bare)}); they count as rows of none of the labels"
                )


def _look_alike_labels(table: Table) -> Iterable[str]:
    alike: dict[str, set[str]] = defaultdict(set)
    for rows in table.parts.values():
        for label in rows.counts():
            alike[plain_key(label)].add(label)
    for labels in alike.values():
        if len(labels) > 1:
            yield (
                f"labels {' and '.join(map(repr, sorted(labels)))} differ only by case or spaces "
                "and count as different classes; write them alike if they are one"
            )


def _rare_classes(table: Table) -> Iterable[str]:
    """Only where rows are still to be divided: what is given is not ours to judge."""
    train = table.train
    if train is None or len(table.parts) > 1:
        return
    few = {label: rows for label, rows in train.counts().items() if rows < FEW_ROWS}
    if few:
        listed = ", ".join(f"{label!r} ({rows})" for label, rows in list(few.items())[:LISTED])
        more = f" and {len(few) - LISTED:,} more" if len(few) > LISTED else ""
        yield (
            f"classes with too few rows to be trained, chosen and judged on: {listed}{more}; "
            f"a class with one row is only trained on"
        )


def _classes_across_parts(table: Table) -> Iterable[str]:
    train = table.parts.get(TRAIN)
    if train is None:
        return
    trained = train.counts()
    for part, rows in table.parts.items():
        counts = rows.counts()
        unseen = {label: n for label, n in counts.items() if label not in trained}
        if unseen:
            yield (
                f"{part} holds labels that training lacks: {_labels(list(unseen))} "
                f"({sum(unseen.values()):,} rows); no model can decide for them"
            )
        absent = [label for label in trained if label not in counts]
        if counts and absent:
            yield f"{part} holds no row of {_labels(absent)}; they can't be judged there"


def _labels(labels: list[str]) -> str:
    more = f" and {len(labels) - LISTED:,} more" if len(labels) > LISTED else ""
    return ", ".join(map(repr, labels[:LISTED])) + more


def _conflicting_labels(table: Table) -> Iterable[str]:
    seen: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    rows_of: Counter[str] = Counter()
    for rows in table.parts.values():
        if rows.labels is None:
            continue
        for text, label in zip(rows.texts.tolist(), rows.labels.tolist(), strict=True):
            key = plain_key(text)
            seen.setdefault(key, set()).add(label)
            first.setdefault(key, text)
            rows_of[key] += 1
    conflicts = [key for key, labels in seen.items() if len(labels) > 1]
    if conflicts:
        shown = "; ".join(
            f"{_cut(first[key])!r} as "
            f"{' and '.join(repr(label_text(label)) for label in sorted(seen[key]))}"
            for key in conflicts[:3]
        )
        yield (
            f"{len(conflicts):,} texts occur under different labels "
            f"({sum(rows_of[key] for key in conflicts):,} rows), such as {shown}"
        )


def _shared_ids(table: Table) -> Iterable[str]:
    parts = list(table.parts.items())
    for place, (part, rows) in enumerate(parts):
        own = set(rows.ids.tolist())
        for other, others in parts[place + 1 :]:
            shared = own.intersection(others.ids.tolist())
            if shared:
                yield (
                    f"{len(shared):,} ids occur both in {part} and in {other}; "
                    "rows are told apart by their split as well"
                )


def _cut(text: str, characters: int = 60) -> str:
    return text if len(text) <= characters else text[: characters - 3] + "..."
