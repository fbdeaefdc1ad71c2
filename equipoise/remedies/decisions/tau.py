"""Decisions by a head whose classes weigh alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.records.decision import Rescale
from equipoise.remedies.decisions.vector import fit_bias
from equipoise.remedies.prior import normalised
from equipoise.remedies.remedy import NotNegative

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEWEST_ROWS = 10
_SHRINK = 1.0
"""Nats that moving a class's bias by 1 must earn twice over, as for the temperature."""


def tau_normalisation(
    logits: NDArray[Any],
    labels: Ints,
    weights: Array,
    log_given: Array,
    log_source: Array,
    *,
    head_norms: Array,
    head_bias: Array,
    tau: NotNegative = 1.0,
) -> tuple[tuple[Rescale, Array], str]:
    """Divide each class's weight vector by its norm to the power tau, and leave out its bias.

    Frequent classes grow longer weight vectors in a linear head and so win more often. On logits it
    is exact: z_k' = (z_k - bias_k) / norm_k^tau, up to a factor common to all classes, which the
    validation rows set. Decisions are the largest z'. What the new logits are a posterior under is
    not known beforehand, so it is measured: the log_source under which they make the labels
    likeliest, drawn towards the old one; the probabilities follow from it.

    Shapes    logits (n, K), labels (n,) in 0..K-1, weights (n,), log_given (K,) log shares of rows
              such as these, log_source (K,); head_norms (K,) Euclidean norms of the head's weight
              vectors, head_bias (K,). Returns (Rescale, new log_source) and a sentence.
    Settings  tau: no unit, 0 or more; 0 leaves everything as it is, 1 takes the norms out.
    Helps     a linear head trained plainly at extreme imbalance.
    Harms     accuracy at mild imbalance; does nothing where weight vectors are of one length. Only
              for head linear: a cosine head has no norms, a native one may have more layers.
    Source    Kang et al. 2020, Decoupling representation and classifier for long-tailed
              recognition, arXiv:1910.09217 (section 4.3).
    """
    if not (head_norms > 0).all():
        raise SettingsError(
            "remedy tau_normalisation: a class of the head has the weight vector 0, which has no "
            "direction; train longer, or leave the remedy out"
        )
    k = len(head_norms)
    if tau == 0:
        return (Rescale(np.ones(k), np.zeros(k)), log_source), "tau 0: logits stay as they are"
    log_norms = np.log(head_norms)
    scale = np.exp(-tau * (log_norms - log_norms.mean()))
    factor, bias = 1.0, log_given - log_source
    if len(labels) >= _FEWEST_ROWS and weights.sum() > 0 and k > 1:
        z = (np.asarray(logits, dtype=np.float64) - head_bias) * scale
        factor, bias = fit_bias(z, labels, weights, bias, _SHRINK)
    scale = scale * factor
    return (Rescale(scale, -head_bias * scale), normalised(log_given - bias)), (
        f"weight vectors of the head divided by their norm^{tau:g}; the longest was "
        f"{head_norms.max() / head_norms.min():.3g} times the shortest"
    )
