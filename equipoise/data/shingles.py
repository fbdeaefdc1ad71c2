"""Texts as sets of three-character pieces, and how much two such sets share.

Pieces of characters rather than words: in messages of two to ten words one changed word is a
third of the words, and whether it matters ("order" or "orders", "order" or "card") shows in its
letters. With pieces of three, a Jaccard similarity of 0.8 means about one word of ten changed; on
3-to-15-word messages (ATIS, Banking77, CLINC150) that is where pairs stop being rewordings and
begin to be different requests made from one template.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LETTERS = 3
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads consecutive numbers
_CHARACTERS = 4_000_000
"""Characters hashed at once: 32 MB per array of hashes."""

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


def shingle_hashes(texts: Sequence[str]) -> tuple[Hashes, Places]:
    """Hashes of every piece of every text, repeats included.

    Each text is set between two spaces, so that word beginnings and ends count and even one
    letter makes a piece. An empty text counts as a space.
    Returns hashes (pieces,) and offsets (texts + 1,): text i owns hashes[offsets[i]:offsets[i+1]].
    Two pieces share a hash by chance once in 2^64.
    """
    lengths = np.maximum(_lengths(texts), 1) + 2
    flat = np.frombuffer(
        "".join(f" {text or ' '} " for text in texts).encode("utf-32-le", "surrogatepass"),
        dtype=np.uint32,
    ).astype(np.uint64)
    pieces = lengths - LETTERS + 1
    offsets = np.concatenate([[0], np.cumsum(pieces)])
    begins = np.cumsum(lengths) - lengths
    where = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], pieces)
    # Characters are below 2^21, so three of them fit side by side into 64 bits without loss.
    packed = flat[where] << np.uint64(42) | flat[where + 1] << np.uint64(21) | flat[where + 2]
    mixed = packed * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed, offsets


def similarities(texts: Sequence[str], left: Places, right: Places) -> NDArray[np.float32]:
    """Jaccard similarity, 0 to 1, of the pieces of texts[left[i]] and texts[right[i]].

    Exact but for hash collisions (31 bits: about one pair of pieces in 2e9). Pairs are worked off
    in batches of bounded memory; order them by `left` to hash each text few times.
    """
    result = np.empty(len(left), dtype=np.float32)
    lengths = _lengths(texts) + 2
    for batch in _batches(lengths[left] + lengths[right]):
        used, places = np.unique(np.concatenate([left[batch], right[batch]]), return_inverse=True)
        matrix = _incidence([texts[i] for i in used.tolist()])
        sizes = np.diff(matrix.indptr)
        a, b = np.split(places, 2)
        shared = np.asarray(matrix[a].multiply(matrix[b]).sum(axis=1)).ravel()
        result[batch] = shared / (sizes[a] + sizes[b] - shared)
    return result


def _incidence(texts: Sequence[str]) -> Any:
    """Sparse (texts, 2^31 - 1), 1 where the text has the piece."""
    from scipy.sparse import csr_array

    hashes, offsets = shingle_hashes(texts)
    width = 2**31 - 1
    matrix = csr_array(
        (
            np.ones(len(hashes), dtype=np.int32),
            (hashes % np.uint64(width)).astype(np.int32),
            offsets,
        ),
        shape=(len(texts), width),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def text_batches(texts: Sequence[str], rows: int) -> Iterator[slice]:
    """Slices of at most `rows` texts and (but for a longer single text) _CHARACTERS characters."""
    for batch in _batches(_lengths(texts) + 2):
        for start in range(batch.start, batch.stop, rows):
            yield slice(start, min(start + rows, batch.stop))


def _lengths(texts: Sequence[str]) -> Places:
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def _batches(sizes: Places) -> Iterator[slice]:
    total = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, done + _CHARACTERS, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
