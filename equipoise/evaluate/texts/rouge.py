"""ROUGE: how much of a reference is written, by its words (1), its pairs of words (2), and its
order (L)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equipoise.evaluate.texts.grams import grams, matches, owners, tokens, totals
from equipoise.evaluate.texts.words import rouge_words
from equipoise.statistics.sums import Floats


def rouge_n(written: Sequence[str], references: Sequence[Sequence[str]], n: int) -> Floats:
    """(rows,) the best F1 over the references of each row, which has one or more: 2 × n-grams of
    both / (n-grams written + n-grams of the reference), each counted as often as both have it.

    NaN where no reference has n words that ROUGE knows, as None of `rouge_l`.
    Source  Lin 2004, section 2, with beta 1; equal to the package rouge-score without stemmer.

    >>> rouge_n(["the cat sat"], [["the cat sat down", "a dog"]], 2).tolist()
    [0.8]
    """
    rows, row_of = len(written), owners([len(of_row) for of_row in references])
    texts = [*written, *(text for of_row in references for text in of_row)]
    *_, found = grams(tokens([rouge_words(text) for text in texts]), n)
    total = totals(found, len(texts))
    own, other = total[:rows][row_of], total[rows:]
    _, both = matches(found, rows, row_of)
    f1 = np.where(other > 0, 2 * both / np.maximum(own + other, 1), -1.0)
    best = np.full(rows, -1.0)
    np.maximum.at(best, row_of, f1)
    return np.where(best < 0, np.nan, best)


def rouge_l(written: str, references: Sequence[str]) -> float | None:
    """The best F1 over the references: 2 LCS / (words written + words of the reference).

    Returns None where no reference has a word that ROUGE knows (a-z, 0-9): of such a row it says
            nothing, and 0 would be a lie.
    Source  Lin 2004, section 3.1, with beta 1; equal to the package rouge-score without stemmer.

    >>> rouge_l("the cat sat", ["the cat sat down", "a dog"])
    0.8571428571428571
    """
    told = [found for text in references if (found := rouge_words(text))]
    if not told:
        return None
    own = rouge_words(written)
    return max(_f1(longest_common_subsequence(own, other), own, other) for other in told)


def _f1(common: int, own: Sequence[str], other: Sequence[str]) -> float:
    if not common:
        return 0.0
    precision, recall = common / len(own), common / len(other)
    return 2 * precision * recall / (precision + recall)


def longest_common_subsequence(one: Sequence[str], two: Sequence[str]) -> int:
    """How many words can be read off both in the same order.

    A row of the table of lengths is the bits of one whole number, so a word costs a few operations
    on numbers of `len(two)` bits instead of `len(two)` steps.
    Source  Hyyrö 2004, Bit-parallel LCS-length computation revisited, AWOCA.

    >>> longest_common_subsequence("a b c b d a b".split(), "b d c a b a".split())
    4
    """
    places: dict[str, int] = {}
    for at, word in enumerate(two):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(two)) - 1
    row = full
    for word in one:
        here = row & places.get(word, 0)
        row = ((row + here) | (row - here)) & full
    return len(two) - row.bit_count()
