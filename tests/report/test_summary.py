"""What commands print: the measure that decides comes first, in its unit and in plain figures."""

from __future__ import annotations

import re

import pytest
from make_run import make_run
from make_written_run import make_written

from equipoise.fit import Run
from equipoise.records.run import read_manifest
from equipoise.records.scores import read_scores
from equipoise.summary import checked_text, cost_unit, run_text, scores_text, written_scores_text

COSTS = {"unit": "EUR", "default": 1, "costs": {"fraud": {"billing": 500}}}
DEAR = (-11142.27, -27493.34, 3827.43)


def run_of(folder, *, measure="macro_f1", **settings):
    make_run(folder, **settings)
    manifest = read_manifest(folder)
    compared = [c.model_copy(update={"measure": measure}) for c in manifest.comparisons]
    return Run(folder, manifest.model_copy(update={"comparisons": compared}), resumed=False)


@pytest.fixture
def dear(tmp_path):
    differences = dict.fromkeys(("plain", "tfidf", "vectors"), DEAR)
    return run_of(tmp_path / "run", costs=COSTS, differences=differences, measure="expected_cost")


def test_with_costs_the_expected_cost_comes_first_and_has_its_unit(dear):
    lines = run_text(dear, dear.folder / "report.html").splitlines()
    assert lines[0].endswith("; expected cost in EUR per 1,000 rows, lower is better")
    assert re.split(r"\s{2,}", lines[1].strip())[:2] == ["expected cost", "macro F1"]
    assert "41,234 [41,222 to 41,246]" in lines[2]


def test_differences_are_said_in_plain_figures(dear):
    said = run_text(dear, dear.folder / "report.html")
    assert (
        "This run and TF-IDF + balanced logistic regression can't be told apart by expected cost "
        "on 200 rows: the difference is -11,142 EUR per 1,000 rows (95 % interval -27,493 to "
        "+3,827)."
    ) in said
    assert not re.search(r"\de[+-]\d", said)
    assert "expected_cost" not in said


def test_without_costs_the_table_is_that_of_decisions(tmp_path):
    run = run_of(tmp_path / "run")
    lines = run_text(run, run.folder / "report.html").splitlines()
    assert re.split(r"\s{2,}", lines[1].strip()) == ["macro F1", "balanced accuracy", "accuracy"]
    assert "cost" not in lines[0]
    assert "This run is better than the same recipe without remedies by macro F1" in "".join(lines)


def test_a_measure_of_the_users_own_stands_first(tmp_path):
    run = run_of(tmp_path / "run", measure="mcc")
    lines = run_text(run, run.folder / "report.html").splitlines()
    first = re.split(r"\s{2,}", lines[1].strip())[0]
    assert first == "Matthews correlation"


def test_a_difference_without_an_interval_is_open(tmp_path):
    run = run_of(tmp_path / "run", differences={"plain": (0.1, None, None)})
    said = run_text(run, run.folder / "report.html")
    assert "in macro F1 is open: too few groups of rows." in said


def test_evaluate_puts_the_cost_first_where_costs_were_stated(dear):
    scores = read_scores(dear.folder / "scores.json")
    unit = cost_unit(dear.manifest)
    lines = scores_text(scores, unit).splitlines()
    assert lines[1] == "  expected_cost       41,234 [41,222 to 41,246] EUR per 1,000 rows"
    assert lines[2].startswith("  macro_f1 ")


def test_evaluate_of_a_run_without_costs_leaves_them_last(tmp_path):
    run = run_of(tmp_path / "run")
    assert cost_unit(run.manifest) is None
    lines = scores_text(read_scores(run.folder / "scores.json")).splitlines()
    assert lines[1].startswith("  macro_f1 ")
    assert re.fullmatch(r"  expected_cost {7}\d.* per 1,000 rows", lines[5])


@pytest.mark.slow
def test_of_very_many_classes_the_rarest_are_printed(tmp_path):
    names = tuple(f"intent_{k:04d}" for k in range(2000))
    run = run_of(tmp_path / "run", names=names, judged_rows=600, imbalance=300, baselines=())
    scores = read_scores(run.folder / "scores.json")
    lines = scores_text(scores).splitlines()
    assert "  and 1,800 more classes, the most frequent; --json has them all" in lines
    shown = [line.split()[0] for line in lines if line.startswith("  intent_")]
    found = scores.classes
    order = sorted(names, key=lambda name: (found[name].trained, found[name].rows, name))
    assert shown == sorted(order[:200])
    assert len(run_text(run, run.folder / "report.html").splitlines()) < 20


def test_a_check_of_very_many_classes_prints_the_rarest():
    train = {f"c{k:04d}": 3000 - k for k in range(2000)}
    record = {"classes": {"train": train}, "rows": {"train": 9}, "warnings": [], "notes": []}
    lines = checked_text(record).splitlines()
    assert (lines[1].split()[0], lines[200].split()[0]) == ("c1800", "c1999")
    assert lines[201].split() == ["rows", "9"]
    assert lines[202] == "  and 1,800 more classes, the most frequent; --json has them all"


def test_how_many_texts_were_asked_for_and_how_many_are_empty(tmp_path):
    pytest.importorskip("sacrebleu")
    folder = make_written(tmp_path / "run", ["", "a text"] * 5 + [None] * 6, decode_rows=10)
    said = run_text(Run(folder, read_manifest(folder), resumed=False), folder / "report.html")
    assert (
        "texts were written for 10 of 16 rows, as write.decode_rows=10 has it; 5 of them are empty"
    ) in said
    judged = written_scores_text(read_scores(folder / "scores.json"))
    assert judged.startswith("16 rows, of which 10 were written;")
