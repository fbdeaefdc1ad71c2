"""Whether the base model knows the language of the rows, as a run and an audit both ask it."""

from __future__ import annotations

from typing import Any

import numpy as np

from equipoise.audit.given import Ints, Mask, TokenFacts
from equipoise.audit.language import (
    DO,
    broken_words,
    class_language,
    says_strange,
    strange_classes,
)
from equipoise.audit.neighbours import sample_rows
from equipoise.audit.spoken import says_foreign, spoken
from equipoise.errors import MissingExtraError
from equipoise.fitting.prepared import Prepared
from equipoise.models.load import Base
from equipoise.records.rows import Column

LOOKED_AT = 5_000
"""Rows whose words are held against their tokens."""
_CHUNK = 1024


def language_warnings(prepared: Prepared) -> list[str]:
    """What an audit of the training rows would find of their language, a line each; of the rows'
    own language nothing where the detector is not installed."""
    base, texts, labels = prepared.base, prepared.rows("train").texts, prepared.labels["train"]
    kinds: Ints = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    sample = sample_rows(kinds, LOOKED_AT, np.random.default_rng(prepared.seed))
    looked = np.full(len(sample), tells_places(base))
    tokens = token_facts(texts[sample], base, looked)
    seen = labels[sample]
    strange = strange_classes(
        [
            class_language(name, seen[:, k] == 1 if prepared.several else seen == k, tokens)
            for k, name in enumerate(prepared.classes)
        ]
    )
    said = [says_strange(strange, base.name)] if strange else []
    try:
        heard = spoken(texts, base.languages, np.random.default_rng(prepared.seed))
    except MissingExtraError:
        heard = None
    if heard is not None and heard.foreign:
        said.append(says_foreign(heard.record, base.name))
    return [f"{line}; {DO}" for line in said]


def token_facts(texts: Column, base: Base, looked: Mask) -> TokenFacts:
    """Lengths and unknown tokens of all rows, broken words of those `looked` at (n,), which need a
    tokenizer that tells places."""
    n = len(texts)
    tokenizer: Any = base.tokenizer
    lengths, unknown, words, broken = (np.zeros(n, dtype=np.int64) for _ in range(4))
    given = [str(text) for text in texts.tolist()]
    for start in range(0, n, _CHUNK):
        rows = range(start, min(start + _CHUNK, n))
        made = tokenizer(
            given[start : start + _CHUNK],
            return_attention_mask=False,
            return_token_type_ids=False,
            return_offsets_mapping=bool(looked[rows].any()),
            verbose=False,
        )
        for place, row in enumerate(rows):
            ids = made["input_ids"][place]
            lengths[row] = len(ids)
            if tokenizer.unk_token_id is not None:
                unknown[row] = ids.count(tokenizer.unk_token_id)
            if looked[row]:
                words[row], broken[row] = broken_words(given[row], made["offset_mapping"][place])
    return TokenFacts(lengths, base.max_tokens, unknown, words, broken)


def tells_places(base: Base) -> bool:
    """Whether the tokenizer says where its tokens lie, so that words can be held against them."""
    return bool(getattr(base.tokenizer, "is_fast", False))
