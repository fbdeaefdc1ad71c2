"""What reading hands on: the rows of each given part, and where everything came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from equipoise.errors import SettingsError
from equipoise.records.columns import Columns
from equipoise.records.rows import Rows, text_column

WHOLE = "all"
IN_MEMORY = "X"
"""The source of rows that came as arrays; no file is called so."""
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class ColumnNames:
    """Which column of the source plays which role."""

    text: str = "text"
    """The column that is classified; "subject + body" joins two."""
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
    parent: str | None = None
    """Column that names the row, by its id, from which a row was made; empty where it was given.
    None: no row was made. A column is not taken by its name: threads of messages have parents."""
    label_separator: str | None = None
    """What stands between the labels of one cell; a row may then have several, or none. None:
    a text is one label, but lists (JSON, Parquet, the hub) are several."""
    prompt: str | None = None
    """Column of what is asked, where rows are written; "instruction + input" joins two. None:
    `prompt`, if there is one."""
    completion: str | None = None
    """Column of what is to be written. None: `completion`, if there is one."""
    messages: str | None = None
    """Column of conversations, whose assistant's turns are to be written. None: `messages` or
    `conversations`, if there is one."""
    category: str | None = None
    """Column of the kind of a written row, which plays the part of the class. None: `category`, if
    there is one."""
    references: str | None = None
    """Column of further texts that would be as right as the completion. None: `references`, if
    there is one."""

    def __post_init__(self) -> None:
        faults = self._written_faults()
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

    def written(self) -> dict[str, str]:
        """The named columns that only rows to be written have, by role."""
        roles = ("prompt", "completion", "messages", "category", "references")
        return {role: name for role in roles if (name := getattr(self, role)) is not None}

    def _written_faults(self) -> list[str]:
        named = self.written()
        faults = []
        for role, other in combinations(named, 2):
            if named[role] == named[other]:
                faults.append(
                    f"--{role} and --{other} both name {named[role]!r}; name a column for each"
                )
        if "messages" in named and {"prompt", "completion"} & set(named):
            faults.append(
                "--messages names whole conversations, --prompt and --completion their two parts; "
                "name the one or the others"
            )
        asked = [role for role in ("prompt", "completion", "messages") if role in named]
        if asked and self.text != "text":
            faults.append(f"--text and --{asked[0]} both say what is read; name one of them")
        if named and self.label != "label":
            faults.append(
                f"--label names the class of rows that are classified, --{next(iter(named))} a "
                "column of rows that are written; the kind of a written row is its --category"
            )
        if self.category is not None and self.category in self.group:
            faults.append(
                f"--group and --category both name {self.category!r}; a category would stand on "
                "one side of every split, so that it is trained or judged but never both"
            )
        return faults


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as read, before they are checked, grouped and split."""

    source: str
    """The file, folder or hub name as given."""
    parts: dict[str, Rows]
    """{"all": rows} for one file, else a Rows for each of train, validation and test that was
    given, in that order. A cell that is None was found faulty, and `faults` says why."""
    columns: Columns
    fingerprint: str
    """SHA-256 over all that a run can read of the rows: ids, texts, labels, groups, parents,
    weights, amounts, turns, references and the other columns of every part, in order."""
    faults: tuple[str, ...] = field(default=())
    """Faults of single cells and lines, one line each; `check_rows` raises them with its own."""
    warnings: tuple[str, ...] = field(default=())
    """What reading found that can be used all the same; `check_rows` hands them on."""
    encoding: str | None = None
    """Of the files, where one was named."""

    @property
    def train(self) -> Rows | None:
        """The rows from which training rows come: those of "train", or of the one file."""
        return self.parts.get(TRAIN, self.parts.get(WHOLE))

    @property
    def written(self) -> bool:
        """Whether the rows' target is text that the model writes."""
        return any(rows.written for rows in self.parts.values())

    def where(self, part: str) -> str:
        """What a part is called in what is said of its rows."""
        return self.source if len(self.parts) == 1 else f"{self.source} ({part})"

    def joined(self, *, ids_apart: bool = False) -> Rows:
        """The rows of all parts, in order; a column that one of them lacks is left out.

        ids_apart  Where an id occurs in several parts, as where each file counts its own rows, put
                   the name of its part before every id: "train-7".
        """
        parts = list(self.parts.values())
        if len(parts) == 1:
            return parts[0]
        if ids_apart and len({id for part in parts for id in part.ids}) < sum(map(len, parts)):
            parts = [
                replace(part, ids=text_column([f"{name}-{id}" for id in part.ids]))
                for name, part in self.parts.items()
            ]

        def column(name: str) -> Any:
            columns = [getattr(part, name) for part in parts]
            return None if any(c is None for c in columns) else np.concatenate(columns)

        named = ("ids", "texts", "labels", "turns", "references", "groups", "weights", "amounts")
        shared = sorted(set.intersection(*(set(part.columns) for part in parts)))
        return Rows(
            **{name: column(name) for name in named},
            columns={
                name: np.concatenate([part.columns[name] for part in parts]) for name in shared
            },
        )


def fingerprint(parts: dict[str, Rows]) -> str:
    """SHA-256 over part names, ids, texts, labels, groups, parents, weights, amounts, turns,
    references and the other columns by name; each cell is preceded by its length, so that
    ("ab", "c") and ("a", "bc") differ.

    The other columns count because a run may read any of them: by time it is divided, by others
    remedies balance groups or set thresholds. Other cells there are another run.
    """
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
        columns += [own for own in (rows.groups, rows.parents) if own is not None] + numbers
        columns += [
            text_column([None if cell is None else json.dumps(cell) for cell in column.tolist()])
            for column in (rows.turns, rows.references)
            if column is not None
        ]
        for other, column in sorted(rows.columns.items()):
            digest.update(_measured(other))
            columns.append(
                text_column([None if cell is None else str(cell) for cell in column.tolist()])
            )
        for cells in zip(*(column.tolist() for column in columns), strict=True):
            digest.update(b"".join(map(_measured, cells)))
    return digest.hexdigest()


def _measured(cell: str | None) -> bytes:
    """The cell with its length before it; -1 for none."""
    raw = b"" if cell is None else cell.encode("utf-8", "surrogatepass")
    return b"%d:" % (-1 if cell is None else len(raw)) + raw


def _one_text(label: Any) -> str | None:
    """A cell of labels as one text that no other cell has: several labels as a JSON list."""
    return json.dumps(label) if isinstance(label, tuple) else label
