"""What counts as a word: letters, and the marks that are written on them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_END = 0x20000
"""Where the planes that hold alphabets end; no later character but a variant's tag is a mark."""


def words_of(text: str) -> list[str]:
    """
    >>> words_of("it's 2 o_clock"), words_of("हिन्दी में")
    (['it', 's', 'o', 'clock'], ['हिन्दी', 'में'])
    """
    return pattern().findall(text)


@cache
def pattern() -> re.Pattern[str]:
    """A letter, and letters and marks after it. Vowel signs of Indic scripts are marks, and so are
    accents that stand apart from their letters; for Python neither belongs to a word."""
    marks = "".join(
        mark for mark in map(chr, range(_END)) if unicodedata.category(mark) in ("Mn", "Mc")
    )
    return re.compile(rf"[^\W\d_]+(?:[{marks}]+[^\W\d_]*)*")
