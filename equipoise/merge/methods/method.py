"""What all methods of merging have in common: stretches of tensors in, one stretch out.

A method is a function

    merged, counts = method(place, base, parts, **settings)

of one stretch of one tensor, flattened. `parts` yields the sub-models' stretches one after another,
in the order of their keys, so that a method holds as many of them as it keeps: none of these keeps
more than a few, whatever their number. Where a method must know of a whole tensor what no stretch
tells (an angle, a threshold), it has surveys: functions that are run over all stretches before, and
whose results are added up and handed to it as `known`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = Mapping[str, int]
"""What happened, to be added up over stretches: "values" merged, and what the method counts."""
Known = Mapping[str, NDArray[Any]]
"""What surveys found out about a tensor (or all of a group), added up over its stretches."""


@dataclass(frozen=True)
class Place:
    """A stretch of a tensor: its values start .. stop - 1, in row-major order."""

    tensor: str
    drawn_as: str
    """The name by which draws are made: of tied tensors the first's, of a layer drawn as one the
    layer's, else the tensor's."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    start: int
    stop: int

    @property
    def row_values(self) -> int:
        """Of a row: what lies at one index of the first dimension; of a vector one value."""
        return max(1, math.prod(self.shape[1:]))

    def numbers(self) -> NDArray[np.uint64]:
        """(n,) place of each value in the tensor."""
        return np.arange(self.start, self.stop, dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Part:
    """One sub-model's values at a place."""

    key: str
    """The sub-model's name: by it draws are made, and it stands in its place in the order."""
    values: Tensor
    """(n,) of a floating-point type."""
    weight: float = 1.0
    """What the user gives it, beside the others'."""
    importance: Tensor | None = None
    """(n,) >= 0, how much each value matters to it (of Fisher information)."""


Merge = Callable[..., tuple[Tensor, Counts]]
Survey = Callable[..., Known]


def no_surveys(_: Mapping[str, Any]) -> tuple[Survey, ...]:
    return ()


@dataclass(frozen=True)
class Method:
    """A function and what must be known to call it."""

    merge: Merge
    title: str
    source: str
    needs_base: bool = False
    surveys: Callable[[Mapping[str, Any]], tuple[Survey, ...]] = no_surveys
    """By the settings: run one after another, each given what those before found."""
    settings: tuple[str, ...] = ()
    """Names that a user may set, `merge`'s keyword arguments."""
    sub_models: tuple[int, int | None] = (1, None)
    """Fewest and most that it merges; None: any number."""
    needs_importance: bool = False
    draws: bool = False
    """Whether chance takes part, so that it takes a seed."""


def wide(values: Tensor) -> NDArray[Any]:
    """The values in the type that they are reckoned with: float64 as it is, all others as float32,
    which holds each of theirs."""
    found: NDArray[Any] = (
        values.numpy() if values.dtype == torch.float64 else values.to(torch.float32).numpy()
    )
    return found


def narrow(found: NDArray[Any], like: Tensor) -> Tensor:
    """Rounded once, to the nearest value of the type of `like`."""
    return torch.from_numpy(found).to(like.dtype)


def counted(found: Tensor, **others: int) -> tuple[Tensor, Counts]:
    return found, {"values": found.numel(), **others}


def deltas(base: Tensor, parts: Iterable[Part]) -> Iterable[tuple[Part, NDArray[Any]]]:
    """Each part with the task vector's stretch: what training added to the base."""
    start = wide(base)
    for part in parts:
        yield part, wide(part.values) - start
