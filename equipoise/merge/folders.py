"""A merge into a folder: weights sharded as the first model's, what belongs to them, and a record.

OUT/
  *.safetensors     the merged weights, and an index if they are several
  config.json, ...  as beside the first model: configuration, tokenizer, pooling
  README.md         model card
  merge.json        recipe, models, and what was counted; written last
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file

from equipoise import __version__
from equipoise.errors import FolderError
from equipoise.merge.adapters import CONFIG, WEIGHTS, LoraSource
from equipoise.merge.factoring import FactorSink
from equipoise.merge.methods import METHODS
from equipoise.merge.sinks import WORK, Counted, FolderSink, Sink
from equipoise.merge.sources import FolderSource, Source
from equipoise.merge.walk import Asked, merge_tensors
from equipoise.records.files import read_json, text_sha256, write_json, write_text, write_with

SCHEMA = 1
RECORD = "merge.json"
_BESIDE = ("*.json", "*.txt", "*.model", "*.spm", "*.jinja", "1_Pooling/config.json")
_NOT_BESIDE = ("*.index.json", RECORD)


def merge_into_folder(
    asked: Asked,
    out: Path,
    *,
    threads: int,
    stretch: int,
) -> dict[str, Counted]:
    """Returns what was counted of each tensor. The folder of the same merge, finished, is left as
    it is; of one that was killed, it goes on.

    Raises FolderError if the folder holds anything else, or the disk is full.
    """
    recipe = recipe_of(asked)
    identity = text_sha256(repr(recipe))
    if (out / RECORD).exists():
        record = read_json(out / RECORD, schema=SCHEMA)
        if record["identity"] == identity:
            tensors: dict[str, Counted] = record["tensors"]
            return tensors
    held = [path.name for path in out.iterdir() if path.name != WORK] if out.is_dir() else []
    if out.is_file() or (held and not (out / WORK).exists()):
        raise FolderError(
            f"{out}: holds something else already ({', '.join(sorted(held)[:3]) or 'a file'}); "
            "give a new folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    write = _write_adapter if asked.rank is not None else _write_whole
    return write(
        asked,
        out,
        identity,
        recipe,
        lambda sink: merge_tensors(asked, sink, threads=threads, stretch=stretch),
    )


Walk = Callable[[Sink], dict[str, Counted]]


def _write_whole(
    asked: Asked, out: Path, identity: str, recipe: dict[str, Any], walk: Walk
) -> dict[str, Counted]:
    first = asked.sub_models[0].source
    sink = FolderSink(out, asked.infos, shards_of(first), identity)
    try:
        found = walk(sink)
        with sink.disk_errors():
            beside = first.base if isinstance(first, LoraSource) else first
            if isinstance(beside, FolderSource) and beside.path.is_dir():
                copy_beside(beside.path, out)
            write_text(out / "README.md", card(asked, recipe))
            sink.settle()
            _write_record(out, identity, recipe, found)
            sink.forget()
    finally:
        sink.close()
    return found


def _write_adapter(
    asked: Asked, out: Path, identity: str, recipe: dict[str, Any], walk: Walk
) -> dict[str, Counted]:
    """An adapter is small, so it is written at once, when all is merged."""
    sink = FactorSink(asked)
    found = walk(sink)
    copy_beside(sink.like.path, out)
    write_json(out / CONFIG, sink.config())
    write_text(out / "README.md", card(asked, recipe))
    write_with(out / WEIGHTS, lambda path: save_file(sink.tensors, path, {"format": "pt"}))
    _write_record(out, identity, recipe, found)
    return found


def _write_record(
    out: Path, identity: str, recipe: dict[str, Any], found: dict[str, Counted]
) -> None:
    write_json(
        out / RECORD,
        {
            "schema": SCHEMA,
            "identity": identity,
            "version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **recipe,
            "tensors": found,
        },
    )


def recipe_of(asked: Asked) -> dict[str, Any]:
    """All that the merge depends on."""

    def said(source: Source | None) -> dict[str, str] | None:
        if source is None:
            return None
        return {"name": source.name, "fingerprint": source.fingerprint()}

    return {
        "method": asked.method,
        "settings": dict(asked.settings),
        "seed": asked.seed if METHODS[asked.method].draws else None,
        "rank": asked.rank,
        "base": said(asked.base),
        "models": [
            {
                "key": one.key,
                "weight": one.weight,
                "model": said(one.source),
                "importance": said(one.importance),
            }
            for one in asked.sub_models
        ],
    }


def shards_of(source: Source) -> list[tuple[str, list[str]]]:
    """Files and their tensors as the model's, under the names that loaders look for."""
    shards = [list(names) for _, names in source.shards()]
    files = [name for name, _ in source.shards()]
    if len(files) == 1:
        usual = files[0] if files[0] == "adapter_model.safetensors" else "model.safetensors"
        return [(usual, shards[0])]
    return list(zip(files, shards, strict=True))


def copy_beside(folder: Path, out: Path) -> None:
    """Configuration, tokenizer and pooling rule."""
    for pattern in _BESIDE:
        for path in sorted(folder.glob(pattern)):
            if not any(path.match(other) for other in _NOT_BESIDE):
                target = out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def card(asked: Asked, recipe: dict[str, Any]) -> str:
    """A model card, with the metadata that the hub reads."""
    method = METHODS[asked.method]
    names = [one.source.name for one in asked.sub_models]
    base = [] if asked.base is None else [asked.base.name]
    about = [
        "---",
        yaml.safe_dump({"base_model": names + base, "tags": ["merge", "equipoise"]}).strip(),
        "---",
        "",
        f"# {method.title} of {len(names)} model{'s' * (len(names) != 1)}",
        "",
        f"Merged by Equipoise {__version__}: {method.title} ({method.source}).",
        "",
        "| model | key | weight |",
        "| --- | --- | --- |",
        *(f"| `{one.source.name}` | {one.key} | {one.weight:g} |" for one in asked.sub_models),
        "",
    ]
    if asked.base is not None:
        about += [f"Base: `{asked.base.name}`", ""]
    stated = {**recipe["settings"], "seed": recipe["seed"], "rank": recipe["rank"]}
    about += [f"{name}: {value}" for name, value in stated.items() if value is not None]
    return "\n".join([*about, "", "The whole recipe is in `merge.json`.", ""])
