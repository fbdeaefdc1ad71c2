"""Whether the base model's tokenizer knows the language: unknown tokens and broken words.

A tokenizer cuts words that it has seldom seen into small pieces. A word counts as broken when it
falls into more pieces than it has letters (bytes, or vowel signs torn off), or, with four letters
or more, into pieces of fewer than two letters on average. In scripts without spaces a run of
letters is a sentence and one piece per character is usual, so there only more pieces than
characters count.

The tokenizer is the only witness, and has pieces enough for the words of any language in its
script; `spoken.py` asks another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from equipoise.audit.given import Given, Ints, Mask, TokenFacts
from equipoise.audit.say import names, percent
from equipoise.audit.words import pattern
from equipoise.records.audit_context import ClassLanguage, Language

UNKNOWN, BROKEN = 0.05, 0.25
"""Share of unknown tokens or broken words from which the base model hardly knows the language.
English messages have below 0.1 % and 0.2 % of them with a tokenizer made for English."""
FEWEST = 50
"""Words of a class, or tokens, from which their shares say something."""
DO = "take a base model that was trained on this language or script (--model)"
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
    return Language(
        rows=int((all_tokens.words > 0).sum()),
        unknown=_share(all_tokens.unknown, all_tokens.lengths),
        broken=_share(all_tokens.broken, all_tokens.words),
        classes=[
            class_language(name, given.labels == k, tokens) for k, name in enumerate(given.classes)
        ],
    )


def class_language(name: str, own: Mask, tokens: TokenFacts) -> ClassLanguage:
    """Of the rows (n,) that are a class's own."""
    return ClassLanguage(
        name=name,
        tokens=int(tokens.lengths[own].sum()),
        words=int(tokens.words[own].sum()),
        unknown=_share(tokens.unknown[own], tokens.lengths[own]),
        broken=_share(tokens.broken[own], tokens.words[own]),
    )


def strange_classes(classes: Sequence[ClassLanguage]) -> list[ClassLanguage]:
    """Those with more unknown tokens or broken words than a known language has, the strangest
    first."""
    strange = [
        c
        for c in classes
        if (c.tokens >= FEWEST and c.unknown > UNKNOWN) or (c.words >= FEWEST and c.broken > BROKEN)
    ]
    return sorted(strange, key=lambda c: -max(c.unknown / UNKNOWN, c.broken / BROKEN))


def says_strange(strange: Sequence[ClassLanguage], base: str) -> str:
    """
    >>> of = ClassLanguage(name="x", tokens=90, words=60, unknown=0.0, broken=0.4)
    >>> says_strange([of], "the base model")
    "the base model's tokenizer hardly knows the words of 'x': 40 % of the words broken up, 0 % of the tokens unknown in 'x'"
    """  # noqa: E501
    worst = strange[0]
    broken = f"{percent(worst.broken)} of the words broken up, " if worst.words else ""
    return (
        f"{base}'s tokenizer hardly knows the words of {names([c.name for c in strange])}: "
        f"{broken}{percent(worst.unknown)} of the tokens unknown in {worst.name!r}"
    )


def _share(part: Ints, whole: Ints) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else 0.0
