"""One mistake that a user can make, and what must come of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from equipoise.records.files import file_sha256

Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Place:
    """Where a case is tried."""

    folder: Path
    """Empty, and the case's own."""
    base: Path
    """A tiny base model."""
    rows: Path
    """A folder of good rows: train.csv and test.csv."""
    run: Path
    """A finished run on them, of seed 0."""


@dataclass(frozen=True)
class Case:
    name: str
    args: tuple[str, ...]
    """What follows `equipoise`; {folder}, {base}, {rows} and {run} stand for a place's paths."""
    words: tuple[str, ...]
    """All must occur in the error lines."""
    files: Files = field(default_factory=dict)
    """Written into the folder beforehand."""
    build: Callable[[Place], None] | None = None
    """What more has to be there beforehand."""
    source: Callable[[Path], str] | None = None
    """Makes rows in the folder; {source} stands for what it returns."""
    env: Mapping[str, str] = field(default_factory=dict)
    begins: bool = False
    """True if training begins before the mistake can be known; then a folder may be left, but
    none that looks like a finished run."""

    def prepare(self, place: Place) -> list[str]:
        """Write what the case needs; returns the arguments."""
        for name, content in self.files.items():
            path = place.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        if self.build is not None:
            self.build(place)
        places = {name: str(getattr(place, name)) for name in Place.__dataclass_fields__}
        if self.source is not None:
            places["source"] = self.source(place.folder)
        args = []
        for arg in self.args:
            for name, path in places.items():
                arg = arg.replace("{" + name + "}", path)
            args.append(arg)
        return args


def train(*options: str) -> tuple[str, ...]:
    """A command that would succeed without the options."""
    good = ("train", "{rows}", "--model", "{base}", "--epochs", "1", "--out", "{folder}/out")
    return (*good, *options)


def copied_run(place: Place) -> Path:
    """A copy of the finished run in the case's folder, to be broken."""
    return Path(shutil.copytree(place.run, place.folder / "run"))


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below the folder with what it holds."""
    return {
        str(path.relative_to(folder)): file_sha256(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def faults_of(case: Case, code: int, stdout: str, stderr: str, *, as_json: bool) -> list[str]:
    """What is wrong with how a command ended, one line each; nothing if it ended as it must."""
    faults = []
    lines = [line for line in stderr.splitlines() if line.strip()]
    # Bars are for people; where training begins they may stand before the error.
    others = [line for line in lines if not line.startswith("error: ")]
    if case.begins:
        others = [line for line in others if "━" not in line and "%|" not in line]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if code != 2:
        faults.append(f"exit code {code}, not 2")
    if not said:
        faults.append("no error line")
    faults += [f"not an error line: {line[:200]}" for line in others[:5]]
    faults += [f"{word!r} is in no error line" for word in case.words if word not in " ".join(said)]
    faults += [
        f"says nothing to act on: {line}" for line in said if not any(c in line for c in ";:(,")
    ]
    faults += [f"too long: {line[:100]}..." for line in said if len(line) > 900]
    if "Traceback" in stderr + stdout:
        faults.append("a traceback")
    if as_json:
        try:
            record = json.loads(stdout)
        except json.JSONDecodeError:
            faults.append(f"standard output is not one JSON object: {stdout[:200]!r}")
        else:
            if record != {"errors": said}:
                faults.append(f"JSON says {record}, the error lines {said}")
    elif stdout:
        faults.append(f"on standard output: {stdout[:200]!r}")
    return faults


def left_behind(case: Case, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What the command wrote, changed or removed in the case's folder, if it must not have."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if case.begins:
        changed = [path for path in changed if path.endswith(("run.json", ".part"))]
    return [f"left behind or changed: {path}" for path in changed]
