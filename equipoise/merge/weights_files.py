"""safetensors files, read and written a stretch at a time.

The library maps files into memory, where a process's peak counts what it has touched. Here
stretches are read from their place in the file, and written to it. The format: 8 bytes with the
length of the header, little-endian; the header, JSON with type, shape and offsets of each tensor;
the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from equipoise.errors import FolderError

TYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {kind: name for name, kind in TYPES.items()}
_LONGEST_HEADER = 100_000_000
"""Bytes; the library refuses longer ones too."""


@dataclass(frozen=True)
class TensorInfo:
    """What a tensor is, without its values."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {list(self.shape)}"


class WeightsFile:
    """One file, open for reading until it is closed."""

    def __init__(self, path: Path) -> None:
        """Raises FolderError if it is no whole safetensors file."""
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise FolderError(f"{path}: can't be read ({error.strerror})") from None
        self.infos: dict[str, TensorInfo] = {}
        self.offsets: dict[str, int] = {}
        try:
            header, begins = self._header()
            self.metadata: dict[str, str] = header.pop("__metadata__", {})
            for name, said in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                self.infos[name] = self._info(name, said)
                self.offsets[name] = begins + said["data_offsets"][0]
        except FolderError:
            self.close()
            raise

    def _header(self) -> tuple[dict[str, Any], int]:
        size = os.fstat(self._file.fileno()).st_size
        length = int.from_bytes(self._file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise FolderError(f"{self.path}: is no whole safetensors file; copy it again")
        try:
            header = json.loads(self._file.read(length))
            ends = [e["data_offsets"][1] for n, e in header.items() if n != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise FolderError(f"{self.path}: its safetensors header can't be read") from None
        if max(ends, default=0) != size - 8 - length:
            raise FolderError(
                f"{self.path}: holds {size} bytes and its header speaks of "
                f"{max(ends, default=0) + 8 + length}; it was cut short: copy it again"
            )
        return header, 8 + length

    def _info(self, name: str, said: Mapping[str, Any]) -> TensorInfo:
        kind = TYPES.get(said.get("dtype", ""))
        if kind is None:
            raise FolderError(f"{self.path}: tensor {name} is of type {said.get('dtype')!r}")
        info = TensorInfo(kind, tuple(said["shape"]))
        start, stop = said["data_offsets"]
        if stop - start != info.bytes:
            raise FolderError(f"{self.path}: tensor {name} has other bytes than its shape needs")
        return info

    def read(self, name: str, start: int, stop: int) -> Tensor:
        """Values start .. stop - 1 of the flattened tensor."""
        info = self.infos[name]
        each = info.dtype.itemsize
        held = torch.empty((stop - start) * each, dtype=torch.uint8)
        if stop > start:
            place = self.offsets[name] + start * each
            view = held.numpy().data
            while len(view):
                got = os.preadv(self._file.fileno(), [view], place)
                if not got:
                    raise FolderError(f"{self.path}: became shorter while it was read")
                view, place = view[got:], place + got
        return held.view(info.dtype)

    def close(self) -> None:
        self._file.close()


def header_of(infos: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> bytes:
    """The header of a file with these tensors in this order, its length before it; padded so that
    the tensors begin at a multiple of 8 bytes, as the library pads."""
    said: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    place = 0
    for name, info in infos.items():
        said[name] = {
            "dtype": NAMES[info.dtype],
            "shape": list(info.shape),
            "data_offsets": [place, place + info.bytes],
        }
        place += info.bytes
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def in_shards(folder: Path) -> list[Path]:
    """The weight files of a folder as save_pretrained writes them, in their order.

    Raises FolderError if there are none, or several and no index that says which.
    """
    if folder.is_file():
        return [folder]
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if len(indexes) == 1:
        try:
            names = json.loads(indexes[0].read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / name for name in sorted(set(names))]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FolderError(f"{indexes[0]}: is no index of weights") from None
    files = sorted(folder.glob("*.safetensors"))
    usual = [
        path for path in files if path.name in ("model.safetensors", "adapter_model.safetensors")
    ]
    if len(usual) == 1:
        return usual
    if len(files) == 1:
        return files
    raise FolderError(
        f"{folder}: holds {_some(files) or 'no .safetensors file'}"
        f"{' and no index, so it is not clear which to take' if files else ''}; give the folder "
        "that save_pretrained wrote, or one file"
    )


def _some(files: Sequence[Path]) -> str:
    return ", ".join(path.name for path in files[:4]) + (", ..." if len(files) > 4 else "")
