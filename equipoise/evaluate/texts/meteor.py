"""METEOR: words aligned with a reference by form, stem and synonym."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from equipoise.evaluate.texts.wordnet import find_wordnet, read_wordnet
from equipoise.evaluate.texts.words import words

Scorer = Callable[[str, Sequence[str]], float]
NO_NLTK = "needs the package nltk, which is not installed: pip install 'equipoise[texts]'"
NO_WORDNET = (
    "needs WordNet: install Debian's package wordnet-base, or name a folder that holds WordNet's "
    "files in the environment variable WNSEARCHDIR"
)


class _Stemmer(NamedTuple):
    """A stemmer that remembers: stemming is most of METEOR's price, and words come again."""

    stem: Callable[[str], str]


def why_no_meteor() -> str | None:
    if find_spec("nltk") is None:
        return NO_NLTK
    return NO_WORDNET if find_wordnet() is None else None


def meteor_scorer(folder: Path | None = None) -> Scorer:
    """Written text and references to the best METEOR over the references, 0 to 1.

    nltk's METEOR (alpha 0.9, beta 3, gamma 0.5), on `words`, with WordNet's synonyms. A perfect
    text of m words has 1 - 0.5 / m³, not 1: the alignment counts as one chunk.
    Source  Lavie and Agarwal 2007, METEOR: an automatic metric for MT evaluation, WMT.
    """
    from nltk.stem.porter import PorterStemmer
    from nltk.translate.meteor_score import meteor_score

    place = folder or find_wordnet()
    assert place is not None  # `why_no_meteor` was asked
    wordnet = read_wordnet(place)
    stemmer = _Stemmer(cache(PorterStemmer().stem))

    def score(written: str, references: Sequence[str]) -> float:
        return float(
            meteor_score(
                [words(text) for text in references],
                words(written),
                stemmer=stemmer,
                wordnet=wordnet,
            )
        )

    return score
