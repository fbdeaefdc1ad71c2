"""Resamples of counts over rows with several labels, smoothed where a label has few.

Clusters of rows are drawn whole, and with them all their labels, so that a mean over labels varies
as it does when rows are drawn: a row with two labels moves both.

What `bootstrap.py` says of classes holds for labels. Ten right rows of ten would always give
[1, 1], so each label has PRIOR_ROWS further observations of the average label. What is observed
here are the rows of one cluster that have the label or were decided as having it: in how many of
these it is both decides F1 (they are Jaccard's J, see `intervals.f1_of_jaccard`). A drawn
observation of a label with G of them is, with probability PRIOR_ROWS / (G + PRIOR_ROWS), replaced
by as many rows of the average label, all alike, whose shares of rightly set, missed and wrongly set
are drawn anew every time. So copies of every row change nothing.

Speed: observations of one label that look alike are one type, and which of them is replaced does
not matter. Lone rows have at most S types per label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from equipoise.statistics.bootstrap import PRIOR_ROWS
from equipoise.statistics.replacing import replaced_draws
from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_CHUNK_CELLS = 4_000_000
"""Numbers per array and chunk of resamples."""


@dataclass(frozen=True, eq=False)
class LabelSums:
    """Rows by label; leading axes are those of resamples, if any."""

    rows: Floats
    """(...) all rows."""
    held: Floats
    """(..., L) rows that have the label."""
    decided: Floats
    """(..., L) rows decided as having it."""
    both: Floats
    """(..., L) rows of which both is true."""


def label_sums(labels: Bools, decided: Bools) -> LabelSums:
    """Shapes: labels, decided (n, L)."""
    count = np.asarray(float(len(labels)))
    held, set_, both = (
        part.sum(axis=0, dtype=float) for part in (labels, decided, labels & decided)
    )
    return LabelSums(count, held, set_, both)


@dataclass(frozen=True, eq=False)
class LabelResampler:
    """Draws resamples of C decisions of the same rows: 1 to judge a model, 2 to compare two.

    A cell says of a row and a label whether the row has it, and what each channel decided; what
    neither has nor decides it is no cell: S = 2^(C + 1) - 1 of them.
    """

    labels: int
    """L."""
    channels: int
    sizes: Ints
    """(clusters,) rows of each."""
    types: sparse.csr_matrix
    """(clusters, T) the types of a cluster's observations, one for each of its labels."""
    type_label: Ints
    """(T,), sorted."""
    type_cells: sparse.csr_matrix
    """(T, L * S) rows in each cell."""
    type_rows: Floats
    """(T,) all of them."""
    replaced: Floats
    """(L,) chance of a drawn observation to be replaced."""
    average: Floats
    """(S,) Dirichlet parameters of the average label's shares of cells; 0: that cell can't be."""
    known: Bools
    """(C, L) False for a label that the channel's model can't decide."""

    def draw(self, resamples: int, rng: np.random.Generator) -> list[LabelSums]:
        """One `LabelSums` per channel, of `resamples` resamples each."""
        parts = list(self._chunks(resamples, rng))
        rows = np.concatenate([rows for rows, _ in parts])
        cells = np.concatenate([cells for _, cells in parts])
        return [self._channel(rows, cells, c) for c in range(self.channels)]

    def _chunks(self, resamples: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
        width = max(*self.types.shape, self.type_cells.shape[1])
        size = max(1, min(resamples, _CHUNK_CELLS // width))
        for start in range(0, resamples, size):
            yield self._draw_chunk(min(size, resamples - start), rng)

    def _draw_chunk(self, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(size,) rows and (size, L, S) cells."""
        clusters = len(self.sizes)
        drawn = (
            rng.integers(0, clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        )
        times = np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)
        rows = (times @ self.sizes).astype(np.float64)
        drawn_types = np.rint((self.types.T @ times.T.astype(np.float64)).T).astype(np.int64)
        return rows, self._smoothed(drawn_types, rng)

    def _smoothed(self, drawn: Ints, rng: np.random.Generator) -> Floats:
        """(size, L, S) cells of drawn (size, T) types, some of which are replaced by as many rows
        of the average label."""
        size, types = drawn.shape
        kinds = len(self.average)
        shares = _dirichlet(self.average, size, rng)
        if not types:
            return np.zeros((size, self.labels, kinds))
        start = np.searchsorted(self.type_label, np.arange(self.labels))
        where, gone = replaced_draws(drawn, start, self.replaced, rng)
        left = drawn - np.bincount(where * types + gone, minlength=drawn.size).reshape(drawn.shape)
        ends = np.cumsum(shares, axis=1)
        place = rng.random(len(where)) * ends[where, -1]
        # The last cell, in which all agree, always has a share: rounding can't lay a point past it.
        cell = np.minimum((place[:, None] >= ends[where]).sum(axis=1), kinds - 1)
        at = (where * self.labels + self.type_label[gone]) * kinds + cell
        added = np.bincount(at, self.type_rows[gone], size * self.labels * kinds)
        kept = (self.type_cells.T @ left.T.astype(np.float64)).T
        return np.asarray(
            np.rint(kept).reshape(size, self.labels, kinds)
            + added.reshape(size, self.labels, kinds)
        )

    def _channel(self, rows: Floats, cells: Floats, channel: int) -> LabelSums:
        has, decides = _cells(self.channels)
        set_ = cells[:, :, decides[:, channel]].sum(axis=2) * self.known[channel]
        both = cells[:, :, decides[:, channel] & has].sum(axis=2) * self.known[channel]
        return LabelSums(rows, cells[:, :, has].sum(axis=2), set_, both)


def label_resampler(
    labels: Bools,
    decided: Bools,
    clusters: Ints,
    known: Bools,
    *,
    prior_rows: float = PRIOR_ROWS,
) -> LabelResampler:
    """Prepare resampling of n >= 1 rows.

    Shapes  labels (n, L); decided (C, n, L); clusters (n,) rows with the same number are drawn
            together; known (L,), or (C, L) where the models know different labels.
    """
    channels, _, count = decided.shape
    known = np.broadcast_to(known, (channels, count))
    has, decides = _cells(channels)
    # The number of a cell, in the order of `_cells`: bits of what is true, but for none of them.
    number = labels.astype(np.int64)
    for channel in decided:
        number = 2 * number + channel
    _, owner, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    row, label = np.nonzero(number)
    observed, of = np.unique(label * len(sizes) + owner[row], return_inverse=True)
    cells = np.zeros((len(observed), 1 + len(has)), dtype=np.int64)
    cells[:, 0] = observed // max(len(sizes), 1)
    np.add.at(cells, (of, number[row, label]), 1)
    types, type_of = np.unique(cells, axis=0, return_inverse=True)
    apart = np.bincount(cells[:, 0], minlength=count).astype(np.float64)
    rows = cells[:, 1:].astype(np.float64)
    held = np.zeros((count, len(has)))
    np.add.at(held, cells[:, 0], rows)
    return LabelResampler(
        labels=count,
        channels=channels,
        sizes=sizes.astype(np.int64),
        types=sparse.csr_matrix(
            (np.ones(len(observed)), (observed % max(len(sizes), 1), type_of.ravel())),
            shape=(len(sizes), len(types)),
        ),
        type_label=types[:, 0],
        type_cells=_by_cell(types[:, 0], types[:, 1:], count),
        type_rows=types[:, 1:].sum(axis=1).astype(np.float64),
        replaced=np.asarray(prior_rows / (apart + prior_rows), dtype=np.float64),
        average=_average(held[known.all(axis=0)], apart[known.all(axis=0)], decides),
        known=known,
    )


def _by_cell(label: Ints, rows: Ints, count: int) -> sparse.csr_matrix:
    """(T, count * S): each type's rows (T, S) in the cells of its label (T,)."""
    kinds = rows.shape[1]
    column = label[:, None] * kinds + np.arange(kinds)
    at = np.repeat(np.arange(len(label)), kinds)
    return sparse.csr_matrix(
        (rows.ravel().astype(np.float64), (at, column.ravel())), shape=(len(label), count * kinds)
    )


def _cells(channels: int) -> tuple[Bools, Bools]:
    """(S,) whether a row of each cell has the label, and (S, C) whether each channel decides so."""
    numbers = np.arange(1, 2 ** (channels + 1))
    bits = (numbers[:, None] >> np.arange(channels, -1, -1)) & 1
    return bits[:, 0].astype(bool), bits[:, 1:].astype(bool)


def _average(held: Floats, apart: Floats, decides: Bools) -> Floats:
    """(S,) the labels' smoothed shares of cells added up, and half an observation for every cell:
    what the labels teach about each other is the less certain the fewer there are. held (L, S) rows
    in each cell, which weigh as the label's `apart` (L,) observations.

    Cells in which the channels differ have no half where they never do: two models that decide
    alike have no difference, however few the rows.
    """
    may = np.ones(len(decides), dtype=bool)
    differ = decides.any(axis=1) & ~decides.all(axis=1)
    if held[:, differ].sum() == 0:
        may &= ~differ
    rows = held.sum(axis=1, keepdims=True)
    total = apart[:, None]
    held = held / np.maximum(rows, 1) * total
    prior = (held.sum(axis=0) + 0.5) * may
    shares = (held + prior / prior.sum()) / (total + 1)
    return np.asarray(shares[total[:, 0] > 0].sum(axis=0) + 0.5 * may, dtype=np.float64)


def _dirichlet(parameters: Floats, size: int, rng: np.random.Generator) -> Floats:
    """(size, S) draws; a parameter of 0 has share 0."""
    drawn = rng.standard_gamma(parameters, size=(size, len(parameters)))
    shares: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return shares
