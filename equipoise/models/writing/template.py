"""Turns to token ids: what is read, what is written, and what to go on from.

Three forms, in this order of choice:

1. A plain text is learned whole: the tokenizer's beginning, the text, its end token.
2. Any other row is rendered by the tokenizer's chat template, if it has one; learned are the
   assistant's turns and their end tokens, and the row ends with the last of them (`chat`).
3. Without a template a row of one prompt (a system's text before it or not) and one completion is
   `prompt + "\\n" + completion` and the end token; learned is what follows the line end.

Of encoder-decoders the two sides stand apart: the encoder reads what is asked, the decoder learns
the last answer and its end token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from equipoise.data.raw import LISTED, listing
from equipoise.errors import DataError, ModelError, SettingsError
from equipoise.models.tokenize import Tokens
from equipoise.models.writing.chat import Chat, TurnsFault
from equipoise.models.writing.forms import Marked, learned_text, opened_text, source_text
from equipoise.models.writing.pieces import Ids, Pieces, added_around
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.window import Cut, TooLong, fitted, fitted_prompt
from equipoise.records.rows import Column
from equipoise.records.turns import PLAIN, Turn, answer, asked

_T = TypeVar("_T")


class Reads(Protocol):
    """What is needed of a `Base`."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Any: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def two_parts(self) -> bool: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def virtual_tokens(self) -> int: ...
    @property
    def thinks(self) -> bool: ...


def sequences(turns: Column, base: Reads, *, too_long: TooLong = "left") -> Sequences:
    """Token ids of rows to learn from, and which tokens are learned.

    turns     (n,) tuples of Turn, each with an answer.
    too_long  Of rows longer than base.max_tokens: "left" cuts the beginning of what is asked, and
              the end of an answer that is too long alone (`Sequences.cut` counts both, `truncated`
              the rows); "error" refuses them.

    Raises ModelError if the tokenizer has no chat template and rows need one, if its template
    refuses or rewrites turns, or if it has no end token; DataError if rows are too long and may
    not be cut, with the former faults beside it. Rows are named by their number, from 1.
    """
    end = base.tokenizer.eos_token_id
    if end is None:
        raise ModelError(
            f"{base.name}: its tokenizer has no end token, so that a text could never end; take "
            "another base"
        )
    pieces, chat = Pieces(base.tokenizer), _chat(base)
    if base.two_parts:
        return _two_parts(turns, base, pieces, chat, end, too_long)
    texts, faults = _each(turns, base, lambda row: learned_text(row, chat))
    found = pieces.marked(
        [text.text for text in texts.values()], [text.spans for text in texts.values()]
    )
    rows: dict[int, _Row] = {}
    for (number, text), (ids, learned) in zip(texts.items(), found, strict=True):
        begin = _begin(text, ids, pieces)
        tail = [] if text.ended else [end]
        rows[number] = _Row(
            begin.added + ids + tail,
            [False] * len(begin.added) + learned + [True] * len(tail),
            begin.count,
        )
    lengths = {number: len(row.ids) for number, row in rows.items()}
    _refuse(faults, _long(lengths, base, too_long))
    return _sequences(list(rows.values()), base)


def turn_faults(turns: Column, base: Reads, *, too_long: TooLong = "left") -> list[str]:
    """All that `sequences` would raise of these rows, a line each; rows that are None, whose
    faults are known, are passed over."""
    try:
        sequences(turns, base, too_long=too_long)
    except (DataError, ModelError) as error:
        return [*error.faults]
    return []


def asked_tokens(turns: Column, base: Reads, *, new_tokens: int) -> Tokens:
    """Token ids of what rows ask, opened for an answer; with `new_tokens` behind them they fit
    into the model's positions. What is longer is cut at its beginning, and counted in `truncated`.

    Raises ModelError as `sequences`; SettingsError if `new_tokens` leave no room.
    """
    pieces, chat = Pieces(base.tokenizer), _chat(base)
    if base.two_parts:
        _check_written_positions(base, new_tokens)
        sources = _sources(turns, base, pieces, chat)
        _refuse(sources.faults, [])
        return sources.tokens
    window = base.max_tokens
    positions = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    if positions:
        positions -= base.virtual_tokens
        if new_tokens >= positions:
            raise SettingsError(
                f"write.decode.new_tokens: {new_tokens} leave no room for what is asked in the "
                f"model's {positions} positions; take fewer"
            )
        window = min(window, positions - new_tokens)
    opened, faults = _each(turns, base, lambda row: opened_text(asked(row), chat))
    _refuse(faults, [])
    texts, rows = list(opened.values()), []
    found = pieces.marked([text.text for text in texts], [text.spans for text in texts])
    for text, (ids, _) in zip(texts, found, strict=True):
        begin = _begin(text, ids, pieces)
        # Of nothing a model can't go on: the end of another text is what begins one.
        given = begin.added + ids or [base.tokenizer.eos_token_id or 0]
        rows.append(fitted_prompt(given, window, begin.count))
    return _tokens([ids for ids, _ in rows], [cut for _, cut in rows], base.tokenizer)


def _check_written_positions(base: Reads, new_tokens: int) -> None:
    """Raises SettingsError if the decoder of an encoder-decoder has fewer positions. T5 and its kin
    know no positions, but distances."""
    config = base.config.get_text_config()
    names = ("max_decoder_position_embeddings", "max_position_embeddings")
    known = [size for name in names if (size := getattr(config, name, None))]
    if known and new_tokens > known[0]:
        raise SettingsError(
            f"write.decode.new_tokens: {new_tokens} are more than the {known[0]} positions of the "
            "model's decoder; take fewer"
        )


def asked_ids(turns: Column, base: Reads, *, new_tokens: int) -> list[NDArray[np.int32]]:
    """The rows of `asked_tokens`, one by one."""
    tokens = asked_tokens(turns, base, new_tokens=new_tokens)
    return [tokens.row(row) for row in range(len(tokens))]


def hold_thoughts(turns: Column, base: Reads) -> bool:
    """Whether any answer comes with a thought of its own; see `Chat.thinks`."""
    chat = _chat(base)
    return chat is not None and any(map(chat.holds_thought, turns))


# ── encoder-decoders ──────────────────────────────────────────────────────────────────────────


def _two_parts(
    turns: Column, base: Reads, pieces: Pieces, chat: Chat | None, end: int, too_long: TooLong
) -> Sequences:
    sources = _sources(turns, base, pieces, chat)
    answers, faults = _each(turns, base, _answered)
    before, behind = added_around(
        # Translators begin with the language that they write.
        base.tokenizer(text_target="a", return_special_tokens_mask=True)
    )
    written = pieces.written_ids(list(answers.values()))
    whole = [[*before, *ids, *(behind or [end])] for ids in written]
    lengths = dict(zip(answers, map(len, whole), strict=True))
    long = _long(sources.lengths, base, too_long) + _long(lengths, base, too_long)
    _refuse(sources.faults + faults, long)
    rows = [_Row(ids, [True] * len(ids), 0) for ids in whole]
    return _sequences(rows, base, sources.tokens, sources.cuts)


def _answered(turns: Sequence[Turn]) -> str:
    own = answer(turns)
    if own is None:
        raise TurnsFault("finds no assistant's turn", "add the answer")
    return own


@dataclass(frozen=True)
class _Sources:
    """What the encoder reads, the tokenizer's special tokens around it."""

    tokens: Tokens
    cuts: list[Cut]
    """What of each row was cut."""
    lengths: dict[int, int]
    """Tokens of each row by its number, uncut."""
    faults: list[str]
    """Of rows that can't be rendered, and are not among the others."""


def _sources(turns: Column, base: Reads, pieces: Pieces, chat: Chat | None) -> _Sources:
    if any(turn.role == PLAIN for row in turns for turn in row or ()):
        raise ModelError(
            f"{base.name}: has an encoder, and a plain text has nothing for it to read; take a "
            "decoder, or rows of prompts and completions"
        )
    texts, faults = _each(turns, base, lambda row: source_text(asked(row), chat))
    before, behind = ([], []) if chat is not None else pieces.around
    room = max(base.max_tokens - len(before) - len(behind), 1)
    whole = pieces.ids(list(texts.values()))
    fit = [fitted_prompt(ids, room, 0) for ids in whole]
    cuts = [cut for _, cut in fit]
    tokens = _tokens([[*before, *ids, *behind] for ids, _ in fit], cuts, base.tokenizer)
    sizes = [len(ids) + base.max_tokens - room for ids in whole]
    return _Sources(tokens, cuts, dict(zip(texts, sizes, strict=True)), faults)


# ── rows to one record ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Row:
    ids: Ids
    learned: list[bool]
    begin: int
    """Special tokens at the beginning that stay when the row is cut."""


@dataclass(frozen=True)
class _Begin:
    added: Ids
    """What belongs before the text's own tokens."""
    count: int
    """Special tokens that the whole then begins with."""


def _begin(text: Marked, ids: Ids, pieces: Pieces) -> _Begin:
    if text.bare:
        added = pieces.around[0]
        return _Begin(added, len(added))
    return _Begin([], int(bool(ids) and ids[0] == pieces.tokenizer.bos_token_id))


def _chat(base: Reads) -> Chat | None:
    if not getattr(base.tokenizer, "chat_template", None):
        return None
    return Chat(base.tokenizer, base.thinks)


def _each(
    turns: Column, base: Reads, render: Callable[[Sequence[Turn]], _T]
) -> tuple[dict[int, _T], list[str]]:
    """`render` of every row by its number, and a line for every way in which it fails, with the
    rows. Rows that are None are passed over."""
    found: dict[int, _T] = {}
    wrong: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(turns, start=1):
        if row is None:
            continue
        try:
            found[number] = render(row)
        except TurnsFault as fault:
            wrong[fault.what, fault.advice].append(number)
    return found, [
        f"{base.name}: the chat template {what} in {listing(numbers)}; {advice}"
        for (what, advice), numbers in list(wrong.items())[:LISTED]
    ]


def _long(lengths: dict[int, int], base: Reads, too_long: TooLong) -> list[str]:
    """A line if rows, by their numbers, are too long and may not be cut."""
    long = [number for number, size in lengths.items() if size > base.max_tokens]
    if too_long == "left" or not long:
        return []
    return [
        f"{len(long):,} rows are longer than {base.max_tokens} tokens, the longest "
        f"{max(lengths.values()):,} ({listing(long)}); raise max_tokens, shorten them, or let them "
        "be cut (write.too_long=left)"
    ]


def _refuse(of_template: list[str], of_rows: list[str]) -> None:
    """Raises all at once what there is."""
    if of_rows:
        raise DataError(*of_template, *of_rows)
    if of_template:
        raise ModelError(*of_template)


def _sequences(
    rows: list[_Row], base: Reads, sources: Tokens | None = None, read: Sequence[Cut] = ()
) -> Sequences:
    """read  What the window left out of each row's source, of encoder-decoders."""
    fit = [fitted(row.ids, row.learned, base.max_tokens, row.begin) for row in rows]
    cuts = [cut for _, _, cut in fit]
    lost = [sum(row.learned) - sum(marks) for row, (_, marks, _) in zip(rows, fit, strict=True)]
    if read:
        cuts = [own + before for own, before in zip(cuts, read, strict=True)]
    tokens = _tokens([ids for ids, _, _ in fit], cuts, base.tokenizer)
    return Sequences(
        tokens.ids,
        tokens.starts,
        tokens.truncated,
        tokens.unknown_share,
        learned=np.array([mark for _, marks, _ in fit for mark in marks], dtype=np.bool_),
        sources=sources,
        cut=sum(cuts, Cut()),
        lost=np.array(lost, dtype=np.int64),
    )


def _tokens(rows: Sequence[Ids], cuts: Sequence[Cut], tokenizer: Any) -> Tokens:
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    ids = np.array([token for row in rows for token in row], dtype=np.int32)
    unknown = tokenizer.unk_token_id
    share = 0.0 if unknown is None or not len(ids) else float(np.mean(ids == unknown))
    return Tokens(ids, starts, sum(cut.tokens > 0 for cut in cuts), share)
