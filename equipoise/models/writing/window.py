"""What becomes of rows longer than the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

TooLong = Literal["left", "error"]
KEPT_OF_PROMPT = 4
"""Where the answer alone is too long, this part (a quarter) of the window is left to the prompt."""


@dataclass(frozen=True)
class Cut:
    """How much of rows the window left out."""

    prompts: int = 0
    """Rows that lost the beginning of what is asked."""
    answers: int = 0
    """Rows that lost the end of what is written, their end token with it."""
    tokens: int = 0
    """Tokens left out."""
    longest: int = 0
    """Tokens of the longest row, before it was cut."""

    def __add__(self, other: Cut) -> Cut:
        return Cut(
            self.prompts + other.prompts,
            self.answers + other.answers,
            self.tokens + other.tokens,
            max(self.longest, other.longest),
        )

    def says(self) -> str | None:
        """In words; None if nothing was cut."""
        if not self.tokens:
            return None
        return (
            f"{self.tokens:,} tokens did not fit into the window: {self.prompts:,} rows lost the "
            f"beginning of what is asked, {self.answers:,} the end of what is written; the longest "
            f"row has {self.longest:,} tokens"
        )


def fitted(
    ids: Sequence[int], learned: Sequence[bool], window: int, begin: int
) -> tuple[list[int], list[bool], Cut]:
    """One row cut to at most `window` tokens, `begin` special tokens at its beginning kept.

    What is asked gives way first, from its beginning, as long as the last answer fits. Of an
    answer that does not fit beside a quarter of the window the end is cut, and its end token with
    it: nothing is learned to stop in mid-sentence.
    """
    size = len(ids)
    if size <= window:
        return list(ids), list(learned), Cut(longest=size)
    begin = min(begin, window - 1)
    answer = _last_run(learned)
    room = window - (size - answer)
    if room >= begin:
        kept, end = room - begin, size
    else:
        kept = min(answer - begin, max(window // KEPT_OF_PROMPT - begin, 0))
        end = answer + window - begin - kept
    places = [*range(begin), *range(answer - kept, end)]
    return (
        [ids[place] for place in places],
        [learned[place] for place in places],
        Cut(
            prompts=int(answer - kept > begin),
            answers=int(end < size),
            tokens=size - len(places),
            longest=size,
        ),
    )


def fitted_prompt(ids: Sequence[int], window: int, begin: int) -> tuple[list[int], Cut]:
    """What is asked cut to `window` tokens from its beginning, `begin` special tokens kept."""
    size = len(ids)
    if size <= window:
        return list(ids), Cut(longest=size)
    begin = min(begin, max(window - 1, 0))
    kept = [*ids[:begin], *ids[size - (window - begin) :]]
    return kept, Cut(prompts=1, tokens=size - len(kept), longest=size)


def _last_run(learned: Sequence[bool]) -> int:
    """Where the last run of learned tokens begins; all tokens behind it are of that run."""
    others = np.flatnonzero(~np.asarray(learned, dtype=bool))
    return int(others[-1]) + 1 if len(others) else 0
