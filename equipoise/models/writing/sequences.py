"""Token ids of rows to be written, and which of them are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.models.tokenize import Tokens
from equipoise.models.writing.window import Cut


@dataclass(frozen=True, eq=False)
class Sequences(Tokens):
    """Token ids of n rows, end to end: of a decoder what is read and what is written, of an
    encoder-decoder what is written alone."""

    learned: NDArray[np.bool_]
    """(total,) whether the model learns to write the token."""
    sources: Tokens | None = None
    """What an encoder-decoder reads; None for decoders."""
    cut: Cut = Cut()  # noqa: RUF009 - frozen, so one default may be shared
    """What the window left out of all rows."""
    lost: NDArray[np.int64] | None = None
    """(n,) learned tokens that the window left out of each row; None: of none."""

    @cached_property
    def learned_lengths(self) -> NDArray[np.int64]:
        """(n,) learned tokens per row. A decoder's first token has nothing that it could be told
        from, so it does not count."""
        counted = self.learned.copy()
        if self.sources is None:
            counted[self.starts[:-1]] = False
        return np.asarray(np.add.reduceat(np.append(counted, False), self.starts[:-1]), np.int64)

    @cached_property
    def answer_lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each row's last answer, its end token with them: what a writer is to write
        of the row."""
        # Where the row begins at the latest: behind its last token that is not learned.
        others = np.where(self.learned, -1, np.arange(len(self.learned)))
        last = np.maximum.reduceat(np.append(others, -1), self.starts[:-1])
        return np.asarray(self.starts[1:] - 1 - np.maximum(last, self.starts[:-1] - 1), np.int64)

    def learned_in(self, i: int) -> NDArray[np.bool_]:
        return self.learned[self.starts[i] : self.starts[i + 1]]

    def take(self, index: NDArray[Any]) -> Sequences:
        """The rows at `index`; the counts of truncated and unknown stay those of all rows."""
        taken = super().take(index)
        parts = [self.learned_in(int(i)) for i in index]
        return Sequences(
            taken.ids,
            taken.starts,
            self.truncated,
            self.unknown_share,
            learned=np.concatenate(parts) if parts else np.empty(0, np.bool_),
            sources=None if self.sources is None else self.sources.take(index),
            cut=self.cut,
            lost=None if self.lost is None else self.lost[index],
        )

    def in_windows(self, window: int, begin: Sequence[int]) -> Sequences:
        """The rows of a decoder, each longer than `window` in several pieces: every learned token
        is learned in one of them.

        begin   Special tokens that the tokenizer puts before a text. A piece that goes on begins
                with them, and with the token before its own, so that its first can be told too.
        """
        rows: list[tuple[NDArray[np.int32], NDArray[np.bool_]]] = []
        room = max(window - len(begin) - 1, 1)
        for i in range(len(self)):
            ids, learned = self.row(i), self.learned_in(i)
            rows.append((ids[:window], learned[:window]))
            for at in range(window, len(ids), room):
                ahead = np.array([*begin, ids[at - 1]], dtype=np.int32)
                own = slice(at, at + room)
                marks = np.concatenate([np.zeros(len(ahead), np.bool_), learned[own]])
                rows.append((np.concatenate([ahead, ids[own]]), marks))
        rows = [row for row in rows if row[1].any()]
        return Sequences(
            np.concatenate([ids for ids, _ in rows]),
            np.concatenate([[0], np.cumsum([len(ids) for ids, _ in rows])]).astype(np.int64),
            0,
            self.unknown_share,
            learned=np.concatenate([marks for _, marks in rows]),
        )


def together(one: Sequences, other: Sequences) -> Sequences:
    """The rows of both, in order."""
    ids, starts = _end_to_end(one, other)
    sources = None
    if one.sources is not None:
        assert other.sources is not None
        sources = Tokens(*_end_to_end(one.sources, other.sources), 0, 0.0)
    return Sequences(
        ids,
        starts,
        one.truncated + other.truncated,
        0.0,
        learned=np.concatenate([one.learned, other.learned]),
        sources=sources,
    )


def _end_to_end(one: Tokens, other: Tokens) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return (
        np.concatenate([one.ids, other.ids]),
        np.concatenate([one.starts, other.starts[1:] + one.starts[-1]]),
    )
