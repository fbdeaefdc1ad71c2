"""One cell to turns: lists of {"role", "content"}, or {"from", "value"} as in ShareGPT files."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from equipoise.data.text_files import json_name
from equipoise.records.turns import ASSISTANT, Turn

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    ASSISTANT: ASSISTANT,
    "gpt": ASSISTANT,
    "model": ASSISTANT,
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
}
"""What chat files call a speaker, and what we call it."""
_CALLS = ("tool_calls", "function_call", "function_calls")
_READ = {"role", "content", "from", "value"}


class CellFault(Exception):
    """What is wrong with a cell, and what to do: the end of a sentence that names rows."""


def to_turns(cell: Any, unread: set[str] | None = None) -> tuple[Turn, ...]:
    """The turns of a conversation; a text is read as JSON, which is all that CSV can hold.

    unread  A set to which the names of what turns hold beside role and content are added.

    Raises CellFault.

    >>> to_turns([{"from": "human", "value": "Is it?"}, {"role": "assistant", "content": "Yes."}])
    (Turn(role='user', text='Is it?'), Turn(role='assistant', text='Yes.'))
    """
    if isinstance(cell, str):
        cell = _from_json(cell)
    if isinstance(cell, dict) and len(cell) == 1 and next(iter(cell)) in ("messages", "turns"):
        cell = next(iter(cell.values()))
    if not isinstance(cell, list | tuple):
        raise CellFault(
            f"holds {json_name(cell)} where a list of turns should be; write "
            '[{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]'
        )
    turns = [_to_turn(turn, number) for number, turn in enumerate(cell, start=1)]
    if unread is not None:
        unread |= {name for turn in cell for name in turn if name not in _READ and turn[name]}
    return tuple(turns)


def to_references(cell: Any, *, text_only: bool = False) -> tuple[str, ...]:
    """Right answers, without repeats: a list of texts, or a text. Raises CellFault.

    text_only  Of a form that can't hold lists: a text that is a JSON list of texts is one.

    >>> to_references('["red", "blue"]', text_only=True), to_references('["red", "blue"]')
    (('red', 'blue'), ('["red", "blue"]',))
    """
    if cell is None:
        return ()
    if text_only and isinstance(cell, str) and cell.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # a text may begin with a bracket
            read = json.loads(cell)
            cell = read if _are_texts(read) else cell
    if isinstance(cell, str):
        return (cell,) if cell.strip() else ()
    if not _are_texts(cell):
        raise CellFault("holds no list of texts; write one, or a single text")
    if not all(text.strip() for text in cell):
        raise CellFault("holds an empty text among the references; leave it out")
    return tuple(dict.fromkeys(cell))


def _are_texts(cell: Any) -> bool:
    return isinstance(cell, list | tuple) and all(isinstance(text, str) for text in cell)


def _from_json(cell: str) -> Any:
    if not cell.strip():
        return []
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or "nested too deeply"
        # What pandas makes of a list when it writes CSV.
        python = "'" in cell[:6]
        mend = "it is Python's notation; write the lists with json.dumps" if python else "mend it"
        raise CellFault(f"holds a conversation that is not JSON ({reason}); {mend}") from None


def _to_turn(turn: Any, number: int) -> Turn:
    if not isinstance(turn, dict):
        raise CellFault(
            f'holds {json_name(turn)} as turn {number}; write {{"role": ..., "content": ...}}'
        )
    said = turn.get("role") or turn.get("from")
    if not isinstance(said, str):
        raise CellFault(f"holds turn {number} without a role; say who speaks")
    role = _ROLES.get(said.strip().casefold())
    if role is None:
        raise CellFault(
            f"holds the unknown role {said[:40]!r}; use system, user, assistant or tool"
        )
    if any(turn.get(name) for name in _CALLS):
        raise CellFault(
            f"calls a tool in turn {number} by fields of its own, which are not read; write the "
            "call into its content as the model should write it"
        )
    content = turn["content"] if turn.get("content") is not None else turn.get("value")
    return Turn(role, _content(content, number))


def _content(content: Any, number: int) -> str:
    if content is None:
        raise CellFault(f"holds turn {number} without content; fill it in or leave the turn out")
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        raise CellFault(f"holds {json_name(content)} as content of turn {number}; write text")
    parts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str) or (isinstance(part, dict) and part.get("type") != "text"):
            kind = part.get("type") if isinstance(part, dict) else json_name(part)
            raise CellFault(
                f"holds a part of content that is no text ({kind}) in turn {number}; only text is "
                "read and written"
            )
        parts.append(text)
    return "".join(parts)
