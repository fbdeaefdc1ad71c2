"""Rows of one conversation: whatever one row is judged by, no row on another side learns."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.data import (
    check_rows,
    cluster_rows,
    conversations,
    find_clusters,
    read_rows,
    split_table,
)
from equipoise.errors import DataError
from equipoise.records.rows import Rows, Splits
from equipoise.records.turns import Turn, asked, asked_text, is_learned

LETTERS = list("abcdefghijklmnopqrstuvwxyz")
_Chat = tuple[Turn, ...]


def say(seed: int) -> str:
    """Five words like no others."""
    draw = np.random.default_rng(seed)
    return " ".join("".join(draw.choice(LETTERS, size=6)) for _ in range(5))


def chat(*texts: str) -> _Chat:
    """The user's and the assistant's turns in order."""
    return tuple(Turn(("user", "assistant")[n % 2], text) for n, text in enumerate(texts))


def steps(number: int, answers: int) -> list[_Chat]:
    """One conversation as one row an answer, each with the turns before it."""
    texts = [say(1000 * number + n) for n in range(2 * answers)]
    return [chat(*texts[: 2 * n]) for n in range(1, answers + 1)]


def clusters(rows: list[_Chat], **more: Any) -> list[int]:
    return cluster_rows([asked_text(row) for row in rows], turns=rows, **more).tolist()


def write(path: Path, rows: list[_Chat]) -> Path:
    lines = [
        json.dumps({"messages": [{"role": turn.role, "content": turn.text} for turn in row]})
        for row in rows
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def turns(rows: Rows) -> list[_Chat]:
    assert rows.turns is not None
    return list(rows.turns.tolist())


def assert_no_answer_is_learned(splits: Splits) -> None:
    """No question of a held-out row is answered in training, after the same turns."""
    learned = {
        row[:place]
        for row in turns(splits.train)
        for place, turn in enumerate(row)
        if is_learned(turn)
    }
    for held in (splits.validation, splits.test):
        if held is not None:
            assert not [row for row in turns(held) if asked(row) in learned]


@pytest.mark.parametrize("seed", range(3))
def test_a_chat_given_as_one_row_an_answer_stays_on_one_side(tmp_path: Path, seed: int) -> None:
    rows = [row for number in range(40) for row in steps(number, 3)]
    table = read_rows(write(tmp_path / "chats.jsonl", rows))
    check_rows(table)
    splits = split_table(table, seed=seed)
    assert_no_answer_is_learned(splits)
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (84, 18, 18)
    openings = [{row[0] for row in turns(part)} for part in (splits.train, splits.test)]
    assert not openings[0] & openings[1]
    assert any("120 rows are steps of one conversation" in note for note in splits.notes)


def test_what_ties_rows_of_a_conversation() -> None:
    one, two, three, other = steps(1, 3), steps(2, 3), steps(3, 1), steps(4, 2)
    shouted = tuple(Turn(turn.role, f"{turn.text.upper()}!") for turn in two[0])
    otherwise = chat(three[0][0].text, say(1), say(2), say(3))
    told = (Turn("system", "Be brief."), *other[1])
    rows = [*one, shouted, two[2], three[0], otherwise, other[0], told]
    assert clusters(rows) == [
        *(0, 0, 0),  # each begins as the next
        *(1, 1),  # up to case and punctuation, and with a step left out between
        *(2, 2),  # one prompt, answered otherwise
        *(3, 3),  # the same opening, below a system's turn
    ]


def test_branches_stay_together_and_a_greeting_does_not() -> None:
    first, *_ = steps(7, 1)
    branches = [chat(*(t.text for t in first), say(n), say(100 + n)) for n in range(5)]
    assert set(clusters(branches)) == {0}
    greeted = [chat("Hello!", "Hi, how can I help?", say(n), say(100 + n)) for n in range(60)]
    assert len(set(clusters(greeted))) == 60
    assert len(set(clusters(greeted, max_cluster=59))) == 1


def test_an_exact_beginning_is_tied_however_many_share_it() -> None:
    rows = [chat("Hello!", "Hi, how can I help?", say(n), say(100 + n)) for n in range(60)]
    assert set(clusters([*rows, rows[0][:2]], max_cluster=1)) == {0}


def test_a_greeting_that_ties_everything_is_explained(tmp_path: Path) -> None:
    rows = [chat("Hello!", "Hi, how can I help?", say(n), say(100 + n)) for n in range(20)]
    path = write(tmp_path / "a.jsonl", [*rows, rows[0][:2]])
    with pytest.raises(DataError, match="leave out rows that are but a greeting"):
        split_table(read_rows(path))


def test_single_turns_and_plain_texts_are_as_before() -> None:
    prompts = [*(say(n) for n in range(30)), say(0), say(1).upper()]
    rows = [chat(prompt, say(500 + n % 3)) for n, prompt in enumerate(prompts)]
    rows += [(Turn("system", say(900)), *chat(say(5), say(502)))]
    texts = [asked_text(row) for row in rows]
    found = find_clusters(texts, turns=rows)
    assert found.ids.tolist() == cluster_rows(texts).tolist()
    assert found.steps == 0
    plain = [(Turn("text", prompt),) for prompt in prompts]
    assert clusters(plain) == cluster_rows(prompts).tolist()


def test_training_rows_that_cross_given_parts_give_way(tmp_path: Path) -> None:
    chats = [steps(number, 3) for number in range(20)]
    write(tmp_path / "train.jsonl", [row[2] for row in chats])
    write(tmp_path / "validation.jsonl", [*chats[0][:1], *steps(90, 2)])
    write(tmp_path / "test.jsonl", [chats[1][1], chats[2][0], *steps(91, 2)])
    splits = split_table(read_rows(tmp_path))
    assert_no_answer_is_learned(splits)
    assert len(splits.train) == 17
    assert any(
        "left out 3 of 20 train rows that repeat, resemble or share a conversation or a group" in n
        for n in splits.warnings
    ), splits.warnings
    kept = split_table(read_rows(tmp_path), keep_crossing=True)
    assert len(kept.train) == 20
    assert any("3 of 20 train rows" in n and "flatter" in n for n in kept.warnings)


WORDS = st.sampled_from(["alpha", "bravo", "carol", "delta"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=2, max_size=8), min_size=2, max_size=12))
def test_law_no_row_answers_on_its_way_what_another_cluster_asks(talks: list[list[str]]) -> None:
    """By comparing all pairs, which the code never does."""
    rows = [chat(*talk[: len(talk) // 2 * 2]) for talk in talks]
    ids = clusters(rows, max_cluster=1)
    for one, row in zip(ids, rows, strict=True):
        for other, longer in zip(ids, rows, strict=True):
            question = asked(row)
            if len(longer) > len(question) and longer[: len(question)] == question:
                assert one == other


def test_time_grows_with_the_turns_and_not_with_their_pairs() -> None:
    """20,000 rows that open alike: pairs of them would be 200 million. And one chat of 4,000 turns
    whose beginnings, joined anew each time, would be 100 MB."""
    rows = [chat("Hello!", "Hi.", f"{n} bran", f"{n} celt") for n in range(20_000)]
    begun = time.perf_counter()
    assert len(conversations.steps(rows).row) == 0
    assert len(conversations.openings(rows).row) == 20_000
    long = chat(*(say(n % 50) for n in range(4_000)))
    assert conversations.steps([long, long[:2000]]).row.tolist() == [0, 1]
    assert time.perf_counter() - begun < 20
