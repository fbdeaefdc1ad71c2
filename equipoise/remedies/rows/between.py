"""Vectors between two rows of a class, sampled by imbalanced-learn.

imbalanced-learn decides which rows a vector is made from and how far along it lies. It does so
without seeing a vector: it gets the rows' numbers, and asks us for neighbours. So every made row
knows its parents, classes smaller than the number of neighbours are no special case for it, and
nothing of the size of the vectors is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import MissingExtraError
from equipoise.remedies.rows.neighbours import Index, Vectors, nearest

_STEP = 2.0**-27
"""Step that every vector is made with, so that one number tells both ends exactly: row a and row b
give a + _STEP × (b − a), for up to 2^26 rows within the 53 bits of a float64."""
_CHUNK_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Between:
    """m vectors, each on the line between two rows of one class."""

    parents: Index
    """(m,) the row that each is made from."""
    partners: Index
    """(m,) its neighbour at the other end."""
    steps: NDArray[np.float64]
    """(m,) how far along, from 0 (the parent) to 1 (the neighbour)."""

    def vectors(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(m, width) out of the rows' vectors (n, width)."""
        out = np.empty((len(self.parents), rows.shape[1]), dtype=np.float32)
        for start in range(0, len(out), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            origin = rows[self.parents[part]]
            out[part] = origin + self.steps[part, None] * (rows[self.partners[part]] - origin)
        return out


class _FixedSteps(np.random.RandomState):
    """Numbers as drawn from the seed, but every step handed out is _STEP; `steps` keeps those that
    were drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.steps: list[NDArray[np.float64]] = []

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        drawn = np.asarray(super().uniform(low, high, size))
        self.steps.append(drawn.ravel())
        return np.full_like(drawn, _STEP)


@dataclass(eq=False)
class Near:
    """What imbalanced-learn takes as a neighbours object; its matrices hold row numbers."""

    places: Vectors
    k: int
    found: dict[bytes, Index] = field(default_factory=dict)
    """Neighbours among all rows by the rows asked for: one sampler asks several times."""

    @property
    def n_neighbors(self) -> int:
        return self.k + 1  # imbalanced-learn counts the row itself

    def __sklearn_clone__(self) -> Near:
        return self  # a copy would copy the vectors

    def fit(self, numbers: NDArray[Any]) -> Near:
        self.rows: Index = numbers[:, 0].astype(np.int64)
        return self

    def kneighbors(self, numbers: NDArray[Any], *, return_distance: bool = False) -> Index:
        """(q, k + 1) positions in the rows fitted (ascending): each row, then its nearest."""
        assert not return_distance
        rows: Index = numbers[:, 0].astype(np.int64)
        whole = len(self.rows) == len(self.places)
        if whole and (seen := self.found.get(rows.tobytes())) is not None:
            return seen
        own = np.searchsorted(self.rows, rows)
        among = nearest(self.places[rows], self.places[self.rows], self.k, own=own)
        index = np.concatenate([own[:, None], among], axis=1)
        if whole:
            self.found[rows.tobytes()] = index
        return index

    def kneighbors_graph(self, *_: Any) -> None:
        """Named because imbalanced-learn tells a neighbours object by it; never called."""
        raise NotImplementedError


def sample(
    sampler: Callable[..., Any],
    labels: Index,
    wanted: Mapping[int, int],
    rng: np.random.Generator,
    **neighbours: Near,
) -> Between:
    """Let one of imbalanced-learn's samplers make `wanted` vectors per class.

    wanted: class to number of vectors, each above 0. Draws do not depend on how classes are
    numbered, only on the order in which their first rows come.
    """
    class_of, first = np.unique(labels, return_index=True)
    by_first = class_of[np.argsort(first)]
    renumbered = np.argsort(by_first)[np.searchsorted(class_of, labels)]
    counts = np.bincount(renumbered)
    totals = {k: int(counts[k]) + wanted[c] for k, c in enumerate(by_first) if c in wanted}
    draws = _FixedSteps(int(rng.integers(2**32)))
    numbers = np.arange(len(labels), dtype=np.float64)[:, None]
    made, _ = sampler(random_state=draws, sampling_strategy=totals, **neighbours).fit_resample(
        numbers, renumbered
    )
    ends = made[len(labels) :, 0]
    parents = np.rint(ends)
    partners = parents + np.rint((ends - parents) / _STEP)
    steps = np.concatenate([np.empty(0), *draws.steps])
    return Between(parents.astype(np.int64), partners.astype(np.int64), steps)


def check_installed(remedy: str) -> None:
    """Raises MissingExtraError unless imbalanced-learn is there."""
    if find_spec("imblearn") is None:
        raise MissingExtraError(f"remedy {remedy}", "imbalanced-learn", "sampling")
