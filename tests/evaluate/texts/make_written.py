"""Records of written texts for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from equipoise.records.rows import text_column
from equipoise.records.written import Written

WORDS = (
    *("the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "big", "red", "house"),
    *("slowly", "and", "then", "it", "was", "there"),
)


def made(
    texts: Sequence[str | None],
    references: Sequence[Sequence[str]],
    categories: Sequence[str] | None = None,
    *,
    log_probs: Any = None,
    clusters: Any = None,
) -> Written:
    n = len(texts)
    first = [refs[0] if len(refs) else "" for refs in references]
    return Written(
        ids=text_column([f"r{k}" for k in range(n)]),
        splits=text_column(["test"] * n),
        categories=text_column(categories or ["all"] * n),
        asked=text_column([f"ask {k}" for k in range(n)]),
        written=text_column(list(texts)),
        references=text_column([tuple(refs) for refs in references]),
        log_probs=-np.arange(1.0, n + 1) if log_probs is None else np.asarray(log_probs, float),
        tokens=np.array([len(text.split()) + 1 for text in first]),
        bytes=np.array([len(text.encode()) for text in first]),
        clusters=np.arange(n) if clusters is None else np.asarray(clusters),
    )


def sentence(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(WORDS, words)).capitalize() + "."


def garbled(rng: np.random.Generator, text: str, share: float) -> str:
    words = text.split()
    kept = [w if rng.random() > share else str(rng.choice(WORDS)) for w in words]
    return " ".join(kept)


def drawn(
    n: int = 60, *, share: float = 0.3, seed: int = 0, categories: Sequence[str] = ("x", "y")
) -> Written:
    """Rows with one to three references, of which a share of words was written otherwise."""
    rng = np.random.default_rng(seed)
    references = [
        [sentence(rng, int(rng.integers(4, 12))) for _ in range(rng.integers(1, 4))]
        for _ in range(n)
    ]
    noise = np.random.default_rng(seed + 1000 + int(100 * share))
    return made(
        [garbled(noise, refs[0], share) for refs in references],
        references,
        [categories[k % len(categories)] for k in range(n)],
    )
