"""From a file, folder or hub name to a Table of Rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from equipoise.data import cells
from equipoise.data.find import read_parts
from equipoise.data.joined_columns import with_joined
from equipoise.data.label_cells import are_lists, several_labels, unused_separator
from equipoise.data.raw import BROKEN, RawPart
from equipoise.data.read_written import written_columns
from equipoise.data.roles import (
    Form,
    Roles,
    Task,
    form_of_rows,
    resolve,
    uncategorised,
    with_defaults,
)
from equipoise.data.table import ColumnNames, Table, fingerprint
from equipoise.errors import DataError
from equipoise.records.rows import Column, Rows, text_column


def read_rows(
    source: str | Path,
    *,
    columns: ColumnNames = ColumnNames(),  # noqa: B008 - frozen, so one default may be shared
    need_labels: bool = True,
    encoding: str | None = None,
    task: Task = "auto",
) -> Table:
    """Read a .csv/.tsv/.jsonl/.parquet file (the text forms also .gz), a folder that holds train,
    validation and test in one of these forms, or `hf:owner/name[:config]`.

    Files are UTF-8 (with or without a byte order mark), UTF-16 or UTF-32 with one, or in
    `encoding`. With `need_labels` false, rows without a label column (to predict), or without
    what they should be answered (to write), are taken too.

    task  "classify": rows have a class. "write": rows are text that is learned: prompt and
          completion, a conversation, or else the text column whole. "auto": as the columns say
          that are named, or else there; a text column alone is classified.

    Raises DataError if the source can't be read or lacks a column, every such fault at once;
    faults of single cells wait in `Table.faults` for `check_rows`, which adds its own.
    SettingsError if the named columns do not fit the task.
    """
    of_cells: list[str] = []
    raw = with_joined(read_parts(source, encoding), columns, of_cells)
    form = form_of_rows(columns, raw, task, need_labels)
    named = with_defaults(columns, raw, form)
    faults: list[str] = []
    roles = resolve(named, raw, form, need_labels, faults)
    if faults:
        raise DataError(*faults)
    faults = of_cells
    separator = columns.label_separator
    warnings = uncategorised(columns, raw, form)
    target = (
        _classes(raw, roles, separator, faults, warnings)
        if form == "classify"
        else _writings(form, need_labels, faults, warnings)
    )
    parts = {
        name: _to_rows(part, roles[name], name if len(raw) > 1 else None, target, faults)
        for name, part in raw.items()
    }
    if separator is not None:
        held = [rows.labels for rows in parts.values() if rows.labels is not None]
        warnings += unused_separator(held, separator) if held else []
    first = next(iter(roles.values()))
    # Only rows that are judged may have references, or an answer; only those that train, parents.
    others = {role: names for own in roles.values() for role, names in own.items()}
    return Table(
        source=str(source),
        parts=parts,
        columns={
            role: names if role == "group" else names[0] for role, names in (first | others).items()
        }
        | ({} if separator is None else {"label_separator": separator}),
        fingerprint=fingerprint(parts),
        faults=tuple(fault for part in raw.values() for fault in part.faults) + tuple(faults),
        warnings=tuple(warnings),
        encoding=encoding,
    )


_Target = Callable[[RawPart, Roles], dict[str, Column | None]]
"""A part and its roles to the columns of what is read and what is right."""


def _classes(
    raw: dict[str, RawPart],
    roles: dict[str, Roles],
    separator: str | None,
    faults: list[str],
    warnings: list[str],
) -> _Target:
    """Reads texts, and one label a row, or several where a separator was given or the cells are
    lists."""
    held = [raw[part].cells[names["label"][0]] for part, names in roles.items() if "label" in names]
    several = separator is not None or are_lists(held)

    def labels(part: RawPart, column: str) -> Column:
        if several:
            return several_labels(part, column, separator, cells.name_of, faults, warnings)
        return cells.names(part, column, "label", faults)

    return lambda part, own: {
        "texts": cells.texts(part, own["text"][0], faults),
        "labels": labels(part, own["label"][0]) if "label" in own else None,
    }


def _writings(form: Form, need_answers: bool, faults: list[str], warnings: list[str]) -> _Target:
    return lambda part, own: {**written_columns(part, form, own, need_answers, faults, warnings)}


def _to_rows(
    part: RawPart, roles: Roles, prefix: str | None, target: _Target, faults: list[str]
) -> Rows:
    """One part with its roles filled. `prefix` keeps row numbers of several parts apart."""
    # Times are read from the columns, also where a group, an id or an amount stands in the same.
    taken = {name for names in roles.values() for name in names} - set(roles.get("time", ()))
    ids = roles.get("id", (None,))[0]
    weight = roles.get("weight", (None,))[0]
    cost = roles.get("cost", (None,))[0]
    parent = roles.get("parent", (None,))[0]
    numbers = range(1, part.rows + 1)
    found = {
        "ids": text_column([f"{prefix}-{n}" if prefix else str(n) for n in numbers])
        if ids is None
        else cells.names(part, ids, "id", faults),
        **target(part, roles),
        "groups": cells.groups(part, roles["group"], faults) if "group" in roles else None,
        "parents": None if parent is None else cells.parents(part, parent, faults),
        "weights": None if weight is None else cells.weights(part, weight, faults),
        "amounts": None if cost is None else cells.amounts(part, cost, faults),
    }
    return Rows(
        **{role: column for role, column in found.items() if column is not None},
        columns={
            # Some are names too: of groups that a remedy balances, of times.
            name: text_column([None if cell is BROKEN else cells.whole(cell) for cell in column])
            for name, column in part.cells.items()
            if name not in taken
        },
    )
