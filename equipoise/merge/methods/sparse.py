"""TIES and DARE: task vectors made sparse before they are added up, so that they disturb each other
less."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.merge.draws import numbers, stream_of
from equipoise.merge.methods.method import (
    Counts,
    Known,
    Part,
    Place,
    counted,
    deltas,
    narrow,
    wide,
)


def ties(
    place: Place,
    base: Tensor,
    parts: Iterable[Part],
    *,
    known: Known,
    density: float = 0.2,
    scale: float = 1.0,
) -> tuple[Tensor, Counts]:
    """Trim, elect signs, and average those that agree: base + scale x the mean of the kept values
    that have the sign of their sum.

    density  Share of each sub-model's task vector that is kept, per tensor: its largest values by
             magnitude, and all that are as large as the smallest of these.
    known    What the surveys found: the magnitudes from which on values are kept.
    Source   Yadav et al. 2023, TIES-merging, arXiv:2306.01708.
    """
    least = thresholds(known, density)
    agreed = _Agreed(wide(base))
    for number, (part, delta) in enumerate(deltas(base, parts)):
        kept = magnitudes(delta) >= least[number]
        agreed.add(np.where(kept, delta, 0), part.weight)
    return agreed.onto(base, scale)


def dare(
    place: Place,
    base: Tensor,
    parts: Iterable[Part],
    *,
    seed: int,
    density: float = 0.5,
    scale: float = 1.0,
) -> tuple[Tensor, Counts]:
    """Drop values of the task vectors by chance and rescale the others by 1 / density, so that
    their expectation stays; then the weighted average is taken, as of task vectors whole.

    density  Share that is kept, 1 - p in the paper.
    Source   Yu et al. 2024, Language models are super Mario, arXiv:2311.03099.
    """
    origin = wide(base)
    total, weights, dropped = np.zeros_like(origin), 0.0, 0
    for part, delta in deltas(base, parts):
        kept = _kept(place, part, seed, density)
        dropped += int((~kept).sum())
        total += origin.dtype.type(part.weight / density) * np.where(kept, delta, 0)
        weights += part.weight
    found = origin + origin.dtype.type(scale / weights) * total
    return counted(narrow(found, base), dropped=dropped)


def dare_ties(
    place: Place,
    base: Tensor,
    parts: Iterable[Part],
    *,
    seed: int,
    density: float = 0.5,
    scale: float = 1.0,
) -> tuple[Tensor, Counts]:
    """DARE's dropping in place of TIES' trimming.

    Source  Yu et al. 2024, arXiv:2311.03099, section 4.3.
    """
    agreed = _Agreed(wide(base))
    for part, delta in deltas(base, parts):
        kept = _kept(place, part, seed, density)
        agreed.add(np.where(kept, delta / delta.dtype.type(density), 0), part.weight)
    return agreed.onto(base, scale)


class _Agreed:
    """Task vectors added up by sign, so that the mean of those on the heavier side can be told
    without holding any of them."""

    def __init__(self, origin: NDArray[Any]) -> None:
        self.origin = origin
        shape = (2, *origin.shape)
        self.sums, self.weights = np.zeros(shape, origin.dtype), np.zeros(shape, origin.dtype)

    def add(self, delta: NDArray[Any], weight: float) -> None:
        mine = delta.dtype.type(weight)
        for side, there in enumerate((delta > 0, delta < 0)):
            self.sums[side] += np.where(there, mine * delta, 0)
            self.weights[side] += np.where(there, mine, 0)

    def onto(self, base: Tensor, scale: float) -> tuple[Tensor, Counts]:
        """Where both sides weigh the same nothing is elected, and the base stays."""
        up, down = self.sums[0] + self.sums[1] > 0, self.sums[0] + self.sums[1] < 0
        mean = np.zeros_like(self.origin)
        for side, elected in enumerate((up, down)):
            np.divide(self.sums[side], self.weights[side], out=mean, where=elected)
        found = narrow(self.origin + self.origin.dtype.type(scale) * mean, base)
        opposed = (self.weights[0] > 0) & (self.weights[1] > 0)
        stayed = ~(up | down)
        return counted(found, opposed=int(opposed.sum()), stayed=int(stayed.sum()))


def _kept(place: Place, part: Part, seed: int, density: float) -> NDArray[np.bool_]:
    stream = stream_of(seed, place.drawn_as, part.key)
    return numbers(stream, place.numbers()) < np.uint64(min(int(density * 2**63), 2**63 - 1))


# ── the magnitude from which on so many values are kept, by counting twice ────────────────────


def magnitudes(delta: NDArray[Any]) -> NDArray[np.uint32]:
    """The bits of |delta| as float32, which stand in the order of the values."""
    bits: NDArray[np.uint32] = np.abs(delta).astype(np.float32).view(np.uint32)
    return bits


def upper_counts(place: Place, base: Tensor, parts: Iterable[Part], **settings: Any) -> Known:
    """{"upper": (K, 2**15)} values of each sub-model by the upper bits of their magnitudes."""
    counts = [
        np.bincount(magnitudes(delta) >> np.uint32(16), minlength=2**15)
        for _, delta in deltas(base, parts)
    ]
    return {"upper": np.stack(counts)}


def lower_counts(
    place: Place,
    base: Tensor,
    parts: Iterable[Part],
    *,
    known: Known,
    density: float = 0.2,
    **settings: Any,
) -> Known:
    """{"lower": (K, 2**16)} by the lower bits, of those whose upper bits are the threshold's."""
    counts = []
    for number, (_, delta) in enumerate(deltas(base, parts)):
        upper = _crossing(known["upper"][number], _asked(known, number, density))[0]
        bits = magnitudes(delta)
        there = bits[bits >> np.uint32(16) == upper] & np.uint32(0xFFFF)
        counts.append(np.bincount(there, minlength=2**16))
    return {"lower": np.stack(counts)}


def thresholds(known: Known, density: float) -> list[int]:
    """Per sub-model the bits of the magnitude from which on `density` of the values are kept."""
    found = []
    for number in range(len(known["upper"])):
        asked = _asked(known, number, density)
        upper, above = _crossing(known["upper"][number], asked)
        lower, _ = _crossing(known["lower"][number], asked - above)
        found.append(upper << 16 | lower)
    return found


def _asked(known: Known, number: int, density: float) -> int:
    """Values to keep: rounded down as is usual, but one at least."""
    return max(1, int(density * int(known["upper"][number].sum())))


def _crossing(counts: NDArray[np.int64], asked: int) -> tuple[int, int]:
    """The bin that holds the asked-th value from above, and how many values lie above the bin.

    >>> _crossing(np.array([5, 2, 3]), 4)
    (1, 3)
    """
    from_above = np.cumsum(counts[::-1])
    back = int(np.searchsorted(from_above, asked))
    return len(counts) - 1 - back, int(from_above[back] - counts[::-1][back])
