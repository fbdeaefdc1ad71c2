"""Rows that are steps or branches of one conversation.

A chat may be given as one row an answer: (u1, a1), (u1, a1, u2, a2), ... Every answer of a row is
learned, so the answer that one row is judged by is learned word for word with every longer row.
Their questions are not the same text, and mostly do not look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from equipoise.data.normalise import duplicate_key
from equipoise.data.shingles import Places
from equipoise.records.turns import PLAIN, Turn, is_learned

_Turns = Sequence[Turn]
_DIGEST = 16
"""Bytes of a digest: at a billion prefixes two differ and look equal once in 10^21 runs."""


class Ties(NamedTuple):
    """Which rows a name ties; a row may stand there under several names."""

    row: Places
    """(m,) numbers of rows."""
    name: Places
    """(m,) what ties them, numbered from 0."""


def steps(turns: Sequence[_Turns]) -> Ties:
    """Ties each row to the longer rows that answer its question on their way: those that begin with
    all the turns before its answer (up to case, spaces and punctuation), and go on to learn what
    comes next. A row that begins as another is among them, and so is one that answers otherwise.

    Time   every turn is read twice, whatever the number of rows that share it.
    """
    contexts = [_contexts(row) for row in turns]
    owned = {own[-1]: number for number, own in enumerate(contexts) if own}
    tied = [
        (row, owned[context])
        for row, own in enumerate(contexts)
        for context in own[:-1]
        if context in owned
    ]
    reached = {name for _, name in tied}
    tied += [
        (row, owned[own[-1]])
        for row, own in enumerate(contexts)
        if own and owned[own[-1]] in reached
    ]
    return _ties(tied)


def openings(turns: Sequence[_Turns]) -> Ties:
    """Ties rows that open with the same question and answer, whatever a system says before, where
    one of them at least goes on: branches of one conversation, or else a greeting."""
    names: dict[bytes, int] = {}
    tied = []
    goes_on: set[int] = set()
    for number, row in enumerate(turns):
        opening = _opening(row)
        if opening is not None:
            name = names.setdefault(opening, len(names))
            tied.append((number, name))
            if sum(map(is_learned, row)) > 1:
                goes_on.add(name)
    return _ties([(row, name) for row, name in tied if name in goes_on])


def _contexts(turns: _Turns) -> list[bytes]:
    """A digest of what stands before each turn that is learned; the last is the row's own question.
    Where nothing stands before it the turn itself counts, as in `asked_text`; a plain text has no
    question."""
    if any(turn.role == PLAIN for turn in turns):
        return []
    found = []
    so_far = blake2b(digest_size=_DIGEST)
    for place, turn in enumerate(turns):
        before = so_far.copy()
        _add(so_far, turn)
        if is_learned(turn):
            found.append((before if place else so_far).digest())
    return found


def _opening(turns: _Turns) -> bytes | None:
    """A digest of the first user's turn and of the first that is learned after it."""
    asked = next((place for place, turn in enumerate(turns) if turn.role == "user"), len(turns))
    answer = next((turn for turn in turns[asked:] if is_learned(turn)), None)
    if answer is None:
        return None
    both = blake2b(digest_size=_DIGEST)
    _add(both, turns[asked])
    _add(both, answer)
    return both.digest()


def _add(digest: blake2b, turn: Turn) -> None:
    raw = duplicate_key(turn.text).encode("utf-8", "surrogatepass")
    digest.update(b"%d:" % len(raw) + raw)


def _ties(tied: list[tuple[int, int]]) -> Ties:
    row, name = np.array(tied, dtype=np.int64).reshape(-1, 2).T
    return Ties(row, np.unique(name, return_inverse=True)[1].astype(np.int64))
