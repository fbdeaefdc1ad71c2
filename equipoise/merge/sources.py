"""Where sub-models come from: state dicts, modules, files and folders, read alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from equipoise.errors import FolderError, ModelError
from equipoise.merge.weights_files import TensorInfo, WeightsFile, in_shards
from equipoise.records.files import text_sha256

_EMBEDDINGS = ("embed", "lm_head", "wte", "shared", "decoder.weight")


class Source(Protocol):
    """A model's tensors, of which stretches can be read by several threads."""

    name: str
    """In messages."""

    @property
    def infos(self) -> Mapping[str, TensorInfo]: ...
    def read(self, name: str, start: int, stop: int) -> Tensor:
        """Values start .. stop - 1 of the flattened tensor, on the CPU; whoever reads may not
        change them."""
        ...

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Names of its files, and of the tensors that each holds, in order."""
        ...

    def tied(self) -> Mapping[str, str]:
        """{name: the first name} of tensors that have several."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 of what tells it from others: of values in memory themselves, of files their
        names, lengths and times of change."""
        ...

    def close(self) -> None: ...


class StateSource:
    """A state dict, or a module's. Of tensors that are one and the same in memory (tied weights)
    each name is kept."""

    def __init__(self, state: Mapping[str, Tensor] | nn.Module, name: str) -> None:
        self.name = name
        held = state.state_dict() if isinstance(state, nn.Module) else state
        self._tensors = {key: value.detach() for key, value in held.items()}
        self.infos = {
            key: TensorInfo(value.dtype, tuple(value.shape)) for key, value in self._tensors.items()
        }

    def read(self, name: str, start: int, stop: int) -> Tensor:
        return self._tensors[name].reshape(-1)[start:stop].cpu()

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        return [("model.safetensors", list(self.infos))]

    def tied(self) -> Mapping[str, str]:
        """Those that lie in one place of the memory."""
        first: dict[tuple[int, TensorInfo], str] = {}
        found = {}
        for name, tensor in self._tensors.items():
            if tensor.numel():
                place = (tensor.data_ptr(), self.infos[name])
                if first.setdefault(place, name) != name:
                    found[name] = first[place]
        return found

    def fingerprint(self) -> str:
        found = hashlib.sha256()
        for name, tensor in self._tensors.items():
            found.update(f"{name}\x1f{self.infos[name]}\x1f".encode())
            held = tensor.cpu().contiguous().reshape(-1)
            found.update(held.view(torch.uint8).numpy().data)
        return found.hexdigest()

    def close(self) -> None:
        """Nothing is open."""


class FolderSource:
    """A folder as save_pretrained writes it, or one safetensors file."""

    def __init__(self, path: Path) -> None:
        """Raises FolderError if it is none."""
        self.name = str(path)
        self.path = path
        self._files: list[WeightsFile] = []
        self._of: dict[str, WeightsFile] = {}
        try:
            for file in in_shards(path):
                self._files.append(WeightsFile(file))
                self._hold(self._files[-1])
        except FolderError:
            self.close()
            raise
        self.infos = {name: file.infos[name] for name, file in self._of.items()}

    def _hold(self, file: WeightsFile) -> None:
        for name in file.infos:
            if name in self._of:
                raise FolderError(
                    f"{self.path}: tensor {name} is in {self._of[name].path.name} and in "
                    f"{file.path.name}"
                )
            self._of[name] = file

    def close(self) -> None:
        for file in self._files:
            file.close()

    def read(self, name: str, start: int, stop: int) -> Tensor:
        return self._of[name].read(name, start, stop)

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        return [(file.path.name, list(file.infos)) for file in self._files]

    def tied(self) -> Mapping[str, str]:
        """Where the configuration says that embeddings are tied, and both are written all the same:
        matrices of one shape with the same values."""
        if not configuration(self.path).get("tie_word_embeddings"):
            return {}
        alike: dict[TensorInfo, list[str]] = {}
        for name, info in self.infos.items():
            if len(info.shape) == 2 and any(word in name for word in _EMBEDDINGS):
                alike.setdefault(info, []).append(name)
        return {
            name: names[0]
            for info, names in alike.items()
            for name in names[1:]
            if self._same(names[0], name, info.values)
        }

    def fingerprint(self) -> str:
        stats = [(file.path, file.path.stat()) for file in self._files]
        return text_sha256(
            *(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
        )

    def _same(self, one: str, other: str, values: int, stretch: int = 1 << 20) -> bool:
        return all(
            torch.equal(*(self.read(n, k, min(k + stretch, values)) for n in (one, other)))
            for k in range(0, values, stretch)
        )


class Aligned:
    """A source by the names that another model has for its tensors; those without are left out."""

    def __init__(self, source: Source, like: Mapping[str, TensorInfo]) -> None:
        self.name, self._source = source.name, source
        found = {name: name_in(source, name) for name in like}
        self._own = {name: own for name, own in found.items() if own is not None}
        self.infos = {name: source.infos[own] for name, own in self._own.items()}

    def read(self, name: str, start: int, stop: int) -> Tensor:
        return self._source.read(self._own[name], start, stop)

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        return [("model.safetensors", list(self.infos))]

    def tied(self) -> Mapping[str, str]:
        return {}

    def fingerprint(self) -> str:
        return self._source.fingerprint()

    def close(self) -> None:
        self._source.close()


def name_in(source: Source, name: str) -> str | None:
    """The source's own name for a tensor of another model of its kind, if it has one: a model with
    a head puts a word before the names of its body, and the other way round.

    >>> base = StateSource({"encoder.layer.0.weight": torch.zeros(1)}, "base")
    >>> name_in(base, "bert.encoder.layer.0.weight")
    'encoder.layer.0.weight'
    >>> name_in(base, "classifier.weight") is None
    True
    """
    if name in source.infos:
        return name
    ends = [n for n in source.infos if n.endswith(f".{name}") or name.endswith(f".{n}")]
    return ends[0] if len(ends) == 1 else None


def configuration(path: Path) -> dict[str, Any]:
    """config.json or adapter_config.json of a folder, or beside a file; empty where there is none.

    Raises ModelError if it is no JSON object.
    """
    folder = path if path.is_dir() else path.parent
    for name in ("config.json", "adapter_config.json"):
        if (folder / name).exists():
            try:
                found = json.loads((folder / name).read_text(encoding="utf-8"))
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise ModelError(f"{folder / name}: is no JSON object")
            return found
    return {}


Model = Mapping[str, Tensor] | nn.Module | str | Path
"""What a user gives: a state dict, a module, a folder or file, or the name of one on the hub."""


def source_of(model: Model, name: str) -> Source:
    """name   What to call a model that has no path, in messages."""
    if not isinstance(model, str | Path):
        return StateSource(model, name)
    path = Path(model)
    if path.exists():
        return FolderSource(path)
    return FolderSource(_from_hub(str(model)))


def _from_hub(name: str) -> Path:
    """Raises ModelError if the hub has no such model, or can't be reached."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.safetensors", "*.json"]))
    except Exception as error:
        # What the hub's client raises has many kinds, of which no list lasts.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{name}: no such folder here, and the hub gave none ({first}); check the name"
        ) from None
