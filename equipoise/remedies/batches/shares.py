"""Samplers that draw classes by shares between natural and balanced."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.remedies.batches.order import fill
from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne

Power = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=1)]
Part = Annotated[float, Field(gt=0, lt=1)]


def power_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    power: Power = 0.5,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """Each class as often as its number of rows to a power: the square root by default.

        share of class k = n_k^power / sum over all classes j of n_j^power

    A class's places are spread evenly over the epoch, and their number is the share's to within
    one; its rows come in shuffled cycles, across epochs too.

    Shapes    labels (n,) in 0..classes-1. Returns (epochs, epoch_rows) int64: the row at each
              place. Classes without rows are left out.
    Settings  power: 1 is natural, 0 balanced. epoch_rows: places per epoch; none: as many as
              there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where balanced drawing would repeat rare rows too often: at 10,000 : 1 a class is
              drawn 100 times as often as its share, not 5,000 times.
    Harms     as balanced drawing does, by half on the log scale; large classes lose rows.
    Source    Kang et al. 2020, Decoupling representation and classifier for long-tailed
              recognition, arXiv:1910.09217 (equation 1 with q = power; square-root sampling after
              Mahajan et al. 2018, arXiv:1805.00932).
    """
    groups = rows_by_class(labels, classes)
    raised = np.array([len(rows) for rows in groups], dtype=np.float64) ** power
    shares = np.broadcast_to(raised / raised.sum(), (epochs, len(groups)))
    return _order_by_shares(groups, shares, epoch_rows or len(labels), rng)


def temperature_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    temperature: Temperature = 3.0,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """Each class as often as its number of rows to the power 1 / T.

        share of class k = n_k^(1/T) / sum over all classes j of n_j^(1/T)

    Shapes    labels (n,) in 0..classes-1. Returns (epochs, epoch_rows) int64: the row at each
              place. Classes without rows are left out.
    Settings  temperature: T, 1 or more; 1 is natural, 2 the square root, 5 nearly balanced.
              epoch_rows: places per epoch; none: as many as there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where categories differ by orders of magnitude, as languages do: one number trades
              the rare ones against the plentiful ones.
    Harms     at large T, where rows of tiny categories come so often that they are learned by
              heart.
    Source    Arivazhagan et al. 2019, Massively multilingual neural machine translation in the
              wild, arXiv:1907.05019.
    """
    return power_order(labels, classes, epochs, rng, power=1 / temperature, epoch_rows=epoch_rows)


def plentiful_first_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    over: Annotated[float, Field(gt=0)] | None = None,
    plentiful: Part = 0.5,
    temperature: Temperature = 3.0,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """Two stages: the plentiful classes alone by their own shares, then all of them, the rare
    ones more often than their share.

    Plentiful are the largest classes that together hold at least that share of the rows; the others
    wait for the second stage, which draws by `temperature`. Rare rows so meet a model that has
    learned what they share with the plentiful ones, and are seen less often in all, which keeps
    them from being learned by heart.

    Shapes    labels (n,) in 0..classes-1. Returns (epochs, epoch_rows) int64: the row at each
              place. Classes without rows are left out.
    Settings  over: epochs of the first stage, parts of one included; none: half of all epochs (with
              a number a plan for more epochs begins with the shorter plan). plentiful: see above.
              temperature: of the second stage, as in `temperature_sampler`. epoch_rows: places per
              epoch; none: as many as there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where rare and plentiful rows have much in common, and rare ones would be repeated
              often: it beat every fixed share in translation.
    Harms     in short trainings, whose second stage has no time; where rare rows have nothing in
              common with the others, the first stage is lost time for them.
    Source    Choi et al. 2023, Order matters in the presence of dataset imbalance for multilingual
              learning, arXiv:2312.06134.
    """
    groups = rows_by_class(labels, classes)
    counts = np.array([len(rows) for rows in groups], dtype=np.float64)
    largest = np.argsort(-counts, kind="stable")
    reached = np.cumsum(counts[largest]) >= plentiful * counts.sum() - 1e-9
    early = np.zeros(len(groups))
    early[largest[: int(np.argmax(reached)) + 1]] = counts[largest[: int(np.argmax(reached)) + 1]]
    early /= early.sum()
    late = counts ** (1 / temperature) / (counts ** (1 / temperature)).sum()
    places = epoch_rows or len(labels)
    turn = round((epochs / 2 if over is None else over) * places)
    sequence = np.empty((epochs, places), dtype=np.int64)
    place_rng, *row_rngs = rng.spawn(1 + len(groups))
    for epoch in range(epochs):
        # The first stage may end within an epoch, which is then laid in two parts.
        size = min(max(turn - epoch * places, 0), places)
        for shares, at in ((early, slice(0, size)), (late, slice(size, places))):
            length = at.stop - at.start
            if length:
                whole = _whole_counts(shares * length, length, place_rng.random())
                sequence[epoch, at] = _spread(whole, place_rng)
    return fill(groups, sequence, row_rngs)


def progressive_order(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    over: AtLeastOne | None = None,
    epoch_rows: AtLeastOne | None = None,
) -> NDArray[np.int64]:
    """A curriculum: the first epoch draws classes by their own shares, the last all alike.

        share of class k in epoch e = (1 - t) n_k / n + t / K,   t = e / (over - 1), at most 1

    Features are learned on natural shares, and the classifier is settled on balanced ones. The
    first epoch feeds every row once.

    Shapes    labels (n,) in 0..classes-1. Returns (epochs, epoch_rows) int64: the row at each
              place. Classes without rows are left out.
    Settings  over: epochs until classes are drawn alike; none: all epochs, so that a plan for
              more epochs changes more slowly (with a number it begins with the shorter plan).
              With over = 1 all epochs are balanced. epoch_rows: places per epoch; none: as many
              as there are rows.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where balanced drawing from the start spoils features: methods that train the body.
    Harms     with one or two epochs, which leave no time for a curriculum. Between natural and
              balanced the shares that the scores are meant for are known less exactly.
    Source    Kang et al. 2020, Decoupling representation and classifier for long-tailed
              recognition, arXiv:1910.09217 (progressively-balanced sampling, equation 2).
    """
    groups = rows_by_class(labels, classes)
    counts = np.array([len(rows) for rows in groups], dtype=np.float64)
    # 0 in the first epoch, which is natural also where it is the only one, unless over is 1.
    t = np.minimum(1.0, np.arange(epochs) / max(1, (over or epochs) - 1))
    t = np.ones(epochs) if over == 1 else t
    shares = (1 - t)[:, None] * (counts / counts.sum()) + t[:, None] / len(groups)
    return _order_by_shares(groups, shares, epoch_rows or len(labels), rng)


def _order_by_shares(
    groups: list[NDArray[np.int64]],
    shares: NDArray[np.float64],
    places: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """(epochs, places) rows; shares (epochs, groups) sum to 1 in every epoch."""
    # Streams of their own, read epoch by epoch: a plan for more epochs begins with the shorter.
    place_rng, *row_rngs = rng.spawn(1 + len(groups))
    sequence = np.empty((len(shares), places), dtype=np.int64)
    for epoch, of_epoch in enumerate(shares):
        counts = _whole_counts(of_epoch * places, places, place_rng.random())
        sequence[epoch] = _spread(counts, place_rng)
    return fill(groups, sequence, row_rngs)


def _whole_counts(expected: NDArray[np.float64], total: int, start: float) -> NDArray[np.int64]:
    """Whole numbers that sum to `total`, each within one of what is expected, and equal to it on
    average over `start` in 0..1 (systematic sampling)."""
    edges = np.cumsum(expected)
    # n_k / n * n must be n_k, not the whole number below it.
    edges = np.where(np.abs(edges - np.rint(edges)) < 1e-6, np.rint(edges), edges)
    edges[-1] = total
    whole = np.floor(edges + start).astype(np.int64)
    return np.asarray(np.diff(whole, prepend=0), dtype=np.int64)


def _spread(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(sum of counts,) group numbers: the i-th of a group's c places falls, at random, into the
    i-th of c equal parts of the epoch."""
    groups = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    part = np.arange(len(groups)) - first
    return groups[np.argsort((part + rng.random(len(groups))) / counts[groups], kind="stable")]
