"""Checks that every remedy of a kind must pass; a new one is checked as soon as it is in its table.

A file per kind holds the checks and the cases that they run on; `kinds.py` says which kind has
which, and `test_every_kind.py` runs them all. Here stands what several kinds share.
"""

from __future__ import annotations

import numpy as np

from equipoise.remedies.table import REMEDIES

LABELS = {
    "lopsided": np.repeat([2, 0, 1], [40, 7, 3]),
    "one class has no row": np.repeat([0, 2], [9, 4]),
    "single rows": np.array([0, 1, 2]),
    "one class": np.zeros(5, dtype=np.int64),
    "one row": np.zeros(1, dtype=np.int64),
    "1 : 100,000": np.repeat([0, 1], [100_000, 1]),
}
CLASSES = 3
RENAMED = np.array([2, 0, 1])
"""New number of each class."""
TURN = np.argsort(RENAMED)
"""Old number of each class: what has a column per class is renumbered by taking these."""


def names_of(kind: str) -> list[str]:
    return [remedy.name for remedy in REMEDIES.values() if remedy.kind == kind]


def shuffled(labels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(5).permutation(labels)
