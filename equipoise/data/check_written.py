"""What is wrong with rows whose target is text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from equipoise.data.cell_faults import CELL_FAULTS
from equipoise.data.normalise import plain_key
from equipoise.data.raw import LISTED, listing, occur
from equipoise.data.table import Table
from equipoise.records.rows import Column, Rows, text_column
from equipoise.records.turns import ASSISTANT, PLAIN, Turn, answer, is_learned

_Turns = tuple[Turn, ...]
_NAMES = {
    "system": "system's turn",
    "user": "prompt (user's turn)",
    ASSISTANT: "completion (assistant's turn)",
    "tool": "tool's turn",
    PLAIN: "text",
}
"""What a turn is called, by its role."""
_FILL = {
    "user": "fill it in, or leave the rows out (texts without prompts: --task write --text ...)",
    ASSISTANT: "write the answer or leave the rows out",
    PLAIN: "fill it in or leave the rows out",
}
"""What to do where a turn of that role is empty; of other roles it may be."""


def written_faults(rows: Rows, where: str) -> Iterable[str]:
    """Faults of turns and references, one line each with the rows. Rows without labels (to be
    written on request) need no answer."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, said in enumerate(_faults_by_row(rows), start=1):
        for fault in said or ():
            found[fault].append(number)
    for (what, advice), numbers in found.items():
        yield f"{where}: {what} in {listing(numbers)}; {advice}"


def sound_turns(rows: Rows) -> Column:
    """(n,) the turns of rows that have none of these faults; None in place of the others'."""
    assert rows.turns is not None
    faults = _faults_by_row(rows)
    return text_column(
        [
            None if said is None or said else row
            for row, said in zip(rows.turns, faults, strict=True)
        ]
    )


def _faults_by_row(rows: Rows) -> Iterator[list[tuple[str, str]] | None]:
    """What is wrong with each row, and what to do; None for one whose cell was reported already."""
    assert rows.turns is not None
    turns = rows.turns.tolist()
    references = [()] * len(rows) if rows.references is None else rows.references.tolist()
    for row, own in zip(turns, references, strict=True):
        if row is None:
            yield None
        else:
            said = [*_text_faults(row, own or ()), *_order_faults(row, rows.labels is not None)]
            yield list(dict.fromkeys(said))


def _text_faults(turns: _Turns, references: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """What is wrong with single texts of a row, and what to do."""
    others = set(references) - {answer(turns)}
    for what, is_faulty, advice in CELL_FAULTS:
        for turn in turns:
            if is_faulty(turn.text):
                if what != "empty":
                    yield f"{_NAMES[turn.role]} with {what}", advice
                elif turn.role in _FILL:
                    yield f"empty {_NAMES[turn.role]}", _FILL[turn.role]
        if any(map(is_faulty, others)):
            yield f"references with {what if what != 'empty' else 'an empty text'}", advice


def _order_faults(turns: _Turns, needs_answer: bool) -> Iterable[tuple[str, str]]:
    """What is wrong with who speaks when, and what to do."""
    learned = [place for place, turn in enumerate(turns) if is_learned(turn)]
    if needs_answer and not learned:
        yield "no assistant's turn, so nothing to learn,", "add the answer or leave the rows out"
    elif needs_answer and learned[-1] < len(turns) - 1:
        yield (
            f"the {turns[-1].role}'s turn, not the assistant's, is the last",
            "what follows the assistant's last turn would be neither learned nor answered: leave "
            "it out, or add the answer",
        )
    asked = turns[: learned[-1]] if learned else turns
    if not needs_answer and not turns:
        yield "no turn at all, so nothing is asked,", "add the user's turn"
    elif asked and not any(turn.text.strip() for turn in asked) and "user" not in dict(asked):
        yield "nothing but empty turns before the answer", "add the user's turn"


def special_token_faults(
    rows: Rows, special_tokens: Sequence[str], where: str | None = None
) -> list[str]:
    """A line for each special token of a tokenizer that stands in the text of turns, or of rows
    that have none, with the rows.

    A tokenizer takes "<|im_end|>" in a text for the end of the turn: whoever writes it into a
    prompt can end the prompt and put words into the assistant's mouth, and a completion that holds
    it teaches to stop there.
    """
    tokens = sorted({token for token in special_tokens if token.strip()}, key=len, reverse=True)
    if not tokens:
        return []
    begin = "" if where is None else f"{where}: "
    pattern = re.compile("|".join(map(re.escape, tokens)))
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(_turns_or_texts(rows), start=1):
        held = {(turn.role, token) for turn in row for token in pattern.findall(turn.text)}
        for key in sorted(held):
            found[key].append(number)
    lines = [
        f"{begin}{_NAMES[role]} with the special token {token!r} in {listing(numbers)}, which "
        "the model would read as the mark itself; take it out, or write it otherwise"
        for (role, token), numbers in found.items()
    ]
    if len(lines) > LISTED:
        more = f"{begin}{len(lines) - LISTED:,} more special tokens stand in turns' texts"
        lines = [*lines[:LISTED], f"{more}; take them out likewise"]
    return lines


def _turns_or_texts(rows: Rows) -> Iterator[_Turns]:
    """The turns of each row, or its text as one; nothing of cells that were found faulty."""
    if rows.turns is not None:
        yield from (row or () for row in rows.turns.tolist())
    else:
        yield from ((Turn(PLAIN, text),) if text else () for text in rows.texts.tolist())


def repeated_prompts(table: Table) -> Iterable[str]:
    """A warning that counts prompts with several completions."""
    answers: dict[str, set[str]] = defaultdict(set)
    held: dict[str, int] = defaultdict(int)
    for rows in table.parts.values():
        for turns, text in zip(
            () if rows.turns is None else rows.turns.tolist(), rows.texts.tolist(), strict=False
        ):
            own = answer(turns)
            if own is not None and turns[0].role != PLAIN:
                key = plain_key(text)
                answers[key].add(own)
                held[key] += 1
    several = [key for key, own in answers.items() if len(own) > 1]
    if several:
        yield (
            f"{occur(len(several), 'prompts')} with different completions "
            f"({sum(held[key] for key in several):,} rows); each row is learned, and rows of one "
            "prompt stay on one side of every split"
        )
