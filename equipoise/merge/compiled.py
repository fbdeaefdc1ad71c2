"""`race` compiled: draws by equal shares and race in one pass over the stretch, and its end.

numba compiles a function when it is first called, and keeps what it compiled. Without numba callers
take the plain way, which gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equipoise.merge.draws import LATEST
from equipoise.merge.race import Standing

_LATEST = np.uint64(LATEST)


class Compiled(NamedTuple):
    """Functions that let other threads run."""

    arrive: Callable[..., int]
    """unmoved = f(own, base, stream, start, seats, first, moved_at, moved): the bits (n,) of one
    more sub-model and of the base (of no values: whoever arrives has moved), and the place of the
    first; the others are those of the standing, which are changed."""
    end: Callable[..., tuple[int, int]]
    """moved, redrawn = f(limited, seats, first, moved_at, moved, merged): as `race.ended`, whose
    bits it writes into `merged`."""


@cache
def compiled() -> Compiled | None:
    """None without numba."""
    try:
        import numba
    except ImportError:
        return None
    compile_: Any = numba.njit(nogil=True, cache=True, error_model="numpy")
    return Compiled(compile_(_arrive_equal), compile_(_end))


def arrive_equal(
    fast: Compiled,
    standing: Standing,
    own: NDArray[Any],
    base: NDArray[Any] | None,
    stream: np.uint64,
    start: int,
) -> int:
    """`race.arrive` by equal shares; returns how many values have not moved."""
    known = own[:0] if base is None else base
    return int(fast.arrive(own, known, stream, np.uint64(start), *_arrays(standing)))


def ended(fast: Compiled, standing: Standing, limited: bool) -> tuple[NDArray[Any], int, int]:
    """`race.ended`."""
    merged = np.empty_like(standing.first)
    moved, redrawn = fast.end(limited, *_arrays(standing), merged)
    return merged, int(moved), int(redrawn)


def _arrays(standing: Standing) -> tuple[NDArray[Any], ...]:
    return standing.seats, standing.first, standing.moved_at, standing.moved


def _arrive_equal(
    own: Any,
    base: Any,
    stream: Any,
    start: Any,
    seats: Any,
    first: Any,
    moved_at: Any,
    moved: Any,
) -> int:
    stays, alone, known = 0, len(seats) == 1, len(base) > 0
    for i in range(len(own)):
        # SplitMix64, as in `draws.numbers`.
        z = stream + (start + np.uint64(i) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        time = (z ^ (z >> np.uint64(31))) >> np.uint64(1)
        bits = own[i]
        earlier = time < seats[0, i]
        first[i] = bits if earlier else first[i]
        if known:
            has_moved = bits != base[i]
            stays += not has_moved
            better = has_moved & (time < moved_at[i])
            moved_at[i] = time if better else moved_at[i]
            moved[i] = bits if better else moved[i]
        if alone:
            seats[0, i] = time if earlier else seats[0, i]
        else:
            for seat in range(len(seats)):
                if time < seats[seat, i]:
                    seats[seat, i], time = time, seats[seat, i]
    return stays


def _end(
    limited: Any, seats: Any, first: Any, moved_at: Any, moved: Any, merged: Any
) -> tuple[int, int]:
    last = len(seats) - 1
    found, redrawn = 0, 0
    for i in range(len(first)):
        has_moved = moved_at[i] < _LATEST
        if limited:
            has_moved = has_moved & (moved_at[i] <= seats[last, i])
        found += has_moved
        redrawn += has_moved & (seats[0, i] < moved_at[i])
        merged[i] = moved[i] if has_moved else first[i]
    return found, redrawn
