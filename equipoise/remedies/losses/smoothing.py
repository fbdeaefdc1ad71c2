"""Cross-entropy with labels that are not quite sure of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.losses.common import (
    Portion,
    at_least_float32,
    of_label,
    on_host,
    per_class,
)


def label_smoothing(logits: Tensor, labels: Tensor, *, epsilon: Portion = 0.1) -> Tensor:
    """Cross-entropy with 1 - epsilon of every label, and epsilon spread over all classes alike.

    Shapes    logits (rows, K), labels (rows,) int64. Returns (rows,) loss in nats.
    Settings  epsilon: share of a label that is spread; 0 is plain cross-entropy.
    Prior     softmax(logits) ends at (1 - epsilon) × posterior + epsilon / K, which is no shift of
              the log prior; none is stated, and calibration has to sharpen what comes out.
    Helps     where a model grows too sure of itself, and against some wrong labels.
    Harms     classes rarer than epsilon / K: the share spread outweighs their own rows.
    Source    Szegedy et al. 2016, Rethinking the inception architecture for computer vision,
              arXiv:1512.00567 (section 7).
    """
    return F.cross_entropy(
        at_least_float32(logits), labels, reduction="none", label_smoothing=epsilon
    )


def label_aware_smoothing(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    *,
    epsilon: Portion = 0.3,
    epsilon_rare: Portion = 0.0,
) -> Tensor:
    """Label smoothing, the more of it the more rows the row's class has.

        epsilon(n) = epsilon_rare
                     + (epsilon - epsilon_rare) × sin(pi/2 × (n - n_min) / (n_max - n_min))

    Frequent classes are what a model grows too sure of; rare ones keep their labels whole. As in
    `label_smoothing`, what is spread goes to all K classes (the paper leaves the own one out, which
    is the same at an epsilon K / (K - 1) as large).

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class as fed to
              training. Returns (rows,) loss in nats.
    Settings  epsilon: share of a label that is spread, for the most frequent class.
              epsilon_rare: the same for the rarest; with both equal it is `label_smoothing`.
    Prior     none stated, as for `label_smoothing`; a little moves from frequent to rare classes.
    Raises    ShapeError if counts do not match logits.
    Helps     where frequent classes win by being sure.
    Harms     at extreme imbalance with small epsilon_rare: what frequent labels hand to a rare
              class may be more than the class's own rows.
    Source    Zhong et al. 2021, Improving calibration for long-tailed recognition (MiSLAS),
              arXiv:2104.00466 (the concave form).
    """
    logits = at_least_float32(logits)
    amounts = _amounts(on_host(counts), epsilon, epsilon_rare)
    spread = per_class(amounts, logits, "counts")[labels]
    log_p = F.log_softmax(logits, dim=1)
    return -(1 - spread) * of_label(log_p, labels) - spread * log_p.mean(1)


def _amounts(counts: NDArray[np.float64], most: float, least: float) -> NDArray[np.float64]:
    """(K,) share to spread. Classes of one size are all as frequent as the most frequent."""
    present = counts[counts > 0]
    low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
    place = (counts - low) / (high - low) if high > low else np.ones(len(counts))
    return np.asarray(least + (most - least) * np.sin(np.pi / 2 * place.clip(0, 1)))
