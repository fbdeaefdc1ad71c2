"""Texts unlike the rows of a run: what they cost before and after says what it forgot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from equipoise.fitting.writing.keep import read_texts
from equipoise.models.load import Base
from equipoise.models.writing.feed import WrittenFeed, bare_feed
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.pieces import Pieces
from equipoise.models.writing.sizes import learned_bytes
from equipoise.models.writing.template import sequences
from equipoise.records.run import GeneralRecord

_UNCUT = 1 << 40
"""Tokens that no text has."""


@dataclass(frozen=True, eq=False)
class General:
    """The texts of one file, ready to be read."""

    source: str
    """Name of the file."""
    rows: int
    feed: WrittenFeed
    bytes: int
    """Of what is learned of them."""

    def losses(self, writer: nn.Module) -> NDArray[np.float64]:
        """(m, 2) as of `row_log_probs`."""
        return row_log_probs(writer, self.feed)


def read_general(path: str, base: Base, packs: bool) -> General:
    """A decoder reads what is longer than the window in several pieces, so that every token of
    every text counts; of an encoder-decoder's texts the window keeps what it keeps of rows.

    Raises DataError if the file can't be read, ModelError as `sequences`.
    """
    rows = read_texts(path)
    assert rows.turns is not None
    if base.two_parts:
        whole = tokens = sequences(rows.turns, base)
    else:
        whole = sequences(rows.turns, replace(base, max_tokens=_UNCUT))
        tokens = whole.in_windows(base.max_tokens, Pieces(base.tokenizer).around[0])
    return General(
        source=Path(path).name,
        rows=len(rows),
        feed=bare_feed(tokens, base, packs=packs),
        bytes=int(learned_bytes(rows.turns, whole, base.tokenizer).sum()),
    )


def general_record(
    general: General, before: NDArray[np.float64], after: NDArray[np.float64]
) -> GeneralRecord:
    """before, after  (m, 2) as of `General.losses`."""
    tokens, size = max(before[:, 1].sum(), 1), max(general.bytes, 1)
    return GeneralRecord(
        source=general.source,
        rows=general.rows,
        tokens=int(tokens),
        loss_before=float(-before[:, 0].sum() / tokens),
        loss_after=float(-after[:, 0].sum() / tokens),
        bits_per_byte_before=float(-before[:, 0].sum() / np.log(2) / size),
        bits_per_byte_after=float(-after[:, 0].sum() / np.log(2) / size),
    )
