"""Take away rows that stand on the wrong side of a border between classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.labels import check_labels
from equipoise.remedies.remedy import AtLeastOne
from equipoise.remedies.rows.neighbours import Vectors, among_nearest, centred, tomek_pairs


def tomek_links(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    every_class: bool = False,
) -> NDArray[np.int64]:
    """Without the larger class's row of every Tomek link: two rows of different classes that are
    each other's nearest row.

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns (m,) index, ascending, no
              repeats, m <= n. A class that would lose every row keeps them all.
    Settings  every_class: both rows of a link go, whatever their classes' sizes.
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows.
    Helps     a little, where classes touch: the border is cleared in favour of the smaller class.
    Harms     next to nothing, for few rows go; it is no cure for a large ratio.
    Source    Tomek 1976, Two modifications of CNN, IEEE Transactions on Systems, Man, and
              Cybernetics 6.
    """
    check_labels(labels, classes)
    pairs = tomek_pairs(centred(vectors, labels), labels)
    return without(labels, linked(labels, pairs, every_class))


def edited_nearest_neighbours(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    neighbours: AtLeastOne = 3,
    every_class: bool = False,
) -> NDArray[np.int64]:
    """Without the rows that have a row of a smaller class among their nearest neighbours.

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns (m,) index, ascending, no
              repeats, m <= n. A class that would lose every row keeps them all.
    Settings  neighbours: how many are looked at, 1 or more. every_class: rows of small classes go
              too, by any neighbour of another class.
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows.
    Helps     where classes overlap or labels of the large class are noisy: small classes gain room.
    Harms     where the overlap is how things are: the large class's rows near the border are lost
              and its recall with them. With every_class small classes lose rows they can't spare.
    Source    Wilson 1972, Asymptotic properties of nearest neighbor rules using edited data, IEEE
              Transactions on Systems, Man, and Cybernetics 2 (here a single other neighbour is
              enough, and the larger class gives way).
    """
    check_labels(labels, classes)
    return without(labels, beset(centred(vectors, labels), labels, neighbours, every_class))


def linked(
    labels: NDArray[np.int64], pairs: NDArray[np.int64], every_class: bool
) -> NDArray[np.bool_]:
    """(n,) whether a row goes for its Tomek link; of two classes of one size none gives way."""
    out = np.zeros(len(labels), dtype=bool)
    sizes = np.bincount(labels)[labels[pairs]]
    out[pairs[sizes > sizes[:, ::-1]]] = True
    if every_class:
        out[pairs] = True
    return out


def beset(
    vectors: Vectors, labels: NDArray[np.int64], neighbours: int, every_class: bool
) -> NDArray[np.bool_]:
    """(n,) whether a row has one of a smaller class (any other) among its nearest neighbours."""
    counts = np.bincount(labels)
    out = np.zeros(len(labels), dtype=bool)
    for k in np.flatnonzero(counts):
        own = np.flatnonzero(labels == k)
        gives_way_to = labels != k if every_class else counts[labels] < counts[k]
        if not gives_way_to.any():
            continue
        # Its own class first: there it finds most of what is nearer than a rival.
        others = np.concatenate([own, np.flatnonzero(~gives_way_to & (labels != k))])
        rivals = np.flatnonzero(gives_way_to)
        out[own] = among_nearest(vectors, own, rivals, others, neighbours)
    return out


def without(labels: NDArray[np.int64], gone: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows that stay, ascending; a class that would lose every row keeps them all."""
    stays = ~gone
    lost = np.bincount(labels[stays], minlength=labels.max() + 1) == 0
    return np.flatnonzero(stays | lost[labels])
