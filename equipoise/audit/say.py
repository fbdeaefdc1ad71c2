"""Numbers and names as findings write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Noun = Literal["class", "category"]
NAMED = 3
"""Names quoted in a line; the record holds all."""


def rows_(n: int, noun: str = "row") -> str:
    """
    >>> rows_(1), rows_(1200), rows_(2, "pair")
    ('1 row', '1,200 rows', '2 pairs')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def classes_(n: int, noun: Noun = "class") -> str:
    """
    >>> classes_(1), classes_(12), classes_(2, "category")
    ('1 class', '12 classes', '2 categories')
    """
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: Noun) -> str:
    return {"class": "classes", "category": "categories"}[noun]


def percent(share: float) -> str:
    """
    >>> percent(0.031), percent(0.5), percent(0.0004), percent(0)
    ('3.1 %', '50 %', '0.04 %', '0 %')
    """
    if not share:
        return "0 %"
    digits = 0 if share >= 0.1 else 1 if share >= 0.01 else 2
    return f"{100 * share:.{digits}f} %"


def points(share: float) -> str:
    """
    >>> points(0.126)
    '13 points'
    """
    return f"{100 * share:.0f} point{'' if round(100 * share) == 1 else 's'}"


def names(classes: Sequence[str], most: int = NAMED) -> str:
    """
    >>> names(["a", "b"]), names(["a", "b", "c", "d"], most=2)
    ("'a' and 'b'", "'a', 'b' and 2 more")
    """
    shown = [repr(name) for name in classes[:most]]
    if len(classes) > most:
        return f"{', '.join(shown)} and {len(classes) - most:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def few(parts: Sequence[str], most: int = NAMED) -> str:
    """
    >>> few(["'a' 1 %", "'b' 2 %"]), few(["a", "b", "c", "d", "e"])
    ("'a' 1 %, 'b' 2 %", 'a, b, c and 2 more')
    """
    more = f" and {len(parts) - most:,} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more


def spread(largest: str, largest_rows: int, smallest: str, smallest_rows: int) -> str:
    """
    >>> spread("a", 1200, "b", 20), spread("a", 7, "a", 7)
    ("60 : 1 from 'a' (1,200) to 'b' (20 rows)", '1 : 1 (7 rows each)')
    """
    if largest_rows == smallest_rows:
        return f"1 : 1 ({rows_(smallest_rows)} each)"
    return (
        f"{ratio(largest_rows / max(smallest_rows, 1))} from {largest!r} ({largest_rows:,}) to "
        f"{smallest!r} ({rows_(smallest_rows)})"
    )


def ratio(value: float) -> str:
    """
    >>> ratio(3309.2), ratio(2.46)
    ('3,309 : 1', '2.5 : 1')
    """
    return f"{value:,.0f} : 1" if value >= 10 else f"{value:.1f} : 1"


def times(value: float) -> str:
    """
    >>> times(2.456), times(200_000)
    ('2.46', '200,000')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
