"""Repeat rows of small classes, or leave out rows of large ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne, Share

_ROUNDING = 1e-9
"""0.29 * 100 is 28.999999999999996 in binary; without this, a row would be missing."""


def least_rows(largest: int, ratio: float) -> int:
    """Rows that no class may be below, for smallest / largest class to be `ratio`."""
    return int(ratio * largest + _ROUNDING)


def most_rows(groups: list[NDArray[np.int64]], ratio: float, at_least: int) -> int:
    """Rows that no class may be above, for smallest / largest class to be `ratio`."""
    return max(at_least, int(min(map(len, groups)) / ratio + _ROUNDING))


def random_oversample(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    ratio: Share = 1.0,
    most_repeats: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """All rows, and rows of small classes again until none is below `ratio` × the largest class.

    Every row of a class is repeated equally often, give or take one (drawing with replacement
    would leave some out and take others many times, for nothing).

    Shapes    labels (n,) in 0..classes-1. Returns (m,) index, ascending, m >= n.
    Settings  ratio: smallest / largest class afterwards, above 0 to 1 (1: all equal).
              most_repeats: times that one row may occur at most; none: no limit.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where classes are moderately rare and training is short: a rare class gets enough
              steps, and nothing is thrown away.
    Harms     where a class has a handful of rows: they are learned by heart. Costs time in
              proportion to the rows added.
    Source    Buda et al. 2018, A systematic study of the class imbalance problem in convolutional
              neural networks, arXiv:1710.05381.
    """
    groups = rows_by_class(labels, classes)
    target = least_rows(max(map(len, groups)), ratio)
    chosen = [np.arange(len(labels), dtype=np.int64)]
    for rows in groups:
        most = target if most_repeats is None else min(target, most_repeats * len(rows))
        copies, rest = divmod(max(most - len(rows), 0), len(rows))
        chosen += [np.tile(rows, copies), rng.permutation(rows)[:rest]]
    return np.sort(np.concatenate(chosen))


def random_undersample(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    ratio: Share = 1.0,
    at_least: AtLeastOne = 1,
) -> NDArray[np.int64]:
    """A random part of the rows, so that no class is above the smallest one / `ratio`.

    Shapes    labels (n,) in 0..classes-1. Returns (m,) index, ascending, no repeats, m <= n.
    Settings  ratio: smallest / largest class afterwards, above 0 to 1 (1: all equal).
              at_least: no class is cut below this many rows, 1 or more.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where the large classes are plentiful and repeat themselves: training takes a
              fraction of the time.
    Harms     where the smallest class is tiny: with ratio 1 nearly all rows are thrown away, and
              what the large classes look like is forgotten. Set `ratio` or `at_least` then.
    Source    Buda et al. 2018, A systematic study of the class imbalance problem in convolutional
              neural networks, arXiv:1710.05381.
    """
    groups = rows_by_class(labels, classes)
    target = most_rows(groups, ratio, at_least)
    chosen = [
        rows if len(rows) <= target else rng.choice(rows, target, replace=False, shuffle=False)
        for rows in groups
    ]
    return np.sort(np.concatenate(chosen))
