"""Keep the rows of large classes that lie close to the smallest one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne, Share
from equipoise.remedies.rows.neighbours import Index, Vectors, centred, distances, nearest
from equipoise.remedies.rows.resample import most_rows


def near_miss(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    version: Literal[1, 2, 3] = 1,
    neighbours: AtLeastOne = 3,
    shortlist: AtLeastOne = 3,
    ratio: Share = 1.0,
    at_least: AtLeastOne = 1,
) -> NDArray[np.int64]:
    """Cut large classes down to the rows that are nearest misses of the smallest class.

        1  the smallest mean distance to the nearest `neighbours` rows of the smallest class
        2  the smallest mean distance to the farthest `neighbours` rows of it
        3  of the `shortlist` rows of the large class that are nearest to each row of the smallest,
           those with the largest mean distance to its nearest `neighbours` rows

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns (m,) index, ascending, no
              repeats, m <= n.
    Settings  version: as above. neighbours, shortlist: rows as above, 1 or more (fewer where the
              class has fewer). ratio: smallest / largest class afterwards, above 0 to 1; version 3
              may leave fewer, for its shortlist may be shorter. at_least: no class is cut below
              this many rows, 1 or more (but for version 3).
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows.
    Helps     where classes overlap and the rows far from the border teach nothing; version 3 keeps
              a belt around every row of the smallest class.
    Harms     where labels are wrong or rows are odd: version 1 keeps just those. All versions
              know one class only, so with several small ones the others' borders are thinned.
    Source    Mani and Zhang 2003, kNN approach to unbalanced data distributions: a case study
              involving information extraction, ICML workshop on imbalanced data sets.
    """
    groups = rows_by_class(labels, classes)
    places = centred(vectors, labels)
    target = most_rows(groups, ratio, at_least)
    smallest = min(groups, key=len)
    chosen = []
    for rows in groups:
        if len(rows) <= target or rows is smallest:
            chosen.append(rows)
            continue
        candidates = rows
        if version == 3:
            found = nearest(places[smallest], places[rows], min(shortlist, len(rows)))
            candidates = rows[np.unique(found)]
        gaps = _mean_distance(places[candidates], places[smallest], neighbours, version == 2)
        order = np.argsort(-gaps if version == 3 else gaps, kind="stable")
        chosen.append(candidates[order[:target]])
    return np.sort(np.concatenate(chosen))


def _mean_distance(
    rows: Vectors, smallest: Vectors, neighbours: int, farthest: bool
) -> NDArray[np.float64]:
    """(rows,) mean distance to the nearest (or farthest) `neighbours` rows of `smallest`."""
    k = min(neighbours, len(smallest))
    found: Index = nearest(rows, smallest, k, farthest=farthest)
    return np.asarray(distances(rows, smallest, found).mean(axis=1))
