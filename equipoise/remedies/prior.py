"""Class shares on the log scale: what is added where training has made up for unequal ones.

`source.py` says under which shares the scores of a trained model are a posterior.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from equipoise.errors import DataError


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


STRENGTHS = 10.0 ** np.arange(5, -0.5, -0.5)
"""Rows that training's shares may count for in `shares_of_rows`, where others are drawn nearer."""
EVIDENCE = 2.0
"""Nats by which counts must speak against training's shares; few tables drawn by these do."""


def shares_of_rows(
    counts: NDArray[np.float64], log_train: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(..., K) log shares of the classes among rows such as those counted: those of training, to
    the bit, unless the counts speak against them.

    If they do, the shares are the mean of a Dirichlet distribution about training's, given the
    counts. How many rows training's count for is the one of `STRENGTHS` under which the counts are
    most likely (empirical Bayes; Minka, "Estimating a Dirichlet distribution", 2000).

    Shapes    counts, log_train (..., K), counts 0 or more; all leading axes share one strength.

    >>> even = np.log(np.full(2, 0.5))
    >>> np.exp(shares_of_rows(np.array([52.0, 48.0]), even))
    array([0.5, 0.5])
    >>> np.exp(shares_of_rows(np.array([900.0, 100.0]), even)).round(2)
    array([0.9, 0.1])
    """
    found = [_log_likelihood(counts, log_train, strength) for strength in STRENGTHS]
    if max(found) < float((counts * log_train).sum()) + EVIDENCE:
        return log_train
    strength, total = STRENGTHS[int(np.argmax(found))], counts.sum(axis=-1, keepdims=True)
    shares = (counts + strength * np.exp(log_train)) / (total + strength)
    return np.asarray(np.log(shares), dtype=np.float64)


def same_shares(log_target: NDArray[np.float64], log_train: NDArray[np.float64]) -> bool:
    """Whether the shares, or log-odds, that probabilities are given for are those of training:
    nobody has stated any, or the same."""
    return bool(np.allclose(log_target, log_train, atol=1e-6))


def class_worth(
    log_target: NDArray[np.float64],
    log_rows: NDArray[np.float64],
    log_train: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(K,) what a row of each class counts where decisions are fitted: 1, or under stated shares
    its share by these over that of the rows, so that the rows stand for rows of those shares.

    log_target, log_rows, log_train  (K,) log shares: that probabilities are given for; of rows such
                                     as those fitted on (`shares_of_rows`); of the training rows.

    >>> train, stated = np.log([0.9, 0.1]), np.log([0.5, 0.5])
    >>> class_worth(stated, train, train).round(2)
    array([0.56, 5.  ])
    >>> class_worth(train, stated, train)
    array([1., 1.])
    """
    if same_shares(log_target, log_train):
        return np.ones_like(log_target)
    return np.exp(log_target - log_rows)


def _log_likelihood(
    counts: NDArray[np.float64], log_shares: NDArray[np.float64], strength: float
) -> float:
    """Of the counts, whose shares have a Dirichlet distribution about the given ones."""
    prior, total = strength * np.exp(log_shares), counts.sum(axis=-1)
    each = (gammaln(counts + prior) - gammaln(prior)).sum(axis=-1)
    return float((each + gammaln(strength) - gammaln(total + strength)).sum())


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


def counts_drawn_alike(
    labels: NDArray[np.int64], order: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """(K,) `drawn_counts`, but equal for all classes drawn if these differ by no more than a place
    in all epochs: who gets the last places of a round is no imbalance for a loss to see.

    >>> counts_drawn_alike(np.array([0, 0, 1]), np.array([[0, 2, 1], [2, 0, 2], [1, 2, 0]]), 2)
    array([1.5, 1.5])
    """
    counts = drawn_counts(labels, order, classes)
    drawn = counts > 0
    if np.ptp(counts[drawn]) * len(order) > 1.5:
        return counts
    return np.where(drawn, counts.sum() / np.count_nonzero(drawn), 0.0)


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
    if log_target is not None and not same_shares(log_target, log_given):
        return np.zeros_like(log_source)
    moved = log_source - log_given
    return np.asarray(moved - moved[np.argmax(log_given)], dtype=np.float64)
