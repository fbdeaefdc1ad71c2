"""Calibration by a scale and a bias per class."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize

from equipoise.records.decision import VectorScaling
from equipoise.remedies.decisions.apply import log_softmax
from equipoise.remedies.decisions.temperature import fit_temperature
from equipoise.remedies.decisions.unseen import Calibrated, kept_if_earned

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEWEST_ROWS = 20
"""With fewer rows there is nothing to tell classes apart by; the temperature alone stays."""
_SCALE_RANGE = (-0.9, 9.0)
"""A class's scale may be a tenth to ten times that of the temperature: a rule keeps its sign."""


def vector_scaling_calibration(
    logits: NDArray[Any],
    labels: Ints,
    weights: Array,
    log_shift: Array,
    *,
    clusters: Ints,
    rng: np.random.Generator,
    shrink: Annotated[float, Field(gt=0)] = 2.0,
    folds: Annotated[int, Field(ge=0)] = 5,
) -> tuple[Calibrated, str]:
    """Scales a_k and biases b_k under which softmax(a * (z - mean z) + b + log_shift) makes the
    labels likeliest, drawn towards the temperature alone, if they earn it.

    With T fitted first and a_k = (1 + d_k) / T it minimises the weighted negative log-likelihood
    plus shrink / 2 * sum(d_k^2 + b_k^2): convex, and finite for a class without rows. All of it is
    done on each fold's other rows too: unless log loss on the rows so held out falls by more than
    its standard error, the temperature alone is kept.

    Shapes    logits (n, K), labels (n,) in 0..K-1, weights (n,) per row, log_shift (K,): log prior
              of these rows minus log_source; clusters (n,) any numbers, equal for duplicates.
              Returns (temperature, VectorScaling or None) and a sentence on the fit.
    Settings  shrink: above 0, nats that moving one number by 1 must earn twice over.
              folds: 2 or more; 0 or 1: the fit is kept without proof.
    Helps     where classes are wrong by different amounts: a class that training or resampling has
              made too likely, a prior that nobody accounted for; before `prior_shift` and `costs`.
    Harms     where classes have a handful of validation rows; the proof on held-out rows then
              mostly leaves the temperature. Decisions by argmax may change.
    Source    Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599 (vector
              scaling); Kull et al. 2019, Beyond temperature scaling, arXiv:1910.12656 (drawn
              towards the diagonal); Alexandari et al. 2020, arXiv:1901.06852 (biases).
    """
    n, k = np.shape(logits)
    if n < _FEWEST_ROWS or k < 2 or weights.sum() <= 0 or len(np.unique(labels)) < 2:
        temperature, note = fit_temperature(logits, labels, weights, log_shift)
        return (temperature, None), f"no vector scaling, {n} labelled rows are too few; {note}"
    z = np.asarray(logits, dtype=np.float64)

    def simple(z: Array, labels: Ints, weights: Array) -> Calibrated:
        return fit_temperature(z, labels, weights, log_shift)[0], None

    def rich(z: Array, labels: Ints, weights: Array) -> Calibrated:
        temperature, _ = fit_temperature(z, labels, weights, log_shift)
        return 1.0, _solve(z, labels, weights, log_shift, temperature, shrink)

    return kept_if_earned(
        simple,
        rich,
        (z, labels, weights),
        log_shift,
        clusters,
        folds,
        rng,
        what="a scale and a bias per class",
        without="no vector scaling",
    )


def fit_bias(
    z: Array, labels: Ints, weights: Array, log_start: Array, shrink: float
) -> tuple[float, Array]:
    """One factor a > 0 for all classes and a bias (K,) under which softmax(a * z + bias) makes the
    labels likeliest; the bias drawn towards `log_start`. The same problem with a common scale."""
    temperature, _ = fit_temperature(z, labels, weights, log_start)
    found = _minimise(z / temperature, labels, weights, log_start, shrink, common=True)
    return float((1 + found[0]) / temperature), log_start + found[1:]


def _solve(
    z: Array, labels: Ints, weights: Array, log_shift: Array, temperature: float, shrink: float
) -> VectorScaling:
    centred = (z - z.mean(axis=1, keepdims=True)) / temperature
    found = _minimise(centred, labels, weights, log_shift, shrink, common=False)
    k = z.shape[1]
    return VectorScaling((1 + found[:k]) / temperature, found[k:])


def _minimise(
    x: Array, labels: Ints, weights: Array, log_shift: Array, shrink: float, *, common: bool
) -> Array:
    """(1 or K scales less 1, then K biases) minimising the objective of the docstring above."""
    n, k = x.shape
    scales = 1 if common else k
    places = np.arange(n)

    def objective(found: Array) -> tuple[float, Array]:
        log_p = log_softmax(x * (1 + found[:scales]) + found[scales:] + log_shift)
        loss = -(weights * log_p[places, labels]).sum() + 0.5 * shrink * (found**2).sum()
        slope = np.exp(log_p)
        slope[places, labels] -= 1
        slope *= weights[:, None]
        by_scale = (slope * x).sum(axis=0)
        gradient = np.concatenate([[by_scale.sum()] if common else by_scale, slope.sum(axis=0)])
        return float(loss), gradient + shrink * found

    bounds = [_SCALE_RANGE] * scales + [(None, None)] * k
    start = np.zeros(scales + k)
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}
    )
    return np.asarray(found.x, dtype=np.float64)
