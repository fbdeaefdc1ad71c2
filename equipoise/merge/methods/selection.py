"""Parameter selection: every single value of the merged model is that of one sub-model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equipoise.merge.compiled import arrive_equal, compiled
from equipoise.merge.compiled import ended as ended_fast
from equipoise.merge.draws import arrivals, stream_of
from equipoise.merge.methods.method import (
    Counts,
    Known,
    Part,
    Place,
    Survey,
    wide,
)
from equipoise.merge.race import Standing, arrive, ended, starting

_BITS = {1: torch.uint8, 2: torch.uint16, 4: torch.uint32, 8: torch.uint64}
"""By bytes per value: values are moved and never reckoned with, so they are taken bit by bit."""
LEAST_SHARE = float(np.finfo(np.float32).tiny)
"""An importance below counts as this much: where all are 0, all sub-models have the same share."""


GRANULARITIES = ("element", "row", "tensor", "layer")
"""What is drawn as one: each value, each row (what lies at one index of the first dimension), each
tensor, or all tensors of a layer."""


def select(
    place: Place,
    base: Tensor | None,
    parts: Iterable[Part],
    *,
    seed: int,
    known: Known | None = None,
    equal: bool = True,
    resamples: int | None = None,
    tolerance: float = 0.0,
    granularity: str = "element",
) -> tuple[Tensor, Counts]:
    """Each value is that of the sub-model drawn, k with probability p_k; where that one did not
    move from the base, another is drawn among the others, up to `resamples` times. Where none of
    the drawn moved, the first stands.

    base        None: all have moved.
    known       What `moved_surveys` found, of tensors and layers drawn as one.
    equal       All have the same p_k. Else it is the part's weight, times its importance if it has
                one, of the sum of these.
    resamples   The paper's n; None: until one is found that moved, or nobody is left. 0: none.
    tolerance   A value did not move if it lies at most so far from the base's; 0: if it has the
                base's bits.
    granularity One of GRANULARITIES. What is drawn as one has moved if any of its values has.
    Counts      "moved": values of the merged model that did; "redrawn": those whose first drawn did
                not, and another one did; "unmoved KEY" per sub-model. What is drawn as one, is
                counted as one moved or not.
    Source      Ju et al. 2024, Mitigating training imbalance in LLM fine-tuning via selective
                parameter merging, arXiv:2410.03743, section 3; granularities other than element
                are ours, to compare.
    """
    standing: Standing | None = None
    counts: dict[str, int] = {}
    fast = compiled() if granularity == "element" and not tolerance else None
    origin = None if base is None else bits(base)
    for number, part in enumerate(parts):
        own = bits(part.values)
        if standing is None:
            seats = 1 if base is None or resamples is None else resamples + 1
            standing = starting(len(own), seats, own.dtype)
        stream = stream_of(seed, place.drawn_as, part.key)
        if fast is not None and equal:
            unmoved = arrive_equal(fast, standing, own, origin, stream, place.start)
        else:
            anywhere = None if known is None else bool(known["moved"][number])
            moved = _as_one(has_moved(part.values, base, tolerance), place, granularity, anywhere)
            times = arrivals(stream, _units(place, granularity), None if equal else share(part))
            arrive(standing, own, times, moved)
            unmoved = len(own) - int(moved.sum())
        counts[f"unmoved {part.key}"] = unmoved
    assert standing is not None
    if base is None:
        return values(standing.first, part.values), {"values": len(standing.first)}
    limited = resamples is not None
    merged, found, redrawn = (
        ended(standing, limited) if fast is None else ended_fast(fast, standing, limited)
    )
    counts |= {"values": len(merged), "moved": found, "redrawn": redrawn}
    return values(merged, part.values), counts


def _units(place: Place, granularity: str) -> NDArray[np.uint64]:
    """(n,) number of what each value is drawn with."""
    if granularity == "element":
        return place.numbers()
    if granularity == "row":
        return place.numbers() // np.uint64(place.row_values)
    return np.zeros(place.stop - place.start, dtype=np.uint64)


def _as_one(
    moved: NDArray[np.bool_], place: Place, granularity: str, anywhere: bool | None
) -> NDArray[np.bool_]:
    """(n,) whether what each value is drawn with has moved; stretches hold whole rows then."""
    if granularity == "element":
        return moved
    if granularity == "row":
        return np.repeat(moved.reshape(-1, place.row_values).any(axis=1), place.row_values)
    return np.full(len(moved), anywhere is not False)


def moved_surveys(settings: Mapping[str, Any]) -> tuple[Survey, ...]:
    """What no stretch tells, where tensors or layers are drawn as one."""
    return (moved_values,) if settings.get("granularity") in ("tensor", "layer") else ()


def moved_values(
    _: Place, base: Tensor | None, parts: Iterable[Part], *, tolerance: float = 0.0, **settings: Any
) -> Known:
    """{"moved": (K,)} how many values of each sub-model have moved."""
    moved = [has_moved(part.values, base, tolerance).sum() for part in parts]
    return {"moved": np.array(moved, dtype=np.int64)}


def has_moved(values: Tensor, base: Tensor | None, tolerance: float) -> NDArray[np.bool_]:
    """(n,) NaN has."""
    if base is None:
        return np.ones(values.numel(), dtype=np.bool_)
    if not tolerance:
        apart: NDArray[np.bool_] = bits(values) != bits(base)
        return apart
    near: NDArray[np.bool_] = np.abs(wide(values) - wide(base)) <= tolerance
    return ~near


def share(part: Part) -> float | NDArray[np.float64]:
    """Of the draws, before it is divided by the sum of all."""
    if part.importance is None:
        return part.weight
    found: NDArray[np.float64] = part.weight * np.maximum(
        wide(part.importance).astype(np.float64), LEAST_SHARE
    )
    return found


def bits(values: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = values.view(_BITS[values.element_size()]).numpy()
    return found


def values(found: NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(found).view(like.dtype)
