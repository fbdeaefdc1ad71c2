"""Synthetic vectors of small classes, between those of rows. They train a head, never a body: no
text says what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.remedies.labels import check_labels
from equipoise.remedies.remedy import AtLeastOne, Share
from equipoise.remedies.rows.between import Between, Near, check_installed, sample
from equipoise.remedies.rows.clean import beset, linked, without
from equipoise.remedies.rows.neighbours import Index, centred, tomek_pairs
from equipoise.remedies.rows.resample import least_rows

_LONE = "a single row has no neighbour"
_SAFE = "none of its rows lies near another class"
_FEW = "too few are wanted to go round its rows"

Neighbours = Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Which of n rows stay, and m vectors that join them."""

    kept: Index
    """(r,) rows that stay, ascending."""
    vectors: NDArray[np.float32]
    """(m, width)."""
    labels: Index
    """(m,) class of each."""
    parents: Index
    """(m,) row that each was made from; it need not have stayed."""
    left: dict[int, str]
    """Small classes for which none were made, and why."""


def smote(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    neighbours: Neighbours = 5,
    most_made: AtLeastOne | None = 10,
) -> Synthesis:
    """Make vectors of small classes on the lines between their rows and those rows' neighbours.

    Shapes    labels (n,) in 0..classes-1, vectors (n, width). Returns m vectors, their classes and
              parents; every row stays.
    Settings  ratio: smallest / largest class afterwards, above 0 to 1 (1: all equal).
              neighbours: nearest rows of the class of which one is drawn; all there are in a class
              with fewer. most_made: vectors made per row of a class at most; none: no limit.
    Raises    ShapeError for labels out of range or vectors that don't fit, DataError without rows,
              MissingExtraError without imbalanced-learn.
    Helps     a head on good features where classes are small but not tiny: the space between their
              rows is filled, which repeating them does not do.
    Harms     where a class's rows lie among those of others: the lines lead through them. In a
              class of a handful of rows all vectors lie on a few lines, hence `most_made`. A class
              of one row gets none.
    Source    Chawla et al. 2002, SMOTE: synthetic minority over-sampling technique,
              arXiv:1106.1813.
    """
    return _synthesis("SMOTE", labels, classes, rng, vectors, ratio, neighbours, most_made)


def borderline_smote(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    neighbours: Neighbours = 5,
    border_neighbours: Neighbours = 10,
    most_made: AtLeastOne | None = 10,
) -> Synthesis:
    """SMOTE from the rows in danger alone: those of whose nearest rows half or more, but not all,
    are of other classes.

    Shapes    as `smote`; every row stays.
    Settings  ratio, neighbours, most_made: as in `smote`. border_neighbours: nearest rows of any
              class by which danger is told.
    Raises    as `smote`.
    Helps     where small classes have a clear inside and a border that is contested.
    Harms     where labels near the border are wrong; a class far from all others gets none.
    Source    Han et al. 2005, Borderline-SMOTE: a new over-sampling method in imbalanced data sets
              learning (its first variant).
    """
    return _synthesis(
        "BorderlineSMOTE",
        labels,
        classes,
        rng,
        vectors,
        ratio,
        neighbours,
        most_made,
        border_neighbours,
    )


def adasyn(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    neighbours: Neighbours = 5,
    most_made: AtLeastOne | None = 10,
) -> Synthesis:
    """SMOTE in which a row is parent the more often, the more of its nearest rows are of other
    classes.

    Shapes    as `smote`; every row stays.
    Settings  ratio: smallest / largest class afterwards, above 0 to 1, give or take a rounding per
              row. neighbours, most_made: as in `smote`.
    Raises    as `smote`.
    Helps     where some rows of a small class are far harder than others.
    Harms     where the hardest rows are wrongly labelled; a class far from all others gets none.
    Source    He et al. 2008, ADASYN: adaptive synthetic sampling approach for imbalanced learning.
    """
    return _synthesis("ADASYN", labels, classes, rng, vectors, ratio, neighbours, most_made)


def smote_enn(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    neighbours: Neighbours = 5,
    edit_neighbours: Neighbours = 3,
    most_made: AtLeastOne | None = 10,
) -> Synthesis:
    """SMOTE, then without every row, given or made, that has one of another class among its
    nearest neighbours.

    Shapes    as `smote`; rows go too. A class that would lose every row keeps them all.
    Settings  ratio, neighbours, most_made: as in `smote`. edit_neighbours: how many are looked at
              in cleaning.
    Raises    as `smote`.
    Helps     where classes overlap: the lines that SMOTE drew through other classes go again.
    Harms     where the overlap is how things are: most of a border may go, and with it what was
              to be learned. It is the most invasive of the five.
    Source    Batista et al. 2004, A study of the behavior of several methods for balancing machine
              learning training data, ACM SIGKDD Explorations 6.
    """
    made = smote(
        labels,
        classes,
        rng,
        vectors=vectors,
        ratio=ratio,
        neighbours=neighbours,
        most_made=most_made,
    )
    return _cleaned(
        made, labels, vectors, lambda places, all_: beset(places, all_, edit_neighbours, True)
    )


def smote_tomek(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    vectors: NDArray[np.float32],
    ratio: Share = 1.0,
    neighbours: Neighbours = 5,
    most_made: AtLeastOne | None = 10,
) -> Synthesis:
    """SMOTE, then without both rows, given or made, of every Tomek link.

    Shapes    as `smote`; rows go too. A class that would lose every row keeps them all.
    Settings  ratio, neighbours, most_made: as in `smote`.
    Raises    as `smote`.
    Helps     as `smote`, where classes touch; it cleans far less than `smote_enn`.
    Harms     as `smote`.
    Source    Batista et al. 2004, A study of the behavior of several methods for balancing machine
              learning training data, ACM SIGKDD Explorations 6.
    """
    made = smote(
        labels,
        classes,
        rng,
        vectors=vectors,
        ratio=ratio,
        neighbours=neighbours,
        most_made=most_made,
    )
    return _cleaned(
        made, labels, vectors, lambda places, all_: linked(all_, tomek_pairs(places, all_), True)
    )


def _synthesis(
    name: str,
    labels: Index,
    classes: int,
    rng: np.random.Generator,
    vectors: NDArray[np.float32],
    ratio: float,
    neighbours: int,
    most_made: int | None,
    border_neighbours: int = 0,
) -> Synthesis:
    """All rows, and what imbalanced-learn's sampler of that name makes."""
    check_labels(labels, classes)
    check_installed(name)
    places = centred(vectors, labels)
    counts = np.bincount(labels, minlength=classes)
    wanted = np.maximum(least_rows(counts.max(), ratio) - counts, 0)
    if most_made is not None:
        wanted = np.minimum(wanted, most_made * counts)
    left = {int(k): _LONE for k in np.flatnonzero((counts == 1) & (wanted > 0))}
    nothing = np.empty(0, np.int64)
    parts = [Between(nothing, nothing, np.empty(0))]
    # imbalanced-learn takes one number of neighbours for all classes: those with few rows go apart.
    nearby = np.minimum(neighbours, counts - 1)
    for k in np.unique(nearby[(wanted > 0) & (counts > 1)]):
        asked = {int(c): int(wanted[c]) for c in np.flatnonzero((nearby == k) & (wanted > 0))}
        near = Near(places, int(k))
        if name == "ADASYN":
            for c in list(asked):
                if why := _idle(near, labels, c, asked[c]):
                    left[c] = why
                    del asked[c]
        if asked:
            border = Near(places, min(border_neighbours, len(labels) - 1))
            parts.append(_sample(name, labels, asked, rng, near, border))
    joined = Between(
        *(np.concatenate([getattr(p, part) for p in parts]) for part in Between.__annotations__)
    )
    made = labels[joined.parents]
    none = np.setdiff1d(np.flatnonzero((wanted > 0) & (counts > 1)), made)
    return Synthesis(
        kept=np.arange(len(labels)),
        vectors=joined.vectors(np.asarray(vectors, dtype=np.float32)),
        labels=made,
        parents=joined.parents,
        left={int(k): _SAFE for k in none} | left,
    )


def _sample(
    name: str,
    labels: Index,
    asked: dict[int, int],
    rng: np.random.Generator,
    near: Near,
    border: Near,
) -> Between:
    from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE

    if name == "ADASYN":
        return sample(ADASYN, labels, asked, rng, n_neighbors=near)
    if name == "BorderlineSMOTE":
        return sample(BorderlineSMOTE, labels, asked, rng, k_neighbors=near, m_neighbors=border)
    return sample(SMOTE, labels, asked, rng, k_neighbors=near)


def _idle(near: Near, labels: Index, k: int, wanted: int) -> str | None:
    """Why ADASYN would make nothing of a class, where imbalanced-learn raises: shares of `wanted`
    go to its rows by their neighbours of other classes, and are rounded. None: it makes some."""
    rows = np.flatnonzero(labels == k)
    near.fit(np.arange(len(labels))[:, None])
    others = (labels[near.kneighbors(rows[:, None])[:, 1:]] != k).sum(axis=1)
    if not others.any():
        return _SAFE
    return None if np.rint(others / others.sum() * wanted).any() else _FEW


def _cleaned(
    made: Synthesis,
    labels: Index,
    vectors: NDArray[np.float32],
    faulty: Callable[[Any, Index], NDArray[np.bool_]],
) -> Synthesis:
    """Without the rows, given or made, that `faulty` (vectors, labels) marks."""
    every = np.concatenate([labels, made.labels])
    places = centred(np.concatenate([vectors, made.vectors]), every)
    stays = without(every, faulty(places, every))
    given, new = stays[stays < len(labels)], stays[stays >= len(labels)] - len(labels)
    return Synthesis(given, made.vectors[new], made.labels[new], made.parents[new], made.left)
