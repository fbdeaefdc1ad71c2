"""How a row is asked for its label, and the words in which each label is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ModelError, SettingsError
from equipoise.models.config import ModelConfig
from equipoise.models.label_tree import LabelTree, make_tree
from equipoise.models.tokenize import Tokens, tokenize

TEXT = "{text}"
"""Stands in a prompt for the row's text."""
_STAND_IN, _ANSWER = "zqStandInForTheTextzq", "Answer7"
"""What a chat template is shown, to see what it puts around a text and an answer; no text holds the
first, though examples may well hold {text}."""


@dataclass(frozen=True, eq=False)
class LabelPrompt:
    """What stands around a row's text, and what may be written behind it."""

    tokenizer: Any
    before: str
    after: str
    opening: tuple[int, ...]
    """Special tokens in front of every prompt, as the tokenizer puts them."""
    tree: LabelTree
    max_tokens: int
    """Positions that prompt and longest label may take together."""

    def read(self, texts: NDArray[Any]) -> Tokens:
        """Every row's prompt, and behind it the nodes of the tree, which are the same for all.

        Where prompt and longest label don't fit, the row's text loses tokens from its left:
        what stands next to the label, and the prompt's own words, stay. `truncated` counts these
        rows.
        """
        head, limit = self._head(), self.max_tokens - self.tree.depth
        unknown = self.tokenizer.unk_token_id
        nodes, rows = self.tree.tokens.astype(np.int32), []
        truncated = strange = total = 0
        for text in texts:
            ids = [*self.opening, *_encode(self.tokenizer, f"{self.before}{text}{self.after}")]
            over = len(ids) - limit
            if over > 0:
                first = _shared(ids, head)
                del ids[first : first + over]
                truncated += 1
            strange += 0 if unknown is None else ids.count(unknown)
            total += len(ids)
            rows.append(np.concatenate([np.array(ids, np.int32), nodes]))
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        joined = np.concatenate(rows) if rows else np.empty(0, np.int32)
        return Tokens(joined, starts, truncated, strange / max(total, 1))

    def check_room(self, name: str) -> LabelPrompt:
        """Itself. Raises ModelError where the prompt leaves no room for a text."""
        own = len(self._head()) + len(_encode(self.tokenizer, self.after))
        if own + self.tree.depth >= self.max_tokens:
            raise ModelError(
                f"{name}: the prompt takes {own} tokens and the longest label {self.tree.depth}, "
                f"of {self.max_tokens} there are; raise model.max_tokens, or shorten the prompt"
            )
        return self

    def _head(self) -> list[int]:
        return [*self.opening, *_encode(self.tokenizer, self.before)]


def reader(
    tokenizer: Any, settings: ModelConfig, classes: Sequence[str], max_tokens: int
) -> Callable[[NDArray[Any]], Tokens]:
    """How this model's rows become tokens."""
    if settings.head == "text":
        return label_prompt(tokenizer, settings, classes, max_tokens).read
    return lambda texts: tokenize(texts, tokenizer, max_tokens)


def label_prompt(
    tokenizer: Any,
    settings: ModelConfig,
    classes: Sequence[str],
    max_tokens: int,
    examples: Sequence[tuple[str, str]] = (),
) -> LabelPrompt:
    """Prompt and tree of the classes, in their order.

    max_tokens   Positions that prompt and longest label may take together.
    examples     (text, class) of answered prompts that stand before every row's own.
    Raises SettingsError where labels can't be told apart or named ones are no classes; ModelError
    if the tokenizer has no end token, no chat template where one is asked for, or too little room.
    """
    words = _words(settings, classes)
    before, _, after = settings.label_prompt.partition(TEXT)
    opening, between, end = _opening(tokenizer), "", tokenizer.eos_token_id
    if not (after or before)[-1:].isspace():
        between = " "
    shown = "".join(f"{before}{text}{after}{between}{words[name]}\n\n" for text, name in examples)
    before = shown + before
    if settings.label_chat:
        before, after, between, end = _chat(tokenizer, settings.name, before, after)
        opening = ()
    if end is None:
        raise ModelError(
            f"{settings.name}: its tokenizer has no end token, without which a label that another "
            "begins with can't be told from it; set eos_token in its tokenizer_config.json"
        )
    written = {name: _label_ids(tokenizer, after, between + words[name]) for name in classes}
    faults = _faults(written, words, end)
    if faults:
        raise SettingsError(*faults)
    tree = make_tree(list(written.values()), end)
    prompt = LabelPrompt(tokenizer, before, after, opening, tree, max_tokens)
    return prompt.check_room(settings.name)


def _words(settings: ModelConfig, classes: Sequence[str]) -> dict[str, str]:
    """What is written for each class: as the settings say, else its name, `_` as a space."""
    said = settings.label_words or {}
    unknown = sorted(set(said) - set(classes))
    if unknown:
        raise SettingsError(
            *(f"model.label_words: class {name!r} is not in the training rows" for name in unknown)
        )
    return {name: said.get(name, name.replace("_", " ")).strip() for name in classes}


def _faults(written: dict[str, list[int]], words: dict[str, str], end: int) -> list[str]:
    mend = "give it other words with --set model.label_words='{CLASS: WORDS}'"
    faults, first = [], dict[tuple[int, ...], str]()
    for name, ids in written.items():
        if not ids or not words[name]:
            faults.append(f"class {name!r}: is written without a word; {mend}")
        elif end in ids:
            faults.append(f"class {name!r}: {words[name]!r} holds the end token; {mend}")
        elif tuple(ids) in first:
            faults.append(
                f"classes {first[tuple(ids)]!r} and {name!r}: both are written {words[name]!r} "
                f"for this tokenizer, so no score could tell them apart; {mend}"
            )
        first.setdefault(tuple(ids), name)
    return faults


def _label_ids(tokenizer: Any, after: str, label: str) -> list[int]:
    """Token ids of `label` as they come behind the prompt."""
    # Alone, some tokenizers would put a space of their own in front.
    lead, whole = _encode(tokenizer, after), _encode(tokenizer, after + label)
    if whole[: len(lead)] == lead:
        return whole[len(lead) :]
    return _encode(tokenizer, label)


def _chat(tokenizer: Any, name: str, before: str, after: str) -> tuple[str, str, str, int]:
    """The prompt as a user's turn in the tokenizer's chat template, what stands between it and
    the answer, and the token that ends an answer."""
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(f"{name}: its tokenizer has no chat template; leave label_chat out")
    turns = [{"role": "user", "content": before + _STAND_IN + after}]
    asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    answer = [*turns, {"role": "assistant", "content": _ANSWER}]
    answered = tokenizer.apply_chat_template(answer, tokenize=False)
    between, found, behind = answered.removeprefix(asked).partition(_ANSWER)
    rest = _encode(tokenizer, behind)
    if asked.count(_STAND_IN) != 1 or not answered.startswith(asked) or not found or not rest:
        raise ModelError(
            f"{name}: its chat template does not put a turn and its answer one behind the "
            "other; leave label_chat out, and write the turn into label_prompt"
        )
    before, _, after = asked.partition(_STAND_IN)
    return before, after, between, rest[0]


def _opening(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens that the tokenizer puts before a text; not those behind it, where the
    label comes."""
    bare, whole = _encode(tokenizer, "a"), tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start])
    return ()


def _encode(tokenizer: Any, text: str) -> list[int]:
    if not text:
        return []
    # verbose: no word about lengths, which are our own to count.
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return list(ids)


def _shared(ids: list[int], head: list[int]) -> int:
    """How many tokens both begin with. Where the text's first token has merged into the prompt's
    last, that one is the text's."""
    pairs = zip(ids, head, strict=False)
    return next(
        (i for i, (one, other) in enumerate(pairs) if one != other), min(len(ids), len(head))
    )
