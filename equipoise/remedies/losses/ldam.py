"""Wider margins for rare classes, and their weights only at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.remedies.batches.weights import Beta, class_weights
from equipoise.remedies.losses.common import (
    Portion,
    at_least_float32,
    cross_entropy,
    on_host,
    per_class,
)
from equipoise.remedies.remedy import NotNegative


def ldam_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    progress: float,
    *,
    margin: NotNegative = 2.0,
    beta: Beta = 0.999,
    defer: Portion = 0.8,
) -> Tensor:
    """Cross-entropy after taking a margin off the label's own logit; weighted once training is old.

        margin × (n_min / n)^(1/4) comes off, n being the rows of the row's class
        from the share `defer` of the steps on: × (1 - beta) / (1 - beta^n), mean 1 over the rows

    Shapes    logits (rows, K), labels (rows,) int64, counts (K,) rows per class as fed to
              training. Returns (rows,) loss in nats.
    Units     progress: share of the optimizer steps done before this one, 0 to 1.
    Settings  margin: nats, that of the rarest class (the paper's is 0.5 of a cosine, times a scale
              of 30: more than a head that starts from class means needs). beta: 0 to below 1, of
              the weights; 0 is none. defer: share of training before they switch on; 1 is never.
              Margin 0 and beta 0 are plain cross-entropy.
    Prior     + log weight, from the last part of training, if the weights switch on at all. What
              margins move can't be stated: they mostly make all classes surer, and shift a tie of
              two by at most log 2. Calibrate with `temperature`.
    Raises    ShapeError if counts do not match logits.
    Helps     with classes that can be told apart but have few rows to do so: features are learned
              from all rows, and rare classes get room and, at last, weight.
    Harms     where classes overlap: the margin can't be had, and rows that deny it pull most.
    Source    Cao et al. 2019, Learning imbalanced datasets with label-distribution-aware margin
              loss, arXiv:1906.07413 (algorithm 1 for deferred re-weighting).
    """
    logits = at_least_float32(logits)
    n = on_host(counts)
    rarest = n[n > 0].min(initial=np.inf)
    widths = margin * (rarest / n.clip(rarest)) ** 0.25
    margins = per_class(widths, logits, "counts")[labels]
    own = F.one_hot(labels, logits.shape[1]).to(torch.bool)
    rows = cross_entropy(logits - torch.where(own, margins[:, None], 0.0), labels)
    if progress < defer or defer == 1:
        return rows
    weights = class_weights(n, kind="effective", beta=beta)
    return rows * per_class(weights, logits, "counts")[labels]


def ldam_shift(
    counts: NDArray[Any],
    *,
    margin: NotNegative = 2.0,
    beta: Beta = 0.999,
    defer: Portion = 0.8,
    progress: float = 1.0,
) -> NDArray[np.float64]:
    """(K,) nats: that of the weights, if they were on when the last step was made.

    progress  At that step, the share of all steps done before it.
    """
    if progress < defer or defer == 1:
        return np.zeros(len(counts))
    return np.asarray(np.log(class_weights(counts, kind="effective", beta=beta)), dtype=np.float64)
