"""Rows mixed with other rows of their micro-batch, and their labels with them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from equipoise.errors import SettingsError
from equipoise.remedies.losses.common import Portion, per_class
from equipoise.remedies.losses.wrappers import Pass, PlainLoss, partners
from equipoise.remedies.remedy import NotNegative

Ratio = Annotated[float, Field(ge=1)]


def feature_mixup(
    run: Pass,
    labels: Tensor,
    weights: Tensor,
    loss: PlainLoss,
    rng: np.random.Generator,
    counts: Any,
    *,
    alpha: NotNegative = 1.0,
    remix: Ratio | None = None,
    remix_share: Portion = 0.5,
) -> Tensor:
    """Mix the vectors that enter the head, and the losses of both labels in the same shares.

    With `remix` the label follows the rarer class: where one row's class has so many times the
    other's rows, and its share of the mixture is below `remix_share`, the label is the other's.

    Shapes    labels (rows,) int64, weights (rows,), counts (K,) rows per class as fed to training.
              Returns (rows,) weight × loss: share × own weight × loss under the own label, and
              (1 - share) × partner's weight × loss under the partner's.
    Settings  alpha: share ~ Beta(alpha, alpha), one for each micro-batch; 0 mixes nothing, 1 draws
              all shares alike. remix: rows of the frequent class per row of the rare one, 1 or
              more, from which on the label follows the rare one; none is plain mixup. remix_share:
              the rarer class takes the whole label if the other has less than this share.
    Raises    SettingsError for remix where rows have several labels.
    Prior     none moved; with remix a little, towards rare classes, which can't be stated.
    Helps     with few rows: what lies between classes is filled in, and sureness falls.
    Harms     where classes lie close, so that mixtures of two look like a third; probabilities come
              out too timid: calibrate with `temperature`.
    Source    Verma et al. 2019, Manifold mixup: better representations by interpolating hidden
              states, arXiv:1806.05236; remix: Chou et al. 2020, Remix: rebalanced mixup,
              arXiv:2007.03943.
    """
    share, partner = partners(len(labels), alpha, rng, labels.device)
    logits = run(change_vectors=lambda v: share * v + (1 - share) * v[partner])
    kept = torch.full_like(weights, share)
    if remix is not None:
        if labels.ndim != 1:
            raise SettingsError(
                "remedy feature_mixup: remix asks which of two classes is rarer, and rows with "
                "several labels have no one class; leave remix out"
            )
        rows_of = per_class(counts, weights.new_empty(logits.shape), "counts")
        kept = _remixed(share, labels, partner, rows_of, remix, remix_share)
    return mixed_loss(logits, labels, weights, partner, kept, loss)


def word_mixup(
    run: Pass,
    labels: Tensor,
    weights: Tensor,
    loss: PlainLoss,
    rng: np.random.Generator,
    *,
    alpha: NotNegative = 1.0,
) -> Tensor:
    """Mix texts word by word, and the losses of both labels in the same shares.

    Word embeddings are mixed place by place, zeros standing where the shorter text has ended.
    Where lower layers are frozen (method `light`), the states that come out of them are mixed
    instead.

    Shapes    labels (rows,) int64, weights (rows,). Returns (rows,) weight × loss, as
              `feature_mixup` does.
    Settings  alpha: share ~ Beta(alpha, alpha), one for each micro-batch; 0 mixes nothing.
    Prior     none moved.
    Helps     with few rows and a model trained in full: every layer sees the mixture.
    Harms     where texts differ much in length: what is left of a short one in a long mixture is
              little; and where words' order tells the classes apart.
    Source    Guo et al. 2019, Augmenting data with mixup for sentence classification: an empirical
              study, arXiv:1905.08941 (wordMixup).
    """
    share, partner = partners(len(labels), alpha, rng, labels.device)
    if share == 1:
        rows = loss(run(), labels)
        return weights.to(rows.dtype) * rows
    words = run.words()
    logits = run(words=share * words + (1 - share) * words[partner], partner=partner)
    return mixed_loss(logits, labels, weights, partner, torch.full_like(weights, share), loss)


def mixed_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    partner: Tensor,
    kept: Tensor,
    loss: PlainLoss,
) -> Tensor:
    """(rows,) weight × loss of mixtures, `kept` (rows,) being the own label's share."""
    own, other = loss(logits, labels), loss(logits, labels[partner])
    weights, kept = weights.to(own.dtype), kept.to(own.dtype)
    return kept * weights * own + (1 - kept) * weights[partner] * other


def _remixed(
    share: float, labels: Tensor, partner: Tensor, counts: Tensor, remix: float, least: float
) -> Tensor:
    """(rows,) the own label's share, the rarer of two unequal classes taking all of it where the
    other has a share below `least`."""
    ratio = counts[labels] / counts[labels[partner]]
    kept = torch.full_like(ratio, share)
    kept = torch.where((ratio >= remix) & (share < least), 0.0, kept)
    return torch.where((ratio <= 1 / remix) & (1 - share < least), 1.0, kept)
