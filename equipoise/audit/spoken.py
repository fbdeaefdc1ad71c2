"""Which languages the rows are in, beside those that the base model was made for.

A tokenizer that falls back to bytes, or that has pieces for all words of a script, knows nothing of
languages; a detector does (py3langid: character n-grams, naive Bayes, the same answer every time).
It is asked only how likely the languages are that the base declares, not which language a row is
in: short texts leave relatives open, such as Danish and Norwegian, and that is no matter unless one
of them is the base's. docs/decisions.md has the figures behind the limits below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from equipoise.audit.given import Ints
from equipoise.audit.say import percent
from equipoise.errors import MissingExtraError
from equipoise.records.audit_context import Spoken
from equipoise.records.rows import Column

SAMPLED = 2_000
"""Rows looked at, drawn at random: shares to two points, at about a millisecond a row."""
LETTERS = 25
"""Bytes of letters (UTF-8) from which a row is long enough: a letter of Hangul or kana, of three
bytes, says as much as several Latin ones."""
UNLIKELY = 0.1
"""Probability of the declared languages below which a row is in another one."""
OUTSIDE = 0.2
"""Share of rows in other languages above which it is said. At most 4 rows in 100 of a language are
taken for another one (benchmarks/languages.py)."""
FEWEST = 20
"""Rows that are long enough, from which their shares say something."""
_READ = 1_000
"""Characters of a row that are looked at."""
_NAMED = 3
_NO_LANGUAGE = "zxx"
"""What the detector calls numbers, markup and the like."""
_SAME = {"nb": "no", "iw": "he", "in": "id", "fil": "tl"}
"""Codes that models are declared with, as the detector has them."""


@dataclass(frozen=True, eq=False)
class Heard:
    """The shares, and the rows behind them."""

    record: Spoken
    rows: Ints
    """Places of the rows in other languages, the surest first."""
    languages: tuple[str, ...]
    """What each of them is likeliest in."""

    @property
    def foreign(self) -> bool:
        """Whether enough of the rows are in other languages to say so."""
        return self.record.outside > OUTSIDE


def spoken(texts: Column, declared: Sequence[str], rng: np.random.Generator) -> Heard | None:
    """Of a sample, the rows in none of the declared languages (ISO 639 codes).

    None where it can't be told: nothing is declared, or a language that the detector does not know,
    or too few rows are long enough.
    Raises MissingExtraError if py3langid is not installed.
    """
    if not declared:
        return None
    own = {_SAME.get(code, code) for code in declared}
    detector = _detector()
    if not own <= set(detector.labels):
        return None
    sample = np.sort(rng.choice(len(texts), min(len(texts), SAMPLED), replace=False)).tolist()
    asked = [row for row in sample if _long(str(texts[row]))]
    if len(asked) < FEWEST:
        return None
    found = []
    for row in asked:
        likely: dict[str, float] = dict(detector.rank(str(texts[row])[:_READ]))
        theirs = sum(likely.pop(code) for code in {*own, _NO_LANGUAGE})
        if theirs < UNLIKELY:
            found.append((theirs, row, max(likely, key=lambda code: likely[code])))
    found.sort()
    counts = Counter(sorted(code for _, _, code in found))
    record = Spoken(
        declared=list(declared),
        sampled=len(sample),
        rows=len(asked),
        outside=len(found) / len(asked),
        others={code: n / len(asked) for code, n in counts.most_common()},
    )
    rows = np.array([row for _, row, _ in found], dtype=np.int64)
    return Heard(record, rows, tuple(code for _, _, code in found))


def says_foreign(found: Spoken, base: str) -> str:
    """
    >>> of = Spoken(
    ...     declared=["en"], sampled=90, rows=80, outside=0.6, others={"de": 0.5, "xyz": 0.1}
    ... )
    >>> says_foreign(of, "the base model")
    '60 % of the rows are in other languages than the base model was made for (English): German 50 %, xyz 10 %'
    """  # noqa: E501
    named = list(found.others.items())[:_NAMED]
    shares = ", ".join(f"{language_name(code)} {percent(share)}" for code, share in named)
    made_for = ", ".join(map(language_name, found.declared[:_NAMED]))
    more = len(found.declared) - _NAMED
    return (
        f"{percent(found.outside)} of the rows are in other languages than {base} was made for "
        f"({made_for}{f' and {more} more' if more > 0 else ''}): {shares}"
    )


def language_name(code: str) -> str:
    """In English; the code itself of a language that is seldom met."""
    return _NAMES.get(_SAME.get(code, code), code)


def _long(text: str) -> bool:
    return sum(len(c.encode(errors="replace")) for c in text[:_READ] if c.isalpha()) >= LETTERS


@cache
def _detector() -> Any:
    """Read once: its tables take a second or two."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtraError("telling languages apart", "py3langid", "audit") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese",
    "ka": "Georgian", "kk": "Kazakh", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "ms": "Malay", "ne": "Nepali",
    "nl": "Dutch", "nn": "Norwegian (Nynorsk)", "no": "Norwegian", "pa": "Punjabi",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
