"""Whether the base model's tokenizer knows the language: unknown tokens and broken words.

A tokenizer cuts words that it has seldom seen into small pieces. A word counts as broken when it
falls into more pieces than it has letters (bytes), or, with four letters or more in a script that
puts spaces between words, into pieces of fewer than two letters on average. In scripts without
spaces a run of letters is a sentence and one piece per letter is usual, so only the first holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from equipoise.audit.given import Given, Ints
from equipoise.records.audit import ClassLanguage, Language

LONG = 4
"""Letters from which a word in a script with spaces can be broken."""
_WORD = re.compile(r"[^\W\d_]+")
# Han, kana, Thai, Lao, Burmese, Khmer: scripts that are written without spaces.
_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)


def broken_words(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Words of a text, and how many of them are broken.

    spans  (begin, end) of every token in the text, in characters; empty ones are special tokens.

    >>> broken_words("good grief", [(0, 4), (5, 10)])
    (2, 0)
    >>> broken_words("jól", [(0, 1), (1, 2), (1, 2), (2, 3)])
    (1, 1)
    """
    begins = np.array([begin for begin, end in spans if end > begin], dtype=np.int64)
    words = broken = 0
    for word in _WORD.finditer(text):
        letters = word.end() - word.start()
        pieces = int(((begins >= word.start()) & (begins < word.end())).sum())
        words += 1
        spaced = _UNSPACED.search(word.group()) is None
        broken += pieces > letters or (spaced and letters >= LONG and letters < 2 * pieces)
    return words, broken


def language(given: Given) -> Language | None:
    """Over the rows that were looked at; None where the tokenizer could not be asked."""
    tokens = given.tokens
    if tokens is None or not tokens.words.any():
        return None
    looked = tokens.words > 0

    def share(part: Ints, whole: int) -> float:
        return float(part.sum() / whole) if whole else 0.0

    classes = []
    for k, name in enumerate(given.classes):
        here = given.labels == k
        words = int(tokens.words[here].sum())
        classes.append(
            ClassLanguage(
                name=name,
                words=words,
                unknown=share(tokens.unknown[here], int(tokens.lengths[here].sum())),
                broken=share(tokens.broken[here], words),
            )
        )
    return Language(
        rows=int(looked.sum()),
        unknown=share(tokens.unknown, int(tokens.lengths.sum())),
        broken=share(tokens.broken, int(tokens.words.sum())),
        classes=classes,
    )
