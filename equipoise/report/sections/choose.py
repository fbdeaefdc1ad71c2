"""Which rows and which classes of a long list the page holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

SHOWN = 25
"""Rows that every reader sees."""
PER_KIND = 8
"""Rows of each class or category that the filter can reach, besides those."""
MOST_KINDS = 200
"""Classes or categories in a table: with more the page would grow beyond use."""


def chosen(kinds: Sequence[str], *, most: int) -> list[int]:
    """Places of the first SHOWN rows and of up to PER_KIND of each kind, in order, `most` in all.

    >>> chosen(["a"] * 30 + ["b"], most=400)[-2:]
    [24, 30]
    """
    each = min(PER_KIND, max(1, (most - SHOWN) // max(len(set(kinds)), 1)))
    seen: Counter[str] = Counter()
    places = []
    for place, kind in enumerate(kinds):
        if place < SHOWN or seen[kind] < each:
            places.append(place)
            seen[kind] += 1
    return places[:most]


def rarest(rows: Mapping[str, tuple[int, ...]]) -> tuple[list[str], int]:
    """The MOST_KINDS classes or categories with the fewest rows, fewest first, and how many more
    there are.

    >>> rarest({"a": (5, 1), "b": (2, 3), "c": (2, 1)})
    (['c', 'b', 'a'], 0)
    """
    names = sorted(rows, key=lambda name: (rows[name], name))
    return names[:MOST_KINDS], max(0, len(names) - MOST_KINDS)
