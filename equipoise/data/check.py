"""What is wrong with the rows: everything at once, with row numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from equipoise.data.cell_faults import CELL_FAULTS, faulty_rows, repeated_ids
from equipoise.data.cells import GROUP_JOIN
from equipoise.data.check_written import repeated_prompts, written_faults
from equipoise.data.joined_labels import joined_labels
from equipoise.data.made import made_faults
from equipoise.data.normalise import plain_key
from equipoise.data.raw import LISTED, listing, occur
from equipoise.data.table import TRAIN, Table
from equipoise.errors import DataError
from equipoise.records.rows import Rows, label_text, names_in
from equipoise.records.turns import ANY_CATEGORY

_POINT_ZERO = re.compile(r"(-?\d+)\.0+")
_QUOTED = 60
"""Characters of a quoted text."""
FEW_ROWS = 3
"""A class needs a row each for training, validation and test."""


def check_rows(table: Table, *, keep_texts: bool = True, trains: bool = True) -> list[str]:
    """Warnings, one line each, about rows that can be used but deserve a look; the caller may add
    its own to the list.

    keep_texts  Whether warnings may quote texts; else they name rows by their ids.
    trains      Whether rows may train; rows that are only judged may be of one class, and come
                without those that they were made from.

    Row numbers count the rows of their file from 1, after a line of column names.
    Raises DataError with every fault of the table: cells that are not text (found in reading),
    empty texts and labels, null bytes and lone surrogates (of groups too), ids that occur twice,
    weights that are not positive, parents that are not there, fewer than two classes to train on
    (of several labels a row: none that some rows have and others lack). Of rows that are written:
    no assistant's turn or not at the end, empty prompts and completions; one category is enough.
    """
    faults = list(table.faults)
    joined = joined_labels(table.parts.values())
    for part, rows in table.parts.items():
        faults.extend(_part_faults(rows, table.where(part), joined))
    train = table.train if trains else None
    if train is not None:
        faults.extend(made_faults(table))
    if table.written:
        pass  # there is as much to learn in one category as in several
    elif train is not None and train.labels is not None and train.several:
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
        *([] if joined is None else [joined[1]]),
        *_rows_without_labels(table),
        *_look_alike_labels(table),
        *_look_alike_numbers(table),
        *_rare_classes(table),
        *_classes_across_parts(table),
        *_conflicting_labels(table, keep_texts),
        *repeated_prompts(table),
        *_shared_ids(table),
    ]


def check_texts(table: Table) -> None:
    """Raises DataError for faults of ids and texts; labels, if there are any, don't matter, nor
    does it whether rows that are written have an answer."""
    bare = {name: replace(rows, labels=None, parents=None) for name, rows in table.parts.items()}
    check_rows(replace(table, parts=bare))


def _part_faults(rows: Rows, where: str, joined: tuple[str, str] | None) -> Iterable[str]:
    named = [("id", rows.ids.tolist())]
    if rows.labels is not None:
        named.insert(0, ("category" if rows.written else "label", rows.labels.tolist()))
    if rows.written:
        yield from written_faults(rows, where)
    else:
        named.insert(0, ("text", rows.texts.tolist()))
        yield from _mixed_kinds(rows, where)
    if rows.groups is not None:
        blank_is_none = [cell if cell and cell.strip() else None for cell in rows.groups.tolist()]
        named.append(("group", blank_is_none))
    for role, cells in named:
        for what, is_faulty, advice in CELL_FAULTS:
            numbers = faulty_rows(cells, is_faulty)
            if numbers:
                found = f"{what} {role}" if what == "empty" else f"{role} with {what}"
                if joined is not None and found == "empty label":
                    advice += (
                        f"; or, for rows without a label, add --label-separator '{joined[0]}', "
                        f"since labels look joined by {joined[0]!r}"
                    )
                yield f"{where}: {found} in {listing(numbers)}; {advice}"
        if role == "id":
            yield from repeated_ids(cells, where)


def _mixed_kinds(rows: Rows, where: str) -> Iterable[str]:
    """A fault if rows without a text hold what other rows would be written from."""
    for name in ("messages", "prompt"):
        other = rows.columns.get(name)
        if other is None:
            continue
        numbers = [
            number
            for number, (text, cell) in enumerate(zip(rows.texts, other, strict=True), start=1)
            if isinstance(text, str) and not text.strip() and isinstance(cell, str | list) and cell
        ]
        if 0 < len(numbers) < len(rows):
            yield (
                f"{where}: rows of two kinds are mixed: there is a {name.removesuffix('s')} in "
                f"{listing(numbers)}, where the others hold a text and a label; give each kind a "
                "file of its own"
            )


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
                    f"{table.where(part)}: {len(bare):,} of {len(rows):,} rows have no label "
                    f"({listing(bare)}); they count as rows of none of the labels"
                )


class _Words(NamedTuple):
    """What rows and their kinds are called in what is said of them."""

    texts: str
    labels: str
    classes: str


def _words(table: Table) -> _Words:
    if table.written:
        return _Words("prompts", "categories", "categories")
    return _Words("texts", "labels", "classes")


def _look_alike_labels(table: Table) -> Iterable[str]:
    said = _words(table)
    alike: dict[str, set[str]] = defaultdict(set)
    for rows in table.parts.values():
        for label in rows.counts():
            alike[plain_key(label)].add(label)
    for labels in alike.values():
        if len(labels) > 1:
            yield (
                f"{said.labels} {' and '.join(map(repr, sorted(labels)))} differ only by case or "
                f"spaces and count as different {said.classes}; write them alike if they are one"
            )


def _look_alike_numbers(table: Table) -> Iterable[str]:
    """Text "1.0" beside "1", which is most often one number that two programs wrote. Numbers that
    are no text are one in reading."""
    said = _words(table)
    for role, what in (("labels", said.classes), ("groups", "groups"), ("ids", "rows")):
        names: set[str] = set()
        for rows in table.parts.values():
            column = getattr(rows, role)
            names.update(
                name
                for cell in ([] if column is None else column.tolist())
                if cell is not None
                for name in names_in(cell)
            )
        twins = sorted(name for name in names if (one := _as_whole(name)) != name and one in names)
        if twins:
            listed = ", ".join(f"{_as_whole(name)!r} and {name!r}" for name in twins[:LISTED])
            more = f" and {len(twins) - LISTED:,} more" if len(twins) > LISTED else ""
            shown = said.labels if role == "labels" else role
            yield (
                f"{shown} {listed}{more} are written as whole numbers and with a point, and count "
                f"as different {what}; write them alike if they are one"
            )


def _as_whole(name: str) -> str:
    """ "1" for "1.0"; of a group of several columns each."""
    found = [(_POINT_ZERO.fullmatch(part), part) for part in name.split(GROUP_JOIN)]
    return GROUP_JOIN.join(part if match is None else match[1] for match, part in found)


def _rare_classes(table: Table) -> Iterable[str]:
    """Only where rows are still to be divided: what is given is not ours to judge."""
    train, said = table.train, _words(table)
    if train is None or len(table.parts) > 1:
        return
    counts = train.take(~train.made).counts()
    if table.written and list(counts) == [ANY_CATEGORY]:
        return
    few = {label: rows for label, rows in counts.items() if rows < FEW_ROWS}
    if few:
        listed = ", ".join(f"{label!r} ({rows})" for label, rows in list(few.items())[:LISTED])
        more = f" and {len(few) - LISTED:,} more" if len(few) > LISTED else ""
        yield (
            f"{said.classes} with too few rows to be trained, chosen and judged on: "
            f"{listed}{more}; one with a single row is only trained on"
        )


def _classes_across_parts(table: Table) -> Iterable[str]:
    train = table.parts.get(TRAIN)
    if train is None:
        return
    trained, said = train.counts(), _words(table)
    lacking = "the model never learned them" if table.written else "no model can decide for them"
    for part, rows in table.parts.items():
        counts = rows.counts()
        unseen = {label: n for label, n in counts.items() if label not in trained}
        if unseen:
            yield (
                f"{part} holds {said.labels} that training lacks: {_labels(list(unseen))} "
                f"({sum(unseen.values()):,} rows); {lacking}"
            )
        absent = [label for label in trained if label not in counts]
        if counts and absent:
            yield f"{part} holds no row of {_labels(absent)}; they can't be judged there"


def _labels(labels: list[str]) -> str:
    more = f" and {len(labels) - LISTED:,} more" if len(labels) > LISTED else ""
    return ", ".join(map(repr, labels[:LISTED])) + more


def _conflicting_labels(table: Table, keep_texts: bool) -> Iterable[str]:
    said = _words(table)
    labels_of: dict[str, set[str]] = defaultdict(set)
    rows_of: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for part, rows in table.parts.items():
        if rows.labels is None:
            continue
        # Ids that were given may occur in another part too; the others name theirs.
        where = f"{part} " if len(table.parts) > 1 and "id" in table.columns else ""
        columns = (rows.ids, rows.texts, rows.labels)
        for name, text, label in zip(*(column.tolist() for column in columns), strict=True):
            key = plain_key(text)
            labels_of[key].add(label)
            rows_of[key].append((text, where + name))
    conflicts = [key for key, labels in labels_of.items() if len(labels) > 1]
    if conflicts:
        shown = "; ".join(
            f"{_quoted(rows_of[key]) if keep_texts else _named(rows_of[key])} as "
            f"{' and '.join(repr(label_text(label)) for label in sorted(labels_of[key]))}"
            for key in conflicts[:3]
        )
        yield (
            f"{occur(len(conflicts), said.texts)} under different {said.labels} "
            f"({sum(len(rows_of[key]) for key in conflicts):,} rows), such as {shown}"
        )


def _quoted(rows: list[tuple[str, str]]) -> str:
    text = rows[0][0]
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "...")


def _named(rows: list[tuple[str, str]]) -> str:
    return listing([name for _, name in rows])


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
