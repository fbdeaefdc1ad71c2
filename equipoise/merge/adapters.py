"""LoRA adapters as what they do to the base: dense products, never their factors apart.

The mean of two B and of two A is no mean of the products B A, and a value drawn from one factor
belongs to no model. So a sub-model that is an adapter is read as the base's weights with its
product added, or as the product alone; the merge folds into the base, or is factored again to a
stated rank.

    LoRA     W + s B A, s = alpha / r           Hu et al. 2022, arXiv:2106.09685
    rsLoRA   the same, s = alpha / sqrt(r)      Kalajdzievski 2023, arXiv:2312.03732
    DoRA     m (W + s B A) / |W + s B A| by rows, m learned     Liu et al. 2024, arXiv:2402.09353

Modules that the adapter keeps whole (a head) are merged as any other tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import ModelError
from equipoise.merge.methods.method import wide
from equipoise.merge.sources import FolderSource, Source, configuration, name_in
from equipoise.merge.weights_files import TensorInfo
from equipoise.records.files import text_sha256

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_FACTOR = re.compile(r"^(?P<module>.+)\.lora_(?P<part>A|B|magnitude_vector)(\.weight)?$")


def is_lora(path: Path) -> bool:
    """Whether a folder holds a LoRA adapter as PEFT saves it, or one of its kin."""
    return (path / CONFIG).exists() and configuration(path).get("peft_type") == "LORA"


@dataclass(frozen=True)
class _Module:
    """Of one layer that the adapter changes, the names of its parts in the adapter's file."""

    low: str
    """A, (r, inputs)."""
    high: str
    """B, (outputs, r)."""
    magnitude: str | None
    """m, (outputs,), of DoRA."""
    scale: float


class LoraSource:
    """A base with an adapter on it: tensors named and shaped as the base's.

    products_only   Read of each changed weight what the adapter adds, as float32, and of the base
                    nothing else.
    """

    def __init__(self, path: Path, base: Source, *, products_only: bool = False) -> None:
        """Raises ModelError with all that speaks against its being a LoRA adapter of this base."""
        self.name, self.path, self.base = str(path), path, base
        self.products_only = products_only
        self.config = configuration(path)
        self._adapter = FolderSource(path)
        try:
            self.modules, self.kept = self._parts()
        except ModelError:
            self.close()
            raise
        self.infos = self._infos()
        self._known_lengths: dict[str, NDArray[Any]] = {}

    def _parts(self) -> tuple[dict[str, _Module], dict[str, str]]:
        """Changed weights, and modules kept whole, by the names that the base has for them."""
        found: dict[str, dict[str, str]] = {}
        kept, faults = {}, []
        for name in self._adapter.infos:
            bare = name.removeprefix(_PREFIX)
            factor = _FACTOR.match(bare)
            if factor is not None:
                found.setdefault(factor["module"], {})[factor["part"]] = name
            elif "lora_" in bare:
                faults.append(
                    f"{self.path}: {bare}: what LoRA adds to embeddings is not merged; fold the "
                    "adapter into its base by PEFT first"
                )
            else:
                kept[name_in(self.base, bare) or bare] = name
        modules = {}
        for module, parts in found.items():
            weight = name_in(self.base, f"{module}.weight")
            if weight is None or not {"A", "B"} <= parts.keys():
                faults.append(f"{self.path}: {module}: {self.base.name} has no such layer")
                continue
            own = _Module(
                parts["A"], parts["B"], parts.get("magnitude_vector"), self._scale(module)
            )
            modules[weight] = own
            shape = self._shape(own)
            if shape != self.base.infos[weight].shape:
                faults.append(
                    f"{self.path}: {module}: changes a weight of {list(shape)}, and that of "
                    f"{self.base.name} is {list(self.base.infos[weight].shape)}"
                )
        if not found:
            faults.append(f"{self.path}: holds no factors of LoRA")
        if faults:
            raise ModelError(*faults)
        return modules, kept

    def _scale(self, module: str) -> float:
        rank = _by_pattern(self.config.get("rank_pattern"), module, self.config["r"])
        alpha = _by_pattern(self.config.get("alpha_pattern"), module, self.config["lora_alpha"])
        return float(alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank))

    @property
    def transposed(self) -> bool:
        """Whether the base keeps weights as (inputs, outputs), as GPT-2 does."""
        return bool(self.config.get("fan_in_fan_out"))

    def _shape(self, module: _Module) -> tuple[int, ...]:
        outputs = self._adapter.infos[module.high].shape[0]
        inputs = self._adapter.infos[module.low].shape[1]
        return (inputs, outputs) if self.transposed else (outputs, inputs)

    def _infos(self) -> dict[str, TensorInfo]:
        kept = {name: self._adapter.infos[own] for name, own in self.kept.items()}
        if self.products_only:
            changed = {
                n: TensorInfo(torch.float32, self._shape(m)) for n, m in self.modules.items()
            }
            return changed | kept
        return {**self.base.infos, **kept}

    def read(self, name: str, start: int, stop: int) -> Tensor:
        if name in self.kept:
            return self._adapter.read(self.kept[name], start, stop)
        if name not in self.modules:
            return self.base.read(name, start, stop)
        width = self.base.infos[name].shape[1]
        first, last = start // width, -(-stop // width)
        weight, tuned = self._rows(self.modules[name], name, first, last)
        found = (tuned - weight if self.products_only else tuned).reshape(-1)
        kind = torch.float32 if self.products_only else self.base.infos[name].dtype
        return torch.from_numpy(found[start - first * width : stop - first * width]).to(kind)

    def _rows(
        self, module: _Module, name: str, first: int, last: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows first .. last - 1 of a changed weight, of the base and with the adapter; of products
        alone 0 and the product. Sums go rank by rank, each step rounded by itself, so that a value
        is the same in whatever stretch it is asked for."""
        width = self.base.infos[name].shape[1]
        low, high = (self._factor(one) for one in (module.low, module.high))
        # (rows, r) and (r, width)
        rows, columns = (low.T[first:last], high.T) if self.transposed else (high[first:last], low)
        product = np.zeros((last - first, width), dtype=np.float32)
        for k in range(len(low)):
            product += rows[:, k : k + 1] * columns[k]
        product *= np.float32(module.scale)
        if self.products_only and module.magnitude is None:
            return np.zeros_like(product), product
        held = self.base.read(name, first * width, last * width)
        weight = held.to(torch.float32).numpy().reshape(last - first, width)
        tuned = weight + product
        if module.magnitude is None:
            return weight, tuned
        info = self._adapter.infos[module.magnitude]
        magnitude = wide(self._adapter.read(module.magnitude, 0, info.values))
        if self.transposed:
            return weight, tuned * (magnitude / self._lengths(name))
        length = np.sqrt((tuned * tuned).sum(axis=1))
        return weight, tuned * (magnitude[first:last] / length)[:, None]

    def _lengths(self, name: str) -> NDArray[Any]:
        """(outputs,) of the columns of a transposed weight with its product: of the whole of it."""
        if name not in self._known_lengths:
            plain = replace(self.modules[name], magnitude=None)
            rows, width = self.base.infos[name].shape
            squares = np.zeros(width, dtype=np.float32)
            for row in range(rows):
                squares += self._rows(plain, name, row, row + 1)[1][0] ** 2
            self._known_lengths[name] = np.sqrt(squares)
        return self._known_lengths[name]

    def _factor(self, name: str) -> NDArray[Any]:
        info = self._adapter.infos[name]
        held = self._adapter.read(name, 0, info.values)
        return held.to(torch.float32).numpy().reshape(info.shape)

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        if self.products_only:
            return [(WEIGHTS, list(self.infos))]
        *others, (file, names) = self.base.shards()
        new = [name for name in self.infos if name not in self.base.infos]
        return [*others, (file, [*names, *new])]

    def tied(self) -> Mapping[str, str]:
        return {} if self.products_only else self.base.tied()

    def fingerprint(self) -> str:
        return text_sha256(self._adapter.fingerprint(), self.base.fingerprint())

    def close(self) -> None:
        self._adapter.close()


class Nothing:
    """The base of products: zeros."""

    def __init__(self, infos: Mapping[str, TensorInfo], name: str) -> None:
        self.infos, self.name = infos, name

    def read(self, name: str, start: int, stop: int) -> Tensor:
        return torch.zeros(stop - start, dtype=self.infos[name].dtype)

    def shards(self) -> Sequence[tuple[str, Sequence[str]]]:
        return [(WEIGHTS, list(self.infos))]

    def tied(self) -> Mapping[str, str]:
        return {}

    def fingerprint(self) -> str:
        return text_sha256(self.name)

    def close(self) -> None:
        """Nothing is open."""


def _by_pattern(patterns: Mapping[str, Any] | None, module: str, usual: float) -> float:
    """PEFT's rule: a pattern fits the end of a module's name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(value)
    return float(usual)
