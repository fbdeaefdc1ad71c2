"""Where merged tensors go: into memory, or into files that a killed merge goes on with.

While a merge goes on, its files lie in OUT/.merging under the names they will have:

OUT/.merging/plan.json      what is merged, by a hash: another merge does not go on with it
OUT/.merging/NAME           a weights file at its full length
OUT/.merging/done.jsonl     tensors whose values have reached the disk
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from equipoise.errors import FolderError
from equipoise.merge.weights_files import TensorInfo, header_of
from equipoise.records.files import read_json, write_json

WORK = ".merging"
PLAN_SCHEMA = 1
FLUSH_SECONDS = 10.0
"""How long a merge may go on before what it has written is flushed and noted. Shorter ones never
wait for the disk before their end, and begin anew when they are killed."""

Counted = dict[str, Any]
"""What is known of a merged tensor; see `walk.merge_tensors`."""


class Sink(Protocol):
    """Takes merged stretches, in any order and from several threads."""

    done: Mapping[str, Counted]
    """Tensors that an earlier attempt has finished."""

    def write(self, name: str, start: int, values: Tensor) -> None: ...
    def finished(self, name: str, counted: Counted) -> None:
        """All values of a tensor are written. One thread at a time."""
        ...


class StateSink:
    """A state dict."""

    def __init__(self, infos: Mapping[str, TensorInfo]) -> None:
        self.done: Mapping[str, Counted] = {}
        self.tensors = {
            name: torch.empty(info.shape, dtype=info.dtype) for name, info in infos.items()
        }

    def write(self, name: str, start: int, values: Tensor) -> None:
        self.tensors[name].view(-1)[start : start + values.numel()] = values

    def finished(self, name: str, counted: Counted) -> None:
        """Nothing more to do."""


class FolderSink:
    """Weights files in a folder, sharded as asked for."""

    def __init__(
        self,
        out: Path,
        infos: Mapping[str, TensorInfo],
        shards: Sequence[tuple[str, Sequence[str]]],
        identity: str,
    ) -> None:
        """identity   A hash of what is merged and how.

        Raises FolderError if the disk has no room for it, or another merge is begun there.
        """
        self.out, self.work = out, out / WORK
        self.infos, self.shards = infos, shards
        self.identity = identity
        self._places: dict[str, tuple[int, int]] = {}
        """{tensor: (file descriptor, offset)}"""
        self._handles: list[int] = []
        self._waiting: list[tuple[str, Counted]] = []
        self.resumed = self._is_begun()
        self.done: Mapping[str, Counted] = self._noted() if self.resumed else {}
        self.settling = any((out / file).exists() for file, _ in shards)
        """Whether it was killed when all was written, and files were given their names."""
        if not self.settling:
            self._open()
        self._flushed = time.monotonic()

    def _is_begun(self) -> bool:
        if not (self.work / "plan.json").exists():
            shutil.rmtree(self.work, ignore_errors=True)  # killed before it began
            return False
        begun = read_json(self.work / "plan.json", schema=PLAN_SCHEMA)
        if begun["identity"] != self.identity:
            raise FolderError(
                f"{self.out}: holds another merge that was begun and not finished; give another "
                f"folder, or remove {self.work}"
            )
        return True

    def _noted(self) -> dict[str, Counted]:
        path = self.work / "done.jsonl"
        found = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                said = json.loads(line)
                found[said["tensor"]] = said["counted"]
            except (ValueError, KeyError):
                break  # cut short when it was killed
        return found

    def _open(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        headers = {
            file: header_of({n: self.infos[n] for n in names}, {"format": "pt"})
            for file, names in self.shards
        }
        needed = sum(info.bytes for info in self.infos.values()) + sum(map(len, headers.values()))
        if not self.resumed:
            self._check_room(needed)
        for file, names in self.shards:
            handle = os.open(self.work / file, os.O_RDWR | os.O_CREAT, 0o666)
            self._handles.append(handle)
            place = len(headers[file])
            for name in names:
                self._places[name] = (handle, place)
                place += self.infos[name].bytes
            with self.disk_errors():
                os.pwrite(handle, headers[file], 0)
                if hasattr(os, "posix_fallocate") and place:
                    os.posix_fallocate(handle, 0, place)
                os.ftruncate(handle, place)
        if not self.resumed:
            write_json(self.work / "plan.json", {"schema": PLAN_SCHEMA, "identity": self.identity})

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.work).free
        if needed > free:
            raise FolderError(
                f"{self.out}: the merged weights need {needed / 1e9:.1f} GB and the disk has "
                f"{free / 1e9:.1f} GB left; make room, or give a folder on another disk"
            )

    def write(self, name: str, start: int, values: Tensor) -> None:
        handle, place = self._places[name]
        view = values.contiguous().view(torch.uint8).numpy().data
        place += start * self.infos[name].dtype.itemsize
        with self.disk_errors():
            while len(view):
                put = os.pwrite(handle, view, place)
                view, place = view[put:], place + put

    def finished(self, name: str, counted: Counted) -> None:
        self._waiting.append((name, counted))
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._note()

    def _note(self) -> None:
        """Values first, then the word that they are there."""
        with self.disk_errors():
            for handle in self._handles:
                os.fsync(handle)
            with (self.work / "done.jsonl").open("a", encoding="utf-8") as notes:
                for name, counted in self._waiting:
                    notes.write(json.dumps({"tensor": name, "counted": counted}) + "\n")
                notes.flush()
                os.fsync(notes.fileno())
        self._waiting.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Let the files go, as they are."""
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()

    def settle(self) -> None:
        """All is written: flush it, and give the files their names."""
        if not self.settling:
            self._note()
        self.close()
        for file, _ in self.shards:
            if (self.work / file).exists():
                (self.work / file).replace(self.out / file)
        if len(self.shards) > 1:
            self._write_index()

    def forget(self) -> None:
        """The merge is whole, and there is nothing to go on with."""
        shutil.rmtree(self.work)

    def _write_index(self) -> None:
        """As save_pretrained writes it."""
        stem = self.shards[0][0].split("-00001-of-")[0].removesuffix(".safetensors")
        total = sum(info.bytes for info in self.infos.values())
        write_json(
            self.out / f"{stem}.safetensors.index.json",
            {
                "metadata": {"total_size": total},
                "weight_map": {name: file for file, names in self.shards for name in names},
            },
        )

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """A full disk is the user's to mend; what has been written waits for it."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise FolderError(
                f"{self.out}: can't be written ({error.strerror}); make room and give the same "
                "command again, which goes on"
            ) from None
