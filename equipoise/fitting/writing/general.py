"""Texts unlike the rows of a run: what they cost before and after says what it forgot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from equipoise.fitting.writing.texts import Texts
from equipoise.models.load import Base
from equipoise.models.writing.feed import WrittenFeed, bare_feed
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.sizes import learned_bytes
from equipoise.records.run import GeneralRecord


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


def general_of(texts: Texts, base: Base, packs: bool) -> General:
    """packs  Whether texts may share a line."""
    turns = texts.rows.turns
    assert turns is not None
    return General(
        source=texts.source,
        rows=len(texts.rows),
        feed=bare_feed(texts.read, base, packs=packs),
        bytes=int(learned_bytes(turns, texts.whole, base.tokenizer).sum()),
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
