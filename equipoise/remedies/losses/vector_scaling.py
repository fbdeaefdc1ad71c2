"""Cross-entropy in which class shares move logits and stretch them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.losses.common import at_least_float32, on_host, per_class
from equipoise.remedies.prior import log_shares
from equipoise.remedies.remedy import NotNegative


def vector_scaling_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    *,
    gamma: NotNegative = 0.1,
    tau: NotNegative = 1.0,
) -> Tensor:
    """Cross-entropy of `(n / n_max)^gamma * logits + tau * log share`.

    The added term acts early in training, as in logit adjustment; the factor acts late, when every
    row is fitted and what is added no longer matters: a rare class's logit, shrunk in training,
    must grow larger to fit its rows. Predict with the plain logits.

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class as fed to
              training. Returns (rows,) loss in nats.
    Settings  gamma: no unit, 0 or more; 0 is logit adjustment. tau: no unit, 0 or more; both 0 is
              plain cross-entropy.
    Prior     - tau × log share: exact for gamma 0. For a larger gamma softmax(logits) is a
              posterior under no prior at all; the shift is then that of logits near 0, where the
              factor does nothing, and calibration has to mend the rest.
    Raises    ShapeError if counts do not match logits; DataError if a class has no rows.
    Helps     at large imbalance with a model that fits every training row.
    Harms     with a large gamma: at 1 : 1,000 and gamma 0.3 the rarest logit counts an eighth in
              training, so that it is far too large afterwards.
    Source    Kini et al. 2021, Label-imbalanced and group-sensitive classification under
              overparameterization, arXiv:2103.01550 (the VS-loss).
    """
    logits = at_least_float32(logits)
    host = on_host(counts)
    margin = per_class(tau * log_shares(host), logits, "counts")
    factor = per_class((host / host.max()) ** gamma, logits, "counts")
    return F.cross_entropy(factor * logits + margin, labels, reduction="none")


def scaled_shift(
    counts: NDArray[Any], *, gamma: NotNegative = 0.1, tau: NotNegative = 1.0
) -> NDArray[np.float64]:
    """(K,) nats: as logit adjustment. What the factors do is no shift of the prior."""
    return -tau * log_shares(counts)
