"""A base that writes, with exactly the method's weights requiring gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from equipoise.errors import ModelError
from equipoise.models.adapter import add_bottlenecks
from equipoise.models.config import ModelConfig
from equipoise.models.cut import final_norms, find_layers
from equipoise.models.load import Base, load_body
from equipoise.models.methods import default_cut, train_upper
from equipoise.models.peft import PEFT_METHODS, with_peft
from equipoise.models.writing.writer import Writer


def build_writer(base: Base, settings: ModelConfig, seed: int) -> tuple[Writer, list[str]]:
    """The module to train, and notes for the user where the base did not allow what was asked.

    Raises ModelError if the method has nothing to train in a model that writes.
    """
    if settings.method == "head":
        raise ModelError(
            "method head: trains a classifier's head alone, and text is written by the base's own; "
            "take light, lora or full"
        )
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # PEFT draws its new weights from the global generator
    body, drawn = load_body(base, four_bit=settings.four_bit, writes=True)
    notes = _never_trained(base, drawn)
    if settings.method != "full":
        body.requires_grad_(False)
    if settings.method in PEFT_METHODS:
        body = with_peft(body, base, settings, (), writes=True)
    writer = Writer(body, two_parts=base.two_parts)
    if settings.method == "light":
        notes += (
            _upper_decoder(writer, settings) if base.two_parts else train_upper(writer, settings)
        )
    if settings.method == "adapter":
        writer.added = add_to(writer, settings, generator)
    return writer, notes


def add_to(writer: Writer, settings: ModelConfig, generator: torch.Generator) -> nn.ModuleList:
    """Bottleneck adapters behind every layer that writes."""
    narrow = settings.rank * 8
    return add_bottlenecks(decoder_of(writer), narrow, generator, decoder=writer.two_parts)


def _never_trained(base: Base, drawn: tuple[str, ...]) -> list[str]:
    if not drawn:
        return []
    return [
        f"{base.name}: holds no weights for {', '.join(drawn[:3])}"
        f"{', ...' if len(drawn) > 3 else ''}; they start at random, so it can't write before it "
        "is trained for long"
    ]


def _upper_decoder(writer: Writer, settings: ModelConfig) -> list[str]:
    """Of an encoder-decoder the upper half of the decoder trains. Its layers also look at what the
    encoder read, so no single place holds all that the frozen part says: nothing is cached
    (docs/models.md says what it would take)."""
    decoder = decoder_of(writer)
    layers = find_layers(decoder, decoder=True)
    if layers is None:
        writer.body.requires_grad_(True)
        return [f"{type(writer.body).__name__}: its layers do not stand in a list; trained in full"]
    writer.upper = tuple(layers[default_cut(len(layers), settings.trained_layers) :])
    for layer in writer.upper:
        layer.requires_grad_(True)
    for norm in final_norms(decoder, layers):
        norm.requires_grad_(True)
    return ["light on an encoder-decoder trains the upper decoder; no states are cached"]


def decoder_of(writer: Writer) -> nn.Module:
    body: Any = writer.body
    found: nn.Module = body.get_decoder() if writer.two_parts else body
    return found
