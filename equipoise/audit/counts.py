"""How many rows each class has, and how unequal that is."""

from __future__ import annotations

import numpy as np

from equipoise.audit.given import TRAIN, Floats, Given, Ints
from equipoise.records.audit import Balance, ClassFacts


def effective_numbers(counts: Ints, beta: float) -> Floats:
    """(K,) effective number of samples, (1 - beta^n) / (1 - beta).

    A further row of a class adds less the more of its kind there are already.
    Source  Cui et al. 2019, Class-balanced loss based on effective number of samples,
            arXiv:1901.05555.

    >>> effective_numbers(np.array([1, 2, 0]), 0.5).tolist()
    [1.0, 1.5, 0.0]
    """
    made: Floats = -np.expm1(counts * np.log(beta)) / (1 - beta)
    return made


def beta_of(rows: int) -> float:
    """(N - 1) / N, the paper's own choice: N is the number of samples that there could be.

    >>> beta_of(1000)
    0.999
    """
    return (rows - 1) / rows if rows > 1 else 0.5


def class_facts(given: Given) -> list[ClassFacts]:
    """One record per class, most training rows first."""
    parts = list(dict.fromkeys(given.parts.tolist()))
    train = given.counts(TRAIN)
    by_part = {
        part: np.bincount(given.labels[given.parts == part], minlength=len(given.classes))
        for part in parts
    }
    total = max(int((given.once.roles == TRAIN).sum()), 1)
    effective = effective_numbers(train, beta_of(total))
    independent = independent_counts(given, TRAIN)
    order = sorted(range(len(given.classes)), key=lambda k: (-train[k], given.classes[k]))
    return [
        ClassFacts(
            name=given.classes[k],
            counts={part: int(by_part[part][k]) for part in parts},
            train=int(train[k]),
            share=float(train[k] / total),
            effective=float(effective[k]),
            independent=int(independent[k]),
        )
        for k in order
    ]


def independent_counts(given: Given, role: str) -> Ints:
    """(K,) clusters that hold a row of each class among the rows of a role."""
    here = given.roles == role
    classes = len(given.classes)
    cells = np.unique(given.clusters[here] * classes + given.labels[here])
    return np.bincount(cells % classes, minlength=classes).astype(np.int64)


def balance(given: Given) -> Balance:
    """Of the rows that would train; classes without one have no share in it."""
    counts = given.counts(TRAIN)
    present = np.flatnonzero(counts > 0)
    shares = counts[present] / max(int(counts.sum()), 1)
    entropy = float(-(shares * np.log(shares)).sum()) if len(present) else 0.0
    largest = present[np.argmax(counts[present])] if len(present) else 0
    smallest = present[np.argmin(counts[present])] if len(present) else 0
    return Balance(
        classes=len(given.classes),
        trained=len(present),
        largest=given.classes[int(largest)],
        smallest=given.classes[int(smallest)],
        ratio=float(counts[largest] / max(counts[smallest], 1)),
        entropy=max(entropy, 0.0),
        evenness=min(entropy / np.log(len(present)), 1.0) if len(present) > 1 else 1.0,
        effective_classes=float(np.exp(entropy)),
        beta=beta_of(int((given.once.roles == TRAIN).sum())),
    )
