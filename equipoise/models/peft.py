"""The methods that PEFT brings: LoRA and its kin, IA3, prefix and prompt tuning."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from equipoise.errors import ModelError
from equipoise.models.config import ModelConfig
from equipoise.models.load import Base

PEFT_METHODS = ("lora", "rslora", "dora", "ia3", "prefix", "prompt")
_VIRTUAL = ("prefix", "prompt")
"""Methods that put virtual tokens in front of the row."""


def with_peft(
    body: nn.Module,
    base: Base,
    settings: ModelConfig,
    own_head: tuple[str, ...],
    *,
    writes: bool = False,
) -> nn.Module:
    """Wrap a frozen body; the new weights, and the modules named in `own_head` (a native head,
    which PEFT then saves beside them), are trained.

    writes  Whether the body has a head that writes, which stays as it is.

    Raises ModelError where method and architecture do not fit.
    """
    import peft

    if settings.method == "prompt" and own_head and base.causal:
        # The native head looks for padding among token ids, and there are none: it would read the
        # class off the last position, padding or not.
        raise ModelError(
            f"{base.name}: prompt tuning hides the padding from a decoder's native head; "
            "use head linear, or method prefix or lora"
        )
    task = peft.TaskType.SEQ_CLS if own_head else peft.TaskType.FEATURE_EXTRACTION
    if writes:
        task = peft.TaskType.SEQ_2_SEQ_LM if base.two_parts else peft.TaskType.CAUSAL_LM
    common: dict[str, Any] = {"task_type": task, "modules_to_save": list(own_head) or None}
    try:
        tuned: nn.Module = peft.get_peft_model(body, _config(body, settings, own_head, common))
        if settings.method in _VIRTUAL:
            _try_out(tuned, two_parts=base.two_parts)
    except (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{base.name}: PEFT can't apply {settings.method} ({first}); use lora or light"
        ) from None
    return tuned


def _config(
    body: nn.Module, settings: ModelConfig, own_head: tuple[str, ...], common: dict[str, Any]
) -> Any:
    import peft

    transposed = any(type(module).__name__ == "Conv1D" for module in body.modules())
    if settings.method in ("lora", "rslora", "dora"):
        return peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout or 0.0,
            target_modules=_linear_layers(body, own_head or _writing_head(body)),
            use_rslora=settings.method == "rslora",
            use_dora=settings.method == "dora",
            fan_in_fan_out=transposed,
            **common,
        )
    if settings.method == "ia3":
        return peft.IA3Config(**_ia3_targets(body), fan_in_fan_out=transposed, **common)
    if settings.method == "prefix":
        return peft.PrefixTuningConfig(num_virtual_tokens=settings.rank, **common)
    return peft.PromptTuningConfig(num_virtual_tokens=settings.rank, **common)


@torch.no_grad()
def _try_out(tuned: nn.Module, *, two_parts: bool) -> None:
    """Some architectures take virtual tokens only to fail in the first forward pass."""
    tuned.eval()
    device = next(tuned.parameters()).device
    ids = torch.ones(2, 3, dtype=torch.long, device=device)
    written = {"decoder_input_ids": ids} if two_parts else {}
    tuned(input_ids=ids, attention_mask=torch.ones_like(ids), **written)


def _linear_layers(body: nn.Module, own_head: tuple[str, ...]) -> list[str]:
    """Every linear layer but those of the head, which is trained whole, and of a pooler that is
    not on the way to our own head: its new weights would never get a gradient."""
    left_out = own_head or ("pooler",)
    return [
        name
        for name, module in body.named_modules()
        if _is_linear(module) and not any(f"{name}.".startswith(f"{part}.") for part in left_out)
    ]


def _writing_head(body: nn.Module) -> tuple[str, ...]:
    """The name of the layer from states to the vocabulary; () where there is none."""
    head = getattr(body, "get_output_embeddings", lambda: None)()
    return tuple(name for name, module in body.named_modules() if module is head)


_KEYS = ("key", "value", "k_proj", "v_proj", "key_proj", "value_proj", "k_lin", "v_lin", "k", "v")
_FUSED = ("c_attn", "Wqkv", "in_proj", "query_key_value", "qkv_proj")
"""Queries, keys and values in one."""
_BACK = (
    *("output.dense", "down_proj", "mlp.c_proj", "mlp.Wo", "fc2", "wo", "dense_4h_to_h"),
    *("fc_out", "lin2", "ffn_output", "w2"),
)
"""The second feed-forward layer, from its wider states back to the model's."""


def _ia3_targets(body: nn.Module) -> dict[str, list[str]]:
    """Keys, values and the second feed-forward layer, found by the names architectures use; the
    feed-forward input is scaled, as in the paper (arXiv:2205.05638). Where experts keep the weights
    of that layer in one block, which is no linear layer, keys and values alone. Where PEFT alone
    knows the names, none: it goes by its own map then."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as KNOWN

    names = {name for name, module in body.named_modules() if _is_linear(module)}
    attention = sorted(name for name in names if name.rsplit(".", 1)[-1] in (*_KEYS, *_FUSED))
    forward = sorted(
        name
        for name in names
        if f".{name}".endswith(tuple(f".{end}" for end in _BACK)) and "attention.output" not in name
    )
    in_blocks = any(parameter.ndim == 3 for parameter in body.parameters())
    if attention and (forward or in_blocks):
        return {"target_modules": attention + forward, "feedforward_modules": forward}
    kind = getattr(getattr(body, "config", None), "model_type", None)
    if kind in KNOWN:
        return {}
    raise ModelError(
        f"{type(body).__name__}: ia3 finds no keys, values and feed-forward by the names "
        "it knows; use lora or light"
    )


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
