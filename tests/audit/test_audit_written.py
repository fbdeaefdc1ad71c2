"""Auditing rows that are to be written: what they teach, what is telling of it, and advice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from equipoise.audit import Given
from equipoise.audit.answers import answers, pairs_of
from equipoise.audit.findings.answers import (
    answers_as_classes,
    outvoted,
    repeated_rows,
    same_answers,
    several_answers,
    too_few_judged,
    untrained,
)
from equipoise.audit.written_advice import advise_written
from equipoise.auditing import audit_table
from equipoise.auditing.gather import gather
from equipoise.data import ColumnNames, read_rows
from equipoise.errors import DataError
from equipoise.models.writing.random_base import save_random_base
from equipoise.records.audit_written import Answers
from equipoise.records.rows import text_column
from equipoise.records.turns import PLAIN, Turn
from equipoise.remedies.spec import parse_remedies
from equipoise.remedies.table import REMEDIES
from equipoise.report.audit_page import render_audit
from tests.audit.make_given import rows_of
from tests.cli_runner import run_cli
from tests.report.html_check import read_page

Row = tuple[str, str, str]
"""What is asked, what is answered, category."""


def written(rows: list[Row], parts: list[str] | None = None) -> Given:
    """Rows typed in a test; a question of "" is a text that is learned whole. Words are counted."""
    turns = [
        (Turn("user", asked), Turn("assistant", said)) if asked else (Turn(PLAIN, said),)
        for asked, said, _ in rows
    ]
    given = rows_of([asked or said for asked, said, _ in rows], [c for *_, c in rows], parts)
    sizes = np.array([len(said.split()) for _, said, _ in rows])
    return replace(given, turns=text_column(turns), learned=sizes)


def measured(given: Given) -> Answers:
    return answers(given, pairs_of(given), "words")


def numbered(n: int, category: str, answer: str, start: int = 0) -> list[Row]:
    """Rows with questions of their own; an answer that holds {k} is each row's own too."""
    return [(f"ask {k}", answer.format(k=k), category) for k in range(start, start + n)]


def of(finder: Any, given: Given) -> list[Any]:
    return list(finder(given, pairs_of(given), measured(given)))


class TestAnswers:
    ROWS: tuple[Row, ...] = (
        ("Where?", "Here now.", "a"),
        ("where?", "here  NOW.", "a"),  # the same row but for case and spaces
        ("Where?", "Here now!", "a"),  # a point makes an answer
        ("When?", "Here now.", "a"),
        ("Why?", "one two three four", "b"),
    )

    def test_by_hand(self) -> None:
        found = measured(written([*self.ROWS]))
        assert (found.prompts, found.several, found.several_rows) == (3, 1, 3)
        assert (found.repeated, found.different) == (1, 3)
        a, b = found.categories
        assert (a.name, a.rows, a.questions, a.different, a.commonest) == ("a", 4, 2, 2, 2)
        assert (a.share, a.learned) == (0.8, 8 / 12)
        assert (b.share, b.learned, b.median, b.high) == (0.2, 4 / 12, 4.0, 4.0)

    def test_texts_that_are_learned_whole_have_no_prompts(self) -> None:
        found = measured(written([("", "a text", "a"), ("", "a text", "a"), ("", "other", "a")]))
        assert (found.prompts, found.several, found.several_rows, found.repeated) == (0, 0, 0, 1)

    def test_judged_rows_have_no_share_in_what_is_learned(self) -> None:
        rows = [*self.ROWS, ("Who?", "a very long answer of seven words", "b")]
        found = measured(written(rows, ["train"] * 5 + ["test"]))
        assert found.categories == measured(written([*self.ROWS])).categories
        assert found.prompts == 4

    @settings(max_examples=30, deadline=None)
    @drawn(st.lists(st.tuples(*[st.sampled_from("xyz")] * 3), min_size=1, max_size=30))
    def test_order_plays_no_part(self, rows: list[Row]) -> None:
        assert measured(written(rows)) == measured(written(rows[::-1]))


class TestFindings:
    def test_answers_that_may_be_classes(self) -> None:
        few = written(numbered(60, "a", "yes") + numbered(60, "b", "no", 60))
        (found,) = of(answers_as_classes, few)
        assert "120 rows to train on have only 2 different answers" in found.says
        assert {e.note for e in found.examples} == {
            "60 rows have the answer 'yes'",
            "60 rows have the answer 'no'",
        }
        assert not of(same_answers, few), "the same thing is not said twice"
        assert not of(answers_as_classes, written(numbered(120, "a", "{k}")))
        assert not of(answers_as_classes, written(numbered(40, "a", "yes")))

    def test_one_answer_to_many_questions(self) -> None:
        rows = numbered(30, "a", "I can't help.") + numbered(170, "a", "{k}", 30)
        (found,) = of(same_answers, written(rows))
        assert (found.classes, found.rows) == (["a"], 30)
        assert "'a' 15 %" in found.says
        assert found.examples[0].note == (
            '30 questions of the category have the answer "I can\'t help."'
        )
        # Copies of one row are one question.
        copies = [("ask", "I can't help.", "a")] * 30 + numbered(170, "a", "{k}", 30)
        assert not of(same_answers, written(copies))
        assert not of(same_answers, written(numbered(19, "a", "no")))

    def test_no_text_is_quoted_where_none_is_to_be_kept(self) -> None:
        rows = numbered(30, "a", "secret") + numbered(170, "a", "{k}", 30)
        hidden = replace(written(rows), keep_texts=False)
        for finder in (same_answers, several_answers, repeated_rows):
            assert "secret" not in str(of(finder, hidden))

    def test_prompts_with_different_completions(self) -> None:
        (found,) = of(several_answers, written([*TestAnswers.ROWS]))
        assert "1 prompt of 3 has different completions (3 rows)" in found.says
        assert [e.note for e in found.examples] == ["2 different completions"]
        assert not of(several_answers, written(numbered(9, "a", "{k}")))

    def test_rows_that_repeat_whole(self) -> None:
        (found,) = of(repeated_rows, written([*TestAnswers.ROWS]))
        assert (found.rows, found.weight) == (1, "look")
        assert [e.note for e in found.examples] == ["occurs 2 times"]
        once = written([*numbered(99, "a", "yes"), ("ask 3", "yes", "a")])
        assert of(repeated_rows, once)[0].weight == "note"

    def test_long_answers_outvote_short_ones(self) -> None:
        rows = numbered(30, "short", "one {k}") + numbered(70, "long", "word " * 20 + "{k}", 30)
        given = written(rows)
        (found,) = list(outvoted(given, measured(given)))
        assert found.classes == ["short"]
        assert "(30 % of the rows, 3.9 % of the words)" in found.says
        assert {e.note for e in found.examples} == {"2 to learn"}
        even = written(numbered(30, "a", "one {k}") + numbered(70, "b", "one {k}", 30))
        assert not list(outvoted(even, measured(even)))

    def test_categories_too_few_to_judge(self) -> None:
        rows = numbered(20, "a", "{k}") + numbered(7, "b", "{k}", 20) + numbered(9, "c", "{k}", 30)
        (found,) = list(too_few_judged(written(rows, ["test"] * 36)))
        assert found.classes == ["b"]
        assert "1 of 3 categories can't be judged on the test rows given" in found.says
        copies = replace(written(rows, ["test"] * 36), clusters=np.repeat([0, 1, 2], [20, 7, 9]))
        assert len(next(iter(too_few_judged(copies))).classes) == 3
        assert not list(too_few_judged(written(rows)))

    def test_categories_that_are_judged_and_not_trained(self) -> None:
        rows = numbered(5, "a", "{k}") + numbered(2, "b", "{k}", 5)
        (found,) = list(untrained(written(rows, ["train"] * 5 + ["test"] * 2)))
        assert (found.classes, found.rows) == (["b"], 2)
        assert not list(untrained(written(rows)))


class TestAdvice:
    def stances(self, counts: list[int], rows: list[Row] | None = None) -> dict[str, str]:
        names = tuple(f"c{k}" for k in range(len(counts)))
        given = written(rows or [("q", "a", "c0"), ("r", "b", "c1")])
        made = advise_written(np.array(counts), names, measured(given), tuple(REMEDIES))
        for advice in made:
            words = advice.option.split()
            named = [words[k + 1] for k, word in enumerate(words) if word == "--remedy"]
            assert len(parse_remedies(named)) == len(named)
            assert advice.source
        return {advice.remedy: advice.stance for advice in made}

    def test_by_how_unequal_the_categories_are(self) -> None:
        assert self.stances([100, 90])["sqrt_sampler"] == "not here"
        assert self.stances([1000, 50])["sqrt_sampler"] == "try first"
        extreme = self.stances([9000, 9])
        assert "sqrt_sampler" not in extreme
        assert extreme["temperature_sampler"] == "try first"
        assert extreme["plentiful_first"] == "try"
        assert self.stances([4000, 9])["plentiful_first"] == "not here"

    def test_by_how_long_the_answers_are(self) -> None:
        assert self.stances([1, 1])["write.weigh"] == "not here"
        long = [("q", "word " * 30, "c0"), ("r", "b", "c1")]
        assert self.stances([1, 1], long)["write.weigh"] == "try"

    def test_one_category_leaves_nothing_to_balance(self) -> None:
        assert self.stances([500]) == {"light tuning or LoRA": "try first"}
        assert self.stances([5000]) == {"light tuning or LoRA": "try"}


def chats(path: Path) -> Path:
    """60 conversations in two categories, all different; five of the rare one very long."""
    rng = np.random.default_rng(0)
    words = [a + b for a in "bdfgklm" for b in ("amo", "eru", "ito", "ona")]
    lines = []
    for k in range(60):
        asked = " ".join(rng.choice(words, 400 if k < 5 else 8))
        turns = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": " ".join(rng.choice(words, 5))},
        ]
        lines.append(json.dumps({"messages": turns, "topic": "rare" if k < 12 else "common"}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


class TestDoor:
    def test_the_command_and_its_page(self, tmp_path: Path) -> None:
        rows = chats(tmp_path / "chats.jsonl")
        done = run_cli(
            *("audit", rows, "--category", "topic", "--quiet", "--out", tmp_path / "audit")
        )
        assert done.code == 0, done.stderr
        assert "60 rows, 2 categories" in done.stdout
        assert "class" not in done.stdout.replace("class_weights", "")
        assert "name the base that is to write (--model)" in done.stdout
        page = read_page(tmp_path / "audit" / "report.html")
        assert not page.faults
        said = " ".join(page.texts)
        assert "What is learned" in said
        assert "--category topic --model none" in said

    def test_a_base_measures_tokens_and_cuts(self, tmp_path: Path) -> None:
        rows = chats(tmp_path / "chats.jsonl")
        base = save_random_base(tmp_path / "base", ["bamo deru fito gona"], vocabulary=300)
        table = read_rows(rows, columns=ColumnNames(category="topic"))
        record = audit_table(table, model=str(base))
        assert record.answers is not None
        assert record.answers.unit == "tokens"
        cut = next(f for f in record.findings if f.kind == "cut")
        assert (cut.rows, cut.classes) == (5, ["rare"])
        assert "lose the beginning of what is asked" in cut.says
        assert record == audit_table(table, model=str(base)).model_copy(
            update={"created": record.created, "seconds": record.seconds}
        )
        assert "Category" in render_audit(record, "audit")

    def test_texts_that_are_learned_whole(self, tmp_path: Path) -> None:
        rows = tmp_path / "texts.csv"
        rows.write_text("text\n" + "\n".join(f"text {k} {k * k}" for k in range(30)))
        done = run_cli(
            *("audit", rows, "--task", "write", "--model", "none", "--out", tmp_path / "audit")
        )
        assert done.code == 0, done.stderr
        assert "30 rows, 1 category" in done.stdout
        page = read_page(tmp_path / "audit" / "report.html")
        assert "--task write --model none" in " ".join(page.texts)

    def test_steps_of_a_conversation_are_one_cluster_as_in_a_run(self, tmp_path: Path) -> None:
        """A row whose question a longer row answers on its way is judged by what was learned."""
        turns = [
            {"role": "user" if k % 2 == 0 else "assistant", "content": f"turn {k} {k * k}"}
            for k in range(4)
        ]
        lines = [json.dumps({"messages": turns[:2]}), json.dumps({"messages": turns})]
        others = [[("user", f"ask {k} {k**3}"), ("assistant", f"say {k}")] for k in range(30)]
        for row in others:
            lines.append(json.dumps({"messages": [{"role": r, "content": c} for r, c in row]}))
        rows = tmp_path / "rows.jsonl"
        rows.write_text("\n".join(lines), encoding="utf-8")
        table = read_rows(rows)
        given, _ = gather(table, costs=None, seed=0, keep_texts=True)
        assert given.clusters[0] == given.clusters[1]
        assert len(set(given.clusters.tolist())) == 31

    def test_what_can_not_be_asked_of_such_rows(self, tmp_path: Path) -> None:
        rows = chats(tmp_path / "chats.jsonl")
        (tmp_path / "costs.yaml").write_text("missed: {rare: 3}\n", encoding="utf-8")
        asked = ("audit", rows, "--category", "topic", "--costs", tmp_path / "costs.yaml")
        done = run_cli(*asked, "--out", tmp_path / "audit")
        assert done.code == 2
        assert "these rows are to be written; leave costs out" in done.stderr
        bad = tmp_path / "bad.jsonl"
        bad.write_text(json.dumps({"messages": [{"role": "user", "content": "hi"}]}))
        table = read_rows(bad)
        with pytest.raises(DataError, match="no assistant's turn"):
            audit_table(table)
        later = run_cli("audit", rows, "--task", "later", "--out", tmp_path / "other")
        assert "--task later: give classify, write or auto" in later.stderr
