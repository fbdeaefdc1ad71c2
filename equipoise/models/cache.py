"""States on disk, so that no row passes the frozen layers twice.

    CACHE/<key>/            one base model, tokenizer, cut and dtype
        <segment>.states    float32 states of the segment's rows, end to end
        <segment>.npz       row keys, where each row starts, pooled vectors

A segment is written once and never changed: states under a temporary name, index last, so a
killed run leaves at most a file that nothing refers to. Several processes may write at once, each
its own segments; a row computed twice is kept twice and read from the first. When the folder
grows over its limit the segments read longest ago go first.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.models.tokenize import Tokens
from equipoise.records.files import text_sha256

_DEFAULT_LIMIT_GB = 8.0


@dataclass(frozen=True)
class CacheSettings:
    folder: Path
    limit_bytes: int
    """Segments are dropped, the longest unread first, until the folder is no larger. 0: no cache
    is kept and states are recomputed in every step."""


def cache_settings() -> CacheSettings:
    """From EQUIPOISE_CACHE (folder) and EQUIPOISE_CACHE_GB (limit), else ~/.cache/equipoise, 8."""
    folder = Path(os.environ.get("EQUIPOISE_CACHE") or Path.home() / ".cache" / "equipoise")
    given = os.environ.get("EQUIPOISE_CACHE_GB", str(_DEFAULT_LIMIT_GB))
    try:
        limit = float(given)
        if not 0 <= limit < float("inf"):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"EQUIPOISE_CACHE_GB is {given!r}; give gigabytes, such as 8, or 0 for no cache"
        ) from None
    return CacheSettings(folder, int(limit * 1e9))


def cache_size(settings: CacheSettings) -> int:
    """Bytes that all cached states take."""
    return sum(path.stat().st_size for path in settings.folder.glob("*/*") if path.is_file())


def clear_cache(settings: CacheSettings) -> int:
    """Remove every cached state; returns the bytes freed."""
    size = cache_size(settings)
    for folder in settings.folder.glob("*/"):
        # Only what this module writes: the folder may have been pointed somewhere by mistake.
        if any(folder.glob("*.states")) or not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
    return size - cache_size(settings)


def cache_key(*parts: object) -> str:
    """One folder's name from everything that the states depend on."""
    return text_sha256(*(str(part) for part in parts))[:24]


def row_keys(tokens: Tokens) -> list[bytes]:
    """A row's states depend on its token ids alone, so those are its key (16 bytes of hash)."""
    from hashlib import blake2b

    return [
        blake2b(np.ascontiguousarray(tokens.row(i)).tobytes(), digest_size=16).digest()
        for i in range(len(tokens))
    ]


@dataclass(frozen=True, eq=False)
class CachedStates:
    """States and pooled vectors of n rows, read from memory-mapped segments."""

    _segments: list[NDArray[np.float32]]
    _segment: NDArray[np.int64]
    _start: NDArray[np.int64]
    lengths: NDArray[np.int64]
    """(n,) tokens per row."""
    vectors: NDArray[np.float32]
    """(n, width) pooled output of the whole base model."""

    def row(self, i: int) -> NDArray[np.float32]:
        """(tokens, width) states of row i as they arrive at the cut."""
        start = self._start[i]
        part: NDArray[np.float32] = self._segments[self._segment[i]][
            start : start + self.lengths[i]
        ]
        return part

    def take(self, index: NDArray[np.int64]) -> CachedStates:
        """The rows at `index`, repeats allowed."""
        return CachedStates(
            self._segments,
            self._segment[index],
            self._start[index],
            self.lengths[index],
            self.vectors[index],
        )


class StateCache:
    """The segments of one key."""

    def __init__(self, settings: CacheSettings, key: str) -> None:
        self.settings = settings
        self.folder = settings.folder / key
        self._index: dict[bytes, tuple[str, int, int]] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._read_segments()

    def missing(self, keys: list[bytes]) -> list[int]:
        """Positions of the rows that no segment holds, each distinct row once."""
        seen: set[bytes] = set()
        out = []
        for i, key in enumerate(keys):
            if key not in self._index and key not in seen:
                seen.add(key)
                out.append(i)
        return out

    def add(
        self, keys: list[bytes], states: list[NDArray[np.float32]], vectors: NDArray[np.float32]
    ) -> None:
        """Write one segment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        starts = np.concatenate([[0], np.cumsum([len(part) for part in states])]).astype(np.int64)
        part = self.folder / f"{name}.part"
        with part.open("wb") as file:
            for rows in states:
                file.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
        part.replace(self.folder / f"{name}.states")
        index = self.folder / f".{name}.npz"
        np.savez(
            index,
            keys=np.frombuffer(b"".join(keys), dtype="S16") if keys else np.empty(0, "S16"),
            starts=starts,
            vectors=vectors,
        )
        index.replace(self.folder / f"{name}.npz")
        self._take(name, keys, starts, vectors)
        self._shrink(keep=name)

    def read(self, keys: list[bytes]) -> CachedStates:
        """Every row must be held; see `missing`."""
        places = [self._index[key] for key in keys]
        names = sorted({name for name, _, _ in places})
        number = {name: i for i, name in enumerate(names)}
        lengths, starts, vectors = [], [], []
        for name, start, row in places:
            bounds = self._starts[name]
            lengths.append(int(bounds[row + 1] - bounds[row]))
            starts.append(start)
            vectors.append(self._vectors[name][row])
        return CachedStates(
            [self._map(name) for name in names],
            np.array([number[name] for name, _, _ in places], dtype=np.int64),
            np.array(starts, dtype=np.int64),
            np.array(lengths, dtype=np.int64),
            np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        )

    def _read_segments(self) -> None:
        self._starts: dict[str, NDArray[np.int64]] = {}
        for path in sorted(self.folder.glob("*.npz")):
            name = path.stem
            if not (self.folder / f"{name}.states").exists():
                continue
            try:
                with np.load(path) as index:
                    raw = index["keys"].tobytes()
                    keys = [raw[i : i + 16] for i in range(0, len(raw), 16)]
                    self._take(name, keys, index["starts"], index["vectors"])
            except (OSError, ValueError, KeyError):
                continue  # a damaged segment is recomputed, and ages out

    def _take(
        self,
        name: str,
        keys: list[bytes],
        starts: NDArray[np.int64],
        vectors: NDArray[np.float32],
    ) -> None:
        self._starts[name] = starts
        self._vectors[name] = vectors
        for row, key in enumerate(keys):
            self._index.setdefault(key, (name, int(starts[row]), row))

    def _map(self, name: str) -> NDArray[np.float32]:
        path = self.folder / f"{name}.states"
        os.utime(path)  # the time of the last reading decides what ages out
        tokens = int(self._starts[name][-1])
        width = path.stat().st_size // 4 // max(tokens, 1)
        if not tokens or not width:
            return np.empty((0, 0), np.float32)
        mapped: NDArray[Any] = np.memmap(path, dtype=np.float32, mode="r", shape=(tokens, width))
        return mapped

    def _shrink(self, keep: str) -> None:
        segments = sorted(
            (path for path in self.settings.folder.glob("*/*.states") if path.stem != keep),
            key=lambda path: path.stat().st_mtime,
        )
        size = cache_size(self.settings)
        mine = {name for name, _, _ in self._index.values()}
        for path in segments:
            if size <= self.settings.limit_bytes:
                return
            if path.parent == self.folder and path.stem in mine:
                continue  # rows of this very run may be there
            index = path.with_suffix(".npz")
            size -= path.stat().st_size + (index.stat().st_size if index.exists() else 0)
            index.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
