"""Rows moved a little in the direction that hurts most."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equipoise.remedies.losses.common import Portion
from equipoise.remedies.losses.wrappers import Pass, PlainLoss
from equipoise.remedies.remedy import NotNegative


def adversarial(
    run: Pass,
    labels: Tensor,
    weights: Tensor,
    loss: PlainLoss,
    rng: np.random.Generator,
    *,
    epsilon: NotNegative = 0.05,
    share: Portion = 0.5,
) -> Tensor:
    """The loss, and the loss after one step of the word embeddings up its gradient (FGM).

        r = epsilon × |words| × g / |g|,  g the gradient of the row's loss by its words

    Both norms run over all tokens of the row. Where lower layers are frozen (method `light`), the
    states that come out of them are moved instead. Every step goes through the model twice. Every
    row for itself, so that gradients don't depend on micro-batches.

    Shapes    labels (rows,) int64, weights (rows,). Returns (rows,) weight × ((1 - share) × loss +
              share × loss after the step).
    Settings  epsilon: length of the step as a share of the row's own length, 0 or more (the paper
              gives it a length in units of normalised embeddings). share: of the moved row in the
              loss; 0 or epsilon 0 is the plain loss.
    Prior     none moved.
    Helps     with few rows, against overfitting.
    Harms     with a large epsilon, where the moved row belongs to another class.
    Source    Miyato et al. 2017, Adversarial training methods for semi-supervised text
              classification, arXiv:1605.07725.
    """
    words = run.words()
    if not words.requires_grad:  # embeddings or states below all trained weights
        words = words.detach().requires_grad_()
    plain = loss(run(words=words), labels)
    (gradient,) = torch.autograd.grad(plain.sum(), words, retain_graph=True)
    length = words.detach().flatten(1).norm(dim=1)
    step = (epsilon * length)[:, None, None] * _direction(gradient)
    moved = loss(run(words=words + step), labels)
    return weights.to(plain.dtype) * ((1 - share) * plain + share * moved)


def _direction(gradient: Tensor) -> Tensor:
    """(rows, tokens, width) g / |g| of every row; 0 where a row has no slope. Its largest number is
    taken out first: squares of small ones would vanish."""
    top = gradient.abs().amax(dim=(1, 2), keepdim=True)
    scaled = gradient / torch.where(top > 0, top, 1.0)
    lengths: Tensor = scaled.flatten(1).norm(dim=1).clamp_min(1.0)
    return scaled / lengths[:, None, None]
