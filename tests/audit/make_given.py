"""Small true things to audit: rows with texts of random words, and vectors drawn around centres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.audit import Given
from equipoise.records.rows import text_column

WORDS = [a + b for a in "bcdfglmnprstvz" for b in ("amo", "eru", "ito", "ona", "uvel", "yde")]


def make_given(
    counts: dict[str, int],
    *,
    seed: int = 0,
    apart: float = 6.0,
    width: int = 8,
    test_share: float = 0.25,
    **changes: Any,
) -> Given:
    """Rows of each class with unique texts, Gaussian vectors around centres `apart` from each
    other, and a probe that knows the centres (but no labels): log-likelihoods."""
    rng = np.random.default_rng(seed)
    classes = tuple(sorted(counts))
    labels = np.repeat(np.arange(len(classes)), [counts[name] for name in classes])
    labels = rng.permutation(labels)
    n = len(labels)
    texts: dict[str, None] = {}
    while len(texts) < n:
        texts[" ".join(rng.choice(WORDS, 12))] = None
    centres = np.zeros((len(classes), max(width, len(classes))))
    centres[np.arange(len(classes)), np.arange(len(classes))] = apart / np.sqrt(2)
    vectors = centres[labels] + rng.normal(size=(n, centres.shape[1]))
    roles = np.where(np.arange(n) % round(1 / test_share) == 0, "test", "train")
    made = Given(
        ids=text_column([str(k + 1) for k in range(n)]),
        texts=text_column(list(texts)),
        labels=labels.astype(np.int64),
        classes=classes,
        parts=text_column(roles.tolist()),
        roles=text_column(roles.tolist()),
        clusters=np.arange(n),
        vectors=vectors.astype(np.float32),
        probe=known_probe(vectors, centres),
    )
    return replace(made, **changes)


def known_probe(vectors: Any, centres: Any) -> Any:
    """(n, K) log posterior under equal shares of unit Gaussians around the centres."""
    score = -((vectors[:, None] - centres[None]) ** 2).sum(axis=2) / 2
    return score - np.log(np.exp(score - score.max(1, keepdims=True)).sum(1, keepdims=True)) - (
        score.max(1, keepdims=True)
    )  # fmt: skip


def rows_of(texts: list[str], labels: list[str], parts: list[str] | None = None) -> Given:
    """Rows typed in a test, without an encoder; every row its own cluster."""
    classes = tuple(sorted(set(labels)))
    parts = parts or ["train"] * len(texts)
    return Given(
        ids=text_column([str(k + 1) for k in range(len(texts))]),
        texts=text_column(texts),
        labels=np.array([classes.index(label) for label in labels]),
        classes=classes,
        parts=text_column(parts),
        roles=text_column(parts),
        clusters=np.arange(len(texts)),
    )
