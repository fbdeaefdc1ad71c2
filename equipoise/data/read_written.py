"""Rows whose target is text: their turns, references and categories from one part's cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from equipoise.data.cells import is_text, names
from equipoise.data.messages import CellFault, to_references, to_turns
from equipoise.data.raw import BROKEN, LISTED, RawPart, listing
from equipoise.data.roles import Form, Roles
from equipoise.data.text_files import json_name
from equipoise.records.rows import Column, text_column
from equipoise.records.turns import ANY_CATEGORY, ASSISTANT, PLAIN, Turn, answer, asked_text

_T = TypeVar("_T")
_Turns = tuple[Turn, ...]


def written_columns(
    part: RawPart,
    form: Form,
    roles: Roles,
    need_answers: bool,
    faults: list[str],
    warnings: list[str],
) -> dict[str, Column]:
    """`turns`, `texts`, `labels` and `references` of the rows; cells that are faulty, and were
    reported here, are None.

    need_answers  False: an empty completion is one that is not known, and the row ends with what
                  is asked.
    """
    turns = _READERS[form](part, roles, need_answers, faults, warnings)
    category = roles.get("category", (None,))[0]
    given: list[tuple[str, ...] | None] = [()] * part.rows
    if "references" in roles:
        given = _references(part, roles["references"][0], turns, faults)
    return {
        "turns": text_column(turns),
        "texts": text_column([None if row is None else asked_text(row) for row in turns]),
        "labels": text_column([ANY_CATEGORY] * part.rows)
        if category is None
        else names(part, category, "category", faults),
        "references": text_column(list(map(_right, turns, given))),
    }


def _references(
    part: RawPart, column: str, turns: list[_Turns | None], faults: list[str]
) -> list[tuple[str, ...] | None]:
    """A cell that says what the row's answer says is that text, whatever it looks like."""
    own = [None if row is None else answer(row) for row in turns]
    cells = [
        (cell,) if isinstance(cell, str) and cell.strip() and cell == text else cell
        for cell, text in zip(part.cells[column], own, strict=True)
    ]
    read = partial(to_references, text_only=part.text_only)
    return _each(replace(part, cells={column: cells}), column, "references", read, faults)


def _right(turns: _Turns | None, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """All right answers, the row's own first."""
    if turns is None or given is None:
        return None
    own = answer(turns)
    return given if own is None or not own.strip() else tuple(dict.fromkeys((own, *given)))


def _pairs(
    part: RawPart, roles: Roles, need_answers: bool, faults: list[str], warnings: list[str]
) -> list[_Turns | None]:
    unread: set[str] = set()
    prompts = _each(
        part, roles["prompt"][0], "prompt", lambda cell: _side(cell, "user", unread), faults
    )
    completions: list[_Turns | None] = [()] * part.rows
    if "completion" in roles:
        completions = _each(
            part,
            roles["completion"][0],
            "completion",
            lambda cell: _side(cell, ASSISTANT, unread),
            faults,
        )
    _say_unread(part, unread, warnings)
    rows: list[_Turns | None] = []
    for before, after in zip(prompts, completions, strict=True):
        if before is None or after is None:
            rows.append(None)
        else:
            unknown = not need_answers and not any(turn.text.strip() for turn in after)
            rows.append(before if unknown else before + after)
    return rows


def _side(cell: Any, role: str, unread: set[str]) -> _Turns:
    """A prompt or a completion: a text, or turns as some chat files divide them."""
    if isinstance(cell, list | tuple):
        return to_turns(cell, unread)
    return (Turn(role, _text(cell)),)


def _conversations(
    part: RawPart, roles: Roles, need_answers: bool, faults: list[str], warnings: list[str]
) -> list[_Turns | None]:
    unread: set[str] = set()
    rows = _each(
        part, roles["messages"][0], "messages", lambda cell: to_turns(cell or [], unread), faults
    )
    _say_unread(part, unread, warnings)
    return rows


def _plain(
    part: RawPart, roles: Roles, need_answers: bool, faults: list[str], warnings: list[str]
) -> list[_Turns | None]:
    return _each(part, roles["text"][0], "text", lambda cell: (Turn(PLAIN, _text(cell)),), faults)


_Reader = Callable[[RawPart, Roles, bool, list[str], list[str]], list[_Turns | None]]
_READERS: dict[Form, _Reader] = {
    "pairs": _pairs,
    "messages": _conversations,
    "plain": _plain,
}


def _text(cell: Any) -> str:
    """The cell as it is, "" if it is missing: `check_rows` reports those. Raises CellFault."""
    if cell is None:
        return ""
    if not is_text(cell):
        raise CellFault(f"holds {json_name(cell)} where text should be; write it as text")
    return str(cell)


def _each(
    part: RawPart, column: str, role: str, read: Callable[[Any], _T], faults: list[str]
) -> list[_T | None]:
    """What `read` makes of every cell; None where it can't, with a fault for each way in which it
    can't, and the rows."""
    values: list[_T | None] = []
    wrong: dict[str, list[int]] = defaultdict(list)
    for number, cell in enumerate(part.cells[column], start=1):
        value: _T | None = None
        if cell is not BROKEN:
            try:
                value = read(cell)
            except CellFault as fault:
                wrong[str(fault)].append(number)
        values.append(value)
    faults.extend(_listed(part, f"{column!r} ({role})", wrong))
    return values


def _listed(part: RawPart, what: str, wrong: dict[str, list[int]]) -> Iterable[str]:
    for said, numbers in list(wrong.items())[:LISTED]:
        yield f"{part.where}: {what} of {listing(numbers)} {said}"
    left = list(wrong.values())[LISTED:]
    if left:
        rows = sum(map(len, left))
        yield f"{part.where}: {what} of {rows:,} more rows can't be read; mend them likewise"


def _say_unread(part: RawPart, unread: set[str], warnings: list[str]) -> None:
    if unread:
        warnings.append(
            f"{part.where}: turns also hold {', '.join(map(repr, sorted(unread)[:LISTED]))}, which "
            "is not read; write it into the content if the model should see it"
        )
