"""The table that goes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ShapeError

Column = NDArray[Any]
"""One entry per row; dtype object for text."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of text with their labels, in the order in which they came.

    Every column that is not None has one entry per row.
    """

    ids: Column
    """str, unique. The file's `id` column, or the row's number in its file, from 1."""
    texts: Column
    """str, never empty. Where the target is text: what the row is asked (`turns.asked_text`)."""
    labels: Column | None = None
    """str, the class; or, where a row may have several, a sorted tuple of names, () for a row
    without labels. None when the rows are only to be predicted. Where the target is text: the
    row's category, which plays the part of the class."""
    turns: Column | None = None
    """tuple of Turn: what is read and what is to be written; None where rows are classified."""
    references: Column | None = None
    """tuple of str: texts any of which would be a right answer, the row's own first; None where
    rows are classified."""
    groups: Column | None = None
    """str, the user's group (customer, document, region); None when no column was named."""
    weights: Column | None = None
    """float64 > 0, how much the row counts in training; None is 1 for every row."""
    amounts: Column | None = None
    """float64, 0 or more: the row's number that costs are times of; None when no cost is."""
    parents: Column | None = None
    """str or None per row: None is a given row, else the id of the row that it was made from. None
    when no row was made from another."""
    clusters: Column | None = None
    """int64, rows with the same number are duplicates or share a group, so they stay on one side
    of every split and are resampled together; None until `equipoise.data` has grouped them."""
    columns: dict[str, Column] = field(default_factory=dict)
    """The other columns of the file, by name: dates, amounts, annotator votes."""

    def __post_init__(self) -> None:
        sizes = {name: len(column) for name, column in self._all().items()}
        if len(set(sizes.values())) > 1:
            raise ShapeError(f"columns differ in length: {sizes}")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def several(self) -> bool:
        """Whether a row may have several labels, or none."""
        return self.labels is not None and holds_several(self.labels)

    @property
    def written(self) -> bool:
        """Whether the target is text that the model writes."""
        return self.turns is not None

    @property
    def made(self) -> NDArray[np.bool_]:
        """(n,) whether a row was made from another; else it was given."""
        if self.parents is None:
            return np.zeros(len(self), dtype=bool)
        return np.array([parent is not None for parent in self.parents], dtype=bool)

    def take(self, index: NDArray[Any]) -> Rows:
        """The rows at `index` (int positions, may repeat, or a bool mask), in that order."""
        return Rows(
            **{
                name: column[index]
                for name, column in self._all().items()
                if name in self.__dataclass_fields__
            },
            columns={name: column[index] for name, column in self.columns.items()},
        )

    def counts(self) -> dict[str, int]:
        """Rows per class, classes sorted by name; a row counts for each of its labels."""
        if self.labels is None:
            return {}
        names = chain.from_iterable(map(names_in, self.labels.tolist()))
        return dict(sorted(Counter(names).items()))

    def _all(self) -> dict[str, Column]:
        named = {
            "ids": self.ids,
            "texts": self.texts,
            "labels": self.labels,
            "turns": self.turns,
            "references": self.references,
            "groups": self.groups,
            "weights": self.weights,
            "amounts": self.amounts,
            "parents": self.parents,
            "clusters": self.clusters,
        }
        return {k: v for k, v in named.items() if v is not None} | {
            f"columns[{name!r}]": column for name, column in self.columns.items()
        }


@dataclass(frozen=True, eq=False)
class Splits:
    """Rows that train, rows that choose (validation), rows that judge (test, may be None)."""

    train: Rows
    validation: Rows
    test: Rows | None
    notes: tuple[str, ...] = ()
    """One line per thing the user should know of how the rows were divided."""
    warnings: tuple[str, ...] = ()
    """And per thing that costs many rows or a class, or makes scores mean less."""


def text_column(values: list[Any] | tuple[Any, ...]) -> Column:
    """An object column that numpy does not turn into fixed-width text or a matrix."""
    # Filled one by one: tuples of one length would become the rows of a matrix.
    return np.fromiter(values, dtype=object, count=len(values))


def all_turns(parts: Iterable[Rows]) -> list[Any] | None:
    """The turns of the rows of every part, in order; None unless all of them are written."""
    columns = [rows.turns for rows in parts]
    if any(column is None for column in columns):
        return None
    return [turns for column in columns if column is not None for turns in column.tolist()]


def names_in(label: Any) -> tuple[Any, ...]:
    """The names that a cell of labels holds: one, or those of its tuple.

    >>> names_in("joy"), names_in(("joy", "love")), names_in(())
    (('joy',), ('joy', 'love'), ())
    """
    return label if isinstance(label, tuple) else (label,)


def holds_several(labels: Column) -> bool:
    """Whether the cells are tuples of names; those that are None were found faulty."""
    return next((isinstance(cell, tuple) for cell in labels if cell is not None), False)


def label_text(label: Any) -> str:
    """A cell of labels in words.

    >>> label_text("joy"), label_text(("joy", "love")), label_text(())
    ('joy', 'joy + love', 'no label')
    """
    return " + ".join(names_in(label)) or "no label"


def indicators(labels: Column, classes: Sequence[str]) -> NDArray[np.int64]:
    """(n, K) 1 where a row has the label; a name that is not in `classes` has no column.

    >>> indicators(text_column([("b", "a"), (), ("c",)]), ["a", "b"]).tolist()
    [[1, 1], [0, 0], [0, 0]]
    """
    place = {name: k for k, name in enumerate(classes)}
    found = np.zeros((len(labels), len(classes)), dtype=np.int64)
    for row, cell in enumerate(labels):
        for name in names_in(cell):
            if name in place:
                found[row, place[name]] = 1
    return found
