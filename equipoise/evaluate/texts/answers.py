"""Whether a written text is right: as it stands, or by the answer that a pattern finds in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from equipoise.errors import SettingsError

PATTERNS = {"gsm8k": r"####\s*([^\n#]*[^\n#\s])"}
"""Patterns that go by a name."""
_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?(e[-+]?\d{1,3})?", re.IGNORECASE)
_CURRENCIES = "$€£¥"


def exact_match(written: str, references: Sequence[str]) -> bool:
    """Whether a reference was written, white space at the ends aside.

    >>> exact_match("Paris\\n", ["Lyon", "Paris"])
    True
    """
    return _plain(written) in {_plain(text) for text in references}


def answer_pattern(pattern: str) -> re.Pattern[str]:
    """A user's regular expression, or one of PATTERNS by its name.

    Raises  SettingsError if it is no regular expression.
    """
    try:
        return re.compile(PATTERNS.get(pattern, pattern))
    except re.error as error:
        raise SettingsError(
            f"pattern {pattern!r} is no regular expression ({error}); known by name are "
            f"{', '.join(PATTERNS)}"
        ) from None


def answer_in(text: str, pattern: re.Pattern[str]) -> str | None:
    """The first group of the last match that says something there, or all of that match where
    there is no group; None if there is none. A pattern that may match nothing, as `\\d*`, does so
    at the end of every text: any answer would be that of any reference.

    >>> answer_in("#### 3, no: #### 1,000", answer_pattern("gsm8k"))
    '1,000'
    """
    group = 1 if pattern.groups else 0
    last = None
    for match in pattern.finditer(text):
        found = match.group(group)
        if found and found.strip():
            last = str(found)
    return last


def answer_match(written: str, references: Sequence[str], pattern: re.Pattern[str]) -> bool | None:
    """Whether the answer written is that of a reference; False where none was written.

    Returns None where no reference holds the pattern: nobody knows the answer.
    """
    known = [found for text in references if (found := answer_in(text, pattern)) is not None]
    if not known:
        return None
    given = answer_in(written, pattern)
    return given is not None and any(same_answer(given, right) for right in known)


def same_answer(one: str, two: str) -> bool:
    """Numbers as numbers, all else as text.

    >>> same_answer("$1,000", "1000.0"), same_answer("1,00", "100"), same_answer("a  b", "a b.")
    (True, False, True)
    """
    first, second = _number(one), _number(two)
    if first is not None and second is not None:
        return first == second
    return _words(one) == _words(two)


def _number(text: str) -> Decimal | None:
    bare = _plain(text).replace("\N{MINUS SIGN}", "-").rstrip(".")
    sign, rest = (bare[0], bare[1:]) if bare[:1] in {"-", "+"} else ("", bare)
    # "50%" is 50 where percent are asked for; nothing here could know that 0.5 is meant.
    bare = sign + rest.lstrip(_CURRENCIES).rstrip("%").strip()
    if not any(c.isdigit() for c in bare) or not _NUMBER.fullmatch(bare):
        return None
    try:
        return Decimal(bare.replace(",", ""))
    except InvalidOperation:
        return None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _words(text: str) -> str:
    return " ".join(_plain(text).rstrip(".").split())
