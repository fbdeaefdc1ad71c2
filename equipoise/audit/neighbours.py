"""Nearest neighbours by blocked matrix products, and what they say of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.audit.given import Floats, Given, Ints

NEIGHBOURS = 10
"""Neighbours asked: enough that a vote is not one row's, few enough to be near."""
MOST_ROWS = 10_000
"""Rows among which neighbours are looked for: a billion products of vectors for 100,000 rows, some
thirty seconds on one core."""
_BLOCK = 1024
_NONE = -2.0
"""Below any cosine: no neighbour."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest rows of each of n rows, its own cluster left out."""

    among: Ints
    """(m,) positions of the rows that were compared with, rising."""
    nearest: Ints
    """(n, k) positions among all rows, nearest first."""
    similarity: NDArray[np.float32]
    """(n, k) cosine; -2 where there was no further row of another cluster."""


def sample_rows(labels: Ints, most: int, rng: np.random.Generator) -> Ints:
    """At most `most` rows, every class with as many as the largest that fits: rare classes whole,
    frequent ones thinned to one size. With more classes than `most`, one row each."""
    if len(labels) <= most:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    low, high = 1, int(counts.max())
    while low < high:
        middle = (low + high + 1) // 2
        fits = np.minimum(counts, middle).sum() <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    begins = np.cumsum(counts) - counts
    rank = np.arange(len(labels)) - np.repeat(begins, counts)
    return np.sort(order[rank < low])


def nearest_rows(given: Given, *, seed: int, most: int = MOST_ROWS) -> Nearest:
    """The NEIGHBOURS nearest rows of other clusters, by cosine, among at most `most` rows.

    Memory is a block of 1,024 rows against those, in float32.
    """
    assert given.vectors is not None, "the caller looks before it asks"
    among = sample_rows(given.labels, most, np.random.default_rng(seed))
    vectors = given.vectors.astype(np.float32)  # a copy, changed below
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(length > 0, length, 1)
    others, their_clusters = vectors[among], given.clusters[among]
    n, k = len(given), max(1, min(NEIGHBOURS, len(among) - 1))
    nearest = np.empty((n, k), dtype=np.int64)
    similarity = np.empty((n, k), dtype=np.float32)
    for start in range(0, n, _BLOCK):
        here = slice(start, min(start + _BLOCK, n))
        near = vectors[here] @ others.T
        near[given.clusters[here][:, None] == their_clusters[None, :]] = _NONE
        top = np.argpartition(-near, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(near, top, axis=1)
        order = np.argsort(-value, axis=1, kind="stable")
        nearest[here] = among[np.take_along_axis(top, order, axis=1)]
        similarity[here] = np.take_along_axis(value, order, axis=1)
    return Nearest(among, nearest, similarity)


def neighbour_votes(given: Given, near: Nearest) -> Floats:
    """(n, K) share of each class's compared rows that is among a row's neighbours: as if all
    classes were equally frequent."""
    counts = np.bincount(given.labels[near.among], minlength=len(given.classes))
    votes = np.zeros((len(given), len(given.classes)))
    here, place = np.nonzero(near.similarity > _NONE)
    np.add.at(votes, (here, given.labels[near.nearest[here, place]]), 1.0)
    return votes / np.maximum(counts, 1)
