"""Texts with marked characters to token ids with marked tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from equipoise.models.writing.chat import Span

_CHUNK = 4096
"""Pieces of text tokenized at once."""

Ids = list[int]
Marked = tuple[Ids, list[bool]]


@dataclass(frozen=True, eq=False)
class Pieces:
    """A tokenizer that takes texts piece by piece, cut where spans begin and end.

    Tokenized whole, a text could have tokens that reach across a border: the line end of a header
    and that with which an answer begins may be one token, or be parted otherwise for what follows.
    Cut there, what is learned is just what the spans hold, and what stands before an answer is,
    token by token, what a model is given to go on from.
    """

    tokenizer: Any

    def marked(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[Marked]:
        """For each text its token ids, without special tokens around them, and which of the
        tokens lie in a span."""
        cut = [list(self._cut(text, own)) for text, own in zip(texts, spans, strict=True)]
        firsts = [(number == 0, piece) for row in cut for number, (piece, _) in enumerate(row)]
        encoded = iter(self._encode(firsts))
        found: list[Marked] = []
        for row in cut:
            ids: Ids = []
            marks: list[bool] = []
            for _, learned in row:
                own = next(encoded)
                ids += own
                marks += [learned] * len(own)
            found.append((ids, marks))
        return found

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of texts, without special tokens around them."""
        return self._encode([(True, text) for text in texts])

    def written_ids(self, texts: Sequence[str]) -> list[Ids]:
        """As `ids`, of texts that an encoder-decoder writes: translators have pieces of their own
        for the language that they write."""
        return self._encode([(True, text) for text in texts], side="text_target")

    @cached_property
    def around(self) -> tuple[Ids, Ids]:
        """The special tokens that the tokenizer puts before and behind a text."""
        return added_around(self.tokenizer("a", return_special_tokens_mask=True))

    def _cut(self, text: str, spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
        """The pieces of a text, and whether each is learned."""
        at = 0
        for span in spans:
            if text[at : span.start]:
                yield text[at : span.start], False
            if text[span.start : span.end]:
                yield text[span.start : span.end], True
            at = span.end
            if span.ended and text[: span.end].endswith(self._greedy):
                # Uncut, such a token takes the blanks behind it with it.
                at += len(text) - at - len(text[at:].lstrip())
        if text[at:]:
            yield text[at:], False

    def _encode(self, pieces: Sequence[tuple[bool, str]], side: str = "text") -> list[Ids]:
        """Ids of (is it the beginning of its text, piece). Those within a text are read behind an
        end token, since some tokenizers put a blank before whatever they take for a beginning.

        side   What the tokenizer calls them: "text", or "text_target" if they are written.
        """
        end, mark = self.tokenizer.eos_token_id, self.tokenizer.eos_token
        guarded = mark is not None and mark not in self._greedy
        found: list[Ids] = []
        for start in range(0, len(pieces), _CHUNK):
            chunk = pieces[start : start + _CHUNK]
            marked = [text if first or not guarded else mark + text for first, text in chunk]
            lists = self.tokenizer(
                **{side: marked},
                add_special_tokens=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )["input_ids"]
            for (first, text), ids in zip(chunk, lists, strict=True):
                if first or not guarded:
                    found.append(list(ids))
                elif ids and ids[0] == end:
                    found.append(list(ids[1:]))
                else:
                    found.append(list(self.tokenizer(text, add_special_tokens=False)["input_ids"]))
        return found

    @cached_property
    def _greedy(self) -> tuple[str, ...]:
        """Special tokens that take the blanks behind them with them."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        return tuple(token.content for token in added if token.special and token.rstrip)


def added_around(out: Any) -> tuple[Ids, Ids]:
    """The special tokens before and behind the others, of a tokenizer's answer with their mask."""
    ids, added = out["input_ids"], out["special_tokens_mask"]
    inner = [place for place, special in enumerate(added) if not special]
    if not inner:
        return [], []
    return list(ids[: inner[0]]), list(ids[inner[-1] + 1 :])
