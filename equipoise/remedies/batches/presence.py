"""A sampler that promises: no optimizer step without rows of the chosen classes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.batches.order import fill
from equipoise.remedies.labels import check_labels, rows_by_class
from equipoise.remedies.remedy import AtLeastOne, Share

Ints = NDArray[np.int64]


def presence_order(
    labels: Ints,
    class_count: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    batch_rows: int,
    class_names: Sequence[str],
    at_least: AtLeastOne = 1,
    classes: str | None = None,
    below: Share = 0.05,
    together: bool = False,
) -> Ints:
    """At least so many rows of each chosen class in every optimizer step, over all micro-batches
    and processes; all other places in natural order.

    An epoch has as many places as there are rows. Where the chosen classes have rows enough, every
    row comes once per epoch; where they have not, their rows come again, in shuffled cycles, and as
    many rows of the other classes wait, in proportion: these come first in the next epoch. A last
    step that is too small for the promise, or that leaves some class without a place in the epoch,
    is filled up with the rows that come next.

    Shapes    labels (n,) in 0..class_count-1. Returns (epochs, places) int64: the row at each
              place; step s of an epoch holds places s·batch_rows onwards. The promise stands for
              steps of batch_rows only.
    Settings  at_least: rows per step of each chosen class. classes: their names, between
              semicolons; a name may hold * and ? (as in `fraud*`); none: all classes whose share
              of the rows is under `below`. below: that share, above 0 to 1; without effect if
              classes are named. together: the rows of a step may be of any of the chosen classes,
              instead of each.
    Raises    SettingsError if a step can't hold so many rows, or a name fits no class;
              ShapeError for labels out of range, DataError without rows.
    Helps     where a class is so rare that most steps go without it, and the loss or the batch
              statistics then jump when it comes; with small steps.
    Harms     where a chosen class has few rows: they come again many times per epoch and are
              learned by heart, as with balanced drawing.
    Source    Shen et al. 2016, Relay backpropagation for effective learning of deep convolutional
              neural networks, arXiv:1512.05830 (class-aware sampling fills steps from lists of
              classes; here a floor per step under natural order).
    """
    check_labels(labels, class_count)
    chosen = chosen_classes(
        labels, class_count, class_names=class_names, classes=classes, below=below
    )
    of_class = rows_by_class(labels, class_count)
    pools = [rows for rows in of_class if labels[rows[0]] in chosen]
    if together and pools:
        pools = [np.sort(np.concatenate(pools))]
    promised = len(pools)
    pools += [rows for rows in of_class if labels[rows[0]] not in chosen]
    _check_room(promised, len(pools) > promised, at_least, batch_rows)
    per_step = np.array([at_least] * promised + [0] * (len(pools) - promised), dtype=np.int64)
    steps = -(-len(labels) // batch_rows)
    # No class of the others vanishes from an epoch, as long as there is a place for each.
    least = np.maximum(per_step * steps, 1)
    sizes = step_sizes(len(labels), batch_rows, promised * at_least, int(least.sum()))
    places = sum(sizes)
    least = least if least.sum() <= places else per_step * steps
    place_rng, *row_rngs = rng.spawn(1 + len(pools))
    sequence = np.empty((epochs, places), dtype=np.int64)
    rows = np.array([len(pool) for pool in pools])
    for epoch in range(epochs):
        counts = _counts(rows, least, places, place_rng)
        sequence[epoch] = _placed(counts, per_step, sizes, place_rng)
    return fill(pools, sequence, row_rngs)


def chosen_classes(
    labels: Ints,
    class_count: int,
    *,
    class_names: Sequence[str],
    classes: str | None,
    below: float,
) -> Ints:
    """(chosen,) numbers of the classes that the promise is for, ascending; see `presence_order`."""
    counts = np.bincount(labels, minlength=class_count)
    if classes is None:
        return np.flatnonzero((counts > 0) & (counts < below * len(labels)))
    names = {name: k for k, name in enumerate(class_names) if counts[k]}
    found: set[int] = set()
    faults = []
    for asked in (part.strip() for part in classes.split(";")):
        fit = [asked] if asked in names else [name for name in names if fnmatchcase(name, asked)]
        found.update(names[name] for name in fit)
        if not fit:
            near = get_close_matches(asked, names, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            faults.append(
                f"remedy guaranteed_presence: no training rows of class {asked!r}; {hint}"
                f"name classes between semicolons; known are {'; '.join(list(names)[:20])}"
                + (" ..." if len(names) > 20 else "")
            )
    if faults:
        raise SettingsError(*faults)
    return np.array(sorted(found), dtype=np.int64)


def step_sizes(rows: int, batch_rows: int, of_step: int, of_epoch: int) -> list[int]:
    """Places of each step of an epoch. The last is filled up if it can't hold the `of_step` rows
    that a step needs, or if the epoch could not hold the `of_epoch` rows that it needs."""
    full, last = divmod(rows, batch_rows)
    if not last:
        return [batch_rows] * full
    enough = last >= of_step and rows >= of_epoch
    return [batch_rows] * full + [last if enough else batch_rows]


def _check_room(promised: int, others: bool, at_least: int, batch_rows: int) -> None:
    wanted = promised * at_least
    room = batch_rows - 1 if others else batch_rows
    if wanted <= room:
        return
    each = f" of each of {promised} classes" if promised > 1 else ""
    ways = [f"raise batch_rows to {wanted + others} or more"]
    ways += ["lower at_least"] if at_least > 1 else []
    ways += ["name fewer classes", "say together=true"] if promised > 1 else []
    left = " and leave a place for the other classes" if others and wanted == batch_rows else ""
    raise SettingsError(
        f"remedy guaranteed_presence: steps of {batch_rows} rows can't hold {at_least}{each}"
        f"{left}; {', '.join(ways[:-1])}{' or ' if ways[:-1] else ''}{ways[-1]}"
    )


def _counts(rows: Ints, minimum: Ints, places: int, rng: np.random.Generator) -> Ints:
    """(pools,) places of each pool in one epoch; they sum to `places`.

    A pool whose natural part of the places would be under its minimum gets the minimum; the others
    share what is left by their rows, rounded at random to a whole number above or below. In whole
    numbers throughout, so that no rounding error can break a promise.
    """
    scarce = np.zeros(len(rows), dtype=bool)
    while True:
        left, shared = places - int(minimum[scarce].sum()), int(rows[~scarce].sum())
        short = ~scarce & (rows * left < minimum * shared)
        if not short.any():
            break
        scarce |= short
    counts = minimum.copy()
    edges = (np.cumsum(rows[~scarce]) * left + int(rng.integers(shared))) // shared
    counts[~scarce] = np.diff(edges, prepend=0)
    return counts


def _placed(counts: Ints, minimum: Ints, sizes: list[int], rng: np.random.Generator) -> Ints:
    """(places,) the pool at each place of one epoch: the minimum of each in every step, all else
    at random."""
    promised = np.repeat(np.arange(len(counts)), minimum)
    rest = rng.permutation(np.repeat(np.arange(len(counts)), counts - minimum * len(sizes)))
    # The last step may be smaller than the others.
    full = len(sizes) if sizes[-1] == sizes[0] else len(sizes) - 1
    free = sizes[0] - len(promised)
    steps = np.empty((full, sizes[0]), dtype=np.int64)
    steps[:, : len(promised)] = promised
    steps[:, len(promised) :] = rest[: full * free].reshape(full, free)
    steps = rng.permuted(steps, axis=1)
    last = rest[full * free :]
    if full == len(sizes):
        return steps.ravel()
    return np.concatenate([steps.ravel(), rng.permutation(np.concatenate([promised, last]))])
