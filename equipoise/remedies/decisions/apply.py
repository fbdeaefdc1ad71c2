"""From scores to probabilities to a decision, by a fitted rule. Numpy only: this is what serves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DivergedError, ShapeError
from equipoise.records.decision import DecisionRule
from equipoise.remedies.decisions.costs import cost_optimal


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) log of the softmax of each row, in float64."""
    z = np.asarray(logits, dtype=np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    return np.asarray(
        shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64
    )


def log_posterior(rule: DecisionRule, logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) log probabilities under the rule's target prior.

    Raises ShapeError if logits do not have K columns, DivergedError if they are not finite.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] != len(rule.classes):
        raise ShapeError(
            f"logits have shape {logits.shape}; expected (rows, {len(rule.classes)}), "
            "one column per class of the decision rule"
        )
    if not np.isfinite(logits).all():
        bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        raise DivergedError(
            f"scores of {len(bad)} rows (the first is row {bad[0]}) are not finite; "
            "train again with a smaller learning rate"
        )
    return log_softmax(logits / rule.temperature + rule.log_target - rule.log_source)


def posterior(rule: DecisionRule, logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) probabilities under the rule's target prior; rows sum to 1.

    p = softmax(z / temperature + log_target - log_source): calibrated scores are a posterior
    under the source prior, and changing the prior of a posterior is adding the log of the ratio
    (Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori probabilities).
    """
    return np.exp(log_posterior(rule, logits))


def decide(rule: DecisionRule, p: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) class numbers: the largest log p + offset, or the least expected cost."""
    if rule.kind == "costs":
        assert rule.costs is not None  # DecisionRule checks it
        return cost_optimal(p, rule.costs)
    # p may underflow to 0, whose log is -inf: such a class is out of the question, offset or not.
    with np.errstate(divide="ignore"):
        return np.asarray(np.argmax(np.log(p) + rule.offsets, axis=1), dtype=np.int64)
