"""For which label shares sigmoid(logits) is a probability, where a row may have several labels.

What `source.py` does with log shares of classes, label by label with log-odds: a model trained by
plain binary cross-entropy on rows of which a share π has the label ends with z at the log-odds of
the label under π. Whatever makes up for unequal shares moves them by an amount that is added:

    weights w+ and w-   + log(w+ / w-)     of rows with and without the label
    margin κ × log-odds - κ × log-odds of π
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.prior import same_shares

Array = NDArray[np.float64]


def log_odds(counts: NDArray[Any], rows: float) -> Array:
    """(K,) log-odds of each label's share, half a row added to either side: a label that all rows
    have, or none, stays finite.

    >>> log_odds(np.array([1, 10]), 20).round(2).tolist()
    [-2.56, 0.0]
    """
    counts = np.asarray(counts, dtype=np.float64)
    return np.asarray(np.log(counts + 0.5) - np.log(rows - counts + 0.5), dtype=np.float64)


def sigmoid(z: NDArray[Any]) -> Array:
    """1 / (1 + e^-z), without overflow."""
    z = np.asarray(z, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small), dtype=np.float64)


def label_worth(log_target: Array, log_rows: Array, log_train: Array) -> Array:
    """(2, K) what a row without and with each label counts for that label's threshold: 1, or under
    stated shares what `prior.class_worth` says of the two.

    log_target, log_rows, log_train  (K,) log-odds of the label's share, as there.

    >>> label_worth(np.zeros(1), np.log([1 / 9]), np.log([1 / 9])).round(2).tolist()
    [[0.56], [5.0]]
    """
    if same_shares(log_target, log_train):
        return np.ones((2, len(log_target)))
    sides = np.array([[-1.0], [1.0]])
    return np.asarray(sigmoid(sides * log_target) / sigmoid(sides * log_rows))


def moved_by_training(source: Array, given: Array, target: Array) -> Array:
    """(K,) nats that training has added to each label's log-odds: the offsets that decisions start
    from, as `prior.trained_correction` says for classes. Zeros where somebody states shares.

    source, given, target  (K,) log-odds: under which the logits are probabilities; of the training
                           rows before any remedy; that probabilities are given for.
    """
    if not same_shares(target, given):
        return np.zeros_like(source)
    return np.asarray(source - given, dtype=np.float64)
