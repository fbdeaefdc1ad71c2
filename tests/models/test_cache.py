"""States on disk: found again, never wrong, never more than allowed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.models.cache import (
    CacheSettings,
    StateCache,
    cache_key,
    cache_settings,
    cache_size,
    clear_cache,
    row_keys,
    vectors_alone,
)
from equipoise.models.tokenize import Tokens

KEY, OTHER = cache_key("a"), cache_key("b")
WIDTH = 4


def rows_of(numbers: range, tokens: int = 3) -> tuple[list[bytes], list[NDArray[np.float32]]]:
    """Keys, and states that tell which row they belong to."""
    keys = [i.to_bytes(16, "big") for i in numbers]  # most start with NUL bytes, some end so
    return keys, [np.full((tokens + i % 2, WIDTH), i, np.float32) for i in numbers]


def fill(cache: StateCache, numbers: range) -> list[bytes]:
    keys, states = rows_of(numbers)
    cache.add(keys, states, np.stack([part[0] for part in states]))
    return keys


@pytest.fixture
def settings(tmp_path: Path) -> CacheSettings:
    return CacheSettings(tmp_path / "cache", 1_000_000)


def test_rows_are_found_again_by_a_new_process(settings: CacheSettings) -> None:
    keys = fill(StateCache(settings, KEY), range(250, 260))
    again = StateCache(settings, KEY)
    more, _ = rows_of(range(258, 263))
    assert again.missing([*keys, *more, more[-1]]) == [12, 13, 14]
    held = again.read([keys[3], keys[3], keys[8]])
    assert held.lengths.tolist() == [4, 4, 3]
    assert [held.row(i)[0, 0] for i in range(3)] == [253, 253, 258]
    assert held.vectors[:, 0].tolist() == [253, 253, 258]
    taken = held.take(np.array([2, 0]))
    assert [taken.row(i)[-1, -1] for i in range(2)] == [258, 253]
    assert StateCache(settings, OTHER).missing(keys) == list(range(10))


def test_rows_of_several_segments_are_read_together(settings: CacheSettings) -> None:
    cache = StateCache(settings, KEY)
    keys = fill(cache, range(5)) + fill(cache, range(5, 9))
    held = StateCache(settings, KEY).read(keys[::-1])
    assert [held.row(i)[0, 0] for i in range(9)] == list(range(8, -1, -1))


def test_vectors_may_be_kept_without_states(settings: CacheSettings) -> None:
    cache = StateCache(settings, KEY)
    keys, _ = rows_of(range(3))
    vectors = np.arange(3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    cache.add(keys, [np.empty((0, 0), np.float32)] * 3, vectors)
    held = StateCache(settings, KEY).read(keys)
    assert (held.vectors == vectors).all()
    assert (vectors_alone(vectors).take(np.array([1])).vectors == vectors[1:2]).all()


def test_keys_depend_on_every_part_and_on_token_ids_alone() -> None:
    assert len({cache_key("a", 1), cache_key("a1"), cache_key("a", 2), cache_key(1, "a")}) == 4
    tokens = Tokens(np.array([1, 2, 1, 2, 1], np.int32), np.array([0, 2, 4, 5]), 0, 0.0)
    keys = row_keys(tokens)
    assert keys[0] == keys[1] != keys[2]
    assert all(len(key) == 16 for key in keys)


@pytest.mark.parametrize("damage", ["cut states", "longer states", "no states", "cut", "empty"])
def test_a_damaged_segment_is_computed_again(settings: CacheSettings, damage: str) -> None:
    keys = fill(StateCache(settings, KEY), range(4))
    states, index = (next((settings.folder / KEY).glob(f"*.{kind}")) for kind in ("states", "npz"))
    if damage == "cut states":
        states.write_bytes(states.read_bytes()[:-4])
    elif damage == "longer states":
        states.write_bytes(states.read_bytes() + b"\0" * 16)
    elif damage == "no states":
        states.unlink()
    elif damage == "cut":
        index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])
    else:
        index.write_bytes(b"")
    cache = StateCache(settings, KEY)
    assert cache.missing(keys) == [0, 1, 2, 3]
    fill(cache, range(4))
    again = StateCache(settings, KEY)
    assert again.missing(keys) == []
    assert again.read(keys).row(2)[0, 0] == 2


def test_the_limit_drops_what_was_read_longest_ago(tmp_path: Path) -> None:
    wide = CacheSettings(tmp_path, 10_000_000)
    kept = []
    for age, name in ((300, "old"), (100, "new"), (200, "middle")):
        cache = StateCache(wide, cache_key(name))
        fill(cache, range(40))
        path = next(cache.folder.glob("*.states"))
        os.utime(path, (time.time() - age,) * 2)
        kept.append(path)
    size = cache_size(wide)
    old, new, middle = kept
    narrow = CacheSettings(tmp_path, size)
    fill(StateCache(narrow, KEY), range(40))
    assert [path.exists() for path in (old, middle, new)] == [False, True, True]
    assert cache_size(narrow) <= size
    assert not list(old.parent.glob("*.npz"))

    # Reading makes a segment young again.
    StateCache(wide, cache_key("middle")).read(rows_of(range(40))[0])
    fill(StateCache(narrow, OTHER), range(40))
    assert [path.exists() for path in (middle, new)] == [True, False]


def test_rows_of_the_run_itself_are_never_dropped(tmp_path: Path) -> None:
    cache = StateCache(CacheSettings(tmp_path, 1), KEY)
    keys, _ = rows_of(range(9))
    assert cache.missing(keys) == list(range(9))
    fill(cache, range(5))
    fill(cache, range(5, 9))
    assert cache.read(keys).lengths.sum() == 31


def test_a_dropped_segment_is_missed_when_read(settings: CacheSettings) -> None:
    keys = fill(StateCache(settings, KEY), range(4))
    late = StateCache(settings, KEY)
    clear_cache(settings)
    with pytest.raises(FileNotFoundError):
        late.read(keys)


def test_what_killed_processes_left_is_removed(settings: CacheSettings) -> None:
    cache = StateCache(settings, KEY)
    fill(cache, range(3))
    leftovers = [
        cache.folder / f"{'0' * 32}.part",
        cache.folder / f".{'1' * 32}.npz",
        cache.folder / f"{'2' * 32}.npz",
    ]
    for path in leftovers:
        path.write_bytes(b"x" * 100)
    fill(cache, range(3, 6))
    assert all(path.exists() for path in leftovers)  # perhaps being written just now
    for path in leftovers:
        os.utime(path, (time.time() - 7200,) * 2)
    fill(cache, range(6, 9))
    assert not any(path.exists() for path in leftovers)
    assert StateCache(settings, KEY).missing(rows_of(range(9))[0]) == []


def test_clearing_touches_nothing_else(settings: CacheSettings) -> None:
    fill(StateCache(settings, KEY), range(4))
    fill(StateCache(settings, OTHER), range(4))
    strange = [
        settings.folder / "notes.txt",
        settings.folder / "thesis" / "chapter.states",
        settings.folder / "empty" / "folder" / "x",
        settings.folder / OTHER / "mine.npz",
        settings.folder / ("f" * 32) / ("a" * 32 + ".states"),
    ]
    for path in strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("keep me")
    (settings.folder / "really empty").mkdir()
    size = cache_size(settings)
    assert size > 0
    assert clear_cache(settings) == size
    assert cache_size(settings) == 0
    assert all(path.exists() for path in strange)
    assert (settings.folder / "really empty").exists()
    assert not (settings.folder / KEY).exists()
    assert clear_cache(settings) == 0


def test_nothing_to_clear_where_there_is_no_folder(settings: CacheSettings) -> None:
    assert (cache_size(settings), clear_cache(settings)) == (0, 0)
    assert StateCache(settings, KEY).missing(rows_of(range(2))[0]) == [0, 1]
    assert not settings.folder.exists()


WRITER = """
import sys
from pathlib import Path
from tests.models.test_cache import KEY, fill
from equipoise.models.cache import CacheSettings, StateCache
folder, first = Path(sys.argv[1]), int(sys.argv[2])
cache = StateCache(CacheSettings(folder, 30_000), KEY)
for start in range(first, first + 400, 20):
    fill(cache, range(start, start + 30))  # overlapping its own last rows
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """Both write segments of the same key, sharing rows, under a limit that makes them drop."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(first)])
        for first in (0, 200)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    cache = StateCache(CacheSettings(tmp_path, 30_000), KEY)
    keys, states = rows_of(range(610))
    held = [i for i in range(610) if i not in set(cache.missing(keys))]
    assert len(held) >= 30
    read = cache.read([keys[i] for i in held])
    for place, i in enumerate(held):
        assert (read.row(place) == states[i]).all()
    assert not list((tmp_path / KEY).glob("*.part"))


@pytest.mark.parametrize("given", ["eight", "-1", "inf", "nan", ""])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE_GB", given)
    with pytest.raises(SettingsError, match="give gigabytes, such as 8, or 0 for no cache"):
        cache_settings()


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE_GB", "0.5")
    assert cache_settings() == CacheSettings(tmp_path, 500_000_000)
    monkeypatch.delenv("EQUIPOISE_CACHE")
    monkeypatch.delenv("EQUIPOISE_CACHE_GB")
    assert cache_settings() == CacheSettings(Path.home() / ".cache" / "equipoise", 8_000_000_000)


def test_old_rows_of_the_same_model_make_room_too(tmp_path: Path) -> None:
    """Six calls on rows of their own: the folder keeps its limit, and the newest rows."""
    settings = CacheSettings(tmp_path / "cache", 6_000)
    for call in range(6):
        cache = StateCache(settings, KEY)
        keys, _ = rows_of(range(call * 40, call * 40 + 40))
        assert cache.missing(keys) == list(range(40))
        fill(cache, range(call * 40, call * 40 + 40))
        assert len(cache.read(keys).lengths) == 40
        assert cache_size(settings) <= 6_000
    assert StateCache(settings, KEY).missing(keys) == []


def test_a_segment_whose_vectors_are_damaged_is_computed_again(settings: CacheSettings) -> None:
    keys = fill(StateCache(settings, KEY), range(60))
    (index,) = (settings.folder / KEY).glob("*.npz")
    raw = bytearray(index.read_bytes())
    at = raw.index(b"vectors.npy") + 400
    raw[at : at + 8] = bytes(8 * [255])
    index.write_bytes(bytes(raw))
    cache = StateCache(settings, KEY)
    if not cache.missing(keys):  # its keys are whole
        with pytest.raises(FileNotFoundError):
            cache.read(keys)
    assert len(StateCache(settings, KEY).missing(keys)) == 60
