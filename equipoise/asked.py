"""What is asked of a loaded run from Python: prompts and conversations as arguments, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.data.messages import CellFault, to_turns
from equipoise.data.table import Table
from equipoise.errors import DataError
from equipoise.records.rows import Rows, text_column
from equipoise.records.turns import Turn, asked_text

Asked = str | Sequence[Turn | Mapping[str, str]]
"""A prompt, or a conversation up to the user's turn."""
ASKED = "what is asked"
"""The source of rows that come as arguments."""


def check_listed(given: Any, what: str) -> None:
    """Raises DataError for a lone text, whose letters would be taken for texts, and for a lone
    conversation, whose turns would be."""
    if isinstance(given, str):
        raise DataError(f"{what}: a lone text goes into a list, as [{given[:40]!r}]")
    if isinstance(given, list | tuple) and given and all(map(_is_turn, given)):
        raise DataError(f"{what}: a lone conversation goes into a list, as [[turn, turn, ...]]")


def check_table(given: Any) -> None:
    """Raises DataError for rows that were not read, as a path."""
    if not isinstance(given, Table):
        raise DataError(
            f"evaluate takes a Table, and was given {type(given).__name__} {str(given)[:60]!r}; "
            "read rows with equipoise.data.read_rows(path)"
        )


def _is_turn(one: Any) -> bool:
    return isinstance(one, Turn | Mapping)


def asked_rows(asked: Sequence[Asked], ids: Sequence[str] | NDArray[np.object_] | None) -> Rows:
    """The rows that a run writes answers to.

    ids  A name of each; None: their numbers from 0.

    Raises DataError naming what is no text and no conversation; or if it is a lone text or
    conversation in place of a list, or if there are not as many ids.
    """
    check_listed(asked, ASKED)
    turns, faults = [], []
    for number, one in enumerate(asked, 1):
        try:
            turns.append(_turns(one))
        except CellFault as fault:
            faults.append(f"{ASKED}: number {number} {fault}")
    if ids is not None and len(ids) != len(asked):
        faults.append(f"{len(ids)} ids for {len(asked)} of {ASKED}; give one for each")
    if faults:
        raise DataError(*faults)
    return Rows(
        ids=text_column(list(map(str, range(len(turns)) if ids is None else ids))),
        texts=text_column([asked_text(row) for row in turns]),
        turns=text_column(turns),
    )


def _turns(asked: Asked) -> tuple[Turn, ...]:
    """Raises CellFault."""
    if isinstance(asked, str):
        return (Turn("user", asked),)
    if isinstance(asked, Sequence) and all(isinstance(turn, Turn) for turn in asked):
        return tuple(turn for turn in asked if isinstance(turn, Turn))
    return to_turns(asked)
