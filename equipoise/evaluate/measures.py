"""Every measure as a pure function of sums or of probabilities.

Macro means are over the classes that have rows. A class that the model never saw counts 0 in
them. 0/0 is 0 for F1 and NaN elsewhere; the judge turns NaN into null with a reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats, Sums

LOG_LOSS_FLOOR = 1e-15
"""A probability below it counts as it: log loss stays finite, at most 34.5 nats a row."""

ECE_BINS = 15

UNDEFINED = {
    "mcc": "0/0: every row is of one class, or decided as one",
    "expected_cost": "rows are left to a person, and the costs do not say what that costs",
}
"""Why a measure of decisions is NaN."""


def decision_measures(sums: Sums) -> dict[str, Floats]:
    """accuracy, balanced_accuracy, macro_f1, weighted_f1, mcc, g_mean and expected_cost.

    Shapes  each (...), like the leading axes of the sums.
    Units   expected_cost is per 1,000 rows; all else has none.
    """
    rows, total = sums.rows, sums.rows.sum(axis=-1)
    f1 = class_f1(sums)
    return {
        "accuracy": _ratio(sums.right.sum(axis=-1), total),
        "balanced_accuracy": macro(class_recall(sums), rows),
        "macro_f1": macro(f1, rows),
        "weighted_f1": _ratio((f1 * rows).sum(axis=-1), total),
        "mcc": mcc(sums),
        "g_mean": g_mean(sums),
        "expected_cost": 1000 * _ratio(sums.cost, total),
    }


def class_recall(sums: Sums) -> Floats:
    """(..., L) share of a class's rows that are decided as it; NaN where it has no rows."""
    return _ratio(sums.right, sums.rows)


def class_precision(sums: Sums) -> Floats:
    """(..., L) share of the rows decided as a class that are of it; NaN where there are none."""
    return _ratio(sums.right, sums.decided[..., :-1])


def class_f1(sums: Sums) -> Floats:
    """(..., L) 2 tp / (rows + decided), and 0 where both are 0."""
    return np.nan_to_num(_ratio(2 * sums.right, sums.rows + sums.decided[..., :-1]))


def macro(values: Floats, rows: Floats) -> Floats:
    """(...) mean of (..., L) per-class values over the classes that have rows; NaN if none."""
    present = rows > 0
    return _ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1))


def g_mean(sums: Sums) -> Floats:
    """Geometric mean of recalls: 0 as soon as one class is never found.

    Source  Kubat and Matwin 1997, Addressing the curse of imbalanced training sets, ICML.
    """
    recall = np.where(sums.rows > 0, class_recall(sums), 1.0)
    present = (sums.rows > 0).sum(axis=-1)
    # exp of a mean of logs: a product over 1,000 classes would underflow.
    with np.errstate(divide="ignore"):
        mean_log = _ratio(np.log(recall).sum(axis=-1), present)
    return np.exp(mean_log)


def mcc(sums: Sums) -> Floats:
    """Correlation of true and decided class over K classes; NaN where either is constant.

    Source  Gorodkin 2004, Comparing two K-category assignments by a K-category correlation
            coefficient, Computational Biology and Chemistry 28.
    """
    total = sums.rows.sum(axis=-1)
    expected = (sums.rows * sums.decided[..., :-1]).sum(axis=-1)
    spread_true = total**2 - (sums.rows**2).sum(axis=-1)
    spread_decided = total**2 - (sums.decided**2).sum(axis=-1)
    # Roots apart: the product of two squares of a million rows would lose digits.
    correlation = _ratio(
        sums.right.sum(axis=-1) * total - expected, np.sqrt(spread_true) * np.sqrt(spread_decided)
    )
    return np.clip(correlation, -1, 1)  # rounding may end a digit beyond


def row_log_loss(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """(n,) -ln of the probability given to the row's class, in nats, floored.

    Shapes  probabilities (n, L), labels (n,).
    """
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], LOG_LOSS_FLOOR))


def likeliest_mistake(probabilities: Floats) -> NDArray[np.int64]:
    """(n,) each row's second most probable class; the only one where there is but one.

    Shapes  probabilities (n, L).
    """
    place = min(2, probabilities.shape[1])
    return np.argpartition(probabilities, -place, axis=1)[:, -place]


def row_brier(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """(n,) Σ_k (p_k - y_k)², 0 to 2. A row of a class that the model does not know has its
    probability 0 there: Σ p² + 1.

    Source  Brier 1950, Verification of forecasts expressed in terms of probability.
    """
    own = probabilities[np.arange(len(labels)), labels]
    brier: Floats = (probabilities**2).sum(axis=1) - 2 * own + 1
    return brier


def ece(probabilities: Floats, labels: NDArray[np.int64], *, bins: int = ECE_BINS) -> float:
    """Expected calibration error of the top label over bins of equal width.

    Source  Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    """
    top = probabilities.argmax(axis=1)
    sure = probabilities[np.arange(len(top)), top]
    number = bin_of(sure, bins)
    gap = np.bincount(number, weights=sure - (top == labels), minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def bin_of(share: Floats, bins: int) -> NDArray[np.int64]:
    """The bin (k/bins, (k+1)/bins] of each share; 0 belongs to the first."""
    return np.clip(np.ceil(share * bins).astype(np.int64) - 1, 0, bins - 1)


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
