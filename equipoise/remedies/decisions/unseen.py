"""Whether a calibration of many numbers earns its place beside one of a single number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.records.decision import DecisionRule, Isotonic, VectorScaling
from equipoise.remedies.decisions.apply import log_posterior
from equipoise.remedies.decisions.offsets import stratified_folds

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Calibrated = tuple[float, VectorScaling | Isotonic | None]
"""Temperature, and what stands in its place or comes after it."""
Fit = Callable[[Array, Ints, Array], Calibrated]
"""(logits, labels, weights) of some rows -> a calibration fitted on them."""


def log_p_given(fitted: Calibrated, logits: NDArray[Any], log_shift: Array) -> Array:
    """(n, K) log probabilities under the prior of the rows that the calibration was fitted on.

    log_shift (K,): log prior of those rows minus log_source.
    """
    temperature, calibration = fitted
    k = len(log_shift)
    given = calibration.log_given if isinstance(calibration, Isotonic) else np.zeros(k)
    names = tuple(map(str, range(k)))
    rule = DecisionRule(
        names, temperature, given - log_shift, given, "argmax", np.zeros(k), calibration=calibration
    )
    return log_posterior(rule, logits)


def kept_if_earned(
    simple: Fit,
    rich: Fit,
    rows: tuple[Array, Ints, Array],
    log_shift: Array,
    clusters: Ints,
    folds: int,
    rng: np.random.Generator,
    *,
    what: str,
    without: str,
) -> tuple[Calibrated, str]:
    """`rich` fitted on all rows if it gains more on unseen folds than the standard error of the
    gain, else `simple`; and a sentence. With fewer than two folds `rich` is kept without proof.

    rows  (logits, labels, weights). what, without: how the two are called.
    """
    fitted_on = f"{what} fitted on {len(rows[1])} rows"
    if folds < 2:
        return rich(*rows), fitted_on
    gain, error = gain_on_unseen(simple, rich, *rows, log_shift, clusters, folds, rng)
    figures = f"log loss on unseen folds {_moved(gain, error)}"
    if gain <= error:
        fitted = simple(*rows)
        return fitted, f"{without}: {figures}; temperature {fitted[0]:.4g}"
    return rich(*rows), f"{fitted_on}: {figures}"


def _moved(gain: float, error: float) -> str:
    """
    >>> _moved(-0.0057, 0.0159)
    'rises by 0.0057 against a temperature alone (standard error 0.0159)'
    >>> _moved(0.00002, 0.00001)
    'moves by less than 0.0001 against a temperature alone'
    """
    against = "against a temperature alone"
    if abs(gain) < 5e-5 and error < 5e-5:
        return f"moves by less than 0.0001 {against}"
    way = "falls" if gain > 0 else "rises"
    return f"{way} by {abs(gain):.4f} {against} (standard error {error:.4f})"


def gain_on_unseen(
    simple: Fit,
    rich: Fit,
    logits: Array,
    labels: Ints,
    weights: Array,
    log_shift: Array,
    clusters: Ints,
    folds: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """How much lower the log loss of `rich` is than that of `simple`, in nats per row, on folds
    that neither has seen; and the standard error of that, over clusters of rows.

    Shapes  logits (n, K), labels, weights, clusters (n,), log_shift (K,).
    """
    fold = stratified_folds(labels, clusters, folds, rng)
    gain = np.zeros(len(labels))
    for f in range(folds):
        seen, held = fold != f, np.flatnonzero(fold == f)
        if not len(held):
            continue
        losses = [
            -log_p_given(fit(logits[seen], labels[seen], weights[seen]), logits[held], log_shift)[
                np.arange(len(held)), labels[held]
            ]
            for fit in (simple, rich)
        ]
        gain[held] = losses[0] - losses[1]
    total = float(weights.sum())
    mean = float((weights * gain).sum() / total)
    number = np.unique(clusters, return_inverse=True)[1]
    apart = np.bincount(number, weights=weights * (gain - mean))
    return mean, float(np.sqrt((apart**2).sum())) / total
