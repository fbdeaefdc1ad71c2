"""BLEU and chrF from sums over rows.

Both are functions of counts added up over rows, not means over rows. So the counts of each row are
taken once, and any set of rows, resamples too, is judged from their sums. Words are cut by the
package sacrebleu; the figures are its figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from equipoise.errors import MissingExtraError, SettingsError
from equipoise.evaluate.texts.grams import (
    Ints,
    characters,
    grams,
    matches,
    owners,
    tokens,
    totals,
)
from equipoise.statistics.sums import Floats

BLEU_SUMS = 10
"""Words written, words of the closest references, matching 1- to 4-grams, written 1- to 4-grams."""
CHRF_SUMS = 18
"""For 1 to 6 characters: written, in the reference, in both."""
TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""sacrebleu's ways to cut words that need nothing else: "13a" for languages that part words by
spaces, "zh" for Chinese, "char" for any other that does not."""
_CHRF_BETA = 2
_BLEU_ORDERS, _CHRF_ORDERS = 4, 6


def check_sacrebleu() -> None:
    """Raises MissingExtraError unless sacrebleu is there."""
    _sacrebleu()


def check_tokenizer(name: str) -> None:
    """Raises SettingsError if it is not known."""
    if name not in TOKENIZERS:
        raise SettingsError(
            f"BLEU's tokenizer {name!r} is not known; known are {', '.join(TOKENIZERS)}"
        )


def bleu_sums(
    written: Sequence[str], references: Sequence[Sequence[str]], *, tokenize: str = "13a"
) -> Floats:
    """(n, BLEU_SUMS) the counts of each row, which has one reference or more."""
    check_tokenizer(tokenize)
    cut = _sacrebleu().BLEU(tokenize=tokenize).tokenizer
    rows, row_of = len(written), owners([len(of_row) for of_row in references])
    texts = [*written, *(text for of_row in references for text in of_row)]
    symbols = tokens([cut(text.rstrip()).split() for text in texts])
    length = np.bincount(symbols.owner, minlength=len(texts))
    sums = np.zeros((rows, BLEU_SUMS))
    sums[:, 0] = length[:rows]
    sums[:, 1] = _closest(length[:rows], length[rows:], row_of)
    for n, found in enumerate(grams(symbols, _BLEU_ORDERS)):
        sums[:, 2 + n], _ = matches(found, rows, row_of)
        sums[:, 6 + n] = totals(found, len(texts))[:rows]
    return sums


def chrf_sums(written: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """(n, CHRF_SUMS) the counts of each row against the reference that it is nearest to."""
    rows, row_of = len(written), owners([len(of_row) for of_row in references])
    texts = [*written, *(text for of_row in references for text in of_row)]
    sums = np.zeros((len(row_of), CHRF_SUMS))
    for n, found in enumerate(grams(characters(texts), _CHRF_ORDERS)):
        total = totals(found, len(texts))
        other = total[rows:]
        # Nothing can be missed where the reference has no n-gram of the order.
        sums[:, 3 * n] = np.where(other > 0, total[:rows][row_of], 0)
        sums[:, 3 * n + 1] = other
        _, sums[:, 3 * n + 2] = matches(found, rows, row_of)
    # By row, then the best first, then the first given.
    order = np.lexsort((np.arange(len(row_of)), -chrf(sums), row_of))
    best: Floats = sums[order[np.unique(row_of, return_index=True)[1]]]
    return best


def _closest(own: Ints, other: Ints, row_of: Ints) -> Ints:
    """(n,) length of the reference nearest to the row's in length, the shorter of two."""
    order = np.lexsort((other, np.abs(other - own[row_of]), row_of))
    return other[order[np.unique(row_of, return_index=True)[1]]]


def bleu(sums: Floats) -> Floats:
    """Corpus BLEU, 0 to 100, as sacrebleu computes it: exponential smoothing of orders without a
    match, 0 where nothing matches or no row has four words.

    Shapes  sums (..., BLEU_SUMS) added up over rows. Returns (...).
    Source  Papineni et al. 2002; Post 2018, A call for clarity in reporting BLEU scores,
            arXiv:1804.08771.
    """
    own, other = sums[..., 0], sums[..., 1]
    match, total = sums[..., 2:6], sums[..., 6:10]
    told = (match.any(axis=-1)) & (total > 0).all(axis=-1)
    halvings = np.cumsum(match == 0, axis=-1)
    precision = np.where(match > 0, match, 0.5**halvings) / np.maximum(total, 1)
    brevity = np.where(own < other, np.exp(1 - other / np.maximum(own, 1)), 1.0)
    score = 100 * brevity * np.exp(np.log(precision).mean(axis=-1))
    return np.asarray(np.where(told, score, 0.0))


def length_ratio(sums: Floats) -> Floats:
    """Words written per word of the closest references. Shapes as `bleu`; NaN if there are none."""
    own, other = sums[..., 0], sums[..., 1]
    ratio: Floats = np.divide(own, other, out=np.full(own.shape, np.nan), where=other > 0)
    return ratio


def chrf(sums: Floats) -> Floats:
    """chrF2, 0 to 100, as sacrebleu computes it: mean precision and mean recall over the orders
    that both sides have.

    Shapes  sums (..., CHRF_SUMS) added up over rows. Returns (...).
    Source  Popović 2015, chrF: character n-gram F-score for automatic MT evaluation, WMT.
    """
    parts = sums.reshape(*sums.shape[:-1], -1, 3)
    own, other, both = parts[..., 0], parts[..., 1], parts[..., 2]
    told = (own > 0) & (other > 0)
    orders = np.maximum(told.sum(axis=-1), 1)
    precision = np.where(told, both / np.maximum(own, 1), 0.0).sum(axis=-1) / orders
    recall = np.where(told, both / np.maximum(other, 1), 0.0).sum(axis=-1) / orders
    weight = _CHRF_BETA**2
    below = weight * precision + recall
    above = (1 + weight) * precision * recall
    score: Floats = 100 * np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
    return score


def _sacrebleu() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError:
        raise MissingExtraError("judging written texts", "sacrebleu", "texts") from None
    return metrics
