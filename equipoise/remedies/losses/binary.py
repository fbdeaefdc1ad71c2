"""Losses for rows that may have several labels: each label is a yes or no of its own."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from equipoise.errors import ShapeError
from equipoise.remedies.batches.weights import Beta, WeightKind, class_weights
from equipoise.remedies.losses.common import at_least_float32, on_host, per_class
from equipoise.remedies.remedy import NotNegative

Clip = Annotated[float, Field(ge=0, lt=1)]


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Plain binary cross-entropy, the mean over labels, (rows,) nats: the loss without a remedy.

    Shapes  logits (rows, K), labels (rows, K) of 0 and 1.
    Raises  ShapeError if they differ in shape.
    """
    z, y = checked(logits, labels)
    return of_pairs(z, y).mean(1)


def checked(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits in at least float32 and labels of their type. Raises ShapeError."""
    if logits.shape != labels.shape:
        raise ShapeError(
            f"labels have shape {tuple(labels.shape)}, logits {tuple(logits.shape)}; expected "
            "both (rows, K), a 0 or 1 for each label"
        )
    z = at_least_float32(logits)
    return z, labels.to(z.dtype)


def of_pairs(z: Tensor, y: Tensor) -> Tensor:
    """(rows, K) binary cross-entropy of every row and label."""
    return F.binary_cross_entropy_with_logits(z, y, reduction="none")


def label_weights(counts: Any, n_rows: float, kind: WeightKind, beta: float) -> NDArray[np.float64]:
    """(2, K) weights of rows without and with each label, mean 1 over the rows: to a label, they
    are two classes. Ones for a label that all rows have, or none."""
    held = on_host(counts)
    weights = np.ones((2, len(held)))
    for k, n in enumerate(held):
        if 0 < n < n_rows:
            weights[:, k] = class_weights(np.array([n_rows - n, n]), kind=kind, beta=beta)
    return weights


def binary_weighted(
    logits: Tensor,
    labels: Tensor,
    counts: Any,
    n_rows: float,
    *,
    kind: WeightKind = "sqrt",
    beta: Beta = 0.999,
) -> Tensor:
    """Binary cross-entropy in which, label by label, the rarer answer counts more.

    Shapes    logits (rows, K), labels (rows, K) of 0 and 1, counts (K,) rows that have each label
              as fed to training, n_rows all rows as fed. Returns (rows,) loss in nats, the mean
              over labels; the mean weight of a label over the rows as fed is 1.
    Settings  kind: the weights of rows with and without the label are those that `class_weights`
              gives to two classes: inverse makes both count the same in total (for a label on one
              row in 3,000, that row counts 3,000 times as much as another), sqrt goes half way on
              the log scale. beta: for effective.
    Prior     exact: + log(weight with / weight without), on the label's log-odds.
    Raises    ShapeError if counts do not match logits.
    Helps     where plain training leaves rare labels unlearned: their gradient is a sum over few
              rows that all others outvote.
    Harms     with inverse, at extreme ratios: single rows make steps jump, and probabilities rest
              on a large correction afterwards.
    Source    King and Zeng 2001, Logistic regression in rare events data, Political Analysis 9
              (weighting); Cui et al. 2019, arXiv:1901.05555 (effective).
    """
    z, y = checked(logits, labels)
    weights = label_weights(counts, n_rows, kind, beta)
    without, with_ = (per_class(side, z, "counts") for side in weights)
    return (of_pairs(z, y) * (y * with_ + (1 - y) * without)).mean(1)


def binary_weighted_shift(
    labels: NDArray[np.int64], *, kind: WeightKind = "sqrt", beta: Beta = 0.999
) -> NDArray[np.float64]:
    """(K,) nats on the log-odds."""
    without, with_ = label_weights(labels.sum(axis=0), len(labels), kind, beta)
    return np.asarray(np.log(with_ / without), dtype=np.float64)


def binary_focal(logits: Tensor, labels: Tensor, *, gamma: NotNegative = 2.0) -> Tensor:
    """Binary cross-entropy times (1 - p)^gamma, p the probability of the right answer.

    Shapes    logits (rows, K), labels (rows, K) of 0 and 1. Returns (rows,) loss in nats, the mean
              over labels.
    Settings  gamma: no unit, 0 or more; 0 is plain binary cross-entropy, larger turns away sooner
              from what is right already.
    Prior     none moved.
    Helps     where most (row, label) pairs are easy noes and drown the hard ones: its first use.
    Harms     where labels are missing or wrong: the hardest pairs are then those. Probabilities
              come out too timid: calibrate with `temperature`.
    Source    Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002.
    """
    z, y = checked(logits, labels)
    return focused(of_pairs(z, y), gamma).mean(1)


def focused(loss: Tensor, gamma: float) -> Tensor:
    """The loss -log p times (1 - p)^gamma."""
    # As in `focal`: exact near p = 1, and no infinite gradient there for gamma < 1.
    miss = (-torch.expm1(-loss)).clamp_min(torch.finfo(loss.dtype).tiny)
    return miss**gamma * loss


def binary_asymmetric(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma_positive: NotNegative = 0.0,
    gamma_negative: NotNegative = 4.0,
    clip: Clip = 0.05,
) -> Tensor:
    """Focal with one power for yes and one for no, and noes that are let go when they are easy.

        yes  - (1 - p)^gamma_positive × log p
        no   - q^gamma_negative × log(1 - q),   q = max(p - clip, 0)

    Shapes    logits (rows, K), labels (rows, K) of 0 and 1. Returns (rows,) loss in nats, the mean
              over labels.
    Settings  gamma_positive, gamma_negative: powers, no unit, 0 or more. clip: probability below
              which a no costs nothing, 0 to below 1. All 0 is plain binary cross-entropy.
    Prior     none stated: a no that is let go leaves the probability of rare labels anywhere below
              clip. Calibrate, and let `measure_offsets` place the thresholds.
    Helps     with many labels of which a row has few, and where some yeses are missing.
    Harms     the probabilities, which are no longer meant for any shares; with few labels, or where
              noes are as telling as yeses.
    Source    Ridnik et al. 2021, Asymmetric loss for multi-label classification, arXiv:2009.14119
              (equation 7, and its settings).
    """
    z, y = checked(logits, labels)
    yes = focused(F.softplus(-z), gamma_positive)
    if clip == 0:
        no = focused(F.softplus(z), gamma_negative)
    else:
        easy = torch.sigmoid(z) <= clip
        # The easy ones are computed at a probability well inside, so that no gradient is 0 × inf.
        q = torch.where(easy, 0.5, torch.sigmoid(z) - clip)
        no = torch.where(easy, 0.0, -torch.log1p(-q) * q**gamma_negative)
    return (y * yes + (1 - y) * no).mean(1)
