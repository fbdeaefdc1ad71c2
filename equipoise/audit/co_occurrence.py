"""Which labels come together, where a row may have several, and what that does to their balance."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from equipoise.audit.given import Floats, Ints
from equipoise.records.audit_labels import CoOccurrence, Together

SHOWN = 20
"""Pairs on record."""
LEVEL = 0.05
"""Chance with which pairs that have nothing to do with each other are named, all pairs together."""


def co_occurrence(held: Ints, classes: tuple[str, ...], clusters: Ints) -> CoOccurrence:
    """How many labels rows have, and which come together more often than chance has it.

    held (n, K) 0/1, clusters (n,); at least one row and one label that occurs. A pair is named if
    so many rows together would come by chance (Fisher's exact test, one-sided, Holm over all
    pairs, one row of every cluster) less often than LEVEL.
    """
    rows, per_row = len(held), held.sum(axis=1)
    sets, times = np.unique(held, axis=0, return_counts=True)
    alone = held[per_row == 1].sum(axis=0)
    ratios = label_ratios(held.sum(axis=0))
    return CoOccurrence(
        rows=rows,
        bare=int((per_row == 0).sum()),
        per_row=float(per_row.mean()),
        most=int(per_row.max()),
        sets=len(sets),
        once=int((times == 1).sum()),
        mean_ratio=float(np.mean(ratios[np.isfinite(ratios)])),
        scumble=scumble(held),
        alone={name: int(n) for name, n in zip(classes, alone, strict=True)},
        pairs=_pairs(held, classes, clusters),
    )


def label_ratios(counts: Ints) -> Floats:
    """(K,) rows of the most frequent label per row of each; infinite for one without rows.

    Source  Charte et al. 2015, Addressing imbalance in multilabel classification: measures and
            random resampling algorithms, Neurocomputing 163 (IRLbl).

    >>> label_ratios(np.array([100, 50, 4])).tolist()
    [1.0, 2.0, 25.0]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(counts.max() / counts, dtype=np.float64)


def scumble(held: Ints) -> float:
    """How far rare labels come on rows that have frequent ones, 0 to 1: the mean over rows with a
    label of 1 - geometric / arithmetic mean of their labels' ratios.

    Near 0, drawing rows of rare labels more often leaves the frequent ones alone; from 0.1 on
    their authors advise against it.
    Source  Charte et al. 2014, Concurrence among imbalanced labels and its influence on multilabel
            resampling algorithms, HAIS.

    >>> scumble(np.array([[1, 0], [1, 0], [0, 1]]))  # each by itself
    0.0
    >>> round(scumble(np.array([[1, 0], [1, 0], [1, 0], [1, 1]])), 3)  # ratios 1 and 4: 1 - 2 / 2.5
    0.05
    """
    labelled = held[held.any(axis=1)]
    if not len(labelled):
        return 0.0
    ratios = label_ratios(held.sum(axis=0))
    ratios = np.where(np.isfinite(ratios), ratios, 1.0)
    count = labelled.sum(axis=1)
    geometric = np.exp(labelled @ np.log(ratios) / count)
    return max(0.0, float(np.mean(1 - geometric / (labelled @ ratios / count))))


def _pairs(held: Ints, classes: tuple[str, ...], clusters: Ints) -> list[Together]:
    _, first = np.unique(clusters, return_index=True)
    apart = held[first]
    counts, rows = apart.sum(axis=0), len(apart)
    one, other = np.triu_indices(len(classes), k=1)
    together = (apart.T @ apart)[one, other]
    p = hypergeom.sf(together - 1, rows, counts[one], counts[other])
    order = np.argsort(p, kind="stable")
    # Holm: the r-th smallest times the pairs that are left, never falling.
    holm = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0))
    seen = (held.T @ held)[one, other]
    total = held.sum(axis=0)
    return [
        Together(
            one=classes[one[k]],
            other=classes[other[k]],
            rows=int(seen[k]),
            expected=float(total[one[k]] * total[other[k]] / len(held)),
            p=float(corrected),
        )
        for k, corrected in zip(order[:SHOWN].tolist(), holm[:SHOWN].tolist(), strict=True)
        if corrected < LEVEL
    ]
