"""Resamples of confusion sums over clusters of rows, smoothed where a class has few rows.

The plain percentile bootstrap draws again only what has been seen, so ten right rows of ten give
the interval [1, 1], and a class of one row never varies. Here each class has PRIOR_ROWS further
observations that behave like the average class: a drawn cluster of a class with G clusters is, with
probability PRIOR_ROWS / (G + PRIOR_ROWS), replaced by one that is right with chance r, else decided
as a class that rows are wrongly decided as. r is drawn anew for every resample from
Beta(x + 1/2, L - x + 1/2), x being the sum of the L classes' smoothed recalls: what the classes
teach about each other is itself uncertain, the more so the fewer classes there are.

Clusters of one class are drawn within their class, so a class of rows that stand alone keeps its
size; clusters that hold several classes are drawn among themselves.

Speed: clusters that look alike (class, decisions, size) are one type, and a multinomial over types
is exactly the same draw as one over clusters. Lone rows have at most one type per confusion cell,
or, where costs are times a column, one per cell and amount.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 6 and 8 (clusters,
strata); Gelman et al. 2013, Bayesian Data Analysis, ch. 5 (classes that inform each other). The
size of PRIOR_ROWS was chosen by simulation: benchmarks/coverage.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import betaincinv

from equipoise.costs import CostTable, as_table
from equipoise.statistics.cluster_types import cluster_types
from equipoise.statistics.replacing import replaced_draws
from equipoise.statistics.sums import Floats, Sums

PRIOR_ROWS = 1.5
"""Observations of the average class that are added to each class."""

FEWEST = 8
"""Independent clusters, of all rows, a band or a category of written rows, below which there is no
interval."""

_CHUNK_CELLS = 2_000_000
"""Numbers per array and chunk of resamples: 16 MB of float64, however many rows there are."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resampler:
    """Draws resamples of C decisions of the same rows: 1 to judge a model, 2 to compare two."""

    count: int
    """L classes."""
    channels: int
    """C decisions per row."""
    costs: CostTable
    """(L, L + 1) cost per (true, decided)."""
    strata: tuple[tuple[int, int, Floats], ...]
    """(first type, one past the last, how many clusters are of each type), each stratum
    resampled by itself."""
    features: sparse.csr_matrix
    """(types, F) sums of one cluster of the type: F = L rows, then for each channel L right,
    L + 1 decided, 1 cost."""
    segment_type: Ints
    """(segments,) a segment is the rows of one class in one type."""
    segment_class: Ints
    segment_size: Floats
    segment_amount: Floats
    """(segments,) mean amount of a segment's rows; 0 where costs are times nothing."""
    segment_features: sparse.csr_matrix
    """(segments, F)."""
    class_start: Ints
    """(L,) the first segment of each class; segments are sorted by class."""
    replaced: Floats
    """(L,) chance of a drawn segment to be replaced by a prior observation."""
    known: NDArray[np.bool_]
    """(C, L) False for a class that the channel's model can't decide: it is never right."""
    average: Floats
    """(C, 2) Beta parameters of the average class's chance to be right."""
    wrong: Floats
    """(C, L + 1) where wrong decisions go, shares."""
    concordance: float
    """Share of prior observations on which the channels share their luck."""
    stream: tuple[int, ...]
    """(C,) channels with one number share their luck on all: one recipe under several seeds."""

    def draw(self, resamples: int, rng: np.random.Generator) -> list[Sums]:
        """One `Sums` per channel, of `resamples` resamples each."""
        parts = list(self._chunks(resamples, rng))
        return [
            Sums(*(np.concatenate([part[c][k] for part in parts]) for k in range(4)))
            for c in range(self.channels)
        ]

    def _chunks(
        self, resamples: int, rng: np.random.Generator
    ) -> Iterator[list[tuple[Floats, ...]]]:
        width = max(self.features.shape[0] + len(self.segment_type), self.features.shape[1])
        size = max(1, min(resamples, _CHUNK_CELLS // max(width, 1)))
        for start in range(0, resamples, size):
            total = self._draw_chunk(min(size, resamples - start), rng)
            yield [self._channel(total, c) for c in range(self.channels)]

    def _draw_chunk(self, size: int, rng: np.random.Generator) -> Floats:
        """(size, F) sums."""
        weights = np.empty((size, self.features.shape[0]), dtype=np.int64)
        for first, last, clusters in self.strata:
            weights[:, first:last] = _multinomial(clusters, size, rng)
        drawn = weights[:, self.segment_type]
        where, segment = replaced_draws(drawn, self.class_start, self.replaced, rng)
        gone = sparse.csr_matrix(
            (np.ones(len(where)), (where, segment)), shape=(size, len(self.segment_type))
        )
        total = (self.features.T @ weights.T.astype(np.float64)).T
        sums: Floats = total - (gone @ self.segment_features).toarray()
        return sums + self._prior_rows(size, where, segment, rng)

    def _prior_rows(
        self, size: int, where: Ints, segment: Ints, rng: np.random.Generator
    ) -> Floats:
        """(size, F) sums of the observations that take the place of the replaced segments."""
        features = self.features.shape[1]
        # One draw moves the average class of both channels: where they differ is what counts.
        chance = betaincinv(self.average[:, 0], self.average[:, 1], rng.random((size, 1)))
        label, rows = self.segment_class[segment], self.segment_size[segment]
        luck, place = rng.random((2, max(self.stream) + 1, len(where)))
        together = rng.random(len(where)) < self.concordance
        cells, amounts = [where * features + label], [rows]
        for c in range(self.channels):
            u = np.where(together, luck[0], luck[self.stream[c]])
            v = np.where(together, place[0], place[self.stream[c]])
            right = ((u < chance[where, c]) | ~self._can_err(c)[label]) & self.known[c, label]
            decided = np.where(right, label, self._wrong_decision(c, label, v))
            at = where * features + self._offset(c)
            cells += [at[right] + label[right], at + self.count + decided]
            cells.append(at + 2 * self.count + 1)
            cost = self.costs.of_rows(label, decided, self.segment_amount[segment])
            amounts += [rows[right], rows, rows * cost]
        flat = np.bincount(
            np.concatenate(cells), weights=np.concatenate(amounts), minlength=size * features
        )
        # With no observation to place, bincount returns whole numbers.
        return flat.reshape(size, features).astype(np.float64)

    def _can_err(self, channel: int) -> NDArray[np.bool_]:
        """(L,) whether anything else than the class can be decided: not by a model of one class
        that leaves no row to a person."""
        possible = self.wrong[channel] > 0
        found: NDArray[np.bool_] = possible.sum() > possible[:-1]
        return found

    def _wrong_decision(self, channel: int, label: Ints, place: Floats) -> Ints:
        """A draw from `wrong` without the label's own column: `place`, uniform in 0..1, is laid
        along the other columns' shares. Of no meaning for a class that can't be mistaken."""
        shares = self.wrong[channel]
        ends = np.cumsum(shares)
        own = np.append(shares, 0.0)[label]
        before = ends[label] - own
        point = place * (ends[-1] - own)
        point = np.where(point < before, point, point + own)
        decided = np.searchsorted(ends, point, side="right")
        # Rounding may lay a point on the label's own column or past the end: take a neighbour.
        others = np.flatnonzero(shares)
        decided = np.minimum(decided, others[-1])
        neighbour = np.where(label == others[0], others[:2][-1], others[0])
        chosen: Ints = np.where(decided == label, neighbour, decided).astype(np.int64)
        return chosen

    def _offset(self, channel: int) -> int:
        return self.count + channel * (2 * self.count + 2)

    def _channel(self, total: Floats, channel: int) -> tuple[Floats, ...]:
        at, n = self._offset(channel), self.count
        return (
            total[:, :n],
            total[:, at : at + n],
            total[:, at + n : at + 2 * n + 1],
            total[:, at + 2 * n + 1],
        )


def resampler(
    labels: Ints,
    decided: NDArray[np.int64],
    clusters: Ints,
    known: NDArray[np.bool_],
    costs: CostTable | Floats | None = None,
    amounts: Floats | None = None,
    *,
    prior_rows: float = PRIOR_ROWS,
    stream: tuple[int, ...] | None = None,
) -> Resampler:
    """Prepare resampling of n >= 1 rows.

    Shapes  labels (n,) in 0..L-1; decided (C, n) in 0..L, L being "left to a person";
            clusters (n,) rows with the same number are drawn together; known (L,), or (C, L)
            where the models know different classes, each at least one; costs (L, L + 1), None for
            0/1; amounts (n,) where costs are times a column.
    """
    count, channels = known.shape[-1], len(decided)
    known = np.broadcast_to(known, (channels, count))
    table = as_table(1.0 - np.eye(count, count + 1) if costs is None else costs)
    assert table is not None
    if table.factor is None:
        own, marks = np.zeros(len(labels)), None
    else:
        own = table.amounts_for(len(labels), amounts)
        marks = np.unique(own, return_inverse=True)[1].astype(np.int64)
    types = cluster_types(labels, decided, clusters, count, marks)
    price = np.stack([table.of_rows(labels, channel, own) for channel in decided])
    segments = len(types.segment_type)
    of_segment = np.bincount(types.segment_of, weights=own[types.row], minlength=segments)
    per_class = np.bincount(
        types.segment_class, weights=types.clusters[types.segment_type], minlength=count
    )
    scale: Floats = prior_rows / np.maximum(per_class + prior_rows, 1e-300)
    rows = np.bincount(labels, minlength=count)
    average, wrong = [], []
    for channel, knows in zip(decided, known, strict=True):
        right = np.bincount(labels[labels == channel], minlength=count)
        judged = knows & (rows > 0)
        smooth = ((right + 0.5) / (rows + 1))[judged].sum()
        average.append((smooth + 0.5, judged.sum() - smooth + 0.5))
        misses = np.bincount(channel[labels != channel], minlength=count + 1).astype(np.float64)
        # Half a row for every class that can be decided, none for "left to a person".
        misses[:count] += np.where(knows, 0.5, 0.0)
        wrong.append(misses / misses.sum())
    return Resampler(
        count=count,
        channels=channels,
        costs=table,
        strata=types.strata,
        features=_features(types.type_of, types.row, types.total, labels, decided, price, count),
        segment_type=types.segment_type,
        segment_class=types.segment_class,
        segment_size=types.segment_size,
        segment_amount=of_segment / types.segment_size,
        segment_features=_features(
            types.segment_of, types.row, segments, labels, decided, price, count
        ),
        class_start=np.searchsorted(types.segment_class, np.arange(count)).astype(np.int64),
        replaced=scale,
        known=known,
        average=np.array(average),
        wrong=np.array(wrong),
        concordance=_concordance(labels, decided, count),
        stream=tuple(range(channels)) if stream is None else stream,
    )


def _multinomial(clusters: Floats, size: int, rng: np.random.Generator) -> Ints:
    """(size, types) how often each type is drawn in as many draws as there are clusters."""
    n, types = int(clusters.sum()), len(clusters)
    if n > 4 * types:
        return rng.multinomial(n, clusters / n, size=size)
    # Nearly every cluster is a type of its own: naming clusters is cheaper than a binomial each.
    type_of = np.repeat(np.arange(types), clusters.astype(np.int64))
    drawn = type_of[rng.integers(0, n, size=(size, n))] + types * np.arange(size)[:, None]
    counted: Ints = np.bincount(drawn.ravel(), minlength=size * types).reshape(size, types)
    return counted


def _concordance(labels: Ints, decided: Ints, count: int) -> float:
    """How far the channels are right and wrong together: 1 always, 0 as if by chance.

    1 - disagreements / those expected of channels that are right in rows of their own, one of
    each added, so that channels which are hardly ever wrong are not taken to agree.
    """
    hits = decided == labels
    rows = np.bincount(labels, minlength=count)
    chance = [(np.bincount(labels, weights=h, minlength=count) + 0.5) / (rows + 1) for h in hits]
    a, b = chance[0][labels], chance[-1][labels]
    expected = float((a * (1 - b) + b * (1 - a)).sum())
    apart = float((hits[0] != hits[-1]).sum())
    return max(0.0, 1 - (apart + 1) / (expected + 1))


def _features(
    part: Ints,
    row: Ints,
    parts: int,
    labels: Ints,
    decided: Ints,
    price: Floats,
    count: int,
) -> sparse.csr_matrix:
    """(parts, F) sums of the rows of each part. price (C, n): what each row cost."""
    label = labels[row]
    places, columns, amounts = [part], [label], [np.ones(len(row))]
    for c, channel in enumerate(decided):
        at = count + c * (2 * count + 2)
        choice = channel[row]
        hit = choice == label
        places += [part[hit], part, part]
        columns += [at + label[hit], at + count + choice, np.full(len(row), at + 2 * count + 1)]
        amounts += [np.ones(int(hit.sum())), np.ones(len(row)), price[c, row]]
    width = count + len(decided) * (2 * count + 2)
    return sparse.csr_matrix(
        (np.concatenate(amounts), (np.concatenate(places), np.concatenate(columns))),
        shape=(parts, width),
    )
