"""Class shares of rows whose labels nobody has seen. Numpy only: it also runs where rules serve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PULL_ROWS = 100.0
"""Rows that the stated shares count for where nothing is said."""
_MOST_ROUNDS = 1000
_CLOSE = 1e-7
"""Sum of absolute changes of the shares at which a round was the last."""


def estimate_log_prior(log_p: Array, log_stated: Array, pull_rows: float) -> Array:
    """(K,) log class shares under which the scores are likeliest, by expectation-maximisation.

    Each round moves the probabilities from the stated to the present shares and takes their mean,
    `pull_rows` rows of the stated shares included (a Dirichlet prior). The likelihood is concave,
    so there is one best set of shares.

    Shapes  log_p (n, K) log probabilities under the stated shares, log_stated (K,).
    """
    stated = np.exp(log_stated)
    likelihood = np.exp(log_p - log_stated)
    # Rows of enormous ratios stay finite: only ratios within a row matter.
    likelihood /= likelihood.max(axis=1, keepdims=True)
    shares = stated / stated.sum()
    for _ in range(_MOST_ROUNDS):
        joint = likelihood * shares
        found = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0) + pull_rows * stated
        found /= found.sum()
        moved = np.abs(found - shares).sum()
        shares = found
        if moved < _CLOSE:
            break
    # With pull_rows 0 a class may lose its last share; the least positive number keeps its log.
    return np.asarray(np.log(np.maximum(shares, np.finfo(np.float64).tiny)), dtype=np.float64)
