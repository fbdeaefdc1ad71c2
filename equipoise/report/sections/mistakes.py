"""The rows it gets wrong, the surest first: there wrong labels and blind spots show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from equipoise.records.predictions import DEFER, Predictions
from equipoise.report.charts import bar
from equipoise.report.read import RunFolder
from equipoise.report.words import NONE, percent, short

SHOWN = 25
"""Rows that every reader sees."""
PER_CLASS = 8
"""Rows of each class that the filter can reach, besides those."""
MOST = 400
"""Rows in the file in all: 400 texts of 280 characters keep it far below 2 MB."""
TEXT = 280
"""Characters of a text."""
SURE = 0.9
"""A mistake decided with at least this probability is called sure."""


@dataclass(frozen=True)
class Mistake:
    id: str
    text: str | None
    label: str
    decided: str
    group: str | None
    sure: str
    """Probability of the decided class."""
    own: str
    """Probability of the labelled class."""
    bar: Markup
    class_number: int
    """Which option of the filter shows it."""
    extra: bool
    """Beyond the first SHOWN: seen only through the filter."""


@dataclass(frozen=True)
class MistakesSection:
    wrong: int
    judged: int
    deferred: int
    sure: int
    rows: tuple[Mistake, ...]
    options: tuple[tuple[int, str, int], ...]
    """Number, class, wrong rows of it: what the filter offers."""
    has_texts: bool
    has_groups: bool
    shown: int


def mistakes_section(run: RunFolder) -> MistakesSection:
    p = run.predictions
    deferred = p.decided == DEFER
    wrong = np.flatnonzero((p.decided != p.labels) & ~deferred)
    sure = _probability(p, p.decided)
    # Surest first; among equals in the order of the file, so that the page is the same each time.
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    labels = sorted({str(p.labels[k]) for k in wrong})
    numbers = {name: k for k, name in enumerate(labels)}
    chosen = _chosen(p, wrong, len(labels))
    own = _probability(p, p.labels)
    first = set(wrong[:SHOWN].tolist())
    rows = tuple(
        Mistake(
            id=short(str(p.ids[k])),
            text=short(run.texts[p.ids[k]], TEXT) if p.ids[k] in run.texts else None,
            label=str(p.labels[k]),
            decided=str(p.decided[k]),
            group=short(str(p.groups[k])) if p.groups[k] is not None else None,
            sure=percent(sure[k]),
            own=NONE if np.isnan(own[k]) else percent(own[k]),
            bar=bar(float(sure[k]), css="wrong"),
            class_number=numbers[str(p.labels[k])],
            extra=k not in first,
        )
        for k in chosen
    )
    counts = {name: int((p.labels[wrong] == name).sum()) for name in labels}
    return MistakesSection(
        wrong=len(wrong),
        judged=len(p),
        deferred=int(deferred.sum()),
        sure=int((sure[wrong] >= SURE).sum()),
        rows=rows,
        options=tuple((numbers[name], name, counts[name]) for name in labels),
        has_texts=any(row.text is not None for row in rows),
        has_groups=any(row.group is not None for row in rows),
        shown=len(first),
    )


def _probability(p: Predictions, names: NDArray[np.object_]) -> NDArray[np.float64]:
    """(n,) probability of the class that each row names; NaN where the model knows no such."""
    place = {name: k for k, name in enumerate(p.classes)}
    at = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    found = np.full(len(p), np.nan)
    known = at >= 0
    found[known] = p.probabilities[np.flatnonzero(known), at[known]]
    return found


def _chosen(p: Predictions, wrong: NDArray[np.int64], classes: int) -> list[int]:
    """The first SHOWN rows and up to PER_CLASS of each class, still the surest first."""
    each = min(PER_CLASS, max(1, (MOST - SHOWN) // max(classes, 1)))
    seen: dict[str, int] = {}
    chosen = []
    for place, k in enumerate(wrong.tolist()):
        name = str(p.labels[k])
        if place < SHOWN or seen.get(name, 0) < each:
            chosen.append(k)
            seen[name] = seen.get(name, 0) + 1
    return chosen[:MOST]
