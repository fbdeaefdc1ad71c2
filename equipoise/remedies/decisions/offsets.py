"""One offset per class, fitted for the measure that decides."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.remedies.decisions.line import best_on_line
from equipoise.remedies.decisions.values import (
    AlertLimit,
    Measure,
    class_value,
    counted_by,
    evaluate,
    name_of,
)
from equipoise.remedies.remedy import AtLeastOne, NotNegative

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_RESAMPLES = 100


def fit_measure_offsets(
    log_p: Array,
    labels: Ints,
    measure: Measure,
    start: Array,
    clusters: Ints,
    rng: np.random.Generator,
    worth: Array | None = None,
    *,
    shrink_rows: NotNegative = 10.0,
    folds: Annotated[int, Field(ge=2)] = 5,
    passes: AtLeastOne = 3,
) -> tuple[Array, str]:
    """Offsets that maximise `measure` on these rows, drawn back towards `start`, if they earn it.

    Coordinate ascent: the best offset of one class while the others stay, rarest class first, in
    `passes` rounds. Each offset then keeps n / (n + shrink_rows) of its way from `start`, n being
    the class's rows. All of it is done on each fold's other rows too: unless the offsets so found
    raise the measure on the rows that they have not seen, by more than the standard error of the
    gain (100 bootstrap resamples of clusters), `start` is returned.

    Shapes    log_p (n, K) log probabilities, labels (n,) in 0..K-1, start (K,) nats: no offsets, or
              those that another remedy has set; clusters (n,) any numbers, equal for duplicates,
              which stay in one fold; worth (K,) what a row of each class counts
              (`prior.class_worth`), None: 1. Returns (K,) offsets in nats and a sentence.
              measure: "macro_f1", "balanced_accuracy" and "accuracy" are searched exactly; a
              function (labels, decided, K) -> value, larger is better, at 24 places per class, and
              not at all where classes count unlike, which it can't be told; for an `AlertLimit`
              the offset of its class is set by `keep_limit`, the others stay.
    Settings  shrink_rows: rows, 0 or more; at this many rows half of the way is kept.
              folds: 2 or more. passes: rounds, 1 or more.
    Helps     where the measure is not what argmax of calibrated probabilities maximises: F1, or
              balanced accuracy under the training prior.
    Harms     where classes have a handful of validation rows (little is kept then) and where the
              measure is accuracy (nothing to gain). Offsets hold for this measure only.
    Source    Koyejo et al. 2014, Consistent binary classification with generalized performance
              metrics, NeurIPS; Narasimhan et al. 2015, Consistent multiclass algorithms for
              complex performance measures, ICML.
    """
    each = np.ones(log_p.shape[1]) if worth is None else worth
    weights = each[labels]
    if isinstance(measure, AlertLimit):
        return keep_limit(log_p, labels, measure, start, weights)
    name = name_of(measure)
    if isinstance(measure, str):
        class_value(measure)  # an unknown name is an error, however few the rows
    elif callable(measure) and not (each == 1).all():
        return start, f"no offsets for {name}: a function can't be told of the shares stated"
    if len(np.unique(labels)) < 2 or len(np.unique(clusters)) < 2 * folds:
        return start, f"no offsets for {name}: {len(labels)} labelled rows are too few"
    fold = stratified_folds(labels, clusters, folds, rng)
    without = np.argmax(log_p + start, axis=1)
    decided = without.copy()
    for f in range(folds):
        seen, held = fold != f, fold == f
        part = (log_p[seen], labels[seen], weights[seen])
        decided[held] = np.argmax(
            log_p[held] + _ascend(*part, measure, start, shrink_rows, passes), axis=1
        )
    before, after = (evaluate(measure, labels, d, len(each), weights) for d in (without, decided))
    error = _gain_error(measure, labels, decided, without, each, clusters, rng)
    figures = (
        f"{name} on unseen folds {after:.4f} with them, {before:.4f} without "
        f"(standard error of the gain {error:.4f}){counted_by(each)}"
    )
    if not after - before > error:
        return start, f"no offsets for {name}: {figures}"
    offsets = _ascend(log_p, labels, weights, measure, start, shrink_rows, passes)
    return offsets, f"offsets for {name} fitted on {len(labels)} rows: {figures}"


def keep_limit(
    log_p: Array, labels: Ints, alert: AlertLimit, start: Array, weights: Array
) -> tuple[Array, str]:
    """`start`, with the offset of one class as high as its limit allows on these rows.

    Row i is decided for class k from the offset max_j (log p_ij + start_j) - log p_ik upwards, so
    the offset lies half-way between the last row that fits and the first that does not. Rows that
    tie at the edge are all left out.

    Shapes  as `fit_measure_offsets`; weights (n,) what each row counts.
    """
    k = alert.of
    others = log_p + start
    others[:, k] = -np.inf
    needed = others.max(axis=1) - log_p[:, k]
    counted = np.ones(len(labels), dtype=bool) if alert.counts_all else labels != k
    order = np.argsort(needed[counted], kind="stable")
    prices, used = needed[counted][order], np.cumsum(weights[counted][order])
    if not len(prices) or log_p.shape[1] < 2:
        return start, f"no offset for {alert.name}: there are no labelled rows to set it on"
    fit = int(np.searchsorted(used, alert.share * used[-1] + 1e-9, side="right"))
    below = prices[fit - 1] if fit else prices[0] - 2 * _STEP
    above = prices[fit] if fit < len(prices) else prices[-1] + 2 * _STEP
    if fit and below == above:
        fit = int(np.searchsorted(prices, above))
        below = prices[fit - 1] if fit else above - 2 * _STEP
    offsets = start.copy()
    offsets[k] = (below + above) / 2
    caught = np.count_nonzero((needed < offsets[k]) & (labels == k))
    return offsets, (
        f"offset for {alert.name}: {fit} of {len(prices)} rows that count are decided for the "
        f"class, and {caught} of its {np.count_nonzero(labels == k)} rows are among those decided"
        f"{counted_by(weights)}"
    )


_STEP = 1.0
"""Nats beyond the outermost row where an offset has none on one side."""


def _gain_error(
    measure: Measure,
    labels: Ints,
    decided: Ints,
    without: Ints,
    worth: Array,
    clusters: Ints,
    rng: np.random.Generator,
) -> float:
    """Standard error of measure(decided) - measure(without), by resampling clusters of rows; of the
    resamples in which a user's measure has a value. inf if fewer than half have one."""
    gains = []
    for times in drawn_times(clusters, _RESAMPLES, rng):
        rows = np.repeat(np.arange(len(labels)), times)
        drawn = labels[rows]
        with_, plain = (
            evaluate(measure, drawn, d[rows], len(worth), worth[drawn]) for d in (decided, without)
        )
        gains.append(with_ - plain)
    known = np.array(gains)[np.isfinite(gains)]
    return float(np.std(known)) if 2 * len(known) >= len(gains) else np.inf


def drawn_times(clusters: Ints, resamples: int, rng: np.random.Generator) -> Ints:
    """(resamples, n) how often each row is drawn where clusters are drawn whole: copies of a row
    are no further evidence."""
    _, begins, member = np.unique(clusters, return_index=True, return_inverse=True)
    count = len(begins)
    rank = np.argsort(np.argsort(begins))[member]  # whatever the numbers are, only the rows count
    drawn = rng.integers(count, size=(resamples, count))
    times = np.stack([np.bincount(picked, minlength=count) for picked in drawn])
    return np.asarray(times[:, rank], dtype=np.int64)


def stratified_folds(labels: Ints, clusters: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """(n,) fold of each row: clusters stay whole, and those of each class are spread evenly.

    A cluster counts for the class of its first row. Classes and clusters are taken in the order of
    their first row: naming plays no part.
    """
    _, begins, member = np.unique(clusters, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(begins))  # 0 for the cluster that comes first
    cluster_labels = labels[np.sort(begins)]
    _, first, inverse = np.unique(cluster_labels, return_index=True, return_inverse=True)
    shuffled = rng.permutation(len(cluster_labels))
    # Clusters in class order, random within a class, dealt out one after the other.
    dealt = shuffled[np.argsort(first[inverse][shuffled], kind="stable")]
    fold = np.empty(len(cluster_labels), dtype=np.int64)
    fold[dealt] = np.arange(len(cluster_labels)) % folds
    return np.asarray(fold[rank[member]], dtype=np.int64)


def _ascend(
    log_p: Array,
    labels: Ints,
    weights: Array,
    measure: Measure,
    start: Array,
    shrink_rows: float,
    passes: int,
) -> Array:
    rows = np.bincount(labels, minlength=log_p.shape[1])
    first = np.full(len(rows), len(labels))
    present, places = np.unique(labels, return_index=True)
    first[present] = places
    # Rarest first, ties by first row. A class without rows has nothing to fit its offset on.
    turn = [int(k) for k in np.lexsort((first, rows)) if rows[k]]
    ranked = _Ranked(log_p, start)
    for _ in range(passes):
        moved = False
        for k in turn:
            rivals, best_other = ranked.without(k)
            thresholds = best_other - log_p[:, k]
            current = float(ranked.offsets[k])
            line = (k, thresholds, rivals, labels, weights, current)
            found = best_on_line(*line, measure, len(rows))
            if found != current:
                ranked.move(k, found)
                moved = True
        if not moved:
            break
    if shrink_rows == 0:
        return ranked.offsets
    return start + (ranked.offsets - start) * rows / (rows + shrink_rows)


class _Ranked:
    """The two best classes of every row under the offsets so far.

    Finding the best class other than k anew would cost (n, K) for every class; kept up to date,
    it costs (n,), and a full look only at rows where one of the two best has lost ground.
    """

    def __init__(self, log_p: Array, offsets: Array) -> None:
        self.log_p = log_p
        self.offsets = offsets.copy()
        self.best = np.empty((2, len(log_p)), dtype=np.int64)
        self.score = np.empty((2, len(log_p)))
        self._look(np.arange(len(log_p)))

    def without(self, k: int) -> tuple[Ints, Array]:
        """The best class other than k of every row, and its score."""
        is_k = self.best[0] == k
        return (
            np.where(is_k, self.best[1], self.best[0]),
            np.where(is_k, self.score[1], self.score[0]),
        )

    def move(self, k: int, offset: float) -> None:
        self.offsets[k] = offset
        new = self.log_p[:, k] + offset
        among = (self.best == k).any(axis=0)
        self._look(np.flatnonzero(among))
        over_first = ~among & (new > self.score[0])
        over_second = ~among & ~over_first & (new > self.score[1])
        self.best[1, over_first] = self.best[0, over_first]
        self.score[1, over_first] = self.score[0, over_first]
        for place, rows in ((0, over_first), (1, over_second)):
            self.best[place, rows] = k
            self.score[place, rows] = new[rows]

    def _look(self, rows: Ints) -> None:
        scores = self.log_p[rows] + self.offsets
        places = np.arange(len(rows))
        for place in (0, 1):
            best = np.argmax(scores, axis=1)
            self.best[place, rows] = best
            self.score[place, rows] = scores[places, best]
            scores[places, best] = -np.inf
