"""A tiny decoder with random weights: a base that can be had anywhere, and that knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

_PAD, _END = "<pad>", "<end>"


def save_random_base(
    folder: Path,
    texts: Sequence[str],
    *,
    vocabulary: int = 800,
    width: int = 96,
    layers: int = 2,
    positions: int = 256,
    seed: int = 0,
) -> Path:
    """Write a Llama of `layers` layers, its weights drawn by `seed`, with a byte-level tokenizer
    made from `texts`. The same arguments give the same bytes.

    It shows the path from rows to a model that writes, where no trained decoder can be had; what
    it writes comes from the rows alone.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(texts, vocabulary, positions)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    state = torch.get_rng_state()
    torch.manual_seed(seed)  # transformers draws new weights from the global generator
    try:
        model = LlamaForCausalLM(config)
    finally:
        torch.set_rng_state(state)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(texts: Sequence[str], vocabulary: int, positions: int) -> Any:
    """Byte-pair encoding over bytes: no text has an unknown token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_PAD, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        eos_token=_END,
        model_max_length=positions,
    )
