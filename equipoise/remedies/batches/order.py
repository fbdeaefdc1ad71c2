"""In which order rows are drawn: the whole plan for all epochs, made before training begins.

Every sampler here is two decisions: which stratum (class, pool of classes, or group within class)
stands at each place, and which of its rows. The second is made by `fill` for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne


def natural_order(n: int, epochs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every row once per epoch, in random order: (epochs, n) int64.

    Epochs are drawn one after the other, so a plan for more epochs begins with the shorter one.
    """
    order = np.empty((epochs, n), dtype=np.int64)
    for epoch in range(epochs):
        order[epoch] = rng.permutation(n)
    return order


def balanced_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """Every class equally often, whatever its share.

    Places are filled in blocks that hold each class once, in random order, so that even a small
    batch is balanced to within one row per class. The rows of a class come in shuffled cycles:
    none is drawn again before all of its class have been, across epochs too (see `fill`).

    Shapes    labels (n,) in 0..classes-1. Returns (epochs, epoch_rows) int64: the row at each
              place. Classes without rows are left out.
    Settings  epoch_rows: places per epoch; none: as many as there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where rare classes must be learned in few epochs, above all for the head on
              features that are already good.
    Harms     where a rare class has few rows: they are repeated every epoch and learned by
              heart, while most rows of large classes go unseen; features learned so are worse
              than with natural order (the paper's finding).
    Source    Kang et al. 2020, Decoupling representation and classifier for long-tailed
              recognition, arXiv:1910.09217 (class-balanced sampling, q = 0).
    """
    groups = rows_by_class(labels, classes)
    places = epoch_rows or len(labels)
    total = epochs * places
    # Independent streams for blocks and for each class: how far one is read does not move the
    # others, hence a plan for more epochs begins with the shorter one.
    block_rng, *row_rngs = rng.spawn(1 + len(groups))
    drawn = shuffled_cycles(np.arange(len(groups)), total, block_rng)
    return fill(groups, drawn.reshape(epochs, places), row_rngs)


def fill(
    groups: Sequence[NDArray[np.int64]],
    sequence: NDArray[np.int64],
    rngs: Sequence[np.random.Generator],
) -> NDArray[np.int64]:
    """A row for every place, from the group that stands there.

    The rows of a group come in shuffled cycles along the sequence: none again before all have been,
    across epochs too; and in one epoch none twice, unless the group has more places than rows.

    Shapes  groups[g] (rows of group g,), sequence (epochs, places) group numbers, one generator
            per group. Returns (epochs, places).
    """
    # Few groups fit 16 bits, which numpy sorts by radix, ten times as fast.
    small = sequence.astype(np.uint16) if len(groups) < 2**16 else sequence
    left = [rows[:0] for rows in groups]
    order = np.empty(sequence.shape, dtype=np.int64)
    for epoch, numbers in enumerate(small):
        by_group = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=len(groups)))[:-1]
        for g, places in enumerate(np.split(by_group, ends)):
            order[epoch, places], left[g] = _draw(groups[g], left[g], len(places), rngs[g])
    return order


def _draw(
    rows: NDArray[np.int64], left: NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`count` rows for one epoch, and what is left of the cycle after them. left: of the last."""
    more = count - len(left)
    if more <= 0:
        return left[:count], left[count:]
    cycle = rng.permutation(rows)
    if len(left):
        # Rows left of the last cycle come in this epoch already: in the new one, others go first.
        others = np.flatnonzero(~np.isin(cycle, left))[:more]
        cycle = np.concatenate([cycle[others], np.delete(cycle, others)])
    if more > len(rows):
        whole = -(-(more - len(rows)) // len(rows)) * len(rows)
        cycle = np.concatenate([cycle, shuffled_cycles(rows, whole, rng)])
    return np.concatenate([left, cycle[:more]]), cycle[more:]


def shuffled_cycles(
    values: NDArray[np.int64], length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(length,): all values in random order, then all again in another order, and so on."""
    cycles = -(-length // len(values))
    repeated = np.broadcast_to(values, (cycles, len(values)))
    shuffled: NDArray[np.int64] = rng.permuted(repeated, axis=1).reshape(-1)[:length]
    return shuffled
