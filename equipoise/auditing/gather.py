"""The rows of all parts end to end, tied into clusters, each with what it would do in a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.audit.given import TEST, TRAIN, VALIDATION, Given, Ints, Mask
from equipoise.audit.repeats import THRESHOLD
from equipoise.costs import Costs
from equipoise.data.duplicates import Clusters, find_clusters, text_links
from equipoise.data.forward import time_values
from equipoise.data.made import origins
from equipoise.data.memberships import rarest_labels
from equipoise.data.split import split_table
from equipoise.data.table import WHOLE, Table
from equipoise.errors import DataError, SettingsError
from equipoise.records.columns import column_of
from equipoise.records.rows import Column, Rows, indicators, label_text, text_column
from equipoise.records.turns import is_learned

_PLACE = "\x00place"
"""A column of our own that tells where a row of a split came from; no file can name it so, since
null bytes are refused."""


def gather(
    table: Table, *, costs: Costs | None, seed: int, keep_texts: bool
) -> tuple[Given, list[str]]:
    """What can be said without an encoder, and notes on how a run would divide the rows.

    Where a row may have several labels, its whole set of them stands as its class; `each_label`
    takes them apart. Where the rows can't be divided `undivided` says why, and all rows of the
    training part (or of the one file, or all there are) count as training rows: an audit is for
    rows that are not yet in order. Of costs that are times a column, the amounts of training rows
    alone have a say.
    Where rows are written a category is a class, a text what is asked.
    Raises DataError for times that can't be read; SettingsError for costs that do not fit.
    """
    parts = table.parts
    rows = _end_to_end(list(parts.values()))
    labels = rows.labels
    if labels is None:
        raise DataError(f"{table.source}: the rows have no labels; name their column with --label")
    stands_for = rarest_labels(labels.tolist())
    if costs is not None and (rows.several or rows.written):
        what = "are to be written" if rows.written else "may have several labels"
        raise SettingsError(
            f"costs: are per true and decided class, and these rows {what}; leave costs out"
        )
    if rows.several:
        labels = text_column([label_text(cell) for cell in labels.tolist()])
    classes = tuple(sorted(set(labels.tolist())))
    number = {name: k for k, name in enumerate(classes)}
    part = text_column([name for name, own in parts.items() for _ in range(len(own))])
    origin = origins(parts)
    times, cells = _times(table, rows.take(origin))
    texts = rows.texts.tolist()
    # Finding look-alikes takes longest by far; dividing, tying and repeats all rest on them.
    links = text_links(texts, threshold=THRESHOLD, seed=seed)
    groups = rows.groups
    turns = None if rows.turns is None else rows.turns.tolist()
    how: dict[str, Any] = {"turns": turns, "origins": origin, "seed": seed, "links": links}
    tied = by_text = find_clusters(texts, None, stands_for, **how)
    grouped = groups is not None and any(groups)
    if groups is not None and grouped:
        tied = find_clusters(texts, groups.tolist(), stands_for, **how)
    roles, notes, undivided = _roles(table, len(rows), part, seed, tied)
    amounts = None if costs is None else _amounts(costs, rows, roles == TRAIN)
    return Given(
        ids=rows.ids,
        texts=rows.texts,
        labels=np.array([number[label] for label in labels.tolist()], dtype=np.int64),
        classes=classes,
        parts=part,
        roles=roles,
        clusters=tied.ids,
        turns=rows.turns,
        text_clusters=by_text.ids if grouped else None,
        links=links,
        groups=groups,
        times=times,
        time_column=column_of(table.columns, "time") or "",
        time_cells=cells,
        costs=None if costs is None else costs.matrix(classes, _typical(amounts, rows, classes)),
        cost_unit="" if costs is None else costs.unit,
        cost_doubts=() if costs is None else tuple(costs.warnings(classes, _known(amounts))),
        keep_texts=keep_texts,
        undivided=undivided,
    ), notes


def each_label(given: Given, table: Table) -> tuple[Given, Ints]:
    """Of rows that may have several labels: a row for every label of every row, with the labels as
    classes; and (n, K) 0/1 which row has which."""
    cells = [
        cell for part in table.parts.values() if part.labels is not None for cell in part.labels
    ]
    classes = tuple(sorted({name for cell in cells for name in cell}))
    held = indicators(text_column(cells), classes)
    row, label = np.nonzero(held)
    each = replace(given.take(row), labels=label.astype(np.int64), classes=classes)
    return replace(each, row=row.astype(np.int64), whole=given), held


def all_said(given: Given) -> Given:
    """Of rows that are written, the same rows with all that is said in each as its text."""
    assert given.turns is not None, "only rows that are written have turns"
    said = ["\n".join(turn.text for turn in turns) for turns in given.turns.tolist()]
    return replace(given, texts=text_column(said), links=None)


def learned_texts(given: Given) -> list[str]:
    """Of rows that are written, all that the model learns of each."""
    assert given.turns is not None, "only rows that are written have turns"
    return [
        "\n".join(turn.text for turn in turns if is_learned(turn)) for turns in given.turns.tolist()
    ]


def _end_to_end(parts: list[Rows]) -> Rows:
    """Labels and groups only where every part (labels) or some part (groups) has them."""

    def joined(name: str, missing: Any = None) -> Column | None:
        columns = [getattr(part, name) for part in parts]
        if all(column is None for column in columns) or (
            missing is None and any(column is None for column in columns)
        ):
            return None
        return text_column(
            [
                cell
                for part, column in zip(parts, columns, strict=True)
                for cell in ([missing] * len(part) if column is None else column.tolist())
            ]
        )

    shared = set.intersection(*(set(part.columns) for part in parts))
    ids, texts = joined("ids"), joined("texts")
    assert ids is not None
    assert texts is not None
    return Rows(
        ids=ids,
        texts=texts,
        labels=joined("labels"),
        turns=joined("turns"),
        groups=joined("groups", ""),
        amounts=joined("amounts"),
        columns={
            name: text_column([cell for part in parts for cell in part.columns[name].tolist()])
            for name in sorted(shared)
        },
    )


def _roles(
    table: Table, n: int, part: Column, seed: int, clusters: Clusters
) -> tuple[Column, list[str], tuple[str, ...]]:
    """(n,) what each row would do in `equipoise train` with the same seed, notes on it, and why it
    can't be."""
    placed, start = {}, 0
    for name, rows in table.parts.items():
        places = text_column(list(range(start, start + len(rows))))
        placed[name] = replace(rows, columns={**rows.columns, _PLACE: places})
        start += len(rows)
    roles = text_column([""] * n)
    try:
        splits = split_table(replace(table, parts=placed), seed=seed, clusters=clusters)
    except DataError as error:
        train = (part == WHOLE) | (part == TRAIN)
        roles[:] = np.where(train, TRAIN, part) if train.any() else TRAIN
        return roles, [], error.faults
    for role, own in ((TRAIN, splits.train), (VALIDATION, splits.validation), (TEST, splits.test)):
        if own is not None:
            roles[np.array(own.columns[_PLACE].tolist(), dtype=np.int64)] = role
    return roles, [*splits.warnings, *splits.notes], ()


def _times(table: Table, rows: Rows) -> tuple[Any, Column | None]:
    column = column_of(table.columns, "time")
    if column is None:
        return None, None
    cells = rows.columns[column]
    return time_values(cells.tolist(), column, table.source), cells


def _amounts(costs: Costs, rows: Rows, trains: Mask) -> Any:
    """(n,) the amounts of training rows, NaN elsewhere and where a cell is no number; None where
    costs are times no column. Raises DataError if the rows have no such column."""
    if costs.column is None:
        return None
    if rows.amounts is not None:
        return np.where(trains, np.array(rows.amounts.tolist(), dtype=np.float64), np.nan)
    if costs.column not in rows.columns:
        raise DataError(
            f"costs are times the column {costs.column!r}, which the rows do not have; their other "
            f"columns are {', '.join(map(repr, rows.columns)) or 'none'}"
        )
    found = np.array([_number(cell) for cell in rows.columns[costs.column].tolist()])
    return np.where(trains, found, np.nan)


def _known(amounts: Any) -> Any:
    return None if amounts is None else amounts[np.isfinite(amounts)]


def _typical(amounts: Any, rows: Rows, classes: tuple[str, ...]) -> Any:
    """(K,) the median amount of each class, of all classes where it has none; None where costs are
    times no column."""
    if amounts is None:
        return None
    assert rows.labels is not None
    known = np.isfinite(amounts)
    common = np.median(amounts[known]) if known.any() else 0.0
    of_class = [amounts[known & (rows.labels == name)] for name in classes]
    return np.array([np.median(own) if len(own) else common for own in of_class])


def _number(cell: Any) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return np.nan
    return value if np.isfinite(value) else np.nan
