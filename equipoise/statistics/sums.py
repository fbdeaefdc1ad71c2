"""The few sums of a confusion matrix from which every measure of decisions follows.

Keeping rows, right decisions, decisions and cost per class instead of all K × K cells makes a
resample of 50 classes 150 numbers instead of 2,500.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable, as_table

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over rows for L classes; `...` is empty for one set of rows, (B,) for B resamples."""

    rows: Floats
    """(..., L) rows of each class."""
    right: Floats
    """(..., L) of these, decided as their class."""
    decided: Floats
    """(..., L + 1) rows decided as each class; the last column is rows left to a person."""
    cost: Floats
    """(...,) summed cost; NaN if a decision has no stated cost."""


def sums_of(
    labels: NDArray[np.int64],
    decided: NDArray[np.int64],
    count: int,
    costs: CostTable | Floats | None = None,
    amounts: Floats | None = None,
) -> Sums:
    """The sums of one set of rows.

    Shapes  labels (n,) in 0..count-1; decided (n,) in 0..count, count being "left to a person";
            costs (count, count + 1) per (true, decided), None for 0/1; amounts (n,) where they are
            times a column.
    """
    hits = labels == decided
    table = as_table(costs)
    cost = (~hits).sum() if table is None else table.of_rows(labels, decided, amounts).sum()
    return Sums(
        rows=np.bincount(labels, minlength=count).astype(np.float64),
        right=np.bincount(labels[hits], minlength=count).astype(np.float64),
        decided=np.bincount(decided, minlength=count + 1).astype(np.float64),
        cost=np.asarray(cost, dtype=np.float64),
    )
