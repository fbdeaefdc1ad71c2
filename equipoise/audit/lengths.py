"""How long the texts of each class are, and how many the model will not see the end of."""

from __future__ import annotations

import numpy as np

from equipoise.audit.given import Given, Ints
from equipoise.records.audit_context import ClassLength, Lengths
from equipoise.statistics.intervals import share_interval


def lengths(given: Given) -> Lengths:
    """Per class, in tokens; in words, and without a limit, where there is no tokenizer."""
    tokens = given.tokens
    if tokens is None:
        size = np.array([len(str(text).split()) for text in given.texts.tolist()], dtype=np.int64)
        limit = None
    else:
        size, limit = tokens.lengths, tokens.limit
    return Lengths(
        unit="words" if tokens is None else "tokens",
        limit=limit,
        classes=[
            _of_class(name, size[given.labels == k], limit)
            for k, name in enumerate(given.classes)
            if (given.labels == k).any()
        ],
    )


def _of_class(name: str, size: Ints, limit: int | None) -> ClassLength:
    cut = 0 if limit is None else int((size > limit).sum())
    low, _ = share_interval(cut, len(size), guarantee=False)
    return ClassLength(
        name=name,
        rows=len(size),
        median=float(np.median(size)),
        high=float(np.quantile(size, 0.95)),
        cut=cut,
        cut_low=float(low),
    )
