"""Decide as if all classes were equally frequent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.decisions.values import (
    VALUES,
    ClassValue,
    Measure,
    counted_by,
    name_of,
    summed,
)
from equipoise.remedies.remedy import NotNegative

_STRENGTHS = np.linspace(0.0, 1.0, 21)
_NEAR = 0.2
"""Width, as a standard deviation, over which values at neighbouring strengths are averaged."""


def posthoc_logit_adjustment(
    log_target: NDArray[np.float64], *, tau: NotNegative = 1.0
) -> tuple[NDArray[np.float64], str]:
    """Offsets -tau * log_target: take the class shares out of the decision, not the probabilities.

    The probabilities stay those of the target prior. With tau = 1 the decision maximises balanced
    accuracy if they are calibrated.

    Shapes    log_target (K,) log of the shares that probabilities are given for. Returns the (K,)
              offsets in nats, and a sentence.
    Settings  tau: no unit, 0 or more; 0 leaves decisions alone, 1 takes the shares out.
    Helps     at extreme imbalance, on any trained model, at no cost, when rare classes matter as
              much as common ones.
    Harms     accuracy, and the precision of rare classes, hence F1 where imbalance is mild. Does
              nothing under a balanced target prior.
    Source    Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314
              (equation 9).
    """
    offsets = -tau * log_target
    # argmax does not care, a reader does: the most frequent class is left as it is.
    offsets = offsets - offsets[np.argmax(log_target)]
    return offsets, f"decisions take {tau:g} x the log shares of the target prior out of log p"


def plugin_adjustment(
    log_p: NDArray[np.float64],
    labels: NDArray[np.int64],
    measure: Measure,
    start: NDArray[np.float64],
    log_target: NDArray[np.float64],
    log_measured: NDArray[np.float64],
    worth: NDArray[np.float64] | None = None,
    *,
    most: NotNegative = 1.0,
) -> tuple[NDArray[np.float64], str]:
    """Take out of the decision as much of the class shares as the measure is best with: by what is
    seen on validation rows, and by what calibrated probabilities let expect, half and half.

    For strengths from 0 to `most` in steps of a twentieth the decision is argmax(log p + start -
    strength x log_target). Seen is the measure on the labels. Expected is the measure on the counts
    that the probabilities promise: row i is right with probability p[i, decided], and class k has
    sum_i p[i, k] rows, p under the shares of these rows. Both count what a class has by its worth.
    A few rows of a rare class say little of what is seen, and a class without rows nothing, where
    what is expected knows every row; what is seen corrects what overconfident probabilities
    promise. The mean of the two is smoothed over neighbouring strengths, which keeps a lucky one
    from being taken; its highest place is. 0 is found where classes are told apart, about a half
    where rare ones are blurred.

    Shapes    log_p (n, K) log probabilities, labels (n,) in 0..K-1, start (K,) nats, log_target
              (K,) log shares that probabilities are given for, log_measured (K,) of rows such as
              these, worth (K,) what a row of each class counts (`prior.class_worth`), None: 1.
              Returns (K,) offsets in nats, and a sentence.
    Settings  most: no unit, 0 or more: the strength at which the search ends.
    Helps     where rare classes matter as much as common ones and are hard to tell apart: macro-F1
              at moderate and extreme imbalance.
    Harms     where probabilities are not calibrated: calibrate first. Measures that are not sums
              over classes (a function, a budget) are left alone.
    Source    Narasimhan et al. 2015, Consistent multiclass algorithms for complex performance
              measures, ICML (plug-in decisions), along the line of Menon et al. 2021,
              arXiv:2007.07314.
    """
    value = VALUES.get(measure) if isinstance(measure, str) else measure
    name = name_of(measure)
    if not isinstance(value, ClassValue):
        return start, f"no adjustment: what {name} is expected to be can't be summed over classes"
    if not len(labels):
        return start, f"no adjustment for {name}: there are no labelled rows to choose it on"
    each = np.ones(log_p.shape[1]) if worth is None else worth
    p, truth = np.exp(_moved(log_p, log_measured - log_target)), np.eye(len(each))[labels]
    strengths = _STRENGTHS * most
    decided = [np.argmax(log_p + start - s * log_target, axis=1) for s in strengths]
    seen, expected = ([_value(value, held, d, each) for d in decided] for held in (truth, p))
    mean = (np.array(seen) + np.array(expected)) / 2
    apart = _STRENGTHS[:, None] - _STRENGTHS
    near = np.exp(-((apart / _NEAR) ** 2) / 2)
    smooth = near @ mean / near.sum(axis=1)
    best = int(np.argmax(np.round(smooth, 9)))
    offsets = start - strengths[best] * log_target
    offsets = offsets - offsets[np.argmax(log_target)]
    return offsets, (
        f"decisions take {strengths[best]:.2g} x the log class shares out of log p: {name} is "
        f"{seen[best]:.4f} on {len(labels)} rows and expected to be {expected[best]:.4f} so, "
        f"{seen[0]:.4f} and {expected[0]:.4f} without{counted_by(each)}"
    )


def _moved(log_p: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, K) log probabilities under other shares, by the (K,) nats between the two."""
    if not by.any():
        return log_p
    moved = log_p + by
    return np.asarray(moved - np.logaddexp.reduce(moved, axis=1, keepdims=True))


def _value(
    value: ClassValue,
    held: NDArray[np.float64],
    decided: NDArray[np.int64],
    worth: NDArray[np.float64],
) -> float:
    """The measure where row i is of class k by held[i, k]: 0 and 1, or what is expected; (K,) worth
    is what a row of each class counts."""
    classes, counts = held.shape[1], held * worth
    # A division by the row's sum, which is 1 but for rounding: rows of like worth count exactly 1.
    row_counts = counts.sum(axis=1) / held.sum(axis=1)
    right = summed(decided, counts[np.arange(len(held)), decided], classes)
    taken = summed(decided, row_counts, classes)
    rows = counts.sum(axis=0)
    return float(np.dot(value.scale(rows), value.per_class(right, taken, rows)))
