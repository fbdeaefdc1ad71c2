"""Under which class shares softmax(logits) is a posterior, after the remedies have had their say.

A model trained by plain cross-entropy on rows with class shares π ends up with softmax(z) as the
posterior under π. Every remedy that makes up for unequal shares moves that prior, by an amount
that is simply added on the log scale:

    remedies on rows    the shares are those of the rows as fed
    a sampler           ... of the rows as drawn (by a curriculum: in the later half of the epochs)
    class weights w     + log w           (a class with weight 2 is a class with twice the rows)
    row weights         + log of their mean over the rows of the class as drawn
    weighted loss       + log w
    logit adjustment    - tau * log π     (Menon et al. 2021; tau = 1 leaves flat shares)

The result is `log_source` of the decision rule, which gives probabilities for the target prior
from it. Nothing is thus corrected twice by the decision, whatever was done in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError

if TYPE_CHECKING:
    from equipoise.remedies.remedy import RemedySpec


def log_shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """(K,) natural log of each class's share of the rows.

    >>> np.exp(log_shares(np.array([3, 1])))
    array([0.75, 0.25])

    Raises DataError naming the classes that have no rows: their log is -inf.
    """
    counts = np.asarray(counts, dtype=np.float64)
    empty = np.flatnonzero(counts <= 0)
    if len(empty):
        raise DataError(f"classes {empty.tolist()} have no training rows; drop them or add rows")
    return np.asarray(np.log(counts) - np.log(counts.sum()), dtype=np.float64)


def normalised(log_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) shifted so that the shares sum to 1."""
    top = log_values.max()
    return np.asarray(log_values - top - np.log(np.exp(log_values - top).sum()), dtype=np.float64)


def drawn_counts(
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    classes: int,
    row_weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(K,) rows per class and epoch as a sampler draws them: mean over the epochs of `order`.

    With row_weights (n,) a row counts by its weight: that is what the loss sees of its class.
    """
    drawn = order.ravel()
    weights = None if row_weights is None else row_weights[drawn]
    return np.bincount(labels[drawn], weights, minlength=classes) / len(order)


def log_source(
    specs: Sequence[RemedySpec],
    counts: NDArray[Any],
    *,
    drawn: NDArray[Any] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(K,) log of the class shares under which softmax(logits) is a posterior; sums to 1.

    counts   (K,) rows per class as fed to training, after any remedy on rows.
    drawn    (K,) rows per class as drawn by a sampler (`drawn_counts`); None: each row alike.
    weights  (K,) class weights in use (`batches.build_weights`); None: none.
    Raises DataError if a class has no rows, or none is drawn.
    """
    from equipoise.remedies.losses import LOSSES  # torch: only whoever trains pays for it

    log_prior = log_shares(counts if drawn is None else drawn)
    if weights is not None:
        log_prior = log_prior + np.log(weights)
    for spec in specs:
        shift = LOSSES[spec.name].prior_shift if spec.name in LOSSES else None
        if shift is not None:
            log_prior = log_prior + shift(counts, **spec.settings)
    return normalised(log_prior)


def trained_correction(
    log_source: NDArray[np.float64],
    log_given: NDArray[np.float64],
    log_target: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(K,) nats that training has already added for each class; 0 for the most frequent one.

    log_given (K,): log shares of the training rows before any remedy. Used as the offsets that a
    decision starts from: probabilities are given for the target prior, which puts the shares back
    that, say, `logit_adjusted` took out; with these offsets the class with the largest plain logit
    wins, which is what was asked for by correcting in training. Zeros where nothing was corrected.

    log_target (K,): log shares that probabilities are given for; None: those of training. For any
    others the offsets are zeros: whoever states shares wants decisions under them, and the scores
    are moved from log_source to them already (a balanced target would be corrected twice).
    """
    if log_target is not None and not np.allclose(log_target, log_given, atol=1e-6):
        return np.zeros_like(log_source)
    moved = log_source - log_given
    return np.asarray(moved - moved[np.argmax(log_given)], dtype=np.float64)
