"""The text that a model reads and writes of a row, by the row's form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.models.writing.chat import Chat, Span, TurnsFault
from equipoise.records.turns import PLAIN, Turn, answer, asked

_SIMPLE = ((), ("user",), ("system",), ("system", "user"))
"""Who may speak before the answer where there is no template."""


@dataclass(frozen=True)
class Marked:
    """A row's text."""

    text: str
    spans: tuple[Span, ...]
    """Where the assistant speaks, in order; of what is learned the last span reaches to the end."""
    bare: bool
    """Whether the tokenizer's own beginning belongs before it; templates write theirs."""

    @property
    def ended(self) -> bool:
        """Whether the end token is in the text; else it belongs behind it."""
        return bool(self.spans) and self.spans[-1].ended


def learned_text(turns: Sequence[Turn], chat: Chat | None) -> Marked:
    """What a decoder learns. Raises TurnsFault."""
    before = asked(turns)
    own = answer(turns)
    if own is None:
        raise TurnsFault("finds no assistant's turn", "add the answer")
    if turns[-1].role == PLAIN:
        return Marked(own, (Span(0, len(own), ended=False),), bare=True)
    if chat is not None:
        text, spans = chat.marked(turns)
        return Marked(text, tuple(spans), bare=False)
    given = opened_text(before, None).text
    return Marked(given + own, (Span(len(given), len(given) + len(own), ended=False),), bare=True)


def opened_text(before: Sequence[Turn], chat: Chat | None) -> Marked:
    """What a decoder goes on from; nothing where nothing is asked. Raises TurnsFault."""
    if chat is not None and before:
        text, spans = chat.opened(before)
        return Marked(text, tuple(spans), bare=False)
    given = source_text(before, None)
    return Marked(given + "\n" if given else "", (), bare=True)


def source_text(before: Sequence[Turn], chat: Chat | None) -> str:
    """What an encoder reads. Raises TurnsFault."""
    if chat is not None and before:
        return chat.opening(before)
    roles = tuple(turn.role for turn in before)
    if roles not in _SIMPLE:
        raise TurnsFault(
            "is missing, and without one nobody can tell the turns apart",
            "take a base whose tokenizer has a chat template, or rows of one prompt and one "
            "completion",
        )
    return "\n".join(turn.text for turn in before if turn.text)
