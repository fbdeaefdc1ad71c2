"""Calibration by a single number where a row may have several labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from equipoise.remedies.decisions.temperature import FEWEST_ROWS, LOG_RANGE

Array = NDArray[np.float64]


def fit_label_temperature(
    logits: NDArray[Any],
    labels: NDArray[np.int64],
    weights: Array,
    log_shift: Array,
    *,
    shrink: float,
) -> tuple[float, str]:
    """The T > 0 under which sigmoid(z / T + log_shift) makes the labels likeliest: what
    `fit_temperature` does for one label a row, with the binary log loss summed over labels.

    Shapes  logits, labels (n, K), weights (n,), log_shift (K,): log-odds of the shares of these
            rows minus those that the logits are meant for. Returns T and a sentence on the fit.
    """
    if len(labels) < FEWEST_ROWS or weights.sum() <= 0:
        return 1.0, f"temperature 1: {len(labels)} labelled rows are too few to fit it"
    z, sign = np.asarray(logits, dtype=np.float64), 1.0 - 2.0 * labels
    columns = labels.shape[1]

    def surprise(log_t: float) -> float:
        # log(1 + e^x) of minus the log-odds of the right answer.
        loss = np.logaddexp(0.0, sign * (z * np.exp(-log_t) + log_shift)).sum(axis=1)
        return float((weights * loss).sum())

    found = minimize_scalar(
        lambda log_t: surprise(log_t) + 0.5 * shrink * log_t**2,
        bounds=LOG_RANGE,
        method="bounded",
        options={"xatol": 1e-5},
    )
    temperature = float(np.exp(found.x))
    before, after = (surprise(t) / weights.sum() / columns for t in (0.0, float(found.x)))
    return temperature, (
        f"temperature {temperature:.4g} fitted on {len(labels)} rows of {columns} labels: log loss "
        f"{before:.4f} before, {after:.4f} after (same rows)"
    )
