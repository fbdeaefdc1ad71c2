"""At the door: whether models can be merged value by value, and all that speaks against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from equipoise.errors import ModelError
from equipoise.merge.sources import FolderSource, Source, configuration

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_OF_NO_MATTER = ("_name_or_path", "transformers_version", "use_cache", "dtype", "torch_dtype")
"""Settings of a configuration that change nothing of what weights mean; types are compared tensor
by tensor."""


def check_alike(models: Sequence[Source], base: Source | None) -> None:
    """Raises ModelError with every difference between the models, and between them and the base."""
    first, faults = models[0], []
    for other in models[1:]:
        faults += differences(first, other)
        faults += configurations_apart(first, other)
    if base is not None:
        faults += differences_to_base(first, base)
    faults += unmergeable(first)
    for name in copied(first):
        values = [_whole(one, name) for one in models if name in one.infos]
        if any(not torch.equal(values[0], value) for value in values[1:]):
            faults.append(
                f"tensor {name} holds whole numbers, which are copied and not merged, and differs "
                "between the models"
            )
    if faults:
        raise ModelError(*faults)


def differences(one: Source, other: Source) -> list[str]:
    """Tensors that one lacks, and those of another type or shape."""
    faults = []
    for ours, theirs in ((one, other), (other, one)):
        lacking = [name for name in ours.infos if name not in theirs.infos]
        if lacking:
            faults.append(f"{theirs.name}: lacks {_named(lacking)}, which {ours.name} holds")
    return faults + _unlike(one, other)


def differences_to_base(one: Source, base: Source) -> list[str]:
    """Either may hold tensors of its own, such as a head, and the base may be of a narrower type,
    whose values the models' type holds."""
    if not set(one.infos) & set(base.infos):
        return [f"{base.name}: has no tensor of {one.name}'s, so it is no base of it"]
    return _unlike(one, base, widened=True)


def _unlike(one: Source, other: Source, *, widened: bool = False) -> list[str]:
    """A line for each tensor of another shape, and for each two types."""
    faults = []
    types: dict[tuple[torch.dtype, torch.dtype], list[str]] = {}
    for name, ours in one.infos.items():
        theirs = other.infos.get(name)
        if theirs is None:
            continue
        if ours.shape != theirs.shape:
            faults.append(
                f"tensor {name}: is {list(ours.shape)} in {one.name} and {list(theirs.shape)} in "
                f"{other.name}"
            )
        elif ours.dtype != theirs.dtype and not (
            widened and torch.promote_types(ours.dtype, theirs.dtype) == ours.dtype
        ):
            types.setdefault((ours.dtype, theirs.dtype), []).append(name)
    for (ours_, theirs_), names in types.items():
        whole = len(names) == len(one.infos)
        which = f"all {len(names)} tensors are" if whole else f"{_named(names)}:"
        faults.append(f"{which} {_type(ours_)} in {one.name} and {_type(theirs_)} in {other.name}")
    return faults


def _type(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def configurations_apart(one: Source, other: Source) -> list[str]:
    """Of folders: settings, label order and vocabulary that differ."""
    if not (isinstance(one, FolderSource) and isinstance(other, FolderSource)):
        return []
    faults = []
    ours, theirs = (configuration(source.path) for source in (one, other))
    for key in sorted(set(ours) | set(theirs)):
        if key not in _OF_NO_MATTER and ours.get(key) != theirs.get(key):
            faults.append(
                f"config.json: {key} is {_brief(ours.get(key))} in {one.name} and "
                f"{_brief(theirs.get(key))} in {other.name}"
            )
    vocabularies = [_vocabulary(source) for source in (one, other)]
    if None not in vocabularies and vocabularies[0] != vocabularies[1]:
        faults.append(f"tokenizer.json: the vocabularies of {one.name} and {other.name} differ")
    return faults


def unmergeable(source: Source) -> list[str]:
    """What no method can merge: quantised weights."""
    faults = []
    if isinstance(source, FolderSource) and "quantization_config" in configuration(source.path):
        faults.append(
            f"{source.name}: its weights are quantised, and values of packed bits can't be merged; "
            "give the models as they were before"
        )
    eights = [
        name
        for name, info in source.infos.items()
        if info.dtype.is_floating_point and info.dtype not in FLOATS
    ]
    if eights:
        faults.append(
            f"{source.name}: {_named(eights)} have 8 bits a value, which are quantised weights and "
            "can't be merged; give the models as they were before"
        )
    return faults


def copied(source: Source) -> list[str]:
    """Tensors that are no weights: whole numbers and truths, such as positions."""
    return [name for name, info in source.infos.items() if not info.dtype.is_floating_point]


def tied_names(models: Sequence[Source]) -> Mapping[str, str]:
    """{name: the name under which it is drawn} of tensors that are tied: the same in every model,
    where each says that its embeddings are tied. Else draws would untie them."""
    first, *others = [model.tied() for model in models]
    return {
        name: same for name, same in first.items() if all(one.get(name) == same for one in others)
    }


def _vocabulary(source: FolderSource) -> Any:
    path = Path(source.path) / "tokenizer.json"
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return said["model"].get("vocab"), said.get("added_tokens")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _whole(source: Source, name: str) -> torch.Tensor:
    return source.read(name, 0, source.infos[name].values)


def _named(names: Sequence[str]) -> str:
    return f"tensor{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _brief(value: Any) -> str:
    said = json.dumps(value, ensure_ascii=False)
    return said if len(said) <= 120 else f"{said[:117]}..."
