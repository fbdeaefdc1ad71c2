"""The verdict says what the intervals allow, and nothing more."""

from __future__ import annotations

import dataclasses
import re

import pytest
from make_run import make_run

from equipoise.records.scores import ClassScores, Estimate
from equipoise.report.read import read_run
from equipoise.report.verdict import finding, headline_measure, unjudged_classes, verdict_of

UP, NOISE, DOWN, NONE = (0.06, 0.02, 0.1), (0.01, -0.02, 0.04), (-0.05, -0.09, -0.01), None
BLIND = (0.06, None, None)


def run_of(tmp_path, plain=UP, tfidf=UP, vectors=UP, **settings):
    named = {"plain": plain, "tfidf": tfidf, "vectors": vectors}
    found = {name: value for name, value in named.items() if value is not None}
    folder = make_run(
        tmp_path / "run", baselines=tuple(found), differences=found, judged_rows=60, **settings
    )
    return read_run(folder)


@pytest.mark.parametrize(
    ("plain", "tfidf", "vectors", "tone", "says"),
    [
        (UP, UP, UP, "good", "A language model helps here, and this run beats plain"),
        (
            NOISE,
            UP,
            UP,
            "mixed",
            "A language model helps here, but this run can’t be told from plain",
        ),
        (DOWN, UP, UP, "bad", "A language model helps here, but this run is worse than plain"),
        (BLIND, UP, UP, "mixed", "how this run compares with plain fine-tuning is not known"),
        (UP, NOISE, UP, "mixed", "Whether a language model is needed can’t be told from these"),
        (UP, DOWN, UP, "bad", "No language model is needed here: TF-IDF"),
        (UP, UP, NOISE, "mixed", "Whether fine-tuning is needed can’t be told from these rows"),
        (UP, UP, DOWN, "bad", "No fine-tuning is needed here: encoder vectors"),
        (UP, NONE, NONE, "mixed", "This run beats plain fine-tuning."),
        (DOWN, NONE, NONE, "bad", "This run is worse than plain fine-tuning."),
        (NONE, NONE, NONE, "mixed", "Scored, but not compared"),
        (BLIND, BLIND, NONE, "mixed", "Scored, but not compared"),
        (UP, NONE, UP, "good", "Fine-tuning helps here, and this run beats plain"),
        (NONE, UP, NONE, "mixed", "how this run compares with plain fine-tuning is not known"),
    ],
)
def test_the_headline_follows_the_intervals(tmp_path, plain, tfidf, vectors, tone, says):
    verdict = verdict_of(run_of(tmp_path, plain, tfidf, vectors))
    assert says in verdict.headline
    assert verdict.tone == tone


def test_a_comparison_without_an_interval_is_not_denied(tmp_path):
    bare = verdict_of(run_of(tmp_path, NONE, BLIND, NONE, remedies=False))
    assert bare.headline.endswith("no baseline gives an interval to set it against.")
    alone = verdict_of(run_of(tmp_path / "alone", NONE, NONE, NONE, remedies=False))
    assert alone.headline.endswith("nothing was found to set this plain run against.")


def test_noise_is_called_noise_with_its_interval(tmp_path):
    says = "Its difference from the same model without remedies is +0.010 (−0.020 to +0.040)"
    (sentence,) = [s for s in verdict_of(run_of(tmp_path, plain=NOISE)).sentences if says in s]
    assert "can’t be told from noise" in sentence
    assert "better" not in sentence


def test_no_gain_is_spoken_of_and_every_difference_has_the_sign_of_its_interval(tmp_path):
    """A run below its baselines is not "above" them by a distance whose interval runs below 0."""
    below = (-0.02, -0.06, 0.03)
    verdict = verdict_of(run_of(tmp_path, below, below, below))
    assert "the difference from TF-IDF + balanced" in verdict.headline
    paragraph = " ".join(verdict.sentences)
    assert "gain" not in verdict.headline + paragraph
    assert paragraph.count("−0.020 (−0.060 to +0.030)") == 3
    assert not re.search(r"\) (above|below)", paragraph)
    assert [f.value for f in verdict.figures[1:3]] == ["−0.020", "−0.020"]
    assert verdict.figures[1].name == "Difference from the same recipe without remedies"


def test_costs_are_told_with_their_unit_and_direction(tmp_path):
    verdict = verdict_of(costly(run_of(tmp_path, costs={"unit": "EUR", "default": 2})))
    assert (
        "expected cost per 1,000 rows is 41,234 (41,222 to 41,246) EUR, and lower"
        in (verdict.sentences[0])
    )
    assert verdict.figures[0].name == "Expected cost per 1,000 rows, in EUR"
    assert "is −40 (−60 to −9): better" in verdict.sentences[1]


def test_an_equal_score_is_called_equal(tmp_path):
    paragraph = " ".join(verdict_of(run_of(tmp_path, plain=(0.0, 0.0, 0.0))).sentences)
    assert "exactly as the same model without remedies does." in paragraph


def test_a_difference_without_an_interval_gives_its_reason(tmp_path):
    paragraph = " ".join(verdict_of(run_of(tmp_path, plain=BLIND)).sentences)
    assert "with no interval (too few groups of rows), so nothing follows" in paragraph


def test_a_run_without_remedies_is_its_own_plain_baseline(tmp_path):
    verdict = verdict_of(run_of(tmp_path, plain=None, remedies=False))
    assert verdict.headline.endswith("this run treats no imbalance.")
    assert "it is itself the plain run" in " ".join(verdict.sentences)


def test_without_a_test_split_it_says_where_the_figures_come_from(tmp_path):
    paragraph = " ".join(verdict_of(run_of(tmp_path, test=False)).sentences)
    assert "There is no test split" in paragraph
    assert "validation rows" in paragraph


def test_deferred_rows_are_told(tmp_path):
    paragraph = " ".join(verdict_of(run_of(tmp_path, defer=6)).sentences)
    assert "hands 6 rows (10 %) to a person" in paragraph


def costly(run):
    """The run compared by what it costs, which is less than what the baselines do."""
    cheaper = [
        c.model_copy(update={"measure": "expected_cost", "value": -40.0, "low": -60.0, "high": -9})
        for c in run.manifest.comparisons
    ]
    manifest = run.manifest.model_copy(update={"comparisons": cheaper})
    return dataclasses.replace(run, manifest=manifest)


def test_when_costs_decide_lower_is_better(tmp_path):
    run = costly(run_of(tmp_path))
    cheaper = run.manifest.comparisons
    assert headline_measure(run.manifest) == "expected_cost"
    assert {finding(c) for c in cheaper} == {"better"}
    assert "beats plain" in verdict_of(run).headline
    assert finding(cheaper[0].model_copy(update={"measure": "macro_f1"})) == "worse"


def _class(rows, low, high, trained=50, why=None):
    value = None if rows == 0 else 0.5
    recall = Estimate(value, low, high, why=why)
    return ClassScores(rows, rows, trained, "tail", {"recall": recall})


def test_which_classes_can_not_be_judged(tmp_path):
    run = run_of(tmp_path)
    classes = {
        "empty": _class(0, None, None, why="no rows"),
        "unseen": _class(30, 0.4, 0.6, trained=0),
        "wide": _class(9, 0.2, 0.8, trained=5),
        "blind": _class(3, None, None, trained=9, why="3 rows are too few"),
        "narrow": _class(200, 0.45, 0.55),
        "just": _class(20, 0.25, 0.75),
    }
    run = dataclasses.replace(run, scores=dataclasses.replace(run.scores, classes=classes))
    found = {u.name: u.why for u in unjudged_classes(run)}
    assert list(found) == ["unseen", "wide", "blind", "empty"]  # by training rows
    assert found["unseen"] == "30 test rows, but none in training: it can never be decided"
    assert found["wide"] == "9 test rows: recall may be anything from 0.200 to 0.800"
    assert found["blind"] == "3 test rows: 3 rows are too few"
    assert found["empty"] == "no test rows"
    verdict = verdict_of(run)
    assert "4 classes of 6 have too few rows to be judged" in " ".join(verdict.sentences)
    assert (verdict.figures[-1].value, verdict.figures[-1].note) == ("2", "of 6")
