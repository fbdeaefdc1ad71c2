"""Decide as if all classes were equally frequent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.decisions.values import VALUES, ClassValue, Measure, name_of
from equipoise.remedies.remedy import NotNegative

_STRENGTHS = np.linspace(0.0, 1.0, 21)


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
    *,
    most: NotNegative = 1.0,
) -> tuple[NDArray[np.float64], str]:
    """Take out of the decision as much of the class shares as the measure is expected to be best
    with, if the calibrated probabilities are taken at their word.

    For strengths from 0 to `most` in steps of a twentieth the decision is argmax(log p + start -
    strength x log_target); of it, row i is expected to be right with probability p[i, decided],
    and class k to have sum_i p[i, k] rows. The strength with the largest value of the measure on
    these counts is taken, the smallest of equals. Labels play no part, so a class without a single
    validation row counts by what the model holds likely, and one number can't be fitted to noise:
    0 is found where classes are told apart, about a half where rare ones are blurred, 1 for
    balanced accuracy, 0 for accuracy.

    Shapes    log_p (n, K) log probabilities, labels (n,) unused but for their number, start (K,)
              nats, log_target (K,) log shares that probabilities are given for. Returns (K,)
              offsets in nats, and a sentence.
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
        return start, f"no adjustment for {name}: there are no rows to expect it on"
    p = np.exp(log_p)
    strengths = _STRENGTHS * most
    expected = [_expected(value, p, log_p + start - s * log_target) for s in strengths]
    best = int(np.argmax(np.round(expected, 12)))
    offsets = start - strengths[best] * log_target
    offsets = offsets - offsets[np.argmax(log_target)]
    return offsets, (
        f"decisions take {strengths[best]:.2g} x the log class shares out of log p: {name} is "
        f"expected to be {expected[best]:.4f} so, and {expected[0]:.4f} without"
    )


def _expected(value: ClassValue, p: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """The measure on expected counts."""
    decided = np.argmax(scores, axis=1)
    classes = p.shape[1]
    rows = p.sum(axis=0)
    sure = p[np.arange(len(p)), decided]
    right = np.bincount(decided, weights=sure, minlength=classes).astype(np.float64)
    taken = np.bincount(decided, minlength=classes).astype(np.float64)
    return float(np.dot(value.scale(rows), value.per_class(right, taken, rows)))
