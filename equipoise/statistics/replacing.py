"""Which of the drawn clusters a prior observation replaces, in both smoothed bootstraps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]


def replaced_draws(
    times: Ints, start: Ints, chance: Floats, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Resample and column of every draw that is replaced, each draw of a class with that class's
    chance.

    How many of a class's draws are replaced is binomial; which ones is a draw without putting back.
    Far fewer random numbers than one binomial per column, to the same effect.

    Shapes  times (resamples, columns) how often each column was drawn; start (L,) the first column
            of each class, columns being sorted by class; chance (L,).
    Returns (replaced,), (replaced,): a column stands in it as often as draws of it are replaced.
    """
    size, columns = times.shape
    # Columns lie by class, so the draws of one class in one resample are a run of numbers.
    ends = np.cumsum(times.ravel())
    edges = np.append(start, columns) + columns * np.arange(size)[:, None]
    run = np.append(0, ends)[edges]
    first, drawn = run[:, :-1].ravel(), np.diff(run, axis=1)
    often = rng.binomial(drawn, chance)
    part = np.repeat(np.arange(often.size), often.ravel())
    begin, length = first[part], drawn.ravel()[part]
    taken = begin + rng.integers(0, length)
    while True:
        _, kept = np.unique(taken, return_index=True)
        if len(kept) == len(taken):
            break
        again = np.ones(len(taken), dtype=bool)
        again[kept] = False
        taken[again] = begin[again] + rng.integers(0, length[again])
    where, column = np.divmod(np.searchsorted(ends, taken, side="right"), columns)
    return where, column
