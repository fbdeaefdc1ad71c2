"""The model's part of a run folder: written so that other tools can read it, read back whole.

RUN/classifier.json       pooling, head, method, limits: what the other two can't say
RUN/model/                the body, as AutoModel loads it (PEFT methods: with PEFT)
RUN/head.safetensors      our head, and bottleneck adapters
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from equipoise.errors import FolderError
from equipoise.models.adapter import add_bottlenecks
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import ModelConfig
from equipoise.models.heads import CosineHead, make_head
from equipoise.models.label_prompt import label_prompt, reader
from equipoise.models.label_text import LabelText
from equipoise.models.load import Base, find_base, load_body
from equipoise.models.methods import head_kind
from equipoise.models.peft import PEFT_METHODS
from equipoise.models.tokenize import Tokens
from equipoise.models.trainable import Trainable
from equipoise.records.files import read_json, write_json, write_with

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier read back, in evaluation mode."""

    module: SequenceClassifier
    tokenizer: Any
    classes: tuple[str, ...]
    max_tokens: int
    read: Callable[[NDArray[Any]], Tokens]
    """Texts to the tokens that the module is given."""


def save_classifier(
    folder: Path,
    classifier: SequenceClassifier,
    base: Base,
    settings: ModelConfig,
    classes: tuple[str, ...],
    *,
    several: bool = False,
) -> None:
    """Write the three parts; the JSON last.

    several  Whether a row may have several classes, each of which is then asked for by itself.
    """
    body: Any = classifier.body
    kind = head_kind(settings)
    names = {str(i): name for i, name in enumerate(classes)}
    if kind == "native":
        body.config.id2label = names
        body.config.label2id = {name: i for i, name in enumerate(classes)}
        # By this others know whether the scores' sigmoid or softmax is meant.
        body.config.problem_type = f"{'multi' if several else 'single'}_label_classification"
    save_weights(folder, classifier, base, settings, classifier.head)
    write_json(
        folder / "classifier.json",
        {
            "schema": SCHEMA,
            "classes": list(classes),
            "base": base_address(base, settings),
            "base_fingerprint": base.fingerprint,
            "settings": settings.model_dump(mode="json"),
            "head": kind,
            "pooling": classifier.pooling,
            "causal": classifier.causal,
            "max_tokens": base.max_tokens,
            "one_pass": classifier.one_pass,
        },
    )


def base_address(base: Base, settings: ModelConfig) -> str:
    """Where the run finds its base: of PEFT methods, whose runs need it, the whole path of a
    folder, since the run may be read from another working directory."""
    if settings.method in PEFT_METHODS and Path(base.name).is_dir():
        return os.path.abspath(base.name)
    return base.name


def save_weights(
    folder: Path, module: Trainable, base: Base, settings: ModelConfig, head: nn.Module | None
) -> None:
    """RUN/model, and RUN/head.safetensors if there is a head of ours, or adapters."""
    from safetensors.torch import save_file

    body: Any = module.body
    if settings.method in PEFT_METHODS:
        for config in body.peft_config.values():
            config.base_model_name_or_path = base_address(base, settings)
    body.save_pretrained(folder / "model")
    base.tokenizer.save_pretrained(folder / "model")
    ours = {
        f"{part}.{name}": weight.detach().cpu().contiguous()
        for part, owner in (("head", head), ("adapters", module.added))
        if owner is not None
        for name, weight in owner.state_dict().items()
    }
    if ours:
        write_with(folder / "head.safetensors", lambda path: save_file(ours, path))


def load_classifier(folder: Path, *, device: str | None = None) -> LoadedClassifier:
    """Read back what `save_classifier` wrote. Raises FolderError if a part is missing."""
    from safetensors.torch import load_file

    record = read_json(folder / "classifier.json", schema=SCHEMA)
    settings = ModelConfig.model_validate(record["settings"])
    if not (folder / "model").is_dir():
        raise FolderError(f"{folder / 'model'}: missing; make the run again")
    classes = tuple(record["classes"])
    kind, limit = record["head"], record["max_tokens"]
    body, tokenizer = load_saved_body(
        folder,
        settings,
        (record["base"], record["base_fingerprint"]),
        native_labels=len(classes) if kind == "native" else None,
        writes=kind == "text",
    )
    parts: dict[str, nn.Module] = {}
    if kind not in ("native", "text"):
        config: Any = body.config
        parts["head"] = make_head(
            kind,
            config.get_text_config().hidden_size,
            len(classes),
            dropout=settings.dropout or 0.0,
            generator=torch.Generator().manual_seed(0),
        )
    if kind == "text":
        tree = label_prompt(tokenizer, settings, classes, limit).tree
        classifier: SequenceClassifier = LabelText(body, tree)
        classifier.one_pass = record["one_pass"]
    else:
        classifier = SequenceClassifier(
            body, parts.get("head"), pooling=record["pooling"], causal=record["causal"]
        )
    if settings.method == "adapter":
        generator = torch.Generator().manual_seed(0)
        parts["adapters"] = classifier.added = add_bottlenecks(body, settings.rank * 8, generator)
    if parts:
        weights = load_file(folder / "head.safetensors")
        head = parts.get("head")
        if "head.bias" in weights and isinstance(head, CosineHead):
            head.with_bias()  # of rows that may have several labels
        for part, module in parts.items():
            own = {n.removeprefix(f"{part}."): w for n, w in weights.items() if n.startswith(part)}
            module.load_state_dict(own)
    classifier.to(device or default_device()).eval()
    read = reader(tokenizer, settings, classes, limit)
    return LoadedClassifier(classifier, tokenizer, classes, limit, read)


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_saved_body(
    folder: Path,
    settings: ModelConfig,
    trained_on: tuple[str, str],
    *,
    native_labels: int | None = None,
    writes: bool = False,
) -> tuple[nn.Module, Any]:
    """The body with its trained weights, and the tokenizer. Raises FolderError if a PEFT method's
    base is another than it was.

    trained_on  `base_address` and fingerprint of the base.
    """
    own = settings.model_copy(update={"name": str(folder / "model")})
    if settings.method not in PEFT_METHODS:
        base = find_base(own, writes=writes)
        return load_body(base, native_labels=native_labels, writes=writes)[0], base.tokenizer
    import peft

    address, fingerprint = trained_on
    if Path(address).is_dir():
        settings = settings.model_copy(update={"name": address})
    base = find_base(settings, writes=writes)
    if base.fingerprint != fingerprint:
        raise FolderError(
            f"{folder}: was trained on other weights than {base.name} holds now; the run keeps "
            f"only what {settings.method} added, so put the old base back or train again"
        )
    body, _ = load_body(
        base, native_labels=native_labels, four_bit=settings.four_bit, writes=writes
    )
    # What PEFT saves is read into the base; nothing of its own may need a gradient any more.
    return peft.PeftModel.from_pretrained(body, str(folder / "model")), base.tokenizer
