"""From scores to probabilities to decisions where a row may have several labels. Numpy only, as
`apply.py`: this is what serves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DivergedError, ShapeError
from equipoise.records.decision import DecisionRule
from equipoise.remedies.log_odds import sigmoid

Array = NDArray[np.float64]


def label_log_odds(rule: DecisionRule, logits: NDArray[Any]) -> Array:
    """(n, K) log-odds of each label under the target shares: z / T + log_target - log_source.

    Raises ShapeError if logits do not have K columns, DivergedError if they are not finite.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or z.shape[1] != len(rule.classes):
        raise ShapeError(
            f"logits have shape {z.shape}; expected (rows, {len(rule.classes)}), "
            "one column per label of the decision rule"
        )
    if not np.isfinite(z).all():
        bad = np.flatnonzero(~np.isfinite(z).all(axis=1))
        raise DivergedError(
            f"scores of {len(bad)} rows (the first is row {bad[0]}) are not finite; "
            "train again with a smaller learning rate"
        )
    return np.asarray(z / rule.temperature + rule.log_target - rule.log_source, dtype=np.float64)


def label_posterior(rule: DecisionRule, logits: NDArray[Any]) -> Array:
    """(n, K) probability of each label by itself; rows do not sum to 1."""
    return sigmoid(label_log_odds(rule, logits))


def decide_labels(rule: DecisionRule, p: Array) -> NDArray[np.int64]:
    """(n, K) 1 for every label whose log-odds of p + offset are at least 0: p at or above
    1 / (1 + e^offset). A rule that asks for one label at least sets the one that comes nearest
    where none is set."""
    # p may be exactly 0 or 1: such a label is out of the question, or certain, offset or not.
    with np.errstate(divide="ignore"):
        margins = np.log(p) - np.log1p(-p) + rule.offsets
    decided = (margins >= 0).astype(np.int64)
    if rule.at_least_one:
        none = np.flatnonzero(~decided.any(axis=1))
        decided[none, likeliest_label(p[none], rule.offsets)] = 1
    return decided


def label_thresholds(rule: DecisionRule) -> Array:
    """(K,) probability from which on each label is decided."""
    return sigmoid(-rule.offsets)


def likeliest_label(p: Array, offsets: Array) -> NDArray[np.int64]:
    """The label that is nearest to being decided, for rows that would be left without one.

    Shapes    p (n, K) probabilities, offsets (K,) nats. Returns (n,) label numbers: the largest
              log-odds of p + offset.
    Helps     where every row has a label by the nature of things, and "none" is no answer.
    Harms     where rows may have none: each such row gets a wrong label.
    Source    Tsoumakas and Katakis 2007, Multi-label classification: an overview (ranking by score,
              cut after the first).
    """
    with np.errstate(divide="ignore"):
        margins = np.log(p) - np.log1p(-p) + offsets
    return np.asarray(np.argmax(margins, axis=1), dtype=np.int64)
