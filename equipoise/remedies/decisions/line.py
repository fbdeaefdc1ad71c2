"""The best offset of one class while all the others stay: an exact search along a line.

Row i is decided as class k as soon as offset_k passes the row's threshold t_i = (best score among
the other classes, offsets included) - log p_ik. Between two neighbouring thresholds nothing
changes, so the measure is a staircase over the sorted thresholds, and each step changes only two
classes: k, and the class that the row had been given to (its rival).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.decisions.values import ClassValue, Measure, class_value, evaluate, summed

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

REACH = 6.0
"""Nats that one search may move an offset up or down; the next pass may go on from there. It
keeps rows that no sensible offset would move out of the sort."""
_NARROW = 1e-9
"""Nats. A step narrower than this can't be stood upon."""
_SLOW_TRIALS = 24
"""Places tried along the line for a measure of which nothing is known."""


def best_on_line(
    k: int,
    thresholds: Array,
    rivals: Ints,
    labels: Ints,
    weights: Array,
    current: float,
    measure: Measure,
    n: int,
) -> float:
    """The offset for class k that maximises the measure; `current` unless another is better.

    thresholds, rivals, labels, weights (rows,): what each row counts, which a function as measure
    takes for 1; n: number of classes. Among equals the offset nearest to `current` is taken, in the
    middle of its step.
    """
    near = np.abs(thresholds - current) <= REACH
    order = np.flatnonzero(near)[np.argsort(thresholds[near], kind="stable")]
    if not len(order):
        return current
    steps = thresholds[order]
    edges = np.concatenate([[current - REACH], steps, [current + REACH]])
    middles = (edges[1:] + edges[:-1]) / 2
    # Which rows are k's on the lowest step: those far below, that no step here moves.
    start = np.where(thresholds < current - REACH, k, rivals)
    in_parts = isinstance(measure, str | ClassValue)
    if isinstance(measure, str | ClassValue):
        values = _staircase(k, start, order, labels, weights, class_value(measure), n)
        values[np.diff(edges) < _NARROW] = -np.inf
    else:
        values = np.full(len(middles), -np.inf)
        for r in _spread(np.flatnonzero(np.diff(edges) >= _NARROW), len(labels)):
            decided = start.copy()
            decided[order[:r]] = k
            values[r] = evaluate(measure, labels, decided, n)
    here = int(np.searchsorted(steps, current))
    if not np.isfinite(values[here]) and not in_parts:
        decided = start.copy()
        decided[order[:here]] = k
        values[here] = evaluate(measure, labels, decided, n)
    best = values.max()
    if values[here] >= best - 1e-12:
        return current
    ties = np.flatnonzero(values >= best - 1e-12)
    return float(middles[ties[np.argmin(np.abs(middles[ties] - current))]])


def _spread(wide: Ints, rows: int) -> Ints:
    """At most `_SLOW_TRIALS` of the steps wide enough, evenly spread over their ranks."""
    if len(wide) <= _SLOW_TRIALS:
        return wide
    picked: Ints = wide[np.linspace(0, len(wide) - 1, _SLOW_TRIALS).round().astype(np.int64)]
    return picked


def _staircase(
    k: int, start: Ints, order: Ints, labels: Ints, weights: Array, value: ClassValue, n: int
) -> Array:
    """(m + 1,) value of the measure on each step: after 0, 1, ... m rows of `order` went to k."""
    met = labels == start
    rows, taken = summed(labels, weights, n), summed(start, weights, n)
    right = summed(labels[met], weights[met], n)
    scale = value.scale(rows)
    m = len(order)
    truth, rival, each = labels[order], start[order], weights[order]

    gained, grown = (
        np.concatenate([[0.0], np.cumsum(part)]) for part in (each * (truth == k), each)
    )
    own = scale[k] * value.per_class(right[k] + gained, taken[k] + grown, rows[k])

    # Rows lost by the same rival, in order: the r-th loss changes its counts by known amounts.
    by_rival = np.argsort(rival, kind="stable")
    who, each = rival[by_rival], each[by_rival]
    first = np.searchsorted(who, who)  # where each rival's rows begin
    hit = each * (truth[by_rival] == who)
    lost, lost_right = (
        so_far - (so_far[first] - part[first])
        for part, so_far in ((each, np.cumsum(each)), (hit, np.cumsum(hit)))
    )
    after = value.per_class(right[who] - lost_right, taken[who] - lost, rows[who])
    before = value.per_class(right[who] - lost_right + hit, taken[who] - lost + each, rows[who])
    change = np.empty(m)
    change[by_rival] = scale[who] * (after - before)

    others = (scale * value.per_class(right, taken, rows)).sum() - own[0]
    return np.asarray(others + own + np.concatenate([[0.0], np.cumsum(change)]), dtype=np.float64)
