"""Texts to ids: nothing is cut or lost without being counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from equipoise.models.tokenize import tokenize
from tests.models.tiny import make_tokenizer


def texts(*given: str) -> Any:
    return np.array(given, dtype=object)


def test_ids_lengths_and_unknown_share() -> None:
    tokenizer = make_tokenizer()
    tokens = tokenize(texts("card bank", "card zebra lamp"), tokenizer, 10)
    vocabulary = tokenizer.get_vocab()
    assert tokens.row(0).tolist() == [2, vocabulary["card"], vocabulary["bank"], 3]
    assert tokens.row(1).tolist() == [2, vocabulary["card"], 1, vocabulary["lamp"], 3]
    assert tokens.lengths.tolist() == [4, 5]
    assert tokens.truncated == 0
    assert tokens.unknown_share == pytest.approx(1 / 9)


def test_long_rows_are_counted_and_keep_their_closing_token() -> None:
    tokens = tokenize(texts("card bank money", "card", "the a my our please"), make_tokenizer(), 4)
    assert tokens.truncated == 2
    assert tokens.lengths.tolist() == [4, 3, 4]
    assert [tokens.row(i)[-1] for i in range(3)] == [3, 3, 3]


def test_a_row_of_just_the_limit_is_not_cut() -> None:
    tokens = tokenize(texts("card bank"), make_tokenizer(), 4)
    assert tokens.truncated == 0


class Dropping:
    """A tokenizer that drops every character it does not know and adds no special tokens."""

    unk_token_id: int | None = None
    eos_token_id: int | None = 7
    pad_token_id: int | None = 0

    def __call__(self, given: list[str], *, max_length: int, **_: Any) -> dict[str, Any]:
        return {"input_ids": [[ord(c) for c in t if c.isascii()][:max_length] for t in given]}


def test_a_row_that_nothing_is_left_of_gets_one_token() -> None:
    tokenizer = Dropping()
    tokens = tokenize(texts("ab", "ñ", "c"), tokenizer, 8)
    assert tokens.row(1).tolist() == [7]
    assert tokens.lengths.tolist() == [2, 1, 1]
    assert tokens.unknown_share == 0.0
    tokenizer.eos_token_id = None
    assert tokenize(texts("ñ"), tokenizer, 8).row(0).tolist() == [0]
    tokenizer.unk_token_id = 5
    assert tokenize(texts("ñ"), tokenizer, 8).row(0).tolist() == [5]


def test_taking_rows_repeats_and_reorders_them() -> None:
    tokens = tokenize(texts("card", "bank money", "lamp"), make_tokenizer(), 10)
    taken = tokens.take(np.array([2, 0, 0]))
    assert [taken.row(i).tolist() for i in range(3)] == [tokens.row(i).tolist() for i in (2, 0, 0)]
    assert len(tokens.take(np.array([], dtype=np.int64))) == 0


def test_many_rows_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = texts(*["card " * (i % 5 + 1) for i in range(50)])
    whole = tokenize(given, make_tokenizer(), 6)
    monkeypatch.setattr("equipoise.models.tokenize._CHUNK", 7)
    chunked = tokenize(given, make_tokenizer(), 6)
    assert chunked.ids.tolist() == whole.ids.tolist()
    assert chunked.truncated == whole.truncated == 10
