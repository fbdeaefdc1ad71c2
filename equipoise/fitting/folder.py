"""Opening a run folder: new, to be resumed, finished already, or not ours to touch."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from equipoise.errors import FolderError
from equipoise.models.processes import process_number
from equipoise.records.files import file_sha256, read_json, write_json
from equipoise.records.run import MANIFEST

STARTED = "started.json"
"""Written first: which run the folder holds. With it and without run.json a run is unfinished."""
HISTORY = "history.jsonl"
CHECKPOINTS = "checkpoints"
REPLACED = ".replaced"
"""A finished run that `--force` replaces lies here until the new one is there."""


@dataclass(frozen=True)
class Opened:
    folder: Path
    state: Literal["new", "replace", "resumed", "finished"]
    id: str
    made: tuple[Path, ...] = ()
    """Folders that `begin` makes, the outermost first."""

    @property
    def checkpoints(self) -> Path:
        """What a killed run needs to go on; removed at the end."""
        return self.folder / CHECKPOINTS


def open_run(folder: Path, run_id: str, *, force: bool = False) -> Opened:
    """Look at what the folder holds; nothing is written or removed yet.

    Raises FolderError if it holds another run (unless `force`) or other files, or if there can't
    be a folder of that name.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise FolderError(f"{folder}: is a file; give the name of a folder with --out")
        holds = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise FolderError(
            f"{folder}: can't be read ({error.strerror}); give another folder with --out"
        ) from None
    found = _started_by(folder)
    if found == run_id and not force:
        finished = (folder / MANIFEST).exists()
        return Opened(folder, "finished" if finished else "resumed", run_id)
    if holds and found is None:
        raise FolderError(
            f"{folder}: holds files that are not a run ({', '.join(holds[:3])}"
            f"{', ...' if len(holds) > 3 else ''}); give another folder with --out"
        )
    if found is not None and not force:
        raise FolderError(
            f"{folder}: holds another run (other rows, recipe or seed); "
            "give another folder with --out, or --force to replace it"
        )
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    _check_writable(folder, absent)
    return Opened(folder, "new" if found is None else "replace", run_id, tuple(reversed(absent)))


def _started_by(folder: Path) -> str | None:
    """Id of the run that the folder holds."""
    started = folder / STARTED
    found: str | None = read_json(started, schema=1).get("id") if started.exists() else None
    return found


def begin(opened: Opened) -> None:
    """Make the folder of a new run, or put what is to be replaced aside, and say whose it is. Of a
    distributed run the first process alone may call this."""
    folder = opened.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if opened.state == "replace":
            _put_aside(folder)
        write_json(folder / STARTED, {"schema": 1, "id": opened.id})
    except OSError as error:
        raise FolderError(
            f"{folder}: can't be written ({error.strerror}); give another folder with --out"
        ) from None


def _put_aside(folder: Path) -> None:
    """Into the folder's own REPLACED: the folder may be a mount, or its parent not ours."""
    aside = folder / REPLACED
    if (aside / MANIFEST).exists():  # a run that was to replace it has been killed
        _clear(folder)
        return
    shutil.rmtree(aside, ignore_errors=True)
    holds = [*folder.iterdir()]
    aside.mkdir()
    # STARTED stays until the new one takes its place: the folder never looks like a stranger's.
    shutil.copy2(folder / STARTED, aside / STARTED)
    for path in holds:
        if path.name != STARTED:
            path.rename(aside / path.name)


def _clear(folder: Path) -> None:
    """Remove everything but STARTED and REPLACED."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name != REPLACED:
            shutil.rmtree(path)
        elif path.name not in (STARTED, REPLACED):
            path.unlink()


def settle(opened: Opened) -> None:
    """The run is there: drop what was needed to go on with it, and the one that it replaces."""
    for leftover in (CHECKPOINTS, REPLACED):
        shutil.rmtree(opened.folder / leftover, ignore_errors=True)


@contextmanager
def counted(opened: Opened, seconds: dict[str, float], started: float) -> Iterator[float]:
    """Put what sessions before this one took into `seconds`, and give the time by
    time.perf_counter() at which all would have begun in one go; where this session is interrupted,
    keep what all of them took.

    started   When this session began, by the same clock.
    """
    earlier = _spent(opened.folder)
    if earlier:
        seconds["sessions before"] = earlier
    try:
        yield started - earlier
    except SystemExit:  # a further process of a distributed run, whose first goes on
        raise
    except BaseException:
        # Without it nothing is left to go on with, and after `abandon` it may be another's.
        if process_number() == 0 and _started_by(opened.folder) == opened.id:
            spent = round(earlier + time.perf_counter() - started, 3)
            write_json(opened.folder / STARTED, {"schema": 1, "id": opened.id, "seconds": spent})
        raise


def _spent(folder: Path) -> float:
    """A killed session could keep nothing: then its last line in the history counts."""
    lines = [line.get("seconds", 0.0) for line in History(folder / HISTORY).lines()]
    return float(max([read_json(folder / STARTED, schema=1).get("seconds", 0.0), *lines]))


def abandon(opened: Opened) -> None:
    """After a mistake stopped a run: what it was to replace is put back. A new one leaves no trace
    if it had not begun to train, so that the mended command finds the folder as it was; what was
    trained is kept."""
    folder = opened.folder
    if opened.state == "replace":
        _clear(folder)
        for path in (folder / REPLACED).iterdir():
            os.replace(path, folder / path.name)
        (folder / REPLACED).rmdir()
    if opened.state != "new" or (folder / HISTORY).exists():
        return
    shutil.rmtree(opened.checkpoints, ignore_errors=True)
    (folder / STARTED).unlink(missing_ok=True)
    for made in reversed(opened.made):
        try:
            made.rmdir()
        except OSError:
            return  # others have put something there


def _check_writable(folder: Path, absent: list[Path]) -> None:
    nearest = absent[-1].parent if absent else folder
    if not nearest.is_dir():
        raise FolderError(f"{folder}: {nearest} is a file; give another folder with --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise FolderError(
            f"{folder}: can't be written ({nearest} is read-only); give another folder with --out"
        )


class History:
    """history.jsonl: one line per logged step and evaluation, appended as they happen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Those that were written whole."""
        if not self.path.exists():
            return
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                continue

    def settle(self) -> None:
        """After a resumed run: keep, for every step and kind, the line written last, in order of
        steps; a line cut off by a kill is dropped."""
        if not self.path.exists():
            return
        last: dict[tuple[float, bool], dict[str, Any]] = {}
        for line in self.lines():
            last[(line.get("step", -1), "measures" in line)] = line
        partial = self.path.with_name(f".{self.path.name}.part")
        ordered = [last[key] for key in sorted(last)]
        partial.write_text("".join(json.dumps(line) + "\n" for line in ordered), encoding="utf-8")
        os.replace(partial, self.path)


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the run, by path; what is only needed while running is left out."""
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in (MANIFEST, STARTED, "report.html")
        and not {CHECKPOINTS, REPLACED} & {*path.relative_to(folder).parts}
    }
