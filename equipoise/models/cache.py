"""States on disk, so that no row passes the frozen layers twice.

    CACHE/<key>/            one base model, tokenizer, cut, and number format of the weights
        <segment>.states    float32 states of the segment's rows, end to end
        <segment>.npz       row keys, where each row starts, pooled vectors

A segment is written once and never changed: states under a temporary name, index last, so a
killed run leaves at most a file that nothing refers to. Several processes may write at once, each
its own segments; a row computed twice is kept twice and read from the first. When the folder
grows over its limit the segments read longest ago go first.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.models.tokenize import Tokens
from equipoise.records.files import text_sha256

_DEFAULT_LIMIT_GB = 8.0
_KEY = re.compile("[0-9a-f]{24}")
_FILE = re.compile(r"\.?[0-9a-f]{32}\.(states|npz|part)")
_STALE_SECONDS = 3600.0
"""A file under a temporary name that is older belongs to a process that was killed."""
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


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
    return sum(_bytes(path) for path in _own_files(settings))


def clear_cache(settings: CacheSettings) -> int:
    """Remove every cached state; returns the bytes freed. Other files are left alone: the folder
    may have been pointed somewhere by mistake."""
    freed = 0
    for path in list(_own_files(settings)):
        freed += _bytes(path)
        path.unlink(missing_ok=True)
    for folder in {path for path in settings.folder.glob("*/") if _KEY.fullmatch(path.name)}:
        with contextlib.suppress(OSError):  # holds something else, or another process writes
            folder.rmdir()
    return freed


def _own_files(settings: CacheSettings) -> Iterator[Path]:
    for path in settings.folder.glob("*/*"):
        if _KEY.fullmatch(path.parent.name) and _FILE.fullmatch(path.name):
            yield path


def _bytes(path: Path) -> int:
    """0 for a file that another process has removed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


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
    """(n, width) pooled output of the whole base model; (n, 0) if the model does not pool."""

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


def vectors_alone(vectors: NDArray[np.float32]) -> CachedStates:
    """Vectors (n, width) that are in no cache, and no states."""
    none = np.zeros(len(vectors), np.int64)
    return CachedStates([], none, none, none, vectors)


class StateCache:
    """The segments of one key."""

    def __init__(self, settings: CacheSettings, key: str) -> None:
        self.settings = settings
        self.key = key
        self.folder = settings.folder / key
        self._index: dict[bytes, tuple[str, int, int]] = {}
        self._asked: set[bytes] = set()
        self._starts: dict[str, NDArray[np.int64]] = {}
        self._widths: dict[str, int] = {}
        self._read_segments()

    def keep(self, keys: list[bytes]) -> None:
        """Rows that are never dropped to make room."""
        self._asked.update(keys)

    def missing(self, keys: list[bytes]) -> list[int]:
        """Positions of the rows that no segment holds, each distinct row once. What has been asked
        for here is kept when room is made."""
        self.keep(keys)
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
        width = states[0].shape[1] if len(states) else 0
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
            width=width,
        )
        index.replace(self.folder / f"{name}.npz")
        self._take(name, keys, starts, width)
        self._shrink(keep=name)

    def read(self, keys: list[bytes]) -> CachedStates:
        """Every row must be held; see `missing`. Raises FileNotFoundError if another process has
        dropped one since this cache was opened, or a file is damaged."""
        places = [self._index[key] for key in keys]
        names = sorted({name for name, _, _ in places})
        number = {name: i for i, name in enumerate(names)}
        pooled = {name: self._vectors(name) for name in names}
        lengths, starts, vectors = [], [], []
        for name, start, row in places:
            bounds = self._starts[name]
            lengths.append(int(bounds[row + 1] - bounds[row]))
            starts.append(start)
            vectors.append(pooled[name][row])
        return CachedStates(
            [self._map(name) for name in names],
            np.array([number[name] for name, _, _ in places], dtype=np.int64),
            np.array(starts, dtype=np.int64),
            np.array(lengths, dtype=np.int64),
            np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        )

    def _read_segments(self) -> None:
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with path.open("rb") as file, np.load(file) as index:
                    raw = index["keys"].tobytes()
                    starts, width = index["starts"], index["width"]
                size = (self.folder / f"{path.stem}.states").stat().st_size
            except _DAMAGED:
                continue  # a damaged segment is recomputed, and ages out
            keys = [raw[i : i + 16] for i in range(0, len(raw), 16)]
            whole = len(starts) == len(keys) + 1
            if whole and size == int(starts[-1]) * int(width) * 4:
                self._take(path.stem, keys, starts, int(width))

    def _take(
        self,
        name: str,
        keys: list[bytes],
        starts: NDArray[np.int64],
        width: int,
    ) -> None:
        self._starts[name] = starts
        self._widths[name] = width
        for row, key in enumerate(keys):
            self._index.setdefault(key, (name, int(starts[row]), row))

    def _vectors(self, name: str) -> NDArray[np.float32]:
        """Of one segment, read only now: those of all old ones together may be gigabytes."""
        path = self.folder / f"{name}.npz"
        try:
            with path.open("rb") as file, np.load(file) as index:
                vectors: NDArray[np.float32] = index["vectors"]
            if len(vectors) != len(self._starts[name]) - 1:
                raise ValueError("not a vector for each row")
        except _DAMAGED as error:
            path.unlink(missing_ok=True)  # so that its rows are computed again
            raise FileNotFoundError(f"{path.name}: {error}") from None
        return vectors

    def _map(self, name: str) -> NDArray[np.float32]:
        path = self.folder / f"{name}.states"
        os.utime(path)  # the time of the last reading decides what ages out
        shape = int(self._starts[name][-1]), self._widths[name]
        if not shape[0]:
            return np.empty(shape, np.float32)  # vectors alone; an empty file can't be mapped
        mapped: NDArray[Any] = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
        return mapped

    def _shrink(self, keep: str) -> None:
        """Remove what killed processes left, then segments, until the limit holds."""
        oldest = time.time() - _STALE_SECONDS
        segments: dict[Path, float] = {}
        size = 0
        for path in _own_files(self.settings):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # another process removed it
            lone = path.suffix != ".states" and not path.with_suffix(".states").exists()
            if lone and stat.st_mtime < oldest:
                path.unlink(missing_ok=True)
                continue
            size += stat.st_size
            if path.suffix == ".states":
                segments[path] = stat.st_mtime
        mine = {self._index[key][0] for key in self._asked if key in self._index} | {keep}
        for path in sorted(segments, key=segments.__getitem__):
            if size <= self.settings.limit_bytes:
                return
            if path.parent == self.folder and path.stem in mine:
                continue  # it holds rows that are about to be read
            index = path.with_suffix(".npz")
            size -= _bytes(path) + _bytes(index)
            index.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
