"""Models of two to four layers, made on the spot from their configurations, with a tokenizer of
the words the tests use. No download, no GPU; a model trains an epoch in a fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import ModelConfig
from equipoise.models.feed import Feed
from equipoise.models.load import Base, find_base
from equipoise.models.methods import build_classifier
from equipoise.models.tokenize import Tokens, tokenize

ENCODERS = ("bert", "roberta", "deberta", "deberta_v2", "deberta_v3", "modernbert")
DECODERS = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "gpt2")
ARCHITECTURES = (*ENCODERS, *DECODERS)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_FILLER = "the a my our please can you we it is not was and to for of in on with"
_BANK = "card bank money charge refund fee paid price cost invoice"
_LIGHT = "light lamp room kitchen bulb bright dark switch dim colour"
_MUSIC = "music song play album singer band loud quiet radio volume"
FILLER = tuple(_FILLER.split())
TOPICS = {"bank": _BANK.split(), "light": _LIGHT.split(), "music": _MUSIC.split()}
"""Class to its own words: a set that any model learns."""
WORDS = (*FILLER, *(word for words in TOPICS.values() for word in words))


def make_tokenizer() -> Any:
    """Words to ids; unknown words to [UNK]; [CLS] and [SEP] around every text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        eos_token="[SEP]",
        bos_token="[CLS]",
        model_max_length=64,
    )


def make_config(architecture: str, layers: int = 3) -> Any:
    """A configuration of hidden size 32 with the parts that tell the architecture apart: windows
    and global layers, grouped keys, relative positions, soft caps."""
    import transformers as t

    size = len(SPECIAL) + len(WORDS)
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    common = {"vocab_size": size, "hidden_size": 32, "num_hidden_layers": layers, **ids}
    attention = {"num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 66}
    grouped = {**common, **attention, "num_key_value_heads": 2, "head_dim": 8}
    del grouped["head_dim"]
    relative = {
        "relative_attention": True,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    }
    # Alternating kinds of layers, so that a cut stands between unlike ones.
    kinds = ["sliding_attention" if i % 2 == 0 else "full_attention" for i in range(layers)]
    made = {
        "bert": lambda: t.BertConfig(**common, **attention),
        "roberta": lambda: t.RobertaConfig(
            **(common | {"pad_token_id": 0}), **attention, type_vocab_size=1
        ),
        "albert": lambda: t.AlbertConfig(**common, **attention, embedding_size=16),
        "deberta": lambda: t.DebertaConfig(
            **common, **attention, relative_attention=True, pos_att_type=["c2p", "p2c"]
        ),
        "deberta_v2": lambda: t.DebertaV2Config(
            **common, **attention, **relative, conv_kernel_size=3, conv_act="gelu"
        ),
        "deberta_v3": lambda: t.DebertaV2Config(**common, **attention, **relative),
        "modernbert": lambda: t.ModernBertConfig(
            **common,
            **attention,
            local_attention=4,
            global_attn_every_n_layers=2,
            cls_token_id=2,
            sep_token_id=3,
            classifier_pooling="mean",
        ),
        "llama": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=4),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "qwen3": lambda: t.Qwen3Config(**grouped, head_dim=8),
        "gemma": lambda: t.GemmaConfig(**grouped, head_dim=8),
        "gemma2": lambda: t.Gemma2Config(
            **grouped, head_dim=8, sliding_window=4, layer_types=kinds
        ),
        "gemma3": lambda: t.Gemma3TextConfig(
            **grouped, head_dim=8, sliding_window=4, layer_types=kinds
        ),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=size,
            n_embd=32,
            n_layer=layers,
            n_head=4,
            n_positions=66,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        ),
    }
    return made[architecture]()


def save_base(folder: Path, architecture: str, layers: int = 3, *, seed: int = 0) -> Path:
    """A base model's folder, as save_pretrained leaves it; weights drawn with `seed`."""
    from transformers import AutoModel

    torch.manual_seed(seed)
    config = make_config(architecture, layers)
    model = AutoModel.from_config(config)
    with torch.no_grad():
        # Biases start at 0 and norms at 1, where a lost or doubled one would not show.
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@dataclass(frozen=True, eq=False)
class Rows:
    """Texts and class numbers, classes sorted by name."""

    texts: NDArray[np.object_]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def easy_rows(rows: int, seed: int = 0, *, shares: tuple[float, ...] = (0.6, 0.3, 0.1)) -> Rows:
    """Texts of 2 to 14 words, half of them of the class's own topic: learned in seconds. Every
    class has at least two rows."""
    rng = np.random.default_rng(seed)
    classes = tuple(sorted(TOPICS))
    labels = rng.choice(len(classes), size=rows, p=shares).astype(np.int64)
    labels[: 2 * len(classes)] = np.repeat(np.arange(len(classes)), 2)
    texts = []
    for label in labels:
        own = rng.choice(TOPICS[classes[label]], size=rng.integers(1, 8))
        filler = rng.choice(FILLER, size=len(own))
        texts.append(" ".join(rng.permutation(np.concatenate([own, filler]))))
    return Rows(np.array(texts, dtype=object), labels, classes)


def make(
    folder: Path, *, classes: int = 3, seed: int = 0, **settings: Any
) -> tuple[SequenceClassifier, Base, ModelConfig, list[str]]:
    """Classifier, base, settings and notes for the base model in `folder`."""
    config = ModelConfig(name=str(folder), **settings)
    base = find_base(config)
    classifier, notes = build_classifier(base, config, classes, seed)
    return classifier, base, config, notes


def token_rows(base: Base, rows: Rows) -> Tokens:
    return tokenize(rows.texts, base.tokenizer, base.max_tokens)


def make_feed(
    base: Base, rows: Rows, *, weights: NDArray[np.float64] | None = None, **parts: Any
) -> Feed:
    """The rows ready for training; `parts` are states, and vectors_only to feed their vectors."""
    alone = parts["states"].vectors if parts.get("vectors_only") else None
    return Feed(
        tokens=token_rows(base, rows) if alone is None else None,
        labels=rows.labels,
        weights=np.ones(len(rows.labels)) if weights is None else weights,
        states=None if alone is not None else parts.get("states"),
        pad_id=base.tokenizer.pad_token_id,
        vectors=alone,
    )


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, progress: float = 0.0
) -> torch.Tensor:
    """(rows,) plain loss in nats."""
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def weights_of(module: torch.nn.Module) -> dict[str, bytes]:
    """Every weight's bytes, by name."""
    return {
        name: tensor.detach().contiguous().cpu().numpy().tobytes()
        for name, tensor in module.named_parameters()
    }
