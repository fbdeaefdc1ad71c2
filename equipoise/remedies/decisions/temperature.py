"""Calibration by a single number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from equipoise.remedies.decisions.apply import log_softmax
from equipoise.remedies.remedy import NotNegative

FEWEST_ROWS = 10
"""Below this one number can't be told from 1: the likelihood is flat or has no maximum."""
LOG_RANGE = (np.log(0.05), np.log(20.0))
"""Logits 20 times too large or too small: far outside what training produces."""


def fit_temperature(
    logits: NDArray[Any],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    log_shift: NDArray[np.float64],
    *,
    shrink: NotNegative = 1.0,
) -> tuple[float, str]:
    """The T > 0 under which softmax(z / T + log_shift) makes the labels likeliest.

    Minimises the weighted negative log-likelihood plus shrink / 2 * (ln T)^2, which keeps T finite
    where few rows are all decided rightly (the likelihood then wants T = 0).

    Shapes    logits (n, K), labels (n,) in 0..K-1, weights (n,) per row, log_shift (K,): log prior
              of these rows minus log_source. Returns T, no unit, and a sentence on the fit.
    Settings  shrink: 0 or more, nats that a factor of e in T must earn twice over; 0: no guard.
              With 100 rows and more it hardly matters.
    Helps     always, a little: an overfitted model is too sure of itself. Decisions by argmax
              under one prior hardly change; costs and shares given afterwards come out right.
    Harms     only where there are so few rows that T is noise: below 10 rows T is 1.
    Labels    several a row: `label_temperature.py`, by the binary log loss of all labels.
    Source    Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    """
    if len(labels) < FEWEST_ROWS or weights.sum() <= 0 or logits.shape[1] < 2:
        return 1.0, f"temperature 1: {len(labels)} labelled rows are too few to fit it"
    z = np.asarray(logits, dtype=np.float64)
    places = np.arange(len(z))

    def surprise(log_t: float) -> float:
        log_p = log_softmax(z * np.exp(-log_t) + log_shift)[places, labels]
        return float(-(weights * log_p).sum())

    def objective(log_t: float) -> float:
        return surprise(log_t) + 0.5 * shrink * log_t**2

    found = minimize_scalar(objective, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-5})
    before, after = (surprise(t) / weights.sum() for t in (0.0, float(found.x)))
    temperature = float(np.exp(found.x))
    return temperature, (
        f"temperature {temperature:.4g} fitted on {len(labels)} rows: "
        f"log loss {before:.4f} before, {after:.4f} after (same rows)"
    )
