"""Which weights of a base model are trained, and how fast."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from equipoise.errors import ModelError
from equipoise.models.adapter import add_bottlenecks
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import Method, ModelConfig
from equipoise.models.cut import Cut, find_layers
from equipoise.models.heads import make_head
from equipoise.models.load import Base, load_body

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

PEFT_METHODS = ("lora", "rslora", "dora", "ia3", "prefix", "prompt")


def build_classifier(
    base: Base, settings: ModelConfig, classes: int, seed: int
) -> tuple[SequenceClassifier, list[str]]:
    """The module to train, with exactly the method's weights requiring gradients, and notes for
    the user where the base did not allow what was asked."""
    notes: list[str] = []
    kind = head_kind(settings)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # a native head, and PEFT's new weights, draw from the global generator
    native = kind == "native"
    body = load_body(base, native_labels=classes if native else None, four_bit=settings.four_bit)
    head = None
    if not native:
        width = base.config.get_text_config().hidden_size
        head = make_head(kind, width, classes, dropout=settings.dropout or 0.0, generator=generator)
    if settings.method != "full":
        body.requires_grad_(False)
    if settings.method in PEFT_METHODS:
        body = _with_peft(body, base, settings, native)
    classifier = SequenceClassifier(body, head, pooling=base.pooling, causal=base.causal)
    if settings.method == "light":
        notes += _light(classifier, settings)
    if settings.method == "adapter":
        classifier.added = add_bottlenecks(body, settings.rank * 8, generator)
    if native:
        _train_native_head(classifier)
    if not native and settings.method == "full":
        _freeze_unused_pooler(body)
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


def default_cut(layers: int, trained: int | None) -> int:
    """Number of the first trained layer: the upper third trains, at least one layer, and at least
    one stays frozen. Two of six layers gave the default encoder its best validation score."""
    upper = trained if trained is not None else max(1, layers // 3)
    return max(1, layers - upper)


def _light(classifier: SequenceClassifier, settings: ModelConfig) -> list[str]:
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
    cut = Cut(classifier.body, default_cut(len(layers), settings.trained_layers))
    for parameter in cut.trained_parameters(classifier.body):
        parameter.requires_grad_(True)
    classifier.cut = cut
    return notes


def _train_native_head(classifier: SequenceClassifier) -> None:
    """Everything of a ...ForSequenceClassification outside its base model is the head."""
    body: Any = classifier.body
    prefix = getattr(body, "base_model_prefix", "")
    inner = set(map(id, getattr(body, prefix, body).parameters())) if prefix else set()
    for parameter in body.parameters():
        if id(parameter) not in inner and parameter.is_floating_point():
            parameter.requires_grad_(True)


def _freeze_unused_pooler(body: nn.Module) -> None:
    """BERT's own pooler is not on the way from states to our head: it would get no gradient, and
    stop distributed training, which waits for one."""
    pooler = getattr(body, "pooler", None)
    if isinstance(pooler, nn.Module):
        pooler.requires_grad_(False)


def _with_peft(body: nn.Module, base: Base, settings: ModelConfig, native: bool) -> nn.Module:
    import peft

    task = peft.TaskType.SEQ_CLS if native else peft.TaskType.FEATURE_EXTRACTION
    common: dict[str, Any] = {"task_type": task}
    config: Any
    if settings.method in ("lora", "rslora", "dora"):
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout or 0.0,
            target_modules="all-linear",
            use_rslora=settings.method == "rslora",
            use_dora=settings.method == "dora",
            **common,
        )
    elif settings.method == "ia3":
        config = peft.IA3Config(**_ia3_targets(body), **common)
    elif settings.method == "prefix":
        config = peft.PrefixTuningConfig(num_virtual_tokens=settings.rank, **common)
    else:
        config = peft.PromptTuningConfig(num_virtual_tokens=settings.rank, **common)
    try:
        tuned: nn.Module = peft.get_peft_model(body, config)
    except (ValueError, KeyError, NotImplementedError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{base.name}: PEFT can't apply {settings.method} ({first}); use lora or light"
        ) from None
    return tuned


def _ia3_targets(body: nn.Module) -> dict[str, list[str]]:
    """Keys, values and the second feed-forward layer, found by the names architectures use; the
    feed-forward input is scaled, as in the paper (arXiv:2205.05638)."""
    names = {name for name, module in body.named_modules() if _is_linear(module)}
    keys = ("key", "value", "k_proj", "v_proj", "key_proj", "value_proj", "c_attn", "Wqkv")
    feed = ("output.dense", "down_proj", "mlp.c_proj", "mlp.Wo")
    attention = sorted(name for name in names if name.rsplit(".", 1)[-1] in keys)
    forward = sorted(
        name for name in names if name.endswith(feed) and "attention.output" not in name
    )
    if not attention or not forward:
        raise ModelError(
            f"{type(body).__name__}: ia3 finds no keys, values and feed-forward by the names "
            "it knows; use lora or light"
        )
    return {"target_modules": attention + forward, "feedforward_modules": forward}


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
