"""A writer's part of a run folder.

RUN/writer.json           method, limits, how rows become text: what the other two can't say
RUN/model/                the body, as AutoModelForCausalLM or AutoModelForSeq2SeqLM loads it (PEFT
                          methods: with PEFT; method adapter: the base as it came)
RUN/head.safetensors      bottleneck adapters
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from equipoise.errors import FolderError
from equipoise.models.config import ModelConfig
from equipoise.models.load import Base
from equipoise.models.save import base_address, default_device, load_saved_body, save_weights
from equipoise.models.writing.build import add_to
from equipoise.models.writing.ends import end_ids
from equipoise.models.writing.writer import Writer, packing_holds
from equipoise.records.files import read_json, write_json

SCHEMA = 1
WRITER = "writer.json"


@dataclass(frozen=True, eq=False)
class LoadedWriter:
    """A writer read back, in evaluation mode."""

    module: Writer
    tokenizer: Any
    max_tokens: int
    packs: bool
    """Whether rows may share a line."""
    thinks: bool = False
    """Whether answers may come with thoughts; see `chat.Chat`."""


def save_writer(folder: Path, writer: Writer, base: Base, settings: ModelConfig) -> None:
    """Write the parts; the JSON last."""
    _name_ends(writer, base)
    save_weights(folder, writer, base, settings, None)
    write_json(
        folder / WRITER,
        {
            "schema": SCHEMA,
            "base": base_address(base, settings),
            "base_fingerprint": base.fingerprint,
            "settings": settings.model_dump(mode="json"),
            "two_parts": base.two_parts,
            "max_tokens": base.max_tokens,
            "thinks": base.thinks,
        },
    )


def _name_ends(writer: Writer, base: Base) -> None:
    """So that RUN/model alone stops where it learned to. What PEFT saves names no ends."""
    body: Any = writer.body
    ends = end_ids(body, base.tokenizer, two_parts=writer.two_parts)
    body.generation_config.eos_token_id = ends[0] if len(ends) == 1 else ends or None


def load_writer(folder: Path, *, device: str | None = None) -> LoadedWriter:
    """Read back what `save_writer` wrote. Raises FolderError if a part is missing."""
    from safetensors.torch import load_file

    record = read_json(folder / WRITER, schema=SCHEMA)
    settings = ModelConfig.model_validate(record["settings"])
    if not (folder / "model").is_dir():
        raise FolderError(f"{folder / 'model'}: missing; make the run again")
    trained_on = (record["base"], record["base_fingerprint"])
    body, tokenizer = load_saved_body(folder, settings, trained_on, writes=True)
    writer = Writer(body, two_parts=record["two_parts"])
    if settings.method == "adapter":
        generator = torch.Generator().manual_seed(0)
        added = add_to(writer, settings, generator)
        weights = load_file(folder / "head.safetensors")
        added.load_state_dict({n.removeprefix("adapters."): w for n, w in weights.items()})
        writer.added = added
    writer.to(device or default_device()).eval()
    packs = packing_holds(writer)
    return LoadedWriter(writer, tokenizer, record["max_tokens"], packs, record["thinks"])
