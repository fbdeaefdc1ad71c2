"""Counts, lengths, language and groups, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from make_given import make_given, rows_of

from equipoise.audit.counts import balance, class_facts, effective_numbers
from equipoise.audit.findings.context import telling_groups
from equipoise.audit.findings.texts import strange_language
from equipoise.audit.given import Given, TokenFacts
from equipoise.audit.groups import groups, telling
from equipoise.audit.language import broken_words, language
from equipoise.audit.lengths import lengths
from equipoise.errors import ShapeError
from equipoise.records.rows import text_column


def six_rows() -> Given:
    """Four of one class, two of another; one test row."""
    return rows_of(
        ["a", "b", "c", "d", "e", "f"],
        ["x", "x", "x", "x", "y", "y"],
        ["train", "train", "train", "test", "train", "train"],
    )


def test_balance_by_hand() -> None:
    found = balance(six_rows())
    assert (found.largest, found.smallest, found.ratio) == ("x", "y", 1.5)
    entropy = -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    assert found.entropy == pytest.approx(entropy)
    assert found.evenness == pytest.approx(entropy / np.log(2))
    assert found.effective_classes == pytest.approx(np.exp(entropy))
    assert found.beta == pytest.approx(4 / 5)


def test_effective_numbers_add_less_and_less() -> None:
    counts = np.array([0, 1, 10, 100, 10_000])
    found = effective_numbers(counts, 0.99)
    np.testing.assert_allclose(found, (1 - 0.99 ** counts.astype(float)) / 0.01)
    assert found[0] == 0
    assert found[-1] == pytest.approx(100)


def test_class_facts_count_parts_roles_and_clusters() -> None:
    given = replace(six_rows(), clusters=np.array([0, 0, 1, 2, 3, 3]))
    x, y = class_facts(given)
    assert (x.name, x.counts, x.train, x.independent) == ("x", {"train": 3, "test": 1}, 3, 2)
    assert (y.name, y.counts, y.train, y.independent) == ("y", {"train": 2, "test": 0}, 2, 1)
    assert x.share == pytest.approx(0.6)


def test_a_class_without_training_rows_has_no_share_in_the_balance() -> None:
    given = rows_of(["a", "b", "c"], ["x", "y", "z"], ["train", "train", "test"])
    found = balance(given)
    assert (found.classes, found.trained, found.ratio) == (3, 2, 1.0)
    assert found.evenness == 1.0


def test_lengths_in_words_without_a_tokenizer_and_in_tokens_with_one() -> None:
    given = rows_of(["one two", "one two three four", "one"], ["x", "x", "y"])
    found = lengths(given)
    assert (found.unit, found.limit) == ("words", None)
    assert [(c.name, c.median, c.cut) for c in found.classes] == [("x", 3.0, 0), ("y", 1.0, 0)]
    zeros = np.zeros(3, dtype=np.int64)
    tokens = TokenFacts(np.array([10, 200, 128]), 128, zeros, zeros, zeros)
    found = lengths(replace(given, tokens=tokens))
    assert (found.unit, found.limit) == ("tokens", 128)
    assert [(c.name, c.cut) for c in found.classes] == [("x", 1), ("y", 0)]


def test_broken_words() -> None:
    whole = [(0, 0), (0, 5), (6, 11), (0, 0)]
    assert broken_words("hello world", whole) == (2, 0)
    # Five letters in four pieces: fewer than two letters a piece.
    assert broken_words("hello", [(0, 1), (1, 2), (2, 3), (3, 5)]) == (1, 1)
    assert broken_words("hello", [(0, 2), (2, 5)]) == (1, 0)
    # A short word may be one piece a letter; more pieces than letters are bytes.
    assert broken_words("abc", [(0, 1), (1, 2), (2, 3)]) == (1, 0)
    # Han: one piece a letter is usual, two are bytes.
    assert broken_words("退款申请", [(0, 1), (1, 2), (2, 3), (3, 4)]) == (1, 0)
    assert broken_words("退款", [(0, 1), (0, 1), (1, 2), (1, 2)]) == (1, 1)
    assert broken_words("12 !?", [(0, 2), (3, 4), (4, 5)]) == (0, 0)


def test_a_piece_may_begin_with_the_space_before_its_word() -> None:
    assert broken_words("good grief", [(0, 4), (4, 10)]) == (2, 0)
    assert broken_words("ah grief", [(0, 2), (2, 4), (4, 5), (5, 8)]) == (2, 1)
    assert broken_words("ah  grief", [(0, 2), (2, 3), (3, 6), (6, 9)]) == (2, 0)


def test_vowel_signs_and_accents_belong_to_their_word() -> None:
    word = "हिन्दी"  # three letters, three signs
    assert broken_words(word, [(0, 6)]) == (1, 0)
    assert broken_words(word, [(k, k + 1) for k in range(6)]) == (1, 1)
    assert broken_words("cafe\u0301", [(0, 2), (2, 5)]) == (1, 0)
    # Thai signs are one piece each, as its letters are.
    assert broken_words("ที่นี่", [(k, k + 1) for k in range(6)]) == (1, 0)


def test_words_are_counted_in_any_order_of_the_pieces_and_in_long_texts() -> None:
    words, begins = 100_000, np.arange(100_000) * 6
    text = " ".join(["abcde"] * words)
    spans = [(int(at), int(at) + 5) for at in begins]
    assert broken_words(text, spans) == (words, 0)
    assert broken_words(text, spans[::-1]) == (words, 0)


def test_texts_without_words_have_unknown_tokens_all_the_same() -> None:
    given = rows_of(["\U0001f600"] * 40, ["x", "y"] * 20)
    ones, none = np.ones(40, dtype=np.int64), np.zeros(40, dtype=np.int64)
    facts = TokenFacts(lengths=3 * ones, limit=128, unknown=ones, words=none, broken=none)
    given = replace(given, tokens=facts)
    found = language(given)
    assert found is not None
    assert (found.rows, found.unknown, found.broken) == (0, pytest.approx(1 / 3), 0.0)
    (said,) = strange_language(given, found)
    assert said.says.endswith("the words of 'x' and 'y': 33 % of the tokens unknown in 'x'")
    assert said.rows == 40
    assert said.examples[0].note == "1 of 3 tokens unknown"


def test_language_adds_up_over_rows() -> None:
    given = rows_of(["a", "b", "c"], ["x", "x", "y"])
    facts = TokenFacts(
        lengths=np.array([10, 10, 10]),
        limit=128,
        unknown=np.array([1, 0, 5]),
        words=np.array([8, 2, 5]),
        broken=np.array([2, 0, 5]),
    )
    found = language(replace(given, tokens=facts))
    assert found is not None
    x, y = found.classes
    assert (x.unknown, x.broken, x.words) == (0.05, 0.2, 10)
    assert (y.unknown, y.broken) == (0.5, 1.0)
    assert found.broken == pytest.approx(7 / 15)


def grouped(seed: int, tied: float) -> Given:
    """40 groups; a share `tied` of the rows is of the class that its group prefers."""
    given = make_given({"a": 300, "b": 300, "c": 200}, seed=seed)
    rng = np.random.default_rng(seed)
    prefers = rng.integers(0, 3, 40)
    number = rng.integers(0, 40, len(given))
    own = np.array([rng.choice(np.flatnonzero(prefers == k)) for k in given.labels])
    number = np.where(rng.random(len(given)) < tied, own, number)
    return replace(given, groups=text_column([f"g{k}" for k in number]))


def test_groups_that_tell_the_class() -> None:
    found = groups(grouped(0, 1.0), seed=0)
    assert found is not None
    assert found.association > 0.95
    assert found.p == 1 / 200
    assert found.in_large > 0.95
    assert telling(found)


def test_groups_that_tell_nothing_are_seldom_said_to() -> None:
    p = [groups(grouped(seed, 0.0), seed=0).p for seed in range(40)]  # type: ignore[union-attr]
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)


def test_groups_of_each_class_by_hand() -> None:
    given = rows_of(["a", "b", "c", "d", "e"], ["x", "x", "x", "x", "y"])
    given = replace(given, groups=text_column(["p", "p", "p", "q", ""]))
    found = groups(given, seed=0)
    assert found is not None
    assert (found.groups, found.rows, found.in_large) == (2, 4, 0.0)
    assert not telling(found)
    (x,) = found.classes
    assert (x.groups, x.largest, x.largest_share) == (2, "p", 0.75)
    assert x.effective == pytest.approx(1 / (0.75**2 + 0.25**2))


def test_columns_of_different_length_are_refused() -> None:
    given = six_rows()
    with pytest.raises(ShapeError, match="clusters has 2 entries, ids has 6"):
        replace(given, clusters=np.arange(2))
    with pytest.raises(ShapeError, match="probe has 5 columns; expected 2"):
        replace(given, probe=np.zeros((6, 5)))


def test_a_class_of_few_groups_is_told_by_what_they_are_worth() -> None:
    """Of x one group holds ten of twenty rows; of y two hold three each."""
    given = rows_of([f"text {n}" for n in range(26)], ["x"] * 20 + ["y"] * 6)
    names = ["big"] * 10 + [f"g{n}" for n in range(10)] + ["h0", "h1"] * 3
    given = replace(given, groups=text_column(names))
    found = groups(given, seed=0)
    assert found is not None
    (said,) = [one for one in telling_groups(given, found) if one.kind == "few_groups"]
    worth = {c.name: c.effective for c in found.classes}
    assert worth["x"] == pytest.approx(1 / (0.5**2 + 10 * 0.05**2))
    expected = "'y' (2 groups), 'x' (11 groups, worth 3.6 equal ones)"
    assert said.says == f"2 classes rest on few groups: {expected}"
