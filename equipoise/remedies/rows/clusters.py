"""Leave out rows of large classes that others stand for: by clusters, or by near-repeats."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne, Share
from equipoise.remedies.rows.neighbours import Index, Vectors, centred
from equipoise.remedies.rows.resample import most_rows

_FITTED_ROWS = 20_000
"""Clusters are fitted on a random part of larger classes: their centres hardly move with more."""
_ROUNDS = 20
"""Of k-means; the rows nearest to the centres change little after the first few."""
_BLOCK_ROWS = 1024


def cluster_undersample(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    at_least: AtLeastOne = 1,
    most_clusters: AtLeastOne = 1000,
) -> NDArray[np.int64]:
    """Cut large classes down to the rows nearest to the centres of their k-means clusters.

    A class gets as many clusters as rows may stay, and each gives the row nearest to its centre.
    Beyond `most_clusters` they give their second nearest too, and so on in turn.

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns (m,) index, ascending, no
              repeats, m <= n.
    Settings  ratio: smallest / largest class afterwards, above 0 to 1 (1: all equal).
              at_least: no class is cut below this many rows, 1 or more.
              most_clusters: clusters of one class at most; the time grows with it.
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows.
    Helps     where large classes hold many kinds of rows in unequal numbers: every kind is kept,
              where a random part would lose the seldom ones.
    Harms     where the smallest class is tiny, as `random_undersample` does; and where the rows
              between the clusters are what tells the classes apart.
    Source    Lin et al. 2017, Clustering-based undersampling in class-imbalanced data,
              Information Sciences 409 (its second strategy: nearest neighbours of the centres).
    """
    groups = rows_by_class(labels, classes)
    places = centred(vectors, labels)
    target = most_rows(groups, ratio, at_least)
    chosen = [
        rows
        if len(rows) <= target
        else rows[_nearest_to_centres(places[rows], target, min(target, most_clusters), rng)]
        for rows in groups
    ]
    return np.sort(np.concatenate(chosen))


def redundancy_undersample(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    similarity: Share = 0.95,
    ratio: Share = 1.0,
    at_least: AtLeastOne = 1,
) -> NDArray[np.int64]:
    """Leave out rows of large classes that repeat, in other words, a row that is kept.

    Goes through a class in random order and keeps a row unless one already kept is as near as
    `similarity`. If that leaves fewer rows than `ratio` asks for, those that repeat least come
    back. Small classes are left alone.

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns (m,) index, ascending, no
              repeats, m <= n.
    Settings  similarity: cosine from which a row repeats another, above 0 to 1 (1: the same text).
              ratio: no class is cut below the smallest one / ratio, above 0 to 1.
              at_least: no class is cut below this many rows, 1 or more.
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows.
    Helps     where large classes are full of templates and paraphrases: training is shorter and
              loses nothing, and what is said seldom counts for more.
    Harms     little: what frequent wordings tell about the deployment's shares is lost. With a low
              similarity rows go that say something else.
    Source    Abbas et al. 2023, SemDeDup: data-efficient learning at web-scale through semantic
              deduplication, arXiv:2303.09540 (repeats by cosine of embeddings; here within a class
              and without clusters).
    """
    groups = rows_by_class(labels, classes)
    centred(vectors, labels)  # says what is wrong with them; cosines are of the vectors as they are
    target = most_rows(groups, ratio, at_least)
    chosen = []
    for rows in groups:
        if len(rows) <= target:
            chosen.append(rows)
            continue
        order = rng.permutation(rows)
        likest = _likest_kept(vectors[order], similarity)
        # Stable: the rows kept (-inf) in their order, then the repeats that repeat least.
        ranked = np.argsort(likest, kind="stable")
        chosen.append(order[ranked[: max(target, int(np.isneginf(likest).sum()))]])
    return np.sort(np.concatenate(chosen))


def _nearest_to_centres(
    vectors: Vectors, target: int, clusters: int, rng: np.random.Generator
) -> Index:
    """(target,) rows in turn from each cluster, those nearest to its centre first."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    fitted = vectors
    if len(vectors) > _FITTED_ROWS:
        fitted = vectors[np.sort(rng.choice(len(vectors), _FITTED_ROWS, replace=False))]
    clusters = min(clusters, len(fitted))
    seed = int(rng.integers(2**32))
    model = KMeans(clusters, n_init=1, max_iter=_ROUNDS, random_state=seed)
    # Several threads add in the order in which they finish: the last bits would differ every time.
    with threadpool_limits(1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal rows leave clusters empty
        cluster = model.fit(fitted).predict(vectors)
    gaps = np.square(vectors - model.cluster_centers_[cluster]).sum(axis=1)
    order = np.lexsort((gaps, cluster))
    first = np.searchsorted(cluster[order], np.arange(clusters))
    turn = np.empty(len(vectors), dtype=np.int64)
    turn[order] = np.arange(len(vectors)) - first[cluster[order]]
    return np.lexsort((gaps, turn))[:target]


def _likest_kept(vectors: NDArray[np.float32], similarity: float) -> NDArray[np.float64]:
    """(n,) for each row in order: the cosine to the likest row kept before it if that is
    `similarity` or more, else -inf, and the row is kept."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    # Cosines of equal rows come out a few roundings below 1.
    bound = similarity - 1e-6
    likest = np.full(len(units), -np.inf)
    kept = np.empty_like(units)
    count = 0
    for start in range(0, len(units), _BLOCK_ROWS):
        block = units[start : start + _BLOCK_ROWS]
        before = np.full(len(block), -np.inf, dtype=np.float32)
        for first in range(0, count, 16 * _BLOCK_ROWS):
            seen = kept[first : min(first + 16 * _BLOCK_ROWS, count)]
            np.maximum(before, (block @ seen.T).max(axis=1), out=before)
        among = block @ block.T
        for row in range(len(block)):
            if before[row] < bound:
                kept[count] = block[row]
                count += 1
                np.maximum(before[row + 1 :], among[row, row + 1 :], out=before[row + 1 :])
            else:
                likest[start + row] = before[row]
    return likest
