"""When two texts count as the same."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache


def plain_key(text: str) -> str:
    """Equal for texts that differ only in case, spaces and Unicode form (NFKC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def duplicate_key(text: str) -> str:
    """Equal for texts that differ only in case, spaces, Unicode form and punctuation.

    Symbols stay (an emoji or a currency sign can be all that tells two messages apart), and so
    does everything in a text that has nothing but punctuation.

    >>> duplicate_key("  Hello,   WORLD!! ") == duplicate_key("hello world")
    True
    >>> duplicate_key("great \N{THUMBS UP SIGN}") == duplicate_key("great \N{THUMBS DOWN SIGN}")
    False
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    folded = text.casefold()
    return _punctuation().sub(" ", folded).strip() or " ".join(folded.split())


@lru_cache(maxsize=1)
def _punctuation() -> re.Pattern[str]:
    """Runs of spaces, control characters and punctuation (Unicode categories P, Z, Cc, Cf)."""
    marks = "".join(
        re.escape(character)
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character)[0] in "PZ"
        or unicodedata.category(character) in ("Cc", "Cf")
    )
    return re.compile(f"[\\s{marks}]+")
