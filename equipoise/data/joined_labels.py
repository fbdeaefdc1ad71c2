"""Labels that look like several in one cell, where nobody said what divides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from equipoise.records.rows import Rows

_SEPARATORS = ("|", ";", "/", ",")


def joined_labels(parts: Iterable[Rows]) -> tuple[str, str] | None:
    """What divides labels, most likely, and what to say of it; None where they look whole.

    Labels look joined if they can be divided by a common separator, and most of the names that this
    gives are labels of other rows by themselves. So `tech/ai` beside `tech/web` is no such label.
    """
    counts = Counter[str]()
    for rows in parts:
        if rows.labels is not None and not rows.several and not rows.written:
            counts.update(label for label in rows.labels.tolist() if label)
    for separator in _SEPARATORS:
        joined = {label: names for label in counts if len(names := _divided(label, separator)) > 1}
        distinct = {name for found in joined.values() for name in found}
        if joined and 2 * sum(name in counts for name in distinct) > len(distinct):
            rows_ = sum(counts[label] for label in joined)
            first = max(joined, key=lambda label: counts[label])
            return separator, (
                f"labels look joined by {separator!r}, such as {first!r} ({rows_:,} rows in all), "
                "and count as classes of their own; if a row may have several, add "
                f"--label-separator '{separator}'"
            )
    return None


def _divided(label: str, separator: str) -> list[str]:
    """[] if it can't be, without an empty name."""
    names = [name.strip() for name in label.split(separator)]
    return names if all(names) else []
