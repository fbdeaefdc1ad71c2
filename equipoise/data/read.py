"""From a file, folder or hub name to a Table of Rows."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data.find import read_parts
from equipoise.data.label_cells import are_lists, several_labels, unused_separator
from equipoise.data.raw import BROKEN, LISTED, RawPart, listing
from equipoise.data.table import ColumnNames, Table, fingerprint
from equipoise.data.text_files import json_name
from equipoise.errors import DataError
from equipoise.records.rows import Column, Rows, text_column

_ALIASES = {
    "text": "sentence content body message utterance document review comment query question "
    "description input tweet headline title",
    "label": "labels category intent class target topic sentiment tag y output",
    "id": "uid uuid key index",
    "weight": "weights sample_weight importance",
    "cost": "amount costs value price sum total",
    "time": "date datetime timestamp created created_at day",
    "group": "groups customer user author document source region",
}
GROUP_JOIN = " | "
"""Between the cells of several group columns."""


def read_rows(
    source: str | Path,
    *,
    columns: ColumnNames = ColumnNames(),  # noqa: B008 - frozen, so one default may be shared
    need_labels: bool = True,
    encoding: str | None = None,
) -> Table:
    """Read a .csv/.tsv/.jsonl/.parquet file (the text forms also .gz), a folder that holds train,
    validation and test in one of these forms, or `hf:owner/name[:config]`.

    Files are UTF-8 (with or without a byte order mark), UTF-16 or UTF-32 with one, or in
    `encoding`. With `need_labels` false, rows without a label column are taken too (to predict).

    Raises DataError if the source can't be read or lacks a column, every such fault at once;
    faults of single cells wait in `Table.faults` for `check_rows`, which adds its own.
    """
    raw = read_parts(source, encoding)
    faults: list[str] = []
    named = _with_default_id(columns, raw)
    roles = {part: _resolve(named, cells, need_labels, faults) for part, cells in raw.items()}
    if faults:
        raise DataError(*faults)
    separator = columns.label_separator
    warnings: list[str] = []
    labels = _label_reader(raw, roles, separator, faults, warnings)
    parts = {
        name: _to_rows(cells, roles[name], name if len(raw) > 1 else None, labels, faults)
        for name, cells in raw.items()
    }
    if separator is not None:
        held = [rows.labels for rows in parts.values() if rows.labels is not None]
        warnings += unused_separator(held, separator) if held else []
    first = next(iter(roles.values()))
    return Table(
        source=str(source),
        parts=parts,
        columns={role: ", ".join(names) for role, names in first.items()}
        | ({} if separator is None else {"label_separator": separator}),
        # What decides the split or the price of a row makes it another table.
        fingerprint=fingerprint(parts, others=first.get("time", ())),
        faults=tuple(fault for cells in raw.values() for fault in cells.faults) + tuple(faults),
        warnings=tuple(warnings),
    )


_Roles = dict[str, tuple[str, ...]]
"""Role to its columns; only "group" may have several."""


_Labels = Callable[[RawPart, str], Column]
"""A part and the name of its label column to the labels of its rows."""


def _label_reader(
    raw: dict[str, RawPart],
    roles: dict[str, _Roles],
    separator: str | None,
    faults: list[str],
    warnings: list[str],
) -> _Labels:
    """Reads one label a row, or several where a separator was given or the cells are lists."""
    held = [raw[part].cells[names["label"][0]] for part, names in roles.items() if "label" in names]
    if separator is None and not are_lists(held):
        return lambda part, column: _names(part, column, "label", faults)
    return lambda part, column: several_labels(part, column, separator, _name_of, faults, warnings)


def _with_default_id(columns: ColumnNames, raw: dict[str, RawPart]) -> ColumnNames:
    if columns.id is None and all("id" in part.cells for part in raw.values()):
        return replace(columns, id="id")
    return columns


def _resolve(columns: ColumnNames, part: RawPart, need_labels: bool, faults: list[str]) -> _Roles:
    """The roles whose columns are there; a fault for each that should be and is not."""
    asked: _Roles = {"text": (columns.text,), "label": (columns.label,), "group": columns.group}
    for role in ("weight", "id", "time", "cost"):
        name = getattr(columns, role)
        asked[role] = () if name is None else (name,)
    found: _Roles = {}
    for role, names in asked.items():
        missing = [name for name in names if name not in part.cells]
        if role == "label" and missing and not need_labels:
            continue
        for name in missing:
            faults.append(
                f"{part.where}: has no column {name!r} for the {role}; its columns are "
                f"{_columns(part)}; name the right one with --{role}"
                f"{_guess(name, role, part.cells)}"
            )
        if names and not missing:
            found[role] = names
    return found


def _columns(part: RawPart) -> str:
    names = [repr(name) for name in part.cells]
    more = f" and {len(names) - 2 * LISTED} more" if len(names) > 2 * LISTED else ""
    return (", ".join(names[: 2 * LISTED]) or "none") + more


def _guess(name: str, role: str, present: dict[str, list[Any]]) -> str:
    """ ", perhaps --text Body": the column that was most likely meant, if any looks like it."""
    folded = {column.casefold().strip(): column for column in reversed(present)}
    for candidate in (name.casefold(), role, *_ALIASES.get(role, "").split()):
        if candidate in folded:
            return f", perhaps {folded[candidate]!r}"
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.7)
    if close:
        return f", perhaps {folded[close[0]]!r}"
    if len(present) == 1:
        only = next(iter(present))
        for mark, what in (("\t", "tabs"), ("|", "bars")):
            if mark in only:
                return f"; the first line holds {what}: save it as comma-separated UTF-8"
    return ""


def _to_rows(
    part: RawPart, roles: _Roles, prefix: str | None, labels: _Labels, faults: list[str]
) -> Rows:
    """One part with its roles filled. `prefix` keeps row numbers of several parts apart."""
    taken = {name for role, names in roles.items() if role != "time" for name in names}
    text = roles["text"][0]
    label = roles.get("label", (None,))[0]
    ids = roles.get("id", (None,))[0]
    weight = roles.get("weight", (None,))[0]
    cost = roles.get("cost", (None,))[0]
    numbers = range(1, part.rows + 1)
    return Rows(
        ids=text_column([f"{prefix}-{n}" if prefix else str(n) for n in numbers])
        if ids is None
        else _names(part, ids, "id", faults),
        texts=_texts(part, text, faults),
        labels=None if label is None else labels(part, label),
        groups=_groups(part, roles["group"], faults) if "group" in roles else None,
        weights=None if weight is None else _weights(part, weight, faults),
        amounts=None if cost is None else _amounts(part, cost, faults),
        columns={
            name: text_column([None if cell is BROKEN else cell for cell in cells])
            for name, cells in part.cells.items()
            if name not in taken
        },
    )


def _texts(part: RawPart, column: str, faults: list[str]) -> Column:
    """Text cells; "" where missing (`check_rows` reports those), None where reported here."""
    cells = part.cells[column]
    if all(type(cell) is str for cell in cells):
        return text_column(cells)
    wrong = [n for n, c in enumerate(cells, 1) if not (c is None or c is BROKEN or _is_text(c))]
    if wrong:
        held = json_name(cells[wrong[0] - 1])
        faults.append(
            f"{part.where}: the cells of {column!r} should be text; {listing(wrong)} "
            f"{'holds' if len(wrong) == 1 else 'hold'} {held} or the like; write it as text"
        )
    return text_column(["" if c is None else c if _is_text(c) else None for c in cells])


def _names(part: RawPart, column: str, role: str, faults: list[str]) -> Column:
    """Cells that name something (class, row): text, or numbers and truth values as their text."""
    cells = part.cells[column]
    if all(type(cell) is str for cell in cells):
        return text_column(cells)
    classes = part.class_names.get(column)
    values: list[str | None] = []
    wrong: list[int] = []
    for number, cell in enumerate(cells, start=1):
        name = _name_of(cell, classes)
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


def _name_of(cell: Any, classes: tuple[str, ...] | None) -> str | None:
    """The cell as a name; "" if it is missing, None if it can't be one."""
    if cell is None:
        return ""
    if _is_text(cell):
        return str(cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int):
        # The hub marks hidden labels of public test sets with -1.
        return classes[cell] if classes and 0 <= cell < len(classes) else str(cell)
    if isinstance(cell, float):
        return "" if math.isnan(cell) else repr(cell)
    return None


def _groups(part: RawPart, columns: tuple[str, ...], faults: list[str]) -> Column:
    """One group name per row, "" where every group cell is empty: such a row has no group."""
    each = [_names(part, column, "group", faults).tolist() for column in columns]
    if len(each) == 1:
        return text_column([cell or "" for cell in each[0]])
    return text_column(
        [
            GROUP_JOIN.join(cell or "" for cell in cells) if any(cells) else ""
            for cells in zip(*each, strict=True)
        ]
    )


def _weights(part: RawPart, column: str, faults: list[str]) -> Column:
    return _numbers(
        part,
        column,
        lambda number: number > 0,
        ("weights", "above 0", "leave out rows that should not count"),
        faults,
    )


def _amounts(part: RawPart, column: str, faults: list[str]) -> Column:
    return _numbers(
        part,
        column,
        lambda number: number >= 0,
        ("amounts", "of 0 or more", "the cost file says by `factor` what is a benefit"),
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
        shown = part.cells[column][wrong[0] - 1]
        faults.append(
            f"{part.where}: {what} in {column!r} should be finite numbers {which}; "
            f"{listing(wrong)} {'holds' if len(wrong) == 1 else 'hold'} {str(shown)[:40]!r}; "
            f"{then}"
        )
    return values


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)
