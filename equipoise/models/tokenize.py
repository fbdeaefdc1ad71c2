"""Texts to token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096
"""Texts handed to the tokenizer at once, so that a million rows don't double in memory."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of n rows, end to end."""

    ids: NDArray[np.int32]
    """(total,) all rows' ids, one after the other."""
    starts: NDArray[np.int64]
    """(n + 1,) row i holds ids[starts[i]:starts[i + 1]]."""
    truncated: int
    """Rows that were longer than the limit."""
    unknown_share: float
    """Share of tokens that the tokenizer has no piece for, 0 to 1."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens per row."""
        return np.diff(self.starts)

    def row(self, i: int) -> NDArray[np.int32]:
        return self.ids[self.starts[i] : self.starts[i + 1]]

    def take(self, index: NDArray[Any]) -> Tokens:
        """The rows at `index`; the counts of truncated and unknown stay those of all rows."""
        parts = [self.row(int(i)) for i in index]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        ids = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return Tokens(ids, starts, self.truncated, self.unknown_share)


def tokenize(texts: NDArray[Any], tokenizer: Any, max_tokens: int) -> Tokens:
    """Token ids with the special tokens that the tokenizer adds, cut at `max_tokens`.

    Rows that are cut are counted in `truncated`. A row that the tokenizer leaves empty (text of
    characters it drops) becomes one unknown, end or padding token, so that every row has a state.
    """
    unknown, pad = tokenizer.unk_token_id, tokenizer.pad_token_id
    filler = next(t for t in (unknown, tokenizer.eos_token_id, pad, 0) if t is not None)
    rows: list[NDArray[np.int32]] = []
    truncated = 0
    for start in range(0, len(texts), _CHUNK):
        chunk = [str(text) for text in texts[start : start + _CHUNK]]
        whole = tokenizer(
            chunk,
            truncation=True,
            # One more than allowed shows whether a row was longer, at the price of one token.
            max_length=max_tokens + 1,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        long = [i for i, ids in enumerate(whole) if len(ids) > max_tokens]
        if long:
            # Cut again rather than slice: the closing special token must stay.
            cut = tokenizer(
                [chunk[i] for i in long],
                truncation=True,
                max_length=max_tokens,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
            for i, ids in zip(long, cut, strict=True):
                whole[i] = ids
        truncated += len(long)
        rows += [np.asarray(ids or [filler], dtype=np.int32) for ids in whole]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    ids = np.concatenate(rows) if rows else np.empty(0, np.int32)
    known = unknown is None or not len(ids)
    return Tokens(ids, starts, truncated, 0.0 if known else float(np.mean(ids == unknown)))
