"""Folders that results are written into: new, empty, or with an earlier result of the same command.

Anything else in there is somebody's own, and might be called as our files are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipoise.errors import FolderError
from equipoise.records.audit import AUDIT
from equipoise.records.order import ORDER
from equipoise.records.run import MANIFEST

SCORES = "scores.json"
_Marks = Mapping[str, tuple[str, Any]]
"""A file that is written last, to a key and value that only our record of that name holds; None
for any value."""


def check_audit_folder(folder: Path) -> None:
    """Raises FolderError unless an audit may be written there."""
    _check(folder, "an audit", "report", {AUDIT: ("findings", None), ORDER: ("kind", "order")})


def check_scores_folder(folder: Path) -> None:
    """Raises FolderError unless scores of `evaluate` may be written there."""
    _check(folder, "scores of equipoise evaluate", "own scores", {SCORES: ("split", "given")})


def _check(folder: Path, what: str, lost: str, marks: _Marks) -> None:
    """lost  What of a run would be overwritten."""
    where = f"--out {folder}"
    try:
        if folder.exists() and not folder.is_dir():
            raise FolderError(f"{where}: is a file; give the name of a folder")
        holds = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise FolderError(f"{where}: can't be read ({error.strerror}); give another") from None
    if MANIFEST in holds:
        raise FolderError(f"{where}: holds a run, whose {lost} would be lost; give another folder")
    if holds and not any(_is_ours(folder / name, *mark) for name, mark in marks.items()):
        raise FolderError(
            f"{where}: holds files that are not {what} ({', '.join(holds[:3])}"
            f"{', ...' if len(holds) > 3 else ''}); give another folder"
        )
    faults = place_faults(folder, folder)
    if faults:
        raise FolderError(*faults)


def _is_ours(path: Path, key: str, value: Any) -> bool:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    ours = isinstance(record, dict) and "schema" in record and key in record
    return ours and (value is None or record[key] == value)


def place_faults(out: Path, folder: Path) -> list[str]:
    """Why nothing can be written into `folder`, which need not be there yet."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        return [f"--out {out}: {nearest} is a file; give another name"]
    if not os.access(nearest, os.W_OK | os.X_OK):
        return [f"--out {out}: can't be written ({nearest} is read-only); give another name"]
    return []
