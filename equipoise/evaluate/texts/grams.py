"""N-grams of many texts, counted all at once.

Counting n-grams text by text in Python dominates everything else: seven references to each of
5,000 rows hold 25 million. As whole numbers in one array they are counted by one sort an order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]
_LARGEST = 2**62


class Symbols(NamedTuple):
    """Texts laid end to end, as numbers."""

    code: Ints
    """(N,) what stands there: 0 .. kinds - 1."""
    owner: Ints
    """(N,) the text that it stands in, rising."""
    kinds: int
    texts: int


class Grams(NamedTuple):
    """E pairs of a text and an n-gram in it, sorted by both."""

    owner: Ints
    gram: Ints
    """(E,) 0 .. kinds - 1."""
    times: Ints
    """(E,) how often."""
    kinds: int


def characters(texts: Sequence[str]) -> Symbols:
    """The characters of each text but for white space."""
    packed = ["".join(text.split()) for text in texts]
    # A lone half of a surrogate pair, which a broken file may hold, is a character like any other.
    raw = "".join(packed).encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(raw, dtype=np.uint32).astype(np.int64)
    seen = np.zeros(0x110000, dtype=bool)
    seen[points] = True
    code = (np.cumsum(seen) - 1)[points]
    return Symbols(code, owners([len(text) for text in packed]), int(seen.sum()), len(texts))


def tokens(texts: Sequence[Sequence[str]]) -> Symbols:
    """The given words of each text."""
    number: dict[str, int] = {}
    code = [number.setdefault(word, len(number)) for text in texts for word in text]
    return Symbols(
        np.array(code, dtype=np.int64), owners([len(t) for t in texts]), len(number), len(texts)
    )


def owners(lengths: Sequence[int]) -> Ints:
    """Whose each is of parts that lie end to end.

    >>> owners([2, 0, 1]).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(len(lengths)), np.array(lengths, dtype=np.int64))


def grams(symbols: Symbols, orders: int) -> Iterator[Grams]:
    """The n-grams of every text for n = 1 .. `orders`; none reaches over two texts."""
    code, kinds = symbols.code, symbols.kinds
    for n in range(1, orders + 1):
        if n > 1:
            last = symbols.code[n - 1 :]
            code, kinds = code[: len(last)] * symbols.kinds + last, kinds * symbols.kinds
            if kinds * max(symbols.kinds, symbols.texts) >= _LARGEST:
                found, code = np.unique(code, return_inverse=True)
                kinds = len(found)
        first, end = symbols.owner[: len(code)], symbols.owner[n - 1 :]
        inside = first == end
        key, count = np.unique(first[inside] * kinds + code[inside], return_counts=True)
        owner, gram = np.divmod(key, max(kinds, 1))
        yield Grams(owner, gram, count.astype(np.int64), kinds)


def totals(found: Grams, texts: int) -> Ints:
    """(texts,) n-grams of each text."""
    return np.bincount(found.owner, weights=found.times, minlength=texts).astype(np.int64)


def matches(found: Grams, rows: int, row_of: Ints) -> tuple[Ints, Ints]:
    """How many n-grams of each row's text stand in its references, each as often as there.

    The first `rows` texts are the rows' own; the others are references, of row `row_of` each.
    Returns (rows,) against all references of a row together, an n-gram counting as often as in the
            one that has it most; (references,) against each by itself.
    """
    cut = int(np.searchsorted(found.owner, rows))
    own = found.owner[:cut] * found.kinds + found.gram[:cut]
    reference = found.owner[cut:] - rows
    key = row_of[reference] * found.kinds + found.gram[cut:]
    at = np.minimum(np.searchsorted(own, key), max(len(own) - 1, 0))
    hit = own[at] == key if len(own) else np.zeros(len(key), dtype=bool)
    at, reference = at[hit], reference[hit]
    both = np.minimum(found.times[:cut][at], found.times[cut:][hit])
    each = np.bincount(reference, weights=both, minlength=len(row_of))
    most = np.zeros(len(own), dtype=np.int64)
    np.maximum.at(most, at, both)
    together = np.bincount(found.owner[:cut], weights=most, minlength=rows)
    return together.astype(np.int64), each.astype(np.int64)


def distinct_by_owner(found: Grams, part: Ints, parts: int) -> tuple[Floats, Floats, int]:
    """N-grams of each part, kinds of n-gram that only it has, and kinds in all.

    Shapes  part (texts,) the part that a text belongs to. Returns (parts,), (parts,).
    """
    whose = part[found.owner]
    total = np.bincount(whose, weights=found.times, minlength=parts)
    pairs = np.unique(found.gram * parts + whose)
    kind, first, held = np.unique(pairs // parts, return_index=True, return_counts=True)
    alone = np.bincount(pairs[first[held == 1]] % parts, minlength=parts)
    return total.astype(np.float64), alone.astype(np.float64), len(kind)
