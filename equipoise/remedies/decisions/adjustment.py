"""Decide as if all classes were equally frequent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.remedy import NotNegative


def posthoc_logit_adjustment(
    log_target: NDArray[np.float64], *, tau: NotNegative = 1.0
) -> tuple[NDArray[np.float64], str]:
    """Offsets -tau * log_target: take the class shares out of the decision, not the probabilities.

    The probabilities stay those of the target prior. With tau = 1 the decision maximises balanced
    accuracy if they are calibrated.

    Shapes    log_target (K,) log of the shares that probabilities are given for. Returns the (K,)
              offsets in nats, and a sentence.
    Settings  tau: no unit, 0 or more; 0 leaves decisions alone, 1 takes the shares out.
    Helps     at extreme imbalance, on any trained model, at no cost, when rare classes matter as
              much as common ones.
    Harms     accuracy, and the precision of rare classes, hence F1 where imbalance is mild. Does
              nothing under a balanced target prior.
    Source    Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314
              (equation 9).
    """
    offsets = -tau * log_target
    # argmax does not care, a reader does: the most frequent class is left as it is.
    offsets = offsets - offsets[np.argmax(log_target)]
    return offsets, f"decisions take {tau:g} x the log shares of the target prior out of log p"
