"""What every remedy on rows or batches does with labels first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError


def class_numbers(labels: Any) -> NDArray[np.int64]:
    """(n,) the labels as an array. Raises ShapeError unless they are one whole number per row."""
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ShapeError(
            f"labels have shape {numbers.shape} and type {numbers.dtype}; expected one whole "
            "number per row (np.unique(labels, return_inverse=True)[1] numbers names)"
        )
    return numbers


def check_labels(labels: NDArray[np.int64], classes: int) -> None:
    """Raises ShapeError unless labels is (n,) int in 0..classes-1, DataError if n is 0."""
    class_numbers(labels)
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
