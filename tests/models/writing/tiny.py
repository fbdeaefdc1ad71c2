"""Tiny models that write, and rows for them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise.models.config import Method, ModelConfig
from equipoise.models.load import Base, find_base
from equipoise.models.tokenize import Tokens
from equipoise.models.writing.build import build_writer
from equipoise.models.writing.feed import WrittenFeed
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.writer import Writer
from tests.models.tiny import SPECIAL, WORDS, make_config, make_tokenizer

HIGHEST = len(SPECIAL) + len(WORDS)
OTHER_DECODERS = ("gpt_neox", "opt", "phi", "phi3", "bloom", "falcon", "gptj", "mixtral")
"""Those whose layers have other names than the ones that classify here."""


def save_writing_base(folder: Path, architecture: str, layers: int = 3, *, seed: int = 0) -> Path:
    """A decoder's folder with the head that writes; "t5" and "bart" are
    encoder-decoders, of which "bart" has one layer more in its encoder, and gives none of T5's
    parts a configuration of its own."""
    from transformers import (
        AutoModelForCausalLM,
        BartConfig,
        BartForConditionalGeneration,
        T5Config,
        T5ForConditionalGeneration,
    )

    torch.manual_seed(seed)
    model: Any
    if architecture == "t5":
        config = T5Config(
            vocab_size=HIGHEST,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=layers,
            num_heads=4,
            pad_token_id=0,
            eos_token_id=3,
            decoder_start_token_id=0,
        )
        model = T5ForConditionalGeneration(config)
    elif architecture == "bart":
        model = BartForConditionalGeneration(
            BartConfig(
                vocab_size=HIGHEST,
                d_model=32,
                encoder_layers=layers + 1,
                decoder_layers=layers,
                encoder_attention_heads=4,
                decoder_attention_heads=4,
                encoder_ffn_dim=64,
                decoder_ffn_dim=64,
                max_position_embeddings=66,
                pad_token_id=0,
                bos_token_id=2,
                eos_token_id=3,
                decoder_start_token_id=3,
                forced_eos_token_id=3,
            )
        )
    elif architecture in OTHER_DECODERS:
        model = AutoModelForCausalLM.from_config(_other_config(architecture, layers))
    else:
        model = AutoModelForCausalLM.from_config(make_config(architecture, layers))
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def _other_config(architecture: str, layers: int) -> Any:
    import transformers as t

    ids = {"vocab_size": HIGHEST, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    sizes = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4}
    usual = {**ids, **sizes, "max_position_embeddings": 66}
    wide = {**usual, "intermediate_size": 64}
    grouped = {**wide, "num_key_value_heads": 2}
    made = {
        "gpt_neox": lambda: t.GPTNeoXConfig(**wide),
        "opt": lambda: t.OPTConfig(**usual, ffn_dim=64, word_embed_proj_dim=32),
        "phi": lambda: t.PhiConfig(**wide),
        "phi3": lambda: t.Phi3Config(**grouped),
        "bloom": lambda: t.BloomConfig(**ids, hidden_size=32, n_layer=layers, n_head=4),
        "falcon": lambda: t.FalconConfig(**usual),
        "gptj": lambda: t.GPTJConfig(
            **ids, n_embd=32, n_layer=layers, n_head=4, n_positions=66, rotary_dim=4
        ),
        "mixtral": lambda: t.MixtralConfig(**grouped, num_local_experts=2),
    }
    return made[architecture]()


def make_writer(base: Path, method: Method = "full", **settings: Any) -> tuple[Writer, Base]:
    config = ModelConfig(name=str(base), method=method, max_tokens=48, dropout=0.0, **settings)
    found = find_base(config, writes=True)
    return build_writer(found, config, 0)[0], found


def random_sequences(rows: int, *, seed: int = 0, sources: bool = False) -> Sequences:
    """Rows of 4 to 20 tokens, of which the last third or so is learned."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 20, size=rows)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(len(SPECIAL), HIGHEST, size=starts[-1]).astype(np.int32)
    learned = np.zeros(len(ids), dtype=np.bool_)
    for start, end in itertools.pairwise(starts):
        learned[max(start, end - max(1, (end - start) // 3)) : end] = True
    read = None
    if sources:
        own = random_sequences(rows, seed=seed + 1)
        read = Tokens(own.ids, own.starts, 0, 0.0)
        learned[:] = True
    return Sequences(ids, starts, 0, 0.0, learned=learned, sources=read)


def make_feed(tokens: Sequences, **fields: Any) -> WrittenFeed:
    n = len(tokens)
    given: dict[str, Any] = {
        "labels": np.arange(n) % 3,
        "weights": np.ones(n),
        "states": None,
        "pad_id": 0,
    }
    return WrittenFeed(tokens=tokens, **(given | fields))
