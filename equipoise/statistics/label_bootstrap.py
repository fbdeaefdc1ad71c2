"""Resamples of counts over rows with several labels, smoothed where a label has few.

Clusters of rows are drawn whole, and with them all their labels, so that a mean over labels varies
as it does when rows are drawn: a row with two labels moves both.

What `bootstrap.py` says of classes holds for labels. Ten right rows of ten would always give
[1, 1], so each label has PRIOR_ROWS further observations of the average label. What is observed
here is a row that has the label or was decided as having it: in how many of these it is both
decides F1 (they are Jaccard's J, see `intervals.f1_of_jaccard`). A drawn observation of a label
with G clusters of them is, with probability PRIOR_ROWS / (G + PRIOR_ROWS), replaced by one of the
average label, whose shares of rightly set, missed and wrongly set are drawn anew every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from equipoise.statistics.bootstrap import PRIOR_ROWS
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
    features: sparse.csr_matrix
    """(clusters, L * S) pairs of row and label in each cell."""
    replaced: Floats
    """(L,) chance of a drawn observation to be replaced."""
    average: Floats
    """(S,) Dirichlet parameters of the average label's shares of cells; 0: that cell can't be."""
    known: Bools
    """(L,) False for a label that the model can't decide."""

    def draw(self, resamples: int, rng: np.random.Generator) -> list[LabelSums]:
        """One `LabelSums` per channel, of `resamples` resamples each."""
        parts = list(self._chunks(resamples, rng))
        rows = np.concatenate([rows for rows, _ in parts])
        cells = np.concatenate([cells for _, cells in parts])
        return [self._channel(rows, cells, c) for c in range(self.channels)]

    def _chunks(self, resamples: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
        clusters, width = self.features.shape
        size = max(1, min(resamples, _CHUNK_CELLS // max(clusters, width, 1)))
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
        cells = (self.features.T @ times.T.astype(np.float64)).T
        cells = np.rint(cells).astype(np.int64).reshape(size, self.labels, -1)
        return rows, self._smoothed(cells, rng)

    def _smoothed(self, cells: Ints, rng: np.random.Generator) -> Floats:
        """With some observations replaced by those of the average label."""
        size, labels, kinds = cells.shape
        times = rng.binomial(cells.sum(axis=2), self.replaced)
        shares = _dirichlet(self.average, size, rng)
        added = rng.multinomial(times, np.repeat(shares[:, None], labels, axis=1))
        left, gone = cells.sum(axis=2), times.copy()
        for kind in range(kinds):
            here = cells[:, :, kind]
            taken = rng.hypergeometric(here, left - here, gone)
            added[:, :, kind] -= taken
            left, gone = left - here, gone - taken
        return (cells + added).astype(np.float64)

    def _channel(self, rows: Floats, cells: Floats, channel: int) -> LabelSums:
        has, decides = _cells(self.channels)
        set_ = cells[:, :, decides[:, channel]].sum(axis=2) * self.known
        both = cells[:, :, decides[:, channel] & has].sum(axis=2) * self.known
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
            together; known (L,).
    """
    channels, _, count = decided.shape
    has, decides = _cells(channels)
    # The number of a cell, in the order of `_cells`: bits of what is true, but for none of them.
    number = labels.astype(np.int64)
    for channel in decided:
        number = 2 * number + channel
    _, owner, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    row, label = np.nonzero(number)
    column = label * len(has) + number[row, label] - 1
    features = sparse.csr_matrix(
        (np.ones(len(row)), (owner[row], column)), shape=(len(sizes), count * len(has))
    )
    features.sum_duplicates()
    held = np.asarray(features.sum(axis=0)).reshape(count, len(has))
    of_label = np.unique(owner[row] * count + label) % count
    apart = np.bincount(of_label, minlength=count)
    return LabelResampler(
        labels=count,
        channels=channels,
        sizes=sizes.astype(np.int64),
        features=features,
        replaced=np.asarray(prior_rows / (apart + prior_rows), dtype=np.float64),
        average=_average(held[known], decides),
        known=known,
    )


def _cells(channels: int) -> tuple[Bools, Bools]:
    """(S,) whether a row of each cell has the label, and (S, C) whether each channel decides so."""
    numbers = np.arange(1, 2 ** (channels + 1))
    bits = (numbers[:, None] >> np.arange(channels, -1, -1)) & 1
    return bits[:, 0].astype(bool), bits[:, 1:].astype(bool)


def _average(held: Floats, decides: Bools) -> Floats:
    """(S,) the labels' smoothed shares of cells added up, and half an observation for every cell:
    what the labels teach about each other is the less certain the fewer there are.

    Cells in which the channels differ have no half where they never do: two models that decide
    alike have no difference, however few the rows.
    """
    may = np.ones(len(decides), dtype=bool)
    differ = decides.any(axis=1) & ~decides.all(axis=1)
    if held[:, differ].sum() == 0:
        may &= ~differ
    total = held.sum(axis=1, keepdims=True)
    prior = (held.sum(axis=0) + 0.5) * may
    shares = (held + prior / prior.sum()) / (total + 1)
    return np.asarray(shares[total[:, 0] > 0].sum(axis=0) + 0.5 * may, dtype=np.float64)


def _dirichlet(parameters: Floats, size: int, rng: np.random.Generator) -> Floats:
    """(size, S) draws; a parameter of 0 has share 0."""
    drawn = rng.standard_gamma(parameters, size=(size, len(parameters)))
    shares: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return shares
