"""Whether the base model's tokenizer knows the language: unknown tokens and broken words.

A tokenizer cuts words that it has seldom seen into small pieces. A word counts as broken when it
falls into more pieces than it has letters (bytes, or vowel signs torn off), or, with four letters
or more, into pieces of fewer than two letters on average. In scripts without spaces a run of
letters is a sentence and one piece per character is usual, so there only more pieces than
characters count.

The tokenizer is the only witness: it has pieces enough for the words of any language in its script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from equipoise.audit.given import Given, Ints
from equipoise.audit.words import pattern
from equipoise.records.audit_context import ClassLanguage, Language

LONG = 4
"""Letters from which a word in a script with spaces can be broken."""
# Han, kana, Thai, Lao, Burmese, Khmer: scripts that are written without spaces.
_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)


def broken_words(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Words of a text, and how many of them are broken.

    spans  (begin, end) of every token in the text, in characters; empty ones are special tokens.
           Those of many tokenizers begin with the space before a word.

    >>> broken_words("good grief", [(0, 4), (5, 10)])
    (2, 0)
    >>> broken_words("jól", [(0, 1), (1, 2), (1, 2), (2, 3)])
    (1, 1)
    """
    own = [end - len(text[begin:end].lstrip()) for begin, end in spans if text[begin:end].strip()]
    begins = np.sort(np.array(own, dtype=np.int64))
    words = list(pattern().finditer(text))
    places = np.array([word.span() for word in words], dtype=np.int64).reshape(-1, 2)
    pieces = np.diff(np.searchsorted(begins, places), axis=1).ravel()
    broken = 0
    for word, cut in zip(map(re.Match.group, words), pieces.tolist(), strict=True):
        if _UNSPACED.search(word):
            broken += cut > len(word)
            continue
        letters = sum(map(str.isalpha, word))  # vowel signs and accents may be characters too
        broken += cut > letters or LONG <= letters < 2 * cut
    return len(words), broken


def language(given: Given) -> Language | None:
    """Of each class, and of the rows; None without a tokenizer."""
    tokens, all_tokens = given.tokens, given.once.tokens
    if tokens is None or all_tokens is None:
        return None

    def share(part: Ints, whole: int) -> float:
        return float(part.sum() / whole) if whole else 0.0

    classes = []
    for k, name in enumerate(given.classes):
        here = given.labels == k
        words = int(tokens.words[here].sum())
        classes.append(
            ClassLanguage(
                name=name,
                tokens=int(tokens.lengths[here].sum()),
                words=words,
                unknown=share(tokens.unknown[here], int(tokens.lengths[here].sum())),
                broken=share(tokens.broken[here], words),
            )
        )
    return Language(
        rows=int((all_tokens.words > 0).sum()),
        unknown=share(all_tokens.unknown, int(all_tokens.lengths.sum())),
        broken=share(all_tokens.broken, int(all_tokens.words.sum())),
        classes=classes,
    )
