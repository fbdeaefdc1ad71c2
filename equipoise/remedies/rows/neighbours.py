"""Who is near whom: exact neighbours by blocks of a matrix product, never n × n at once.

All distances are Euclidean, between float32 vectors whose common mean has been taken out: a cone
of vectors far from 0, as language models give them, would otherwise lose its digits in |a|² + |b|².
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError

Vectors = NDArray[np.float32]
Index = NDArray[np.int64]

_BLOCK = 1 << 24
"""Numbers of one block of scores: 64 MB."""
_FEW = 16
"""Up to so many neighbours are found by taking the smallest again and again, which is several
times faster than sorting a part of the row."""


def centred(vectors: NDArray[np.floating[Any]], labels: Index) -> Vectors:
    """(n, width) float32 without their mean, one per label.

    Raises ShapeError unless there is one vector per row, DataError for a vector that is not finite.
    """
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ShapeError(f"vectors have shape {vectors.shape}; expected ({len(labels)}, width)")
    out: Vectors = np.asarray(vectors, dtype=np.float32)
    out = out - out.mean(axis=0, dtype=np.float64).astype(np.float32)
    if not np.isfinite(out).all():
        raise DataError("some rows' vectors are not finite; use another base model or precision")
    return out


def nearest(
    queries: Vectors, base: Vectors, k: int, *, own: Index | None = None, farthest: bool = False
) -> Index:
    """(q, k) positions in `base` of the k rows nearest to each query, the nearest first.

    own       (q,) the query's own position in `base`, which is passed over.
    farthest  The k farthest instead, the farthest first.
    k may not be above the rows of `base`, less one where `own` is given.
    """
    out = np.empty((len(queries), k), dtype=np.int64)
    for part, scores in _scored(queries, base, own=own, sign=-1 if farthest else 1):
        places = np.arange(len(scores))
        if k > _FEW:
            found = np.argpartition(scores, k - 1, axis=1)[:, :k]
            order = np.argsort(scores[places[:, None], found], axis=1, kind="stable")
            out[part] = found[places[:, None], order]
            continue
        for place in range(k):
            out[part, place] = smallest = scores.argmin(axis=1)
            scores[places, smallest] = np.inf
    return out


def distances(queries: Vectors, base: Vectors, index: Index) -> NDArray[np.float64]:
    """(q, k) distance from each query to the rows of `base` that `index` (q, k) names."""
    out = np.empty(index.shape)
    step = max(1, _BLOCK // max(1, index.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        here = slice(start, start + step)
        gaps = queries[here, None].astype(np.float64) - base[index[here]]
        out[here] = np.sqrt((gaps**2).sum(axis=2))
    return out


def tomek_pairs(vectors: Vectors, labels: Index) -> Index:
    """(pairs, 2) rows of different classes that are each other's nearest row.

    One of two such rows is outside the largest class, so only those rows look for their nearest
    among all, and then the rows that they found.
    """
    largest = np.bincount(labels).argmax()
    found = np.full(len(labels), -1, dtype=np.int64)

    def look(rows: Index) -> None:
        found[rows] = nearest(vectors[rows], vectors, 1, own=rows)[:, 0]

    if len(labels) < 2:
        return np.empty((0, 2), dtype=np.int64)
    seekers = np.flatnonzero(labels != largest)
    look(seekers)
    seekers = seekers[labels[found[seekers]] != labels[seekers]]
    partners = np.unique(found[seekers])
    look(partners[found[partners] < 0])
    mutual = seekers[found[found[seekers]] == seekers]
    return np.unique(np.sort(np.stack([mutual, found[mutual]], axis=1), axis=1), axis=0)


def among_nearest(
    vectors: Vectors, rows: Index, rivals: Index, others: Index, k: int
) -> NDArray[np.bool_]:
    """(rows,) bool: whether one of `rivals` is among the k rows nearest to each.

    It is not as soon as k of the `others` (all rows but the rivals) are nearer than the nearest
    rival, and most rows find those in the first block: hence no full search.
    """
    out = np.zeros(len(rows), dtype=bool)
    crowd = vectors[others]
    half = 0.5 * (crowd**2).sum(axis=1)
    for part, scores in _scored(vectors[rows], vectors[rivals]):
        mine = rows[part]
        bound = scores.min(axis=1)
        nearer = np.zeros(len(mine), dtype=np.int64)
        alive = np.arange(len(mine))
        start, size = 0, 1024
        while start < len(others) and len(alive):
            here = slice(start, start + size)
            found = half[here] - vectors[mine[alive]] @ crowd[here].T
            found[others[here] == mine[alive, None]] = np.inf
            nearer[alive] += (found < bound[alive, None]).sum(axis=1)
            alive = alive[nearer[alive] < k]
            start, size = start + size, min(2 * size, 16_384)
        out[part] = nearer < k
    return out


def _scored(
    queries: Vectors, base: Vectors, *, own: Index | None = None, sign: int = 1
) -> Iterator[tuple[slice, Vectors]]:
    """Blocks of queries with their scores (block, base rows), smaller where nearer: half the
    squared distance, less half the query's squared length."""
    half = 0.5 * (base**2).sum(axis=1)
    step = max(1, min(1024, _BLOCK // max(1, len(base))))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        scores = half - queries[part] @ base.T
        if sign < 0:
            np.negative(scores, out=scores)
        if own is not None:
            scores[np.arange(len(scores)), own[part]] = np.inf
        yield part, scores
