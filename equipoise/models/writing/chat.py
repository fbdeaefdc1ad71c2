"""Conversations as a tokenizer's chat template renders them, and where in the text the assistant
speaks.

Few templates mark the assistant's turns themselves, so the places are found by rendering: what
stands before a turn is the text that the template makes of the turns before it, with the opening
of an assistant's turn behind them, which is also what a model is given to go on from. The turn
ends with its content and the special token behind it: that token the model must write, to stop.
What else templates put between turns (line ends, headers) is nobody's to learn.

Some templates put something of their own before the content of a turn that is answered now, as
Qwen3's does an empty thought, and their opening lacks it. It is the same whatever is answered, so
it is part of what is asked: neither learned nor written. Only where rows come with thoughts of
their own is the opening all that a model is given, for it is to write what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from equipoise.records.turns import ASSISTANT, Turn

_STAND_IN = "zqStandInForTheAnswerzq"
"""A content that no template treats in a way of its own."""
_ASKED = (Turn("user", "Hello"),)
"""Turns that every template renders."""


class TurnsFault(Exception):
    """Why a template can't render turns: what it does, in words that go on from "the chat
    template", and what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what, advice)
        self.what, self.advice = what, advice


@dataclass(frozen=True)
class Span:
    """Characters of a text that the model learns to write."""

    start: int
    end: int
    ended: bool
    """Whether a special token is the last of them."""


@dataclass(frozen=True, eq=False)
class Chat:
    """A tokenizer's chat template."""

    tokenizer: Any
    thinks: bool = False
    """Whether answers may come with thoughts of their own (see `holds_thought`), so that what the
    template puts before an answer is learned like the answer."""

    def marked(self, turns: Sequence[Turn]) -> tuple[str, list[Span]]:
        """The text of a conversation up to the assistant's last word or end token, and what of it
        is learned.

        Raises TurnsFault if the template refuses the turns, or rewrites what was said before: then
        what the model would be asked for is not what it learned.
        """
        whole = self._render(turns, opened=False)
        spans = self._spans(turns, whole)
        if not spans:
            raise TurnsFault("finds no assistant's turn", "add the answer")
        last = spans[-1]
        if not last.ended and turns[-1].role == ASSISTANT:
            # Whatever the template closes the last turn with is all that could say that it ends.
            last = spans[-1] = Span(last.start, max(last.end, len(whole.rstrip())), False)
        return whole[: last.end], spans

    @cached_property
    def closing(self) -> str | None:
        """The special token behind an answer, which a model must write to stop; None where the
        template puts none there."""
        try:
            whole = self._render((*_ASKED, Turn(ASSISTANT, _STAND_IN)), opened=False)
        except TurnsFault:
            return None
        found = whole.rfind(_STAND_IN)
        closed = self._end.match(whole, found + len(_STAND_IN)) if found >= 0 else None
        return closed[1] if closed else None

    @cached_property
    def ahead(self) -> str:
        """What the template puts between its opening of an assistant's turn and the content of the
        last one; "" where that is nothing, or blanks, which the first word takes with it."""
        try:
            opened = self._opened(_ASKED)
            text = self._before_content(_ASKED)
        except TurnsFault:
            return ""
        found = text.removeprefix(opened) if text.startswith(opened) else ""
        return found if found.strip() else ""

    def holds_thought(self, turns: Sequence[Turn]) -> bool:
        """Whether the assistant says itself what the template would put before an answer: a
        thought, as "<think>Hm.</think>Yes."."""
        marks = self.ahead.split()
        return bool(marks) and any(
            turn.role == ASSISTANT and marks[-1] in turn.text for turn in turns
        )

    def opened(self, turns: Sequence[Turn]) -> tuple[str, list[Span]]:
        """The text that a model is given to write the next turn, and where the assistant speaks in
        it already. Raises TurnsFault."""
        text = self._opened(turns)
        return text + self._asked_ahead(turns, text), self._spans(turns, text)

    def opening(self, turns: Sequence[Turn]) -> str:
        """The text that a model is given to write the next turn. Raises TurnsFault."""
        text = self._opened(turns)
        return text + self._asked_ahead(turns, text)

    def _asked_ahead(self, turns: Sequence[Turn], opened: str) -> str:
        """`ahead` where it is asked, and where the template puts it behind these turns, too."""
        if self.thinks or not self.ahead:
            return ""
        there = self._before_content(turns) == opened + self.ahead
        return self.ahead if there else ""

    def _opened(self, turns: Sequence[Turn]) -> str:
        """The turns with the template's own opening of an assistant's turn behind them."""
        if self._opens and turns:
            return self._render(turns, opened=True)
        return self._before_content(turns)

    def _before_content(self, turns: Sequence[Turn]) -> str:
        """What stands before the content of an assistant's turn that follows `turns` as the
        last."""
        text = self._render((*turns, Turn(ASSISTANT, _STAND_IN)), opened=False)
        return text[: max(text.find(_STAND_IN), 0)]

    @cached_property
    def _opens(self) -> bool:
        """Whether the template's own opening of an assistant's turn begins such turns, too. Those
        for models that always think aloud open with a thought that turns on record do not have."""
        try:
            opened = self._render(_ASKED, opened=True)
            return self._render((*_ASKED, Turn(ASSISTANT, _STAND_IN)), opened=False).startswith(
                opened
            )
        except TurnsFault:
            return True

    @cached_property
    def _end(self) -> re.Pattern[str]:
        tokens = sorted(special_tokens(self.tokenizer), key=len, reverse=True)
        return re.compile(r"\s*(" + "|".join(map(re.escape, tokens)) + ")" if tokens else r"(?!)()")

    def _spans(self, turns: Sequence[Turn], whole: str) -> list[Span]:
        spans: list[Span] = []
        for place, turn in enumerate(turns):
            if turn.role == ASSISTANT:
                spans.append(self._span(turns, place, whole, spans[-1].end if spans else 0))
        return spans

    def _span(self, turns: Sequence[Turn], place: int, whole: str, behind: int) -> Span:
        before = self._opened(turns[:place])
        if not whole.startswith(before) or len(before) < behind:
            raise TurnsFault(
                f"rewrites the turns before turn {place + 1} once that is there, so that the model "
                "would learn from another text than it is asked with,",
                "make each answer a row of its own, with the turns before it",
            )
        content, start = turns[place].text, len(before)
        further = start
        if not self.thinks and whole.startswith(self.ahead, start):
            further += len(self.ahead)
        end = self._content_end(turns, place, whole, further)
        if _letters(content) not in _letters(whole[len(before) : end]):
            raise TurnsFault(
                f"leaves out part of the assistant's turn {place + 1} (a thought, most often)",
                "make each answer a row of its own, or take that part out",
            )
        if _letters(content) in _letters(whole[further:end]):
            start = further  # else the answer says itself what the template would put there
        closed = self._end.match(whole, end)
        return Span(start, closed.end() if closed else end, closed is not None)

    def _content_end(self, turns: Sequence[Turn], place: int, whole: str, start: int) -> int:
        """Where the content of a turn ends in the rendered text."""
        for content in dict.fromkeys((turns[place].text, turns[place].text.strip())):
            end = start + len(content)
            if whole.startswith(content, start) and self._end.match(whole, end):
                return end
        before, after = turns[:place], turns[place + 1 :]
        for opened in (False, True):
            text = self._render((*before, Turn(ASSISTANT, _STAND_IN), *after), opened=opened)
            found = text.rfind(_STAND_IN)
            behind = text[found + len(_STAND_IN) :]
            if found >= 0 and whole.endswith(behind):
                return max(start, len(whole) - len(behind))
        raise TurnsFault(
            "does not show where the assistant's turn ends", "take a base with another template"
        )

    def _render(self, turns: Sequence[Turn], *, opened: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                [{"role": turn.role, "content": turn.text} for turn in turns],
                tokenize=False,
                add_generation_prompt=opened,
            )
        except Exception as error:
            # Templates raise what they like, by jinja's errors or by Python's on odd turns.
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            raise TurnsFault(f"refuses the turns ({reason[:200]})", _mend(reason)) from None
        return str(text)


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The texts that a tokenizer reads as marks: begin, end and padding, and those of turns."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    marks = [str(token.content) for token in added if token.special]
    return tuple(dict.fromkeys([*map(str, tokenizer.all_special_tokens), *marks]))


def _mend(reason: str) -> str:
    if "system" in reason.casefold():
        return "put the system's text into the user's first turn"
    return "order the turns as it wants them, or take a base with another template"


def _letters(text: str) -> str:
    return "".join(text.split())
