"""The rows that a writer gets worst: what was asked, what would be right, what was written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from equipoise.report.charts import bar
from equipoise.report.read import WrittenFolder
from equipoise.report.sections.choose import SHOWN, chosen
from equipoise.report.words import number, short

MOST = 300
"""Rows in the file in all: three texts of 400 characters each keep it far below 2 MB."""
TEXT = 400
"""Characters of a text."""


@dataclass(frozen=True)
class WorstRow:
    id: str
    category: str
    asked: str
    reference: str
    others: int
    """Further references."""
    written: str
    loss: str
    """Nats a token of the right text."""
    bar: Markup
    number: int
    """Which option of the filter shows it."""
    extra: bool
    """Beyond the first SHOWN: seen only through the filter."""


@dataclass(frozen=True)
class WorstSection:
    written: int
    judged: int
    empty: int
    """Written texts that hold nothing but blanks."""
    same: int
    """Written texts that are a reference, word for word."""
    rows: tuple[WorstRow, ...]
    options: tuple[tuple[int, str, int], ...]
    """Number, category, its rows in the table."""
    has_texts: bool
    shown: int


def worst_section(run: WrittenFolder) -> WorstSection:
    """Among the rows for which a text was written, those whose right text was the least likely to
    the model, token by token; where none was written, among all."""
    w = run.written
    decoded = np.array([text is not None for text in w.written], dtype=bool)
    loss = -w.log_probs / np.maximum(w.tokens, 1)
    among = np.flatnonzero((decoded if decoded.any() else np.ones(len(w), bool)) & ~np.isnan(loss))
    same = [
        decoded[k] and str(w.written[k]).strip() in {str(r).strip() for r in w.references[k]}
        for k in range(len(w))
    ]
    ordered = [int(k) for k in among[np.argsort(-loss[among], kind="stable")] if not same[k]]
    places = chosen([str(w.categories[k]) for k in ordered], most=MOST)
    listed = [(place, ordered[place]) for place in places]
    numbers = {name: n for n, name in enumerate(sorted({w.categories[k] for _, k in listed}))}
    counts = Counter(str(w.categories[k]) for _, k in listed)
    top = float(loss[ordered].max()) if ordered else 1.0
    keeps = bool(run.manifest.recipe.get("keep_texts", True))
    return WorstSection(
        written=int(decoded.sum()),
        judged=len(w),
        empty=run.empty,
        same=sum(same),
        rows=tuple(
            WorstRow(
                id=short(str(w.ids[k])),
                category=str(w.categories[k]),
                asked=short(str(w.asked[k]), TEXT),
                reference=short(str(w.references[k][0]), TEXT) if w.references[k] else "",
                others=max(len(w.references[k]) - 1, 0),
                written=short(str(w.written[k]), TEXT) if decoded[k] else "",
                loss=number(float(loss[k])),
                bar=bar(float(loss[k]), top=top or 1.0, css="wrong"),
                number=numbers[w.categories[k]],
                extra=place >= SHOWN,
            )
            for place, k in listed
        ),
        options=tuple((n, str(name), counts[name]) for name, n in numbers.items()),
        has_texts=keeps,
        shown=min(SHOWN, len(listed)),
    )
