"""Token ids of rows to be written, and which of them are learned."""

from __future__ import annotations

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

    @cached_property
    def learned_lengths(self) -> NDArray[np.int64]:
        """(n,) learned tokens per row. A decoder's first token has nothing that it could be told
        from, so it does not count."""
        counted = self.learned.copy()
        if self.sources is None:
            counted[self.starts[:-1]] = False
        return np.asarray(np.add.reduceat(np.append(counted, False), self.starts[:-1]), np.int64)

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
        )
