"""Sections count and price what the predictions say; reading refuses what is broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_run import make_run

from equipoise.errors import FolderError
from equipoise.evaluate import reliability
from equipoise.records.predictions import Predictions
from equipoise.records.rows import text_column
from equipoise.report.page import render
from equipoise.report.read import read_run
from equipoise.report.sections.calibration import calibration_section
from equipoise.report.sections.confusion import confusion_section
from equipoise.report.sections.mistakes import MOST, mistakes_section
from equipoise.report.sections.origin import origin_section
from equipoise.report.sections.price import price_section
from equipoise.report.sections.rows import rows_section
from equipoise.report.sections.training import training_section
from equipoise.report.sections.treatment import treatment_section

COSTS = {"unit": "EUR", "default": 1, "costs": {"b": {"a": 50}}}


def replaced(run, **fields):
    import dataclasses

    return dataclasses.replace(run, **fields)


def small(decided: str, labels: str) -> Predictions:
    """Predictions over classes a, b, c, one letter a row; "d" is left to a person, "u" unknown."""
    words = {"d": "defer", "u": "unheard of"}
    n = len(decided)
    p = np.full((n, 3), 0.1)
    for k, letter in enumerate(decided):
        p[k, "abc".index(letter) if letter in "abc" else 0] = 0.8
    return Predictions(
        ("a", "b", "c"),
        text_column([f"row {k}" for k in range(n)]),
        text_column(["test"] * n),
        np.full(n, -1),
        text_column([None] * n),
        np.arange(n),
        text_column([words.get(x, x) for x in labels]),
        text_column([words.get(x, x) for x in decided]),
        np.log(p),
        p,
    )


@pytest.fixture
def run(tmp_path):
    return read_run(make_run(tmp_path / "run", names=("a", "b", "c"), judged_rows=40))


def test_confusion_in_rows(run):
    section = confusion_section(replaced(run, predictions=small("aabbcd", "abbbuc")))
    assert section.matrix is not None
    assert section.matrix.columns == ("a", "b", "c", "left to a person")
    lines = {name: [cell.text for cell in cells] for name, cells in section.matrix.lines}
    assert lines == {
        "a": ["1", "0", "0", "0"],
        "b": ["1", "2", "0", "0"],
        "c": ["0", "0", "0", "1"],
        "unheard of": ["0", "0", "1", "0"],
    }
    shades = {name: [cell.css for cell in cells] for name, cells in section.matrix.lines}
    assert shades["b"] == ["w3", "r5", "none", "none"]  # 1/3 and 2/3 of 8 steps
    pairs = [(p.true, p.decided, p.rows, p.share) for p in section.pairs]
    assert pairs == [("b", "a", 1, "33.3 %"), ("unheard of", "c", 1, "100 %")]
    assert section.cost_matrix is None


def test_confusion_in_cost(tmp_path):
    folder = make_run(tmp_path / "run", names=("a", "b", "c"), judged_rows=40, costs=COSTS)
    run = replaced(read_run(folder), predictions=small("aabca", "abccb"))
    section = confusion_section(run)
    assert section.unit == "EUR"
    assert [(p.true, p.decided, p.cost) for p in section.pairs] == [
        ("b", "a", "100"),
        ("c", "b", "1"),
    ]
    assert section.cost_matrix is not None
    lines = {name: [cell.text for cell in cells] for name, cells in section.cost_matrix.lines}
    assert lines == {"a": ["0", "0", "0"], "b": ["100", "0", "0"], "c": ["0", "1", "0"]}


def test_mistakes_come_surest_first_and_deferred_rows_are_none(run):
    predictions = small("abacd", "aaabc")
    predictions.probabilities[1] = [0.02, 0.95, 0.03]
    section = mistakes_section(replaced(run, predictions=predictions, texts={"row 1": "hello"}))
    assert (section.wrong, section.judged, section.deferred, section.sure) == (2, 5, 1, 1)
    first, second = section.rows
    assert (first.id, first.text, first.label, first.decided, first.sure, first.own) == (
        "row 1", "hello", "a", "b", "95 %", "2 %",
    )  # fmt: skip
    assert (second.id, second.text, second.label, second.decided) == ("row 3", None, "b", "c")


@pytest.mark.parametrize(
    ("kind", "why"), [("costs", "the costs decided so"), ("offsets", "the offsets of the classes")]
)
def test_rows_decided_for_another_class_than_the_most_probable_are_told(run, kind, why):
    predictions = small("abc", "bba")
    predictions.probabilities[0] = [0.2, 0.7, 0.1]
    rule = replaced(run.decision, kind=kind, costs=np.ones((3, 3)) if kind == "costs" else None)
    section = mistakes_section(replaced(run, predictions=predictions, decision=rule))
    assert section.swayed.startswith("1 of them is decided for another class")
    assert why in section.swayed
    assert {row.id: row.rather for row in section.rows} == {"row 0": "b", "row 2": None}
    page = render(replaced(run, predictions=predictions, decision=rule))
    assert "most probable: b" in page
    assert "all classes: the 2 surest" in page


def test_a_single_mistake_is_one(run):
    page = render(replaced(run, predictions=small("aab", "aaa")))
    assert "all classes: the surest one" in page
    assert mistakes_section(replaced(run, predictions=small("aab", "aaa"))).swayed == ""


def test_what_remedies_did_is_said_once(run):
    effect = run.manifest.remedies[-1].effect
    rule = replaced(run.decision, notes=(effect, "a note of the rule's own"))
    said = treatment_section(replaced(run, decision=rule)).decision
    assert "a note of the rule's own" in said
    assert effect not in said
    assert render(replaced(run, decision=rule)).count(effect) == 1


def test_settings_are_said_as_in_a_recipe(run):
    (first, *others) = run.manifest.remedies
    given = {"most_made": None, "every_class": True, "ratio": 0.5}
    remedies = [first.model_copy(update={"settings": given}), *others]
    manifest = run.manifest.model_copy(update={"remedies": remedies})
    assert "most_made = none, every_class = true, ratio = 0.5" in render(
        replaced(run, manifest=manifest)
    )


def test_a_baseline_that_shares_the_training_says_so(run):
    encoded = "beside the encoding, which the run had done"
    assert [shares for _, shares, _, _ in price_section(run).baselines] == ["", "", encoded]
    last = [r for r in run.manifest.remedies if r.moment == "decision"]
    alone = replaced(run, manifest=run.manifest.model_copy(update={"remedies": last}))
    shared = {title: shares for title, shares, _, _ in price_section(alone).baselines}
    assert shared.pop("The same recipe without remedies").startswith("shares the run’s training")
    assert set(shared.values()) == {"", encoded}
    assert render(alone).count("shares the run’s training") == 2


def test_a_class_may_be_called_defer(run):
    predictions = small("aab", "aab")
    renamed = Predictions(
        ("a", "b", "defer"), predictions.ids, predictions.splits, predictions.folds,
        predictions.groups, predictions.clusters, predictions.labels,
        text_column(["a", "defer", "b"]), predictions.logits, predictions.probabilities,
    )  # fmt: skip
    section = mistakes_section(replaced(run, predictions=renamed))
    assert (section.wrong, section.deferred) == (1, 0)


def test_many_mistakes_are_capped_and_every_class_is_reached(tmp_path):
    names = tuple(f"k{n:03d}" for n in range(120))
    folder = make_run(tmp_path / "run", names=names, judged_rows=4000, imbalance=5)
    run = read_run(folder)
    shifted = np.roll(run.predictions.decided, 1)
    p = run.predictions
    wrong = Predictions(p.classes, p.ids, p.splits, p.folds, p.groups, p.clusters, p.labels,
                        shifted, p.logits, p.probabilities)  # fmt: skip
    section = mistakes_section(replaced(run, predictions=wrong))
    assert len(section.rows) <= MOST
    assert {row.label for row in section.rows} == {name for _, name, _, _ in section.options}
    assert sum(held for _, _, held, _ in section.options) == len(section.rows)
    assert sum(of for *_, of in section.options) == section.wrong
    assert [row.extra for row in section.rows].count(False) == section.shown == 25


def test_a_calibrated_model_is_called_so_and_a_boaster_is_not(run):
    rng = np.random.default_rng(0)
    labels = rng.choice(list("abc"), 900)
    right = rng.random(900) < 0.8
    wrong = ["abc"[("abc".index(x) + 1) % 3] for x in labels]
    decided = [x if r else w for x, w, r in zip(labels, wrong, right, strict=True)]
    honest = small("".join(decided), "".join(labels))
    section = calibration_section(replaced(run, predictions=honest))
    assert "than chance explains" in section.says
    assert [line.rows for line in section.bins] == [900]
    boaster = small("".join(wrong), "".join(labels))
    said = calibration_section(replaced(run, predictions=boaster)).says
    assert "surer than it should be for 100 % of the rows" in said


def test_few_calibrated_models_are_called_miscalibrated():
    """Of 200 models whose probabilities are true, at most 5 % and some chance; by intervals of 95 %
    for each part alone more than a fifth would be."""
    rng = np.random.default_rng(0)
    named = alone = 0
    for _ in range(200):
        p = rng.dirichlet(np.ones(3), 200)
        labels = text_column(["abc"[rng.choice(3, p=row)] for row in p])
        decided = text_column(["abc"[k] for k in p.argmax(axis=1)])
        rows = Predictions(
            ("a", "b", "c"), text_column([f"r{k}" for k in range(200)]),
            text_column(["test"] * 200), np.full(200, -1), text_column([None] * 200),
            np.arange(200), labels, decided, np.log(p), p,
        )  # fmt: skip
        bins = reliability(rows)[0].bins
        named += any(b.beyond_chance for b in bins)
        alone += any(not b.observed_low <= b.stated <= b.observed_high for b in bins)
    assert named <= 18
    assert alone > 40


def test_a_decision_other_than_the_most_probable_class_is_said_beside_the_curve(run):
    flipped = text_column(["b" if x == "a" else "a" for x in "aaab"])
    turned = replaced(small("aaab", "aaab"), decided=flipped)
    (note,) = calibration_section(replaced(run, predictions=turned)).notes
    assert note.startswith("4 rows (100 %) were decided otherwise")
    assert calibration_section(replaced(run, predictions=small("ab", "ab"))).notes == ()


def test_counts_are_the_manifests(run):
    section = rows_section(run)
    train = run.manifest.rows.splits["train"].counts
    assert {line.name: line.counts[0] for line in section.lines} == train
    assert [line.name for line in section.lines] == sorted(train, key=lambda n: -train[n])
    assert dict(section.facts)["Rows of the rarest class"] == f"{min(train.values()):,}"


def test_the_price_leaves_the_baselines_out(run):
    seconds = {"training": 30.0, "judging": 10.0, "baseline plain": 500.0}
    manifest = run.manifest.model_copy(update={"seconds": seconds})
    section = price_section(replaced(run, manifest=manifest))
    assert section.total == "40 s"
    assert [(stage, time, share) for stage, time, share, _ in section.stages] == [
        ("Training", "30 s", "75 %"),
        ("Judging", "10 s", "25 %"),
    ]


def test_the_command_is_quoted_for_a_shell(run):
    columns = {"text": "body", "label": "label", "group": ("customer", "in, by")}
    rows = run.manifest.rows.model_copy(
        update={"source": "my rows; rm -rf x.csv", "columns": columns}
    )
    manifest = run.manifest.model_copy(update={"rows": rows})
    command = origin_section(replaced(run, manifest=manifest)).command
    assert command == (
        "equipoise train 'my rows; rm -rf x.csv' --text body --group customer --group 'in, by' "
        "--recipe run/recipe.yaml --seed 7 --out run-again"
    )


def test_training_curves_show_the_measure_that_chose(run):
    section = training_section(run)
    assert [curve.title for curve in section.curves] == ["Training loss", "Validation macro F1"]
    assert section.curves[1].lines[-1][0] == "5"
    assert "step 240 were kept (epoch 4)" in section.kept


def test_one_evaluation_is_a_sentence_and_not_a_curve(run):
    first = next(k for k, line in enumerate(run.history) if line.measures)
    section = training_section(replaced(run, history=run.history[: first + 1]))
    assert [curve.chart is None for curve in section.curves] == [False, True]


def test_a_history_cut_short_by_a_kill_is_read(tmp_path):
    folder = make_run(tmp_path / "run")
    with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 301, "ep')
    assert read_run(folder).history[-1].step == 300


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("scores.json", '{"schema": 1}', "not a record of scores"),
        ("scores.json", "{", "not a JSON record"),
        ("decision.json", '{"schema": 9}', "schema is 9"),
        ("history.jsonl", 'no json\n{"step": 1, "epoch": 1}\n', "line 1"),
        ("judged_rows.parquet", "text", "can't be read"),
        ("splits.parquet", "text", "can't be read"),
        ("predictions.parquet", "text", "not a parquet file"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, says):
    folder = make_run(tmp_path / "run")
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(FolderError, match=says) as raised:
        read_run(folder)
    assert name in str(raised.value)


def test_faulty_costs_in_the_manifest_are_named(tmp_path):
    folder = make_run(tmp_path / "run")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record["recipe"]["costs"] = {"unit": "EUR", "price": 3}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(FolderError, match="unknown key 'price'"):
        read_run(folder)
