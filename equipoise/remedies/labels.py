"""What every remedy on rows or batches does with labels first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError


def check_labels(labels: NDArray[np.int64], classes: int) -> None:
    """Raises ShapeError unless labels is (n,) int in 0..classes-1, DataError if n is 0."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ShapeError(
            f"labels have shape {labels.shape} and type {labels.dtype}; "
            "expected one whole number per row"
        )
    if not len(labels):
        raise DataError("there are no training rows; give at least one")
    if labels.min() < 0 or labels.max() >= classes:
        raise ShapeError(
            f"labels run from {labels.min()} to {labels.max()}; "
            f"expected 0 to {classes - 1} for {classes} classes"
        )


def rows_by_class(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Row numbers of each class that has rows, ascending.

    Classes come in the order of their first row, not of their number, so that what is drawn from
    a generator class by class does not depend on how classes are named or sorted.
    """
    check_labels(labels, classes)
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=classes))[:-1]
    return sorted((rows for rows in np.split(order, ends) if len(rows)), key=lambda rows: rows[0])
