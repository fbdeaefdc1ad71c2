"""A threshold per label, fitted for the measure that decides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.decisions.label_values import (
    SHARED,
    label_measure,
    label_value,
    label_weights_of,
)
from equipoise.remedies.decisions.offsets import drawn_times, stratified_folds
from equipoise.remedies.decisions.values import counted_by

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Callable[[Array, Ints, Array], Array]
"""(log-odds, labels, weights) of some rows, each (n, K) -> (K,) offsets."""

_RESAMPLES = 100
_BEYOND = 1.0
"""Nats past the outermost score, for a threshold that all rows pass, or none."""


def fit_label_offsets(
    log_odds: Array,
    labels: Ints,
    measure: str,
    start: Array,
    clusters: Ints,
    rng: np.random.Generator,
    worth: Array | None = None,
    *,
    shrink_rows: float,
    folds: int,
    passes: int,
) -> tuple[Array, str]:
    """Offsets on the log-odds that maximise `measure` on these rows, if they earn it: what
    `fit_measure_offsets` does for one label a row.

    First one offset for all labels, then the best of each label, both by an exact search over all
    places where a decision changes. A label's own offset keeps n / (n + shrink_rows) of its way
    from the common one, n being the rows that have it: few rows know little of their own threshold,
    and what all labels together say is a better guess than 0.5, which is above the best threshold
    for F1 whenever F1 is below 1. Both are fitted on each fold's other rows too; the offsets per
    label are kept if they raise the measure on unseen rows by more than the standard error of the
    gain, else the common one if it does, else `start` stays.

    Shapes  log_odds, labels (n, K), start (K,) nats, clusters (n,), worth (2, K) what a row
            without and with each label counts for it (`log_odds.label_worth`), None: 1. Returns
            (K,) nats, a sentence. passes is not used: no label's threshold depends on another's.
    Source  Lipton, Elkan and Narayanaswamy 2014, Optimal thresholding of classifiers to maximize F1
            measure, arXiv:1402.1892.
    """
    label_value(measure)  # an unknown name is an error, however few the rows
    if len(np.unique(clusters)) < 2 * folds or not 0 < labels.sum() < labels.size:
        return start, f"no thresholds for {measure}: {len(labels)} labelled rows are too few"
    weights = np.ones(labels.shape) if worth is None else np.where(labels > 0, worth[1], worth[0])
    ways: dict[str, Fit] = {
        "one threshold for all labels": lambda z, y, w: common_offset(z, y, w, measure),
    }
    if measure not in SHARED:
        ways["a threshold per label"] = lambda z, y, w: _per_label(z, y, w, measure, shrink_rows)
    moved = log_odds + start
    fold = stratified_folds(_rarest(labels), clusters, folds, rng)
    plain = (moved >= 0).astype(np.int64)
    held_out = {way: _unseen(moved, labels, weights, fold, fit) for way, fit in ways.items()}
    before, *after = _values(labels, weights, [plain, *held_out.values()], measure)
    decisions = list(held_out.values())
    errors = _gain_errors(labels, weights, plain, decisions, measure, clusters, rng)
    kept = None
    for way, value, error in zip(ways, after, errors, strict=True):
        better = kept is None or value > kept[1]
        if value - before > error and better:
            kept = (way, value, error)

    def said(value: Array) -> float:
        return float(1 - value if measure == "hamming_loss" else value)

    if kept is None:
        return start, (
            f"thresholds of 0.5 stay: {measure} on unseen folds {said(max(after)):.4f} with fitted "
            f"ones, {said(before):.4f} without{counted_by(weights)}"
        )
    way, value, error = kept
    return start + ways[way](moved, labels, weights), (
        f"{way}, for {measure}, fitted on {len(labels)} rows: {measure} on unseen folds "
        f"{said(value):.4f} with, {said(before):.4f} without "
        f"(standard error of the gain {error:.4f}){counted_by(weights)}"
    )


def common_offset(z: Array, labels: Ints, weights: Array, measure: str) -> Array:
    """(K,) the one offset, the same for all labels, that maximises the measure."""
    count = labels.shape[1]
    held, rows = _held_of(labels, weights)
    order = np.argsort(-z, axis=0, kind="stable")
    sorted_z, each, right = (
        np.take_along_axis(part, order, axis=0) for part in (z, weights, weights * labels)
    )
    line = np.argsort(-sorted_z.ravel(), kind="stable")
    if measure in SHARED:
        both, taken = (np.cumsum(part.ravel()[line]) for part in (right, each))
        after = label_value(measure)(both, taken, held.sum(), rows)
        start = np.zeros(1)
    else:
        value, weight = label_value(measure), label_weights_of(measure, held)
        both, taken = np.cumsum(right, axis=0), np.cumsum(each, axis=0)
        nothing = value(np.zeros(count), np.zeros(count), held, rows)
        steps = np.diff(value(both, taken, held, rows), axis=0, prepend=nothing[None]) * weight
        start = np.array([(weight * nothing).sum()])
        after = start + np.cumsum(steps.ravel()[line])
    found = _best_cut(sorted_z.ravel()[line], np.concatenate([start, after]), 0.0)
    return np.full(count, found)


def _per_label(z: Array, labels: Ints, weights: Array, measure: str, shrink_rows: float) -> Array:
    """(K,) the common offset, and each label's way from it."""
    common = common_offset(z, labels, weights, measure)
    found, value = common.copy(), label_value(measure)
    held, rows = _held_of(labels, weights)
    for k, having in enumerate(labels.sum(axis=0).tolist()):
        if having == 0:
            continue
        order = np.argsort(-z[:, k], kind="stable")
        each = weights[order, k]
        both, taken = (
            np.concatenate([[0.0], np.cumsum(part)]) for part in (each * labels[order, k], each)
        )
        best = _best_cut(z[order, k], value(both, taken, held[k], rows[k]), float(common[k]))
        found[k] += (best - common[k]) * having / (having + shrink_rows)
    return found


def _held_of(labels: Ints, weights: Array) -> tuple[Array, Array]:
    """(K,) rows that have each label, and all rows, by what they count for it."""
    held = (weights * labels).sum(axis=0)
    return held, held + (weights * (1 - labels)).sum(axis=0)


def _best_cut(scores: Array, values: Array, near: float) -> float:
    """The offset under which the first r of the falling scores pass, for the r of the largest
    value: among equals the nearest to `near`, which is kept if it is as good.

    Shapes  scores (m,) falling, values (m + 1,) with r = 0, 1, ... m of them passing.
    """
    edges = np.concatenate([[scores[0] + _BEYOND], scores, [scores[-1] - _BEYOND]])
    low, high = -edges[:-1], -edges[1:]  # offsets in [-score, -next score) let r rows pass
    open_ = high - low > 1e-9
    values = np.where(open_, values, -np.inf)
    # Scores that pass at an offset of -score exactly pass: r counts those at or above.
    here = int(np.searchsorted(-scores, near, side="right"))
    best = values.max()
    if values[here] >= best - 1e-12:
        return near
    ties = np.flatnonzero(values >= best - 1e-12)
    middles = (low[ties] + high[ties]) / 2
    return float(middles[np.argmin(np.abs(middles - near))])


def _rarest(labels: Ints) -> Ints:
    """(n,) of each row, the label that fewest rows have; K for a row without labels."""
    held = labels.sum(axis=0)
    count = np.where(labels > 0, held, len(labels) + 1)
    rarest: Ints = np.where(labels.any(axis=1), count.argmin(axis=1), labels.shape[1])
    return rarest.astype(np.int64)


def _unseen(z: Array, labels: Ints, weights: Array, fold: Ints, fit: Fit) -> Ints:
    """(n, K) decisions of each fold by offsets fitted on the others."""
    decided = np.empty_like(labels)
    for f in np.unique(fold):
        seen, held = fold != f, fold == f
        decided[held] = z[held] + fit(z[seen], labels[seen], weights[seen]) >= 0
    return decided


def _values(
    labels: Ints,
    weights: Array,
    decisions: list[Ints],
    measure: str,
    times: Array | None = None,
) -> list[Array]:
    """The measure of each decision, or (R,) of it with rows that come (R, n) times."""
    often = np.ones(len(labels)) if times is None else times
    held, rest = (often @ (weights * part) for part in (labels, 1 - labels))
    found = []
    for decided in decisions:
        both, taken = (often @ (weights * part) for part in (labels * decided, decided))
        found.append(label_measure(measure, both, taken, held, held + rest))
    return found


def _gain_errors(
    labels: Ints,
    weights: Array,
    plain: Ints,
    decisions: list[Ints],
    measure: str,
    clusters: Ints,
    rng: np.random.Generator,
) -> list[float]:
    """Standard error of each decision's gain over the plain one, by resampling clusters of rows."""
    times = drawn_times(clusters, _RESAMPLES, rng).astype(np.float64)
    base, *others = _values(labels, weights, [plain, *decisions], measure, times)
    return [float(np.std(other - base)) for other in others]
