"""Pairs of texts that look alike, found without comparing every pair: MinHash and banding.

Broder 1997, On the resemblance and containment of documents (MinHash); Leskovec, Rajaraman &
Ullman, Mining of Massive Datasets, ch. 3.4 (banding). The signatures are rensa's R-MinHash.

A pair of similarity s shares the six numbers of one band with probability s^6 and at least one of
42 bands with 1 - (1 - s^6)^42: at 0.8 it is missed twice in a million times, at 0.85 once in a
billion, at 0.3 it is looked at 3 times in a hundred. What is looked at is then compared exactly,
so nothing is linked by an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.data.shingles import Places, shingle_hashes, similarities, text_batches

BANDS, WIDTH = 42, 6
_BATCH_ROWS = 8192
"""Texts signed at once. rensa hands its signatures out as Python numbers, 32 bytes each."""
_BUCKET = 64
"""In a bucket of up to so many texts each is compared with each. In a larger one each is compared
with _BUCKET² / size that follow it, at least _FEWEST, so that a bucket costs about 4,096 pairs."""
_FEWEST = 4
_DOUBT = 0.15
"""Pairs whose estimate is this far below the threshold are not compared exactly. The estimate's
standard deviation is at most sqrt(0.25 / 252) = 0.03 and 0.025 at 0.8: six of them."""
_PENDING = 16_000_000
"""Pairs held before repeats are removed: 128 MB."""


@dataclass(frozen=True, eq=False)
class Links:
    """Pairs of different texts, each pair once."""

    left: Places
    right: Places
    similarity: NDArray[np.float32]


def find_links(texts: Sequence[str], *, threshold: float, seed: int) -> Links:
    """Pairs of `texts` (distinct, normalised) whose similarity is at least `threshold`, 0 to 1.

    Time grows with the number of characters plus the number of pairs looked at, which is nearly
    linear in the number of texts; where most are made from a few templates, `_FEWEST` bounds it.
    """
    # In alphabetical order the result does not depend on that of the rows, and pairs made from
    # one template are near each other, so that comparing them hashes each text few times.
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
    texts = [texts[i] for i in order.tolist()]
    keys, sketch = _sign(texts, seed)
    found: list[Links] = []
    for pairs in _chunks(_candidates(keys, sketch, threshold - _DOUBT)):
        left, right = pairs // len(texts), pairs % len(texts)
        similarity = similarities(texts, left, right)
        near = similarity >= np.float32(threshold)
        found.append(Links(order[left[near]], order[right[near]], similarity[near]))
    none = Links(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return Links(
        *(
            np.concatenate([getattr(part, name) for part in (none, *found)])
            for name in ("left", "right", "similarity")
        )
    )


def _chunks(pairs: Places, size: int = 4_000_000) -> Iterator[Places]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


def _sign(texts: Sequence[str], seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Keys (BANDS, texts), equal where all numbers of the band are equal; and a sketch (texts,
    BANDS * WIDTH) of the signatures' lowest bytes, of which similar texts share many."""
    from rensa import RMinHash

    sketch = np.empty((len(texts), BANDS * WIDTH), dtype=np.uint8)
    keys = np.empty((BANDS, len(texts)), dtype=np.uint32)
    for batch in text_batches(texts, _BATCH_ROWS):
        hashes, offsets = shingle_hashes(texts[batch])
        signatures = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets.astype(np.uint64), BANDS * WIDTH, seed
        )
        numbers = np.array(signatures.to_rows(), dtype=np.uint32).astype(np.uint64)
        sketch[batch] = numbers.astype(np.uint8)
        key = np.zeros((len(numbers), BANDS), dtype=np.uint64)
        for place in range(WIDTH):
            key = (key ^ numbers[:, place::WIDTH]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(32)
        keys[:, batch] = key.T.astype(np.uint32)
    return keys, sketch


def _estimates(sketch: NDArray[np.uint8], left: Places, right: Places) -> NDArray[np.float64]:
    """Similarity as the sketches tell it, or slightly more: bytes are equal by chance too."""
    estimate = np.empty(len(left))
    for start in range(0, len(left), 65_536):  # 16 MB of each side at once
        part = slice(start, start + 65_536)
        estimate[part] = (sketch[left[part]] == sketch[right[part]]).mean(axis=1)
    return estimate


def _candidates(keys: NDArray[np.uint32], sketch: NDArray[np.uint8], least: float) -> Places:
    """Sorted pairs whose estimate is at least `least`, as left * texts + right, left < right."""
    count = keys.shape[1]
    pairs = np.empty(0, dtype=np.int64)
    pending: list[Places] = []
    held = 0
    for band in range(BANDS):
        # Ties are ordered by the next band, so that in an overfull bucket the likest are close.
        ordered = keys[band].astype(np.uint64) << np.uint64(32) | keys[(band + 1) % BANDS]
        order = np.argsort(ordered, kind="stable")
        for left, right in _bucket_pairs(order, keys[band][order]):
            likely = _estimates(sketch, left, right) >= least
            left, right = left[likely], right[likely]
            pending.append(np.minimum(left, right) * count + np.maximum(left, right))
            held += len(left)
            if held > _PENDING:
                pairs, pending, held = _merged([pairs, *pending]), [], 0
    return _merged([pairs, *pending])


def _merged(parts: list[Places]) -> Places:
    """Sorted, each pair once. (np.unique goes by hash tables, five times slower at this size.)"""
    pairs = np.concatenate(parts)
    pairs.sort()
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _bucket_pairs(order: Places, keys: NDArray[np.uint32]) -> Iterator[tuple[Places, Places]]:
    """Pairs of texts with equal keys, `keys` being sorted: those one apart, two apart, ..."""
    begins = np.flatnonzero(np.diff(keys, prepend=keys[:1] - np.uint32(1)))
    sizes = np.diff(np.append(begins, len(keys)))
    reach = np.maximum(np.minimum(sizes, _BUCKET * _BUCKET // sizes), _FEWEST)
    reach, ends = np.repeat(reach, sizes), np.repeat(begins + sizes, sizes)
    alive = np.arange(len(keys))
    apart = 0
    while len(alive):
        apart += 1
        alive = alive[(alive + apart < ends[alive]) & (apart <= reach[alive])]
        yield order[alive], order[alive + apart]
