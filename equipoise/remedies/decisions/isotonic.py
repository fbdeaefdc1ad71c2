"""Calibration by a rising curve per class."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.records.decision import Isotonic
from equipoise.remedies.decisions.temperature import fit_temperature
from equipoise.remedies.decisions.unseen import Calibrated, kept_if_earned, log_p_given
from equipoise.remedies.remedy import AtLeastOne

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def isotonic_calibration(
    logits: NDArray[Any],
    labels: Ints,
    weights: Array,
    log_shift: Array,
    *,
    log_given: Array,
    clusters: Ints,
    rng: np.random.Generator,
    fewest_rows: AtLeastOne = 20,
    shrink_rows: Annotated[float, Field(gt=0)] = 20.0,
    folds: Annotated[int, Field(ge=0)] = 5,
) -> tuple[Calibrated, str]:
    """Bend each class's probability by the rising curve that fits its rows best, if it earns it.

    A temperature is fitted first. Then, class by class, isotonic regression of "is of the class" on
    the probability; n / (n + shrink_rows) of the curve is kept, n being the class's rows (or the
    other rows, if they are fewer), which also keeps the order of rows strict and no probability 0.
    The probabilities of a row are divided by their sum. A class with fewer than `fewest_rows` rows
    keeps the temperature alone. All of it is done on each fold's other rows too: unless log loss
    on the rows so held out falls by more than its standard error, the temperature alone is kept.

    Shapes    logits (n, K), labels (n,) in 0..K-1, weights (n,) per row, log_shift (K,): log prior
              of these rows (log_given, (K,)) minus log_source; clusters (n,) any numbers, equal for
              duplicates. Returns (temperature, Isotonic or None) and a sentence on the fit.
    Settings  fewest_rows: rows, 1 or more. shrink_rows: rows, above 0; at so many rows half of the
              curve is kept. folds: 2 or more; 0 or 1: the curves are kept without proof.
    Helps     with hundreds of rows per class and probabilities that are wrong in shape, not only
              in steepness.
    Harms     where rows are few: a curve follows every row. Decisions by argmax may change, and
              rows on one level of a curve keep little of their distance.
    Source    Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass
              probability estimates, KDD; scikit-learn's IsotonicRegression fits the curves.
    """
    z, n = np.asarray(logits, dtype=np.float64), len(labels)

    def simple(z: Array, labels: Ints, weights: Array) -> Calibrated:
        return fit_temperature(z, labels, weights, log_shift)[0], None

    def rich(z: Array, labels: Ints, weights: Array) -> Calibrated:
        temperature, _ = fit_temperature(z, labels, weights, log_shift)
        p = np.exp(log_p_given((temperature, None), z, log_shift))
        curves = _curves(p, labels, weights, log_given, fewest_rows, shrink_rows)
        return temperature, curves

    temperature, note = fit_temperature(z, labels, weights, log_shift)
    rows = np.bincount(labels, minlength=len(log_shift))
    enough = int((np.minimum(rows, n - rows) >= fewest_rows).sum())
    if not enough or weights.sum() <= 0:
        return (temperature, None), (
            f"no curves: no class has {fewest_rows} labelled rows and as many others; {note}"
        )
    return kept_if_earned(
        simple,
        rich,
        (z, labels, weights),
        log_shift,
        clusters,
        folds,
        rng,
        what=f"curves for {enough} of {len(rows)} classes, those with {fewest_rows} rows and more,",
        without="no curves",
    )


def _curves(
    p: Array, labels: Ints, weights: Array, log_given: Array, fewest: int, shrink_rows: float
) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression  # half a second that only fitting pays

    n, k = p.shape
    rows = np.bincount(labels, minlength=k)
    fewer = np.minimum(rows, n - rows)
    kept = np.where(fewer >= fewest, fewer / (fewer + shrink_rows), 0.0)
    knots = []
    for c in range(k):
        if kept[c] == 0:
            knots.append((np.zeros(0), np.zeros(0)))
            continue
        curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        curve.fit(p[:, c], labels == c, sample_weight=weights)
        knots.append(
            (
                np.asarray(curve.X_thresholds_, dtype=np.float64),
                np.asarray(curve.y_thresholds_, dtype=np.float64),
            )
        )
    return Isotonic(np.asarray(log_given, dtype=np.float64), tuple(knots), kept)
