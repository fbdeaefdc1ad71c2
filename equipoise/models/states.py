"""States at the cut and pooled vectors of rows: from the cache, or computed once and cached."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.models.batches import length_batches, padded
from equipoise.models.cache import (
    CachedStates,
    CacheSettings,
    StateCache,
    cache_key,
    row_keys,
    vectors_alone,
)
from equipoise.models.load import Base
from equipoise.models.memory import in_halves
from equipoise.models.tokenize import Tokens
from equipoise.models.trainable import Trainable

Progress = Callable[[str, int, int], None]
"""Called with (what, rows done, rows in all)."""

_BATCH_ROWS = 64
_SEGMENT_BYTES = 1 << 28
"""A segment is written every so many bytes, so that a killed run keeps what it computed."""
_ATTEMPTS = 3
_TOLERANCE = 1e-3
"""Largest difference of pooled vectors, cached against whole, at which a model's cut is trusted.
Honest differences are about 1e-6; a model that hands more than states from layer to layer, and so
can't be cut, is off by far more."""


def ensure_states(
    classifier: Trainable,
    base: Base,
    tokens: Tokens,
    settings: CacheSettings,
    *,
    progress: Progress | None = None,
) -> CachedStates | None:
    """`ensure_states_together` of rows that are needed by themselves."""
    return ensure_states_together(classifier, base, [tokens], settings, progress=progress)[0]


def ensure_states_together(
    classifier: Trainable,
    base: Base,
    parts: Sequence[Tokens],
    settings: CacheSettings,
    *,
    progress: Progress | None = None,
) -> Sequence[CachedStates | None]:
    """For each of the parts that a run needs at once, states and vectors of every row (states alone
    if the model does not pool), the missing ones computed with the base's untouched weights in
    float32 and evaluation mode.

    All are None where they can't be had: the cache is off or too small for all of them, its folder
    can't be written to, the disk is too full, or the model can't be cut. Then training recomputes
    the lower layers in every step. Without a cut vectors are all there is, and those are small
    enough to be held in memory instead.
    """
    cut = classifier.cut
    if cut is not None and not classifier.one_pass:
        return [None] * len(parts)
    layer = cut.number if cut is not None else "vectors"
    key = cache_key(
        base.fingerprint, layer, classifier.states_name, base.causal, _stored_as(classifier)
    )
    width = base.config.get_text_config().hidden_size
    total = sum(int(p.lengths.sum()) if cut is not None else len(p) for p in parts)
    needed = total * width * 4
    if needed <= settings.limit_bytes and needed <= 0.9 * _free_bytes(settings):
        try:
            cache = StateCache(settings, key)
            return _from_cache(classifier, base, parts, cache, progress) or [None] * len(parts)
        except OSError:
            pass  # a folder of somebody else's, or a disk that has filled up since
    if cut is not None:
        return [None] * len(parts)
    return [
        vectors_alone(pooled_vectors(classifier, base, part, progress=progress)) for part in parts
    ]


def _from_cache(
    classifier: Trainable,
    base: Base,
    parts: Sequence[Tokens],
    cache: StateCache,
    progress: Progress | None,
) -> list[CachedStates] | None:
    """What is missing is computed first, a part at a time. Raises OSError if the cache can't be
    read or written."""
    keys = [row_keys(part) for part in parts]
    for _ in range(_ATTEMPTS):
        for own in keys:
            cache.keep(own)  # room for one part must not be made of another's
        for tokens, own in zip(parts, keys, strict=True):
            missing = np.array(cache.missing(own), dtype=np.int64)
            if not len(missing):
                continue
            sample = tokens.take(missing[:8])
            if classifier.cut is not None and not _cut_holds(classifier, base, sample):
                return None
            _compute(classifier, base, tokens, missing, own, cache, progress)
        try:
            return [cache.read(own) for own in keys]
        except FileNotFoundError:
            # Another process needed the room just now: what it took is computed again.
            cache = StateCache(cache.settings, cache.key)
    return None


def _stored_as(classifier: Trainable) -> str:
    """The number formats of the base's weights: float32, or what they were quantised to."""
    kinds = {str(p.dtype).removeprefix("torch.") for p in classifier.body.parameters()}
    return "+".join(sorted(kinds))


def pooled_vectors(
    classifier: Trainable,
    base: Base,
    tokens: Tokens,
    *,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Vectors (rows, width) alone, in memory: what a head starts from where no states are kept."""
    classifier.eval()
    out = np.empty((len(tokens), base.config.get_text_config().hidden_size), np.float32)
    done = 0
    for batch in length_batches(tokens.lengths, rows=_BATCH_ROWS):
        _, out[batch] = _forward(classifier, base, tokens, batch, states=False)
        done += len(batch)
        if progress:
            progress("encoding", done, len(tokens))
    return out


@torch.no_grad()
def _compute(
    classifier: Trainable,
    base: Base,
    tokens: Tokens,
    missing: NDArray[np.int64],
    keys: list[bytes],
    cache: StateCache,
    progress: Progress | None,
) -> None:
    classifier.eval()
    rows: list[int] = []
    states: list[NDArray[np.float32]] = []
    vectors: list[NDArray[np.float32]] = []
    size = done = 0
    for batch in length_batches(tokens.lengths[missing], rows=_BATCH_ROWS):
        here = missing[batch]
        taken, pooled = _forward(classifier, base, tokens, here, vectors=classifier.pools)
        rows += here.tolist()
        states += taken
        vectors.append(pooled)
        size += sum(part.nbytes for part in taken)
        done += len(here)
        if progress:
            progress("encoding", done, len(missing))
        if size > _SEGMENT_BYTES:
            cache.add([keys[i] for i in rows], states, np.concatenate(vectors))
            rows, states, vectors, size = [], [], [], 0
    if rows:
        cache.add([keys[i] for i in rows], states, np.concatenate(vectors))


def _forward(
    classifier: Trainable,
    base: Base,
    tokens: Tokens,
    rows: NDArray[np.int64],
    *,
    states: bool = True,
    vectors: bool = True,
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """States of each of `rows` (tokens, width), and their vectors (rows, width); what is not asked
    for, and states where there is no cut, have a width of 0."""
    parts = in_halves(rows, lambda some: _pass(classifier, base, tokens, some, states, vectors))
    return [taken for part, _ in parts for taken in part], np.concatenate([p for _, p in parts])


@torch.no_grad()
def _pass(
    classifier: Trainable,
    base: Base,
    tokens: Tokens,
    rows: NDArray[np.int64],
    states: bool,
    vectors: bool,
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """`_forward` of rows that fit into memory."""
    device = next(classifier.parameters()).device
    parts = [tokens.row(int(i)) for i in rows]
    ids, mask = padded(parts, fill=base.tokenizer.pad_token_id or 0)
    inputs = torch.from_numpy(ids).long().to(device), torch.from_numpy(mask).to(device)
    if classifier.cut is None or not states:
        pooled = classifier.vectors(*inputs)
        return [np.empty((0, 0), np.float32) for _ in parts], _numpy(pooled)
    captured: list[torch.Tensor] = []
    if vectors:
        with classifier.cut.capturing(captured.append):
            pooled = classifier.vectors(*inputs)
    else:
        captured.append(classifier.cut.reached(lambda: classifier.vectors(*inputs)))
        pooled = torch.empty(len(parts), 0)
    at_cut = _numpy(captured[0])
    return [at_cut[i, : len(part)].copy() for i, part in enumerate(parts)], _numpy(pooled)


@torch.no_grad()
def _cut_holds(classifier: Trainable, base: Base, sample: Tokens) -> bool:
    """Whether the upper layers, fed the cached states, give what the whole model gives."""
    assert classifier.cut is not None
    classifier.eval()
    parts = [sample.row(i) for i in range(len(sample))]
    taken, whole = _forward(classifier, base, sample, np.arange(len(sample)))
    device = next(classifier.parameters()).device
    ids, mask = padded(parts, fill=base.tokenizer.pad_token_id or 0)
    states, _ = padded(taken, fill=0.0)
    classifier.cut.skip_lower()
    try:
        cached = classifier.vectors(
            torch.from_numpy(ids).long().to(device),
            torch.from_numpy(mask).to(device),
            torch.from_numpy(states).to(device),
        )
    finally:
        classifier.cut.restore_lower()
    return bool(np.abs(_numpy(cached) - whole).max() <= _TOLERANCE * (1 + np.abs(whole).max()))


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    out: NDArray[np.float32] = tensor.float().cpu().numpy()
    return out


def _free_bytes(settings: CacheSettings) -> int:
    folder = settings.folder
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
