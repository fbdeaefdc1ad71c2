"""A base model small enough to be trained in a test, and rows that it can learn from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_TOPICS = {
    "order": "where is my parcel the courier did not come tracking shows nothing late delivery",
    "money": "refund me please the invoice is wrong you charged my card twice billing payment",
    "login": "i can not log in the password reset mail never came account locked two factor",
}
_SHARES = {"order": 60, "money": 24, "login": 12}


def make_base(folder: Path) -> Path:
    """Save a two-layer BERT of width 32 with its word-piece tokenizer, as the hub would hold it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word for text in _TOPICS.values() for word in text.split()})
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces = special + sorted({*words, *letters}) + [f"##{letter}" for letter in letters]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def write_rows(path: Path, *, seed: int = 0, times: int = 1) -> Path:
    """A .csv of id, text, label, customer: three classes, 5 : 1, no two texts alike."""
    rng = np.random.default_rng(seed)
    rows = []
    for label, count in _SHARES.items():
        words = _TOPICS[label].split()
        for _ in range(count * times):
            text = " ".join([*rng.choice(words, 8, replace=False), str(rng.integers(10**6))])
            rows.append({"text": text, "label": label})
    rng.shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "label", "customer"])
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({"id": f"m{number}", **row, "customer": f"c{number // 2}"})
    return path
