"""The report of a run that writes: what it says of texts that are empty or were not asked for."""

from __future__ import annotations

import pytest
from html_check import read_page
from make_written_run import make_written

from equipoise.report import write_report
from equipoise.report.read import read_written_run
from equipoise.report.sections.categories import categories_section
from equipoise.report.sections.writing import writing_facts
from equipoise.report.written_verdict import written_verdict

pytest.importorskip("sacrebleu")

BETTER, NOISE = (-0.15, -0.18, -0.13), (-0.01, -0.02, 0.01)
LOWER = {("base", "macro_loss"): BETTER, ("plain", "macro_loss"): NOISE}
ANSWER = "it is the number 3"


def verdict(folder, texts, **settings):
    return written_verdict(read_written_run(make_written(folder, texts, **settings)))


def test_a_run_that_writes_nothing_is_no_help_whatever_its_loss(tmp_path):
    found = verdict(tmp_path / "run", ["", " \n"] * 8, differences=LOWER)
    assert (
        found.headline == "It writes nothing: every one of the 16 texts it was asked for is empty."
    )
    assert found.tone == "bad"
    assert "texts were asked for on all of them, and every one is empty" in found.sentences[0]


def test_some_empty_texts_are_counted(tmp_path):
    found = verdict(tmp_path / "run", [ANSWER, ""] + [None] * 14, differences=LOWER)
    assert found.headline.startswith("Fine-tuning lowers the loss here, but")
    assert "texts were asked for on 2 of them, and 1 is empty" in found.sentences[0]
    page = read_page(write_report(tmp_path / "run")).text
    assert "Of 2 written texts, 0 are a right one word for word, and 1 is empty." in page


def test_texts_that_are_better_are_help(tmp_path):
    better = LOWER | {("base", "macro_bleu"): (20.0, 12.0, 31.0)}
    found = verdict(tmp_path / "run", [ANSWER] * 16, differences=better)
    assert found.headline.startswith("Fine-tuning helps here, but")


def test_the_verdict_leads_with_the_answers_that_the_pattern_finds(tmp_path):
    """They are better than the base's and the plain run's, where loss and BLEU can't tell."""
    gain, noise = (0.3, 0.1, 0.5), (0.5, -2.0, 3.0)
    found = {
        ("base", "macro_answer_match"): gain,
        ("base", "macro_loss"): NOISE,
        ("plain", "macro_answer_match"): gain,
        ("plain", "macro_loss"): NOISE,
        ("plain", "macro_bleu"): noise,
    }
    folder = tmp_path / "run"
    said = verdict(folder, [ANSWER] * 16, differences=found, pattern=r"\d+")
    assert said.measure == "macro_answer_match"
    assert said.headline == (
        "Fine-tuning helps here, and this run beats plain fine-tuning by macro answer match, with "
        "no sure difference by macro loss and macro BLEU."
    )
    assert said.tone == "good"
    assert said.figures[0].name == "Macro answer match"
    assert said.sentences[0].startswith("On 16 test rows of 2 categories its macro answer match is")
    assert "Against plain fine-tuning: macro answer match +0.300" in said.sentences[1]
    assert "has answer match 0.000" in " ".join(said.sentences)
    page = read_page(write_report(folder))
    assert page.faults == []
    assert "Macro answer match, against plain fine-tuning" in page.text


def test_without_texts_only_the_loss_is_claimed(tmp_path):
    found = verdict(tmp_path / "run", [None] * 16, differences=LOWER)
    assert found.headline.startswith("Fine-tuning lowers the loss here, but")
    assert "no text was written, so the rows were judged by their loss alone" in found.sentences[0]


def test_who_asked_for_so_few_texts_is_said(tmp_path):
    folder = make_written(tmp_path / "run", [ANSWER] * 10 + [None] * 6, decode_rows=10)
    facts = dict(writing_facts(read_written_run(folder)))
    assert facts["Texts asked for"] == "10 of 16 judged rows, as write.decode_rows = 10 has it"
    folder = make_written(tmp_path / "all", [ANSWER] * 16)
    facts = dict(writing_facts(read_written_run(folder)))
    assert facts["Texts asked for"] == "16 of 16 judged rows"


def test_a_reason_that_many_cells_share_is_said_once(tmp_path):
    folder = make_written(tmp_path / "run", [f"{ANSWER} {k}" for k in range(16)])
    section = categories_section(read_written_run(folder), ())
    for table in section.tables:
        rare = table.rows[0]
        assert rare.name == "rare"
        for cell in rare.cells:
            assert (cell.mark is None) == (cell.interval != "—")
            assert cell.mark is None or cell.mark <= len(table.notes)
        assert len(set(table.notes)) == len(table.notes)
    page = read_page(write_report(folder))
    assert page.faults == []
    (said,) = section.tables[0].notes
    assert "too few" in said
    # Once in the notice above the tables, and once below each table.
    assert page.text.count(said) <= 1 + len(section.tables)
    assert "no interval 1" in page.text


def test_a_bound_beyond_0_is_not_shown_as_0(tmp_path):
    small = {("plain", "macro_loss"): (0.00259, 0.00036, 0.00433)}
    said = " ".join(verdict(tmp_path / "run", [ANSWER] * 16, differences=small).sentences)
    assert "macro loss +0.0026 (+0.0004 to +0.0043), worse" in said
