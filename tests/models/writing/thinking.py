"""A tiny base whose tokenizer is shaped as Qwen3's: its template puts an empty thought before the
last answer, of tokens that are not special."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from tests.models.writing.templates import make_tokenizer


def save_thinking_base(folder: Path, *, positions: int = 256) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = copy.deepcopy(make_tokenizer("bpe", "qwen3"))
    tokenizer.add_tokens(["<think>", "</think>"])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
