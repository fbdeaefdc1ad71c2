"""What reading hands on: the rows of each given part, and where everything came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from equipoise.errors import SettingsError
from equipoise.records.rows import Rows, text_column

WHOLE = "all"
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class ColumnNames:
    """Which column of the source plays which role."""

    text: str = "text"
    """The column that is classified."""
    label: str = "label"
    """The column that holds the class."""
    group: tuple[str, ...] = ()
    """Columns whose combination names a group of rows that stays on one side of every split."""
    weight: str | None = None
    """Column of positive numbers: how much a row counts in training."""
    id: str | None = None
    """Column that names the row. None: a column called `id` if there is one, else row numbers."""
    time: str | None = None
    """Column of dates (ISO 8601) or numbers, by which rows are split forward in time."""
    cost: str | None = None
    """Column of numbers, 0 or more, that costs are times of: a fraud costs its amount."""
    label_separator: str | None = None
    """What stands between the labels of one cell; a row may then have several, or none. None:
    a text is one label, but lists (JSON, Parquet, the hub) are several."""

    def __post_init__(self) -> None:
        faults = []
        if self.text == self.label:
            faults.append(f"--text and --label both name {self.text!r}; name a column for each")
        if self.label in self.group:
            faults.append(
                f"--group and --label both name {self.label!r}; a class would stand on one side "
                "of every split, so that it is trained or judged but never both"
            )
        if self.label_separator is not None and not self.label_separator.strip():
            faults.append(
                f"--label-separator is {self.label_separator!r}, and blanks at the ends of names "
                'do not count; give what stands between labels, such as "|"'
            )
        if faults:
            raise SettingsError(*faults)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as read, before they are checked, grouped and split."""

    source: str
    """The file, folder or hub name as given."""
    parts: dict[str, Rows]
    """{"all": rows} for one file, else a Rows for each of train, validation and test that was
    given, in that order. A cell that is None was found faulty, and `faults` says why."""
    columns: dict[str, str]
    """Role to column name in the source, {"text": "body", "label": "topic"}; several group
    columns are joined by ", ". Where one was given, "label_separator" to what divides labels."""
    fingerprint: str
    """SHA-256 over ids, texts, labels, groups, weights, amounts and times of every part, in
    order."""
    faults: tuple[str, ...] = field(default=())
    """Faults of single cells and lines, one line each; `check_rows` raises them with its own."""
    warnings: tuple[str, ...] = field(default=())
    """What reading found that can be used all the same; `check_rows` hands them on."""

    @property
    def train(self) -> Rows | None:
        """The rows from which training rows come: those of "train", or of the one file."""
        return self.parts.get(TRAIN, self.parts.get(WHOLE))


def fingerprint(parts: dict[str, Rows], others: tuple[str, ...] = ()) -> str:
    """SHA-256 over part names, ids, texts, labels, groups, weights, amounts and the cells of the
    `others` columns in order; each cell is preceded by its length, so that ("ab", "c") and
    ("a", "bc") differ."""
    digest = hashlib.sha256()
    for name, rows in parts.items():
        digest.update(f"{name}:{len(rows)}\n".encode())
        numbers = [
            np.array(list(map(repr, column.tolist())))
            for column in (rows.weights, rows.amounts)
            if column is not None
        ]
        # Labels even where there are none; groups and numbers only where a column was named.
        columns = [rows.ids, rows.texts, np.full(len(rows), None)]
        if rows.labels is not None:
            columns[2] = text_column([_one_text(cell) for cell in rows.labels.tolist()])
        columns += [*([] if rows.groups is None else [rows.groups]), *numbers]
        columns += [np.array(list(map(str, rows.columns[name].tolist()))) for name in others]
        for cells in zip(*(column.tolist() for column in columns), strict=True):
            for cell in cells:
                raw = b"" if cell is None else cell.encode("utf-8", "surrogatepass")
                digest.update(b"%d:" % (-1 if cell is None else len(raw)) + raw)
    return digest.hexdigest()


def _one_text(label: Any) -> str | None:
    """A cell of labels as one text that no other cell has: several labels as a JSON list."""
    return json.dumps(label) if isinstance(label, tuple) else label
