"""How much of the shares that training was to leave in the logits is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from equipoise.remedies.decisions.apply import log_softmax
from equipoise.remedies.decisions.temperature import FEWEST_ROWS, LOG_RANGE
from equipoise.remedies.prior import normalised, same_shares

Array = NDArray[np.float64]


def absorbed_source(
    logits: NDArray[Any],
    labels: NDArray[np.int64],
    weights: Array,
    log_given: Array,
    log_train: Array,
    log_source: Array,
) -> tuple[Array, float]:
    """The shares, between those of the training rows and log_source, that logits are best read by.

    What a remedy does to the prior (`source.log_source`) is what a model trained to the end on
    enough rows has learned. One that saw a class three times, by a light method and for a few
    epochs, has learned a part of it; correcting for all of it then takes from rare classes what
    they never got. So the part a, from 0 to 1, is measured, together with a temperature:

        log_source(a) = log_train + a * (log_source - log_train), normalised

    minimising the weighted negative log-likelihood of softmax(z / T + log_given - log_source(a))
    plus ((1 - a)^2 + (ln T)^2) / 2, which holds both where rows are few.

    Shapes    logits (n, K), labels (n,) in 0..K-1, weights (n,) per row; log_given, log_train,
              log_source (K,): log shares of rows such as these, of the training rows before any
              remedy, and as the remedies state them. Returns log_source(a) and a, no unit: 1 where
              nothing was moved, or there are fewer than 10 rows.
    Source    The prior's correction is that of Saerens et al. 2002, Adjusting the outputs of a
              classifier to new a priori probabilities; the part of it is a bias in one direction
              (Alexandari et al. 2020, arXiv:1901.06852, fits one per class).
    """
    n, k = np.shape(logits)
    if n < FEWEST_ROWS or weights.sum() <= 0 or k < 2 or same_shares(log_source, log_train):
        return log_source, 1.0
    z = np.asarray(logits, dtype=np.float64)
    moved, start = log_source - log_train, log_given - log_train
    places = np.arange(n)

    def objective(found: Array) -> tuple[float, Array]:
        log_t, part = found
        scaled = z * np.exp(-log_t)
        log_p = log_softmax(scaled + start - part * moved)
        loss = -(weights * log_p[places, labels]).sum()
        slope = np.exp(log_p)
        slope[places, labels] -= 1
        slope *= weights[:, None]
        by_temperature, by_part = -(slope * scaled).sum(), -(slope @ moved).sum()
        loss += 0.5 * (log_t**2 + (1 - part) ** 2)
        gradient = np.array([by_temperature + log_t, by_part - (1 - part)])
        return float(loss), gradient

    bounds, close = [LOG_RANGE, (0.0, 1.0)], {"ftol": 1e-14, "gtol": 1e-9}
    found = minimize(
        *(objective, np.array([0.0, 1.0])),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options=close,
    )
    part = float(found.x[1])
    return normalised(log_train + part * moved), part
