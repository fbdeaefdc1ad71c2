"""Groups within classes: balanced drawing one level down."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.batches.order import balanced_order
from equipoise.remedies.labels import check_labels
from equipoise.remedies.remedy import AtLeastOne

By = Literal["cell", "group"]


def group_balanced_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    groups: NDArray[np.int64],
    by: By = "cell",
    column: str | None = None,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """Every cell (group within class) equally often, or every group, whatever its rows.

    As `balanced_order`, with cells in place of classes: blocks that hold each cell once, rows of
    a cell in shuffled cycles. Rows without a group share one.

    Shapes    labels (n,) in 0..classes-1, groups (n,) a number per group. Returns (epochs,
              epoch_rows) int64: the row at each place.
    Settings  by: cell, or group (classes then come as they are within each group). column: which
              column holds the groups, for the caller; none: the group column, whose groups also
              stay on one side of every split. epoch_rows: places per epoch; none: as many as
              there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where a class is learned by what its largest group has in common (a language, a
              channel), and the smallest groups must be right too.
    Harms     where cells hold a handful of rows, as with a group per customer: these few are
              drawn again and again. A class with more groups than another is drawn more often.
    Source    Idrissi et al. 2022, Simple data balancing achieves competitive worst-group-accuracy,
              arXiv:2110.14503 (RWG, sampling by group; `by=cell` are the groups of Sagawa et al.
              2020, arXiv:1911.08731).
    """
    check_labels(labels, classes)
    strata = cells(labels, groups) if by == "cell" else numbered(groups)
    return balanced_order(strata, int(strata.max()) + 1, epochs, rng, epoch_rows=epoch_rows)


def cells(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) a number per cell (group within class) that has rows."""
    return numbered(labels * (int(groups.max()) + 1) + groups)


def numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the same with numbers 0, 1, ... without gaps."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
