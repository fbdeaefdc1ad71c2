"""How much rows that move together are worth: the design effect.

Ten copies of one text are one observation, not ten. A share of n rows in clusters of sizes m has
the variance of a share of n / deff independent rows, with Kish's
deff = 1 + (mean size - 1) × agreement, the mean taken over rows: Σ m² / Σ m.
Source: Kish 1965, Survey Sampling, 8.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WARY_MISTAKES = 1
"""Mistakes that are taken to be shared by the whole cluster before any is seen: only where rows
go wrong does it show whether those beside them do too, and an agreement measured on a handful of
mistakes is not to be trusted towards independence."""


def mean_cluster_size(
    codes: NDArray[np.int64], clusters: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Size of the cluster in which an average row of each part sits, within that part.

    Shapes  codes (n,) in 0..count-1, the part that a row belongs to; clusters (n,).
    Returns (count,): Σ m² / Σ m over the part's clusters; 1 where a part has no rows.
    """
    if len(codes) == 0:
        return np.ones(count)
    _, number = np.unique(clusters, return_inverse=True)
    pairs, size = np.unique(number * count + codes, return_counts=True)
    part = pairs % count
    squares = np.bincount(part, weights=size.astype(np.float64) ** 2, minlength=count)
    rows = np.bincount(part, weights=size, minlength=count)
    mean: NDArray[np.float64] = np.where(rows > 0, squares / np.maximum(rows, 1), 1.0)
    return mean


def equal_weights(weights: NDArray[np.float64]) -> float:
    """How many rows of one weight tell as much as rows of these: (Σ w)² / Σ w², their number where
    all weigh the same. Shapes  weights (n,), n > 0, above 0. Source  Kish 1965, Survey Sampling."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def equal_clusters(clusters: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """`equal_weights` of clusters, each of which weighs what its rows (n,) weigh on average: their
    number where all rows weigh the same."""
    _, number, size = np.unique(clusters, return_inverse=True, return_counts=True)
    return equal_weights(np.bincount(number, weights=weights) / size)


def agreement(
    right: NDArray[np.bool_], expected: NDArray[np.float64], clusters: NDArray[np.int64]
) -> float:
    """Correlation, 0 to 1, of being right between two rows of one cluster.

    Shapes  right (n,); expected (n,) the chance of each row to be right, strictly within 0..1
            (its class's recall, say); clusters (n,).
    Returns 1 where no cluster has two rows, or no row of those that have is other than most rows
            of its chance are (wrong, where most are right). Drawn towards 1 where few are.
    """
    _, number, size = np.unique(clusters, return_inverse=True, return_counts=True)
    several = size >= 2
    if not several.any():
        return 1.0
    # In units of a row's own standard deviation, so that pairs of all classes weigh the same.
    standard = (right - expected) / np.sqrt(expected * (1 - expected))
    sums = np.bincount(number, weights=standard)[several]
    squares = np.bincount(number, weights=standard**2)[several]
    # Standardised by the expected variance, squares average 1 per row: pairs are the divisor.
    seen = (sums**2 - squares).sum() / (size * (size - 1.0))[several].sum()
    # Where most rows are wrong, it is those that are right that tell.
    unlike = np.bincount(number, weights=right != (expected >= 0.5)) / size
    mistakes = unlike[several].sum()
    wary = (mistakes * seen + _WARY_MISTAKES) / (mistakes + _WARY_MISTAKES)
    return float(np.clip(wary, 0.0, 1.0))


def effective_rows(
    rows: NDArray[np.float64], mean_size: NDArray[np.float64], agree: float
) -> NDArray[np.float64]:
    """Independent rows that carry as much as `rows` rows in clusters; shapes broadcast.

    With `agree` 1 it is the number of clusters (where they are of one size).
    """
    return rows / (1 + (mean_size - 1) * agree)
