"""What is said in a row whose target is text: who says what, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PLAIN = "text"
"""The role of a text without a conversation: it is learned whole."""
ASSISTANT = "assistant"
"""Whose turns are learned and written."""
ROLES = ("system", "user", ASSISTANT, "tool", PLAIN)
ANY_CATEGORY = "all"
"""The category of every row where the rows have none."""


class Turn(NamedTuple):
    role: str
    """One of ROLES."""
    text: str


def is_learned(turn: Turn) -> bool:
    """Whether the model learns to write the turn.

    >>> is_learned(Turn("assistant", "Yes.")), is_learned(Turn("user", "Is it?"))
    (True, False)
    """
    return turn.role in (ASSISTANT, PLAIN)


def asked(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns before the last one that is learned: what a model is given to go on from. Of a
    plain text nothing; of turns that end with a question, all.

    >>> asked([Turn("user", "Is it?"), Turn("assistant", "Yes.")])
    (Turn(role='user', text='Is it?'),)
    """
    if turns and not is_learned(turns[-1]):
        return tuple(turns)
    last = max((k for k, turn in enumerate(turns) if is_learned(turn)), default=len(turns))
    return tuple(turns[:last])


def answer(turns: Sequence[Turn]) -> str | None:
    """The text of the last turn that is learned; None if there is none.

    >>> answer([Turn("user", "Is it?"), Turn("assistant", "Yes.")])
    'Yes.'
    """
    return next((turn.text for turn in reversed(turns) if is_learned(turn)), None)


def asked_text(turns: Sequence[Turn]) -> str:
    """What tells rows apart when duplicates are looked for: the turns before the answer, a line
    each; of a plain text the text itself. It can't tell that one row is the beginning of another:
    `data/conversations.py` finds those.

    >>> asked_text([Turn("system", "Be brief."), Turn("user", "Is it?"), Turn("assistant", "Yes.")])
    'Be brief.\\nIs it?'
    """
    before = asked(turns)
    return "\n".join(turn.text for turn in before) if before else answer(turns) or ""
