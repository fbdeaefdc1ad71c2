"""Rows in windows, and the bytes that their learned tokens spell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.models.writing.sequences import together
from equipoise.models.writing.sizes import learned_bytes
from equipoise.models.writing.template import sequences
from equipoise.records.rows import text_column
from equipoise.records.turns import Turn
from tests.models.writing.templates import TinyBase, make_tokenizer
from tests.models.writing.tiny import random_sequences

TWICE = (
    Turn("user", "Is it?"),
    Turn("assistant", "It left the warehouse on Monday, 東京."),
    Turn("user", "Surely?"),
    Turn("assistant", "Yes."),
)
PLAIN = (Turn("text", "Günter's naïve café – the answer is 42, as everyone knows."),)


@given(window=st.integers(3, 24), begin=st.sampled_from([(), (1,)]))
def test_windows_learn_every_token_once(window: int, begin: tuple[int, ...]) -> None:
    tokens = random_sequences(5)
    found = tokens.in_windows(window, begin)
    assert found.lengths.max() <= window
    assert found.ids[found.learned].tolist() == tokens.ids[tokens.learned].tolist()
    # Only what stands first in its row can't be told from anything.
    assert found.learned_lengths.sum() == tokens.learned_lengths.sum()


def test_rows_that_fit_are_left_as_they_are() -> None:
    tokens = random_sequences(5)
    found = tokens.in_windows(50, (1,))
    assert found.ids.tolist() == tokens.ids.tolist()
    assert found.starts.tolist() == tokens.starts.tolist()


@pytest.mark.parametrize("shape", ["qwen", "llama3"])
def test_a_decoder_learns_the_bytes_of_all_that_the_assistant_says(shape: str) -> None:
    tokenizer = make_tokenizer("bpe", shape)
    rows = text_column([TWICE, PLAIN])
    tokens = sequences(rows, TinyBase(tokenizer))
    said = [len((TWICE[1].text + TWICE[3].text).encode()), len(PLAIN[0].text.encode())]
    assert learned_bytes(rows, tokens, tokenizer).tolist() == said


def test_of_rows_that_were_cut_the_bytes_that_are_left() -> None:
    tokenizer = make_tokenizer("bpe", "qwen")
    rows = text_column([TWICE, PLAIN])
    whole = sequences(rows, TinyBase(tokenizer))
    window = int(whole.lengths.min()) - 4
    tokens = sequences(rows, TinyBase(tokenizer, max_tokens=window))
    left = [tokenizer.decode(tokens.row(k)[tokens.learned_in(k)]) for k in range(2)]
    sizes = [len(text.replace("<|im_end|>", "").encode()) for text in left]
    assert learned_bytes(rows, tokens, tokenizer).tolist() == sizes
    assert sizes[1] < len(PLAIN[0].text.encode())
    # What is asked may lose its beginning: no learned byte is lost with it.
    short = (Turn("user", "Is it? " * 40), Turn("assistant", "Yes."))
    cut = sequences(text_column([short]), TinyBase(tokenizer, max_tokens=20))
    assert cut.truncated == 1
    assert learned_bytes(text_column([short]), cut, tokenizer).tolist() == [4]


def test_an_encoder_decoder_learns_the_bytes_of_the_last_answer() -> None:
    tokenizer = make_tokenizer("bpe", "qwen")
    rows = text_column([TWICE])
    tokens = sequences(rows, TinyBase(tokenizer, two_parts=True))
    assert learned_bytes(rows, tokens, tokenizer).tolist() == [4]


def test_what_is_read_stands_together_too() -> None:
    one, other = random_sequences(3, sources=True), random_sequences(2, seed=5, sources=True)
    both = together(one, other)
    assert one.sources is not None
    assert other.sources is not None
    assert both.sources is not None
    for k in range(5):
        source, row = (one.sources, k) if k < 3 else (other.sources, k - 3)
        assert np.array_equal(both.sources.row(k), source.row(row))
