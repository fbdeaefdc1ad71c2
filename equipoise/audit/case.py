"""What the rows that would train are like, in the numbers that advice hangs on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from equipoise.audit.counts import independent_counts
from equipoise.audit.given import TRAIN, Given, Ints
from equipoise.audit.groups import groups, telling
from equipoise.audit.neighbours import nearest_rows
from equipoise.audit.overlap import overlap
from equipoise.audit.suspects import LEVEL, checked_rows, lapse

MILD, EXTREME = 3.0, 100.0
"""Ratios where imbalance begins to matter and where it is extreme. Krawczyk 2016 (Learning from
imbalanced data: open challenges and future directions) calls 4 : 1 to 100 : 1 the usual range."""
FEW_ROWS = 20
"""Rows below which a class is of the tail (arXiv:1904.05160)."""
FOR_NEIGHBOURS = 6
"""SMOTE draws between a row and its five nearest of the class."""
CROWDED = 0.95
"""Cosine from which a text repeats another in other words, as `redundancy_undersample` takes it."""
OVERSAMPLED = (0.3, 0.5)
"""Smallest to largest class that oversampling is advised to aim at: the first by which the smallest
class grows by half. From MILD on the second does."""
SAMPLE = 4_000
"""Training rows among which neighbours are looked for."""


@dataclass(frozen=True)
class Case:
    """What the training rows are like, in the numbers that advice hangs on."""

    rows: int
    classes: int
    ratio: float
    largest: str
    largest_rows: int
    smallest: str
    smallest_rows: int
    tail: int
    """Classes with fewer than FEW_ROWS rows."""
    small: int
    """Classes with a third of the largest class's rows or fewer, but FOR_NEIGHBOURS or more."""
    oversampled: tuple[float, int]
    """The ratio that random_oversample should aim at, and the rows of an epoch after it."""
    repeated: float
    """Share of the largest class's rows whose text another of them repeats or resembles."""
    crowded: float | None
    """Share of the largest class's rows with a near twin in it; None without an encoder."""
    noisy: float | None
    """Share of wrong labels where they are named; 0 where they are not; None without an
    encoder."""
    inseparable: int
    """Pairs of classes."""
    cost_spread: float | None
    """Dearest to cheapest mistake, by what it costs beyond the right decision; infinite where one
    costs nothing; None where no costs were given."""
    grouped: float
    """Cramér's V of group and class, where groups are large enough to be learned; else 0."""


def case_of(given: Given, *, seed: int) -> Case:
    """Of the rows that would train, and of nothing else."""
    training = given.take(np.flatnonzero(given.roles == TRAIN))
    training = replace(training, probe=training.training_probe)
    counts = training.counts()
    present = np.flatnonzero(counts > 0)
    if not len(present):
        present = np.array([0])
    largest = int(present[np.argmax(counts[present])])
    smallest = int(present[np.argmin(counts[present])])
    n = len(training)
    crowded = noisy = None
    pairs = 0
    if training.vectors is not None and training.probe is not None and n > 1:
        near = nearest_rows(training, seed=seed, most=SAMPLE)
        checked = checked_rows(training, near)
        pairs = sum(pair.inseparable for pair in overlap(training, checked, near).pairs)
        own = training.labels == largest
        twin = training.labels[near.nearest[own, 0]] == largest
        crowded = float((twin & (near.similarity[own, 0] >= CROWDED)).mean()) if own.any() else 0.0
        found = lapse(checked)
        noisy = found.rate if found.p < LEVEL else 0.0
    related = groups(training, seed=seed)
    # Rows of one group need not say the same: only texts tell which could be spared.
    texts = training
    if training.text_clusters is not None:
        texts = replace(training, clusters=training.text_clusters)
    return Case(
        rows=n,
        classes=int((counts > 0).sum()),
        ratio=float(counts[largest] / max(counts[smallest], 1)),
        largest=given.classes[largest],
        largest_rows=int(counts[largest]),
        smallest=given.classes[smallest],
        smallest_rows=int(counts[smallest]),
        tail=int(((counts > 0) & (counts < FEW_ROWS)).sum()),
        small=int(((counts >= FOR_NEIGHBOURS) & (MILD * counts <= counts[largest])).sum()),
        oversampled=_oversampled(counts[present]),
        repeated=1 - float(independent_counts(texts, TRAIN)[largest] / max(counts[largest], 1)),
        crowded=crowded,
        noisy=noisy,
        inseparable=pairs,
        cost_spread=_spread(given),
        grouped=related.association if related is not None and telling(related) else 0.0,
    )


def _oversampled(counts: Ints) -> tuple[float, int]:
    """counts  (K,) of the classes that have rows."""
    largest, smallest = counts.max(), counts.min()
    ratio = next((r for r in OVERSAMPLED if r * largest >= 1.5 * smallest), OVERSAMPLED[-1])
    return ratio, int(np.maximum(counts, np.floor(ratio * largest + 1e-9)).sum())


def _spread(given: Given) -> float | None:
    if given.costs is None:
        return None
    beyond = given.costs - np.diag(given.costs)[:, None]
    wrong = beyond[~np.eye(len(beyond), dtype=bool)]
    if not (wrong > 0).any():
        return 1.0
    return float(wrong.max() / wrong.min()) if wrong.min() > 0 else np.inf
