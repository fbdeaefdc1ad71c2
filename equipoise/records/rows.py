"""The table that goes in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
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
    """str, never empty."""
    labels: Column | None = None
    """str, the class; None when the rows are only to be predicted."""
    groups: Column | None = None
    """str, the user's group (customer, document, region); None when no column was named."""
    weights: Column | None = None
    """float64 > 0, how much the row counts in training; None is 1 for every row."""
    parents: Column | None = None
    """str or None per row: None is a given row, else the id of the row that it was made from."""
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
        """Rows per class, classes sorted by name."""
        if self.labels is None:
            return {}
        return dict(sorted(Counter(self.labels.tolist()).items()))

    def _all(self) -> dict[str, Column]:
        named = {
            "ids": self.ids,
            "texts": self.texts,
            "labels": self.labels,
            "groups": self.groups,
            "weights": self.weights,
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


def text_column(values: list[Any] | tuple[Any, ...]) -> Column:
    """An object column that numpy does not turn into fixed-width text or a matrix."""
    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    return column
