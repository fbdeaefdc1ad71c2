"""How many bytes the learned tokens of rows spell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.models.writing.sequences import Sequences
from equipoise.records.rows import Column
from equipoise.records.turns import Turn, answer, is_learned


def learned_bytes(
    turns: Column, tokens: Sequences, tokenizer: Any, *, thinks: bool = False
) -> NDArray[np.int64]:
    """(n,) UTF-8 bytes of what each row learns: of a decoder all that the assistant says, of an
    encoder-decoder the last answer. Of a row that lost some of it to the window, the bytes of the
    tokens that are left, decoded: their log-probabilities are of no other bytes.

    turns   (n,) tuples of Turn, of which `tokens` are the rows.
    thinks  Whether rows come with thoughts: then a row may learn more than it says, the empty
            thought of its template, and the bytes of all are those of their tokens.
    """
    sizes = np.array([_size(row, last=tokens.sources is not None) for row in turns], dtype=np.int64)
    lost = [] if tokens.lost is None else np.flatnonzero(tokens.lost).tolist()
    for row in range(len(sizes)) if thinks else lost:
        left = tokens.row(row)[tokens.learned_in(row)]
        sizes[row] = len(tokenizer.decode(left, skip_special_tokens=True).encode())
    return sizes


def _size(turns: Sequence[Turn], *, last: bool) -> int:
    texts = [answer(turns) or ""] if last else [turn.text for turn in turns if is_learned(turn)]
    return sum(len(text.encode()) for text in texts)
