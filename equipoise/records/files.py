"""Writing records so that a half-written one can't be mistaken for a whole one.

Every file is written under a temporary name in its own folder, flushed to the disk and renamed.
Every JSON record carries `"schema": N`, and is refused when N is not one that this code reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equipoise.errors import FolderError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it if the block ends well, removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private; a record is as readable as its folder's other files.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write `record` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(
        path,
        json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    )


def read_json(path: Path, *, schema: int, older: tuple[int, ...] = ()) -> dict[str, Any]:
    """Read a JSON record. `older`: schemas that the caller reads as well as its own.

    Raises FolderError if it is missing, broken or of another schema.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FolderError(f"{path}: no such file; is {path.parent} a finished folder?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FolderError(f"{path}: not a JSON record ({error}); make the folder again") from None
    if not isinstance(record, dict) or record.get("schema") not in (schema, *older):
        found = record.get("schema") if isinstance(record, dict) else None
        raise FolderError(
            f"{path}: schema is {found!r}, this version of equipoise reads {schema}; "
            "use the version that wrote it, or make the folder again"
        )
    return record


def file_sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def text_sha256(*parts: str) -> str:
    """Hash of the parts; a separator between them keeps ("ab", "c") from ("a", "bc")."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def write_with(path: Path, write: Callable[[Path], None]) -> None:
    """Let a library's own writer write to the temporary name."""
    with replacing(path) as temporary:
        write(temporary)
