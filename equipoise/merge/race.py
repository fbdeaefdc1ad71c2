"""Who of the sub-models is drawn at each value of a stretch: the first to arrive, and the first of
those that moved from the base.

The sub-models come one after another and are not kept. `arrive` and `ended` are written down
plainly here; `compiled` does the same (of arrivals, those by equal shares), to the bit, many times
as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.merge.draws import LATEST, Times


@dataclass(frozen=True, eq=False)
class Standing:
    """How the race stands at n values."""

    seats: Times
    """(seats, n) the earliest arrivals so far, the first of all in seats[0]."""
    first: NDArray[Any]
    """(n,) bits of the sub-model that arrived first."""
    moved_at: Times
    """(n,) the earliest arrival of one that moved; LATEST: none has so far."""
    moved: NDArray[Any]
    """(n,) its bits."""


def starting(values: int, seats: int, kind: np.dtype[Any]) -> Standing:
    """seats  How many arrivals are remembered: one, or as many as are drawn at most."""
    return Standing(
        np.full((seats, values), LATEST),
        np.zeros(values, dtype=kind),
        np.full(values, LATEST),
        np.zeros(values, dtype=kind),
    )


def arrive(standing: Standing, own: NDArray[Any], times: Times, moved: NDArray[np.bool_]) -> None:
    """One more sub-model: its bits, when it arrives, and where it has moved; all (n,)."""
    earlier = times < standing.seats[0]
    np.copyto(standing.first, own, where=earlier)
    better = moved & (times < standing.moved_at)
    np.copyto(standing.moved_at, times, where=better)
    np.copyto(standing.moved, own, where=better)
    for seat in standing.seats:
        later = np.maximum(seat, times)
        np.minimum(seat, times, out=seat)
        times = later


def ended(standing: Standing, limited: bool) -> tuple[NDArray[Any], int, int]:
    """The bits (n,) of who is drawn at each value: of those that moved the first, if there is one
    and, where draws are limited, it has a seat; else the first of all. How many moved, and how many
    of these were not the first of all.
    """
    found = standing.moved_at < LATEST
    if limited:
        found &= standing.moved_at <= standing.seats[-1]
    merged = np.where(found, standing.moved, standing.first)
    redrawn = found & (standing.seats[0] < standing.moved_at)
    return merged, int(found.sum()), int(redrawn.sum())
