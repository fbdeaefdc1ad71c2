"""Which weights of a base model are trained, and how fast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from equipoise.errors import ModelError
from equipoise.models.adapter import add_bottlenecks
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import Method, ModelConfig
from equipoise.models.cut import Cut, find_layers
from equipoise.models.heads import make_head
from equipoise.models.label_prompt import label_prompt
from equipoise.models.label_text import LabelText, takes_tree
from equipoise.models.load import Base, load_body
from equipoise.models.peft import PEFT_METHODS, with_peft
from equipoise.models.trainable import Trainable
from equipoise.models.vocabulary import writing_model

LEARNING_RATES: dict[Method, tuple[float, float]] = {
    "light": (2e-4, 1e-3),
    "full": (5e-5, 5e-4),
    "head": (1e-3, 1e-2),
    "lora": (5e-4, 1e-3),
    "rslora": (5e-4, 1e-3),
    "dora": (5e-4, 1e-3),
    "ia3": (3e-3, 3e-3),
    "prefix": (5e-3, 3e-3),
    "prompt": (1e-2, 3e-3),
    "adapter": (5e-4, 1e-3),
}
"""Highest learning rate of (body, head) where the user gives none."""

LEAST_TRAINED = 5
"""Layers that `light` trains of an encoder with few: all but the lowest of six. On no set was half
of them better (`benchmarks/depth.py`); a deep model's upper half holds more than these."""


def build_classifier(
    base: Base,
    settings: ModelConfig,
    classes: int,
    seed: int,
    *,
    names: Sequence[str] | None = None,
) -> tuple[SequenceClassifier, list[str]]:
    """The module to train, with exactly the method's weights requiring gradients, and notes for
    the user where the base did not allow what was asked.

    names   Of the classes, in their order; only head text needs them.
    """
    notes: list[str] = []
    if settings.head == "text":
        assert names is not None
        return _label_text(base, settings, names, seed)
    kind = head_kind(settings)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # a native head, and PEFT's new weights, draw from the global generator
    native = kind == "native"
    body, drawn = load_body(
        base, native_labels=classes if native else None, four_bit=settings.four_bit
    )
    own_head = _native_head(body, drawn) if native else ()
    head = None
    if not native:
        width = base.config.get_text_config().hidden_size
        head = make_head(kind, width, classes, dropout=settings.dropout or 0.0, generator=generator)
    if settings.method != "full":
        body.requires_grad_(False)
    if settings.method in PEFT_METHODS:
        body = with_peft(body, base, settings, own_head)
    classifier = SequenceClassifier(
        body, head, pooling=base.pooling, causal=base.causal, own_head=own_head
    )
    if settings.method == "light":
        notes += train_upper(classifier, settings, least=LEAST_TRAINED)
    if settings.method == "adapter":
        classifier.added = add_bottlenecks(body, settings.rank * 8, generator)
    if native and settings.method not in PEFT_METHODS:
        for name in own_head:
            body.get_submodule(name).requires_grad_(True)
    if not native:
        _freeze_unused_pooler(body)
    return classifier, notes


def _label_text(
    base: Base, settings: ModelConfig, names: Sequence[str], seed: int
) -> tuple[SequenceClassifier, list[str]]:
    torch.manual_seed(seed)  # PEFT draws its new weights from the global generator
    body, drawn = load_body(base, four_bit=settings.four_bit, writes=True)
    if drawn:
        raise ModelError(
            f"{base.name}: holds no weights for {', '.join(drawn[:3])}, so it can't write; take a "
            "base published as a language model, or --head linear"
        )
    if settings.method != "full":
        body.requires_grad_(False)
    if settings.method in PEFT_METHODS:
        body = with_peft(body, base, settings, (), writes=True)
    prompt = label_prompt(base.tokenizer, settings, names, base.max_tokens)
    classifier = LabelText(body, prompt.tree)
    classifier.one_pass = takes_tree(classifier, four_bit=settings.four_bit)
    notes = []
    if not classifier.one_pass:
        notes.append(
            f"{type(writing_model(body)).__name__}: does not take the labels as a tree; every "
            f"label was a pass of its own, {len(names)} for each row"
        )
    if settings.method == "light":
        notes += train_upper(classifier, settings)
    if settings.method == "adapter":
        generator = torch.Generator().manual_seed(seed)
        classifier.added = add_bottlenecks(body, settings.rank * 8, generator)
    return classifier, notes


def head_kind(settings: ModelConfig) -> str:
    if settings.head != "auto":
        return settings.head
    return "cosine" if settings.method in ("light", "head") else "linear"


def learning_rates(
    settings: ModelConfig, body: float | None, head: float | None
) -> tuple[float, float]:
    """The rates of (body, head): those asked for, else the method's own."""
    usual = LEARNING_RATES[settings.method]
    return body or usual[0], head or (usual[1] if body is None else body * usual[1] / usual[0])


def default_cut(layers: int, trained: int | None, least: int = 1) -> int:
    """Number of the first trained layer: the upper half trains, or the upper `least` if they are
    more; at least one layer trains, and at least one stays frozen."""
    upper = trained if trained is not None else max(least, layers // 2, 1)
    return max(1, layers - upper)


def train_upper(classifier: Trainable, settings: ModelConfig, *, least: int = 1) -> list[str]:
    """Cut the body and let what stands above train; notes where that can't be."""
    layers = find_layers(classifier.body)
    if layers is None:
        classifier.body.requires_grad_(True)
        return [
            f"{type(classifier.body).__name__}: its layers do not stand in a list, so it can't be "
            "cut; trained in full instead of light"
        ]
    notes = []
    if settings.trained_layers is not None and settings.trained_layers >= len(layers):
        notes.append(
            f"trained_layers={settings.trained_layers}: the model has {len(layers)} layers; "
            f"trained the upper {len(layers) - 1}"
        )
    cut = Cut(classifier.body, default_cut(len(layers), settings.trained_layers, least))
    for parameter in cut.trained_parameters(classifier.body):
        parameter.requires_grad_(True)
    classifier.cut = cut
    return notes


def _native_head(body: nn.Module, drawn: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the modules that make up the head of a ...ForSequenceClassification: what stands
    outside its base model, and what inside it the base had no weights for (BERT's pooler, if the
    base was saved without): frozen, those would stay as they were drawn."""
    inner: str = body.base_model_prefix  # type: ignore[assignment]
    outside = [
        name
        for name, part in body.named_children()
        if name != inner and next(part.parameters(), None) is not None
    ]
    inside = [
        name.rsplit(".", 1)[0] for name in drawn if name.split(".")[0] == inner and "." in name
    ]
    return tuple(dict.fromkeys(outside + inside))


def _freeze_unused_pooler(body: nn.Module) -> None:
    """BERT's own pooler is not on the way from states to our head: it would get no gradient, and
    stop distributed training, which waits for one."""
    pooler = getattr(body, "pooler", None)
    if isinstance(pooler, nn.Module):
        pooler.requires_grad_(False)
