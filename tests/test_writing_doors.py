"""Runs that write, through the doors: the command line, `equipoise.load`, and the report."""

from __future__ import annotations

import csv
import doctest
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equipoise
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError
from equipoise.options import columns_named
from equipoise.records.run import Comparison, read_manifest
from equipoise.records.scores import read_scores
from equipoise.records.turns import Turn
from equipoise.records.written import read_written
from equipoise.report.read import read_written_run
from equipoise.report.written_page import render
from equipoise.report.written_verdict import written_verdict
from equipoise.summary import run_text
from equipoise.writer_run import LoadedWriterRun
from tests.cli_runner import run_cli
from tests.evaluate.texts.judge_server import Server
from tests.models.tiny import TOPICS
from tests.models.writing.tiny import save_writing_base
from tests.report.html_check import Page

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_writing_base(tmp_path_factory.mktemp("base") / "llama", "llama", 2)


def write_jsonl(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and test files of words to be written backwards, under column names of their own; no
    test row looks like a training row. Test rows alone have what people wrote."""
    folder = tmp_path_factory.mktemp("rows")
    words = [word for topic in TOPICS.values() for word in topic]
    rng = random.Random(0)
    for part, count, own in (("train", 64, words[:15]), ("test", 24, words[15:])):
        lines = []
        for number in range(count):
            asked = rng.sample(own, 5)
            right = " ".join(reversed(asked)) + (HOSTILE if number == 0 else "")
            topic = "rare" if number % 8 == 0 else "usual"
            line = {"id": f"{part}{number}", "question": " ".join(asked), "answer": right}
            people = {} if part == "train" else {"human_refs": [" ".join(asked), right.upper()]}
            lines.append(line | {"topic": topic} | people)
        write_jsonl(folder / f"{part}.jsonl", lines)
    return folder


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("general")
    return write_jsonl(folder / "general.jsonl", [{"text": "we play the loud music"}] * 2)


COLUMNS = ("--prompt", "question", "--completion", "answer", "--category", "topic")
REFERENCES = ("--references", "human_refs")


@pytest.fixture(scope="module")
def trained(
    base: Path, rows: Path, general: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("runs") / "writer"
    settings = ("write.decode.new_tokens=6", "write.decode_rows=10", "model.max_tokens=48")
    done = run_cli(
        *("train", rows, "--model", base, "--method", "full", "--epochs", "1", "--out", out),
        *("--remedy", "sqrt_sampler", *COLUMNS, *REFERENCES, "--quiet", "--json"),
        *(word for setting in settings for word in ("--set", setting)),
        *("--set", f"write.keep.general={general}"),
    )
    assert done.code == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.fixture(scope="module")
def run(trained: dict[str, Any]) -> Path:
    return Path(trained["run"])


def test_train_says_what_was_measured(trained: dict[str, Any], run: Path) -> None:
    measures = trained["scores"]["measures"]
    assert {"macro_loss", "macro_bleu", "loss", "bleu"} <= set(measures)
    assert set(trained["scores"]["classes"]) == {"rare", "usual"}
    assert {c["against"] for c in trained["comparisons"]} == {"base", "plain"}
    assert trained["general"]["rows"] == 2
    manifest = read_manifest(run)
    assert manifest.writes
    from equipoise.fit import Run

    said = run_text(Run(run, manifest, resumed=False), run / "report.html")
    for word in (
        "macro loss",
        "macro BLEU",
        "rare",
        "usual",
        "general texts (general.jsonl): loss",
    ):
        assert word in said


def test_a_loaded_run_writes_what_it_wrote_bit_for_bit(run: Path, rows: Path) -> None:
    loaded = equipoise.load(run)
    assert isinstance(loaded, LoadedWriterRun)
    assert loaded.categories == ("rare", "usual")
    kept = read_written(run / "written.parquet").of_split("test")
    manifest = read_manifest(run)
    from equipoise.commands import _rows_for

    table = _rows_for(run, manifest, str(rows / "test.jsonl"), {}, None, to="judge")
    again, scores = loaded.evaluate(table)
    assert again.ids.tolist() == kept.ids.tolist()
    assert again.written.tolist() == kept.written.tolist()
    assert np.array_equal(again.log_probs, kept.log_probs)
    assert sum(text is not None for text in again.written) == 10
    own = read_scores(run / "scores.json").measures
    for name in ("loss", "macro_loss", "bleu", "macro_bleu"):
        assert scores.measures[name].value == own[name].value
    chosen = [k for k, text in enumerate(kept.written) if text is not None]
    assert loaded.write([kept.asked[k] for k in chosen]) == [kept.written[k] for k in chosen]


def test_conversations_are_answered_and_faults_are_named(run: Path) -> None:
    loaded = equipoise.load(run)
    assert isinstance(loaded, LoadedWriterRun)
    one = loaded.write([[Turn("user", "the music")]])
    assert one == loaded.write([[{"role": "user", "content": "the music"}]])
    assert one == loaded.write(["the music"])
    with pytest.raises(DataError, match=r"empty prompt.* in row 2"):
        loaded.write(["the music", " "])
    with pytest.raises(DataError, match="number 1 holds the unknown role 'friend'"):
        loaded.write([[{"role": "friend", "content": "hello"}]])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_predict_answers_rows_without_answers(
    run: Path, rows: Path, tmp_path: Path, form: str
) -> None:
    asked = [json.loads(line) for line in (rows / "test.jsonl").read_text().splitlines()][:6]
    bare = [{name: line[name] for name in ("id", "question")} for line in asked]
    given = write_jsonl(tmp_path / "asked.jsonl", bare)
    out = tmp_path / f"answers.{form}"
    done = run_cli("predict", run, given, "--out", out, "--json")
    assert done.code == 0, done.stderr
    said = {"rows": 6, "out": str(out), "written": {"all": 6}, "notes": []}
    assert json.loads(done.stdout) == said
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["asked.jsonl", out.name])
    if form == "csv":
        with out.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        assert [row["id"] for row in found] == [line["id"] for line in bare]
        assert list(found[0]) == ["id", "category", "written"]


def test_evaluate_takes_files_that_each_count_their_rows(
    run: Path, rows: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in (rows / "test.jsonl").read_text().splitlines()]
    for part, own in (("train", lines[:8]), ("test", lines[8:16])):
        write_jsonl(tmp_path / f"{part}.jsonl", [x | {"id": n} for n, x in enumerate(own)])
    names = ColumnNames(prompt="question", completion="answer", category="topic")
    written, _ = equipoise.load(run).evaluate(read_rows(tmp_path, columns=names), decode_rows=0)
    assert written.ids[[0, -1]].tolist() == ["train-0", "test-7"]


def test_evaluate_writes_texts_and_scores(run: Path, rows: Path, tmp_path: Path) -> None:
    done = run_cli("evaluate", run, rows / "test.jsonl", "--out", tmp_path / "new" / "scores")
    assert done.code == 0, done.stderr
    assert "macro_bleu" in done.stdout
    folder = tmp_path / "new" / "scores"
    assert sorted(p.name for p in folder.iterdir()) == ["scores.json", "written.parquet"]
    assert [p.name for p in folder.parent.iterdir()] == ["scores"]
    assert len(read_written(folder / "written.parquet")) == read_scores(folder / "scores.json").rows


def test_references_go_by_the_name_that_they_had_in_training(
    run: Path, rows: Path, tmp_path: Path
) -> None:
    """All three of a test row, in the run and in `evaluate`; a row that lacks the column has its
    completion; one may name another."""
    for written in (run / "written.parquet", tmp_path / "a" / "written.parquet"):
        if not written.exists():
            done = run_cli("evaluate", run, rows / "test.jsonl", "--out", written.parent)
            assert done.code == 0, done.stderr
        assert {len(refs) for refs in read_written(written).references[-24:]} == {3}
    asked = [json.loads(line) for line in (rows / "test.jsonl").read_text().splitlines()][:6]
    for line in asked:
        line["gold"] = line.pop("human_refs")[:1]
    fewer = write_jsonl(tmp_path / "fewer.jsonl", asked)
    for named, wanted in (((), 1), (("--references", "gold"), 2)):
        out = tmp_path / f"b{wanted}"
        done = run_cli("evaluate", run, fewer, *named, "--out", out)
        assert done.code == 0, done.stderr
        assert {len(refs) for refs in read_written(out / "written.parquet").references} == {wanted}
        told = "has no column 'human_refs' of further right texts" in done.stdout
        assert told == (wanted == 1), done.stdout
    done = run_cli("evaluate", run, fewer, *REFERENCES)
    assert done.code == 2
    assert "has no column 'human_refs' for the references" in done.stderr


def test_rows_that_were_trained_on_are_told(run: Path, rows: Path) -> None:
    done = run_cli("evaluate", run, rows / "train.jsonl")
    assert done.code == 0, done.stderr
    without, said = done.stdout.splitlines()[:2]
    assert "has no column 'human_refs'" in without
    assert said.startswith("warning: ")
    assert "of 64 rows were trained on" in said
    assert "were there to choose by" in said
    _, scores = equipoise.load(run).evaluate(
        read_rows(
            rows / "test.jsonl", columns=columns_named(prompt="question", completion="answer")
        )
    )
    assert scores.warnings == ()


def test_rows_look_alike_from_where_the_run_was_told(run: Path, tmp_path: Path) -> None:
    """All prompts are one template with a number; at split.threshold=1 only equal ones are one."""
    asked = [f"please play the loud music number {k} of the old band" for k in (*range(12), 0)]
    said = [" ".join(["play", "the", "loud", "music", "we"][k % 4 :]) for k in range(13)]
    lines = [{"prompt": one, "completion": two} for one, two in zip(asked, said, strict=True)]
    table = read_rows(write_jsonl(tmp_path / "alike.jsonl", lines))
    loaded = equipoise.load(run)
    assert isinstance(loaded, LoadedWriterRun)
    for threshold, clusters in ((0.8, 2), (1.0, 12)):
        loaded.manifest.recipe["split"]["threshold"] = threshold
        written, scores = loaded.evaluate(table, decode_rows=0)
        assert len(np.unique(written.clusters)) == clusters
        assert (scores.measures["loss"].low is None) == (clusters < 8)


def test_the_same_call_predicts_with_runs_of_both_kinds(run: Path, tiny_run: Path) -> None:
    texts = ["the music", "play the loud song"]
    for folder in (run, tiny_run):
        assert equipoise.load(folder).predict(texts).ids.tolist() == ["0", "1"]
        assert equipoise.load(folder).predict(texts, ids=["a", "b"]).ids.tolist() == ["a", "b"]
        with pytest.raises(DataError, match=r"a lone text goes into a list, as \['abc'\]"):
            equipoise.load(folder).predict("abc")
    loaded = equipoise.load(run)
    assert isinstance(loaded, LoadedWriterRun)
    found = loaded.predict(texts)
    assert found.written.tolist() == loaded.write(texts)
    assert found.asked.tolist() == texts
    assert set(found.splits) == {"given"}
    assert found.references.tolist() == [(), ()], "nobody knows what is right"
    assert np.isnan(found.log_probs).all()
    chats = [[Turn("user", text)] for text in texts]
    assert loaded.predict(chats).written.tolist() == found.written.tolist()
    with pytest.raises(DataError, match="1 ids for 2 of what is asked; give one for each"):
        loaded.predict(texts, ids=["a"])


def test_a_lone_prompt_or_conversation_goes_into_a_list(run: Path) -> None:
    loaded = equipoise.load(run)
    with pytest.raises(DataError, match=r"a lone text goes into a list, as \['abc'\]"):
        loaded.write("abc")
    with pytest.raises(DataError, match="a lone conversation goes into a list"):
        loaded.write([{"role": "user", "content": "play"}])


def test_rows_of_the_other_kind_are_refused(
    run: Path, rows: Path, tiny_run: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    cases = [
        (("evaluate", run, tiny_rows / "test.csv"), "writes text, so it needs what it is asked"),
        (("predict", run, tiny_rows / "test.csv", "--out", out), "no column 'question'"),
        (("evaluate", run, rows, "--label", "topic"), "--label: is for runs that classify"),
        (("predict", run, rows, "--group", "topic", "--out", out), "--group: is for runs that"),
        (("evaluate", run, rows, "--measure", "recall:rare"), "--measure"),
        (("predict", run, rows, "--estimate-prior", "--out", out), "--estimate-prior"),
        (("predict", run, tiny_rows, "--text", "customer", "--out", out), "nothing is asked"),
        (("evaluate", tiny_run, rows), "classifies rows, so it needs their text"),
        (("predict", tiny_run, rows, "--prompt", "question", "--out", out), "--prompt question"),
    ]
    for command, said in cases:
        done = run_cli(*command)
        assert done.code == 2, (command, done.stderr)
        assert said in done.stderr, (command, done.stderr)
    assert not out.exists()
    loaded = equipoise.load(run)
    with pytest.raises(DataError, match="to be classified, and this run writes"):
        loaded.evaluate(read_rows(tiny_rows))
    with pytest.raises(DataError, match="to be written, and this run classifies"):
        equipoise.load(tiny_run).evaluate(read_rows(rows / "test.jsonl", task="write",
            columns=columns_named(prompt="question", completion="answer")))  # fmt: skip


def test_an_encoder_is_no_writer(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    for model in (("--model", tiny_base), ()):
        done = run_cli("train", rows, *COLUMNS, *model, "--out", tmp_path / "run")
        assert done.code == 2
        assert "can't write text; name a decoder with --model" in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_unknown_task_is_refused(rows: Path, tmp_path: Path) -> None:
    done = run_cli("train", rows, "--task", "sing", "--out", tmp_path / "run")
    assert done.code == 2
    assert "--task sing: give classify, write or auto" in done.stderr


def test_the_report_tells_the_run(run: Path) -> None:
    html = (run / "report.html").read_text(encoding="utf-8")
    assert len(html) < 2_000_000
    page = Page(html)
    assert not page.faults
    for word in (
        "Rows of every category",
        "sqrt_sampler",
        "What counts the same in the loss",
        "What it forgot",
        "What became of each category",
        "Rows it gets worst",
        "--prompt question --completion answer",
    ):
        assert word in page.text, word
    manifest = read_manifest(run)
    for comparison in manifest.comparisons:
        if comparison.measure == "macro_loss":
            assert f"{abs(comparison.value):.3f}" in page.text
    assert html.count(HOSTILE) == 0
    assert HOSTILE in page.text  # the right text of a judged row, shown as written


def compared(against: str, measure: str, low: float, high: float) -> Comparison:
    return Comparison(
        against=against,
        measure=measure,
        value=(low + high) / 2,
        low=low,
        high=high,
        rows=24,
        says="",
    )


@pytest.mark.parametrize(
    ("loss", "bleu", "headline", "tone"),
    [
        ((-2, -1), (1, 2), "and this run beats plain fine-tuning by macro loss and macro", "good"),
        ((-2, -1), (-1, 2), "by macro loss, with no sure difference by macro BLEU.", "good"),
        ((-2, 1), (-1, 2), "but this run can’t be told from plain fine-tuning.", "mixed"),
        ((-2, -1), (-2, -1), "by macro loss, and loses by macro BLEU.", "mixed"),
        ((1, 2), (-1, 1), "but this run is worse than plain fine-tuning by macro loss.", "bad"),
    ],
)
def test_the_verdict_claims_no_more_than_the_intervals(
    run: Path,
    loss: tuple[float, float],
    bleu: tuple[float, float],
    headline: str,
    tone: str,
) -> None:
    folder = read_written_run(run)
    comparisons = [
        compared("base", "macro_loss", -2, -1),
        compared("base", "macro_bleu", 1, 2),
        compared("plain", "macro_loss", *loss),
        compared("plain", "macro_bleu", *bleu),
    ]
    manifest = folder.manifest.model_copy(update={"comparisons": comparisons})
    verdict = written_verdict(replace(folder, manifest=manifest))
    assert verdict.headline.startswith("Fine-tuning helps here, ")
    assert headline in verdict.headline
    assert verdict.tone == tone


def test_a_base_that_does_better_is_said_first(run: Path) -> None:
    folder = read_written_run(run)
    comparisons = [compared("base", "macro_loss", 1, 2), compared("plain", "macro_loss", -2, -1)]
    manifest = folder.manifest.model_copy(update={"comparisons": comparisons})
    verdict = written_verdict(replace(folder, manifest=manifest))
    assert verdict.headline == "No fine-tuning is needed here: the base as it came does better."
    assert verdict.tone == "bad"


def test_no_texts_are_quoted_where_none_are_kept(run: Path) -> None:
    folder = read_written_run(run)
    recipe = {**folder.manifest.recipe, "keep_texts": False}
    manifest = folder.manifest.model_copy(update={"recipe": recipe})
    html = render(replace(folder, manifest=manifest))
    assert "quotes no texts" in html
    for row in folder.written.references:
        assert str(row[0]) not in html


def test_the_same_folder_gives_the_same_report(run: Path) -> None:
    before = (run / "report.html").read_bytes()
    assert run_cli("report", run).code == 0
    assert (run / "report.html").read_bytes() == before


def test_a_judge_compares_the_run_with_its_plain_baseline_and_breaks_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten rows that were written; the longer text wins, wherever it stands."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    server = Server()
    done = run_cli("judge", folder, "--url", server.url, "--model", "m", "--quiet", "--json")
    server.close()
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    ours = read_written(folder / "written.parquet")
    theirs = read_written(folder / "baselines" / "plain" / "written.parquet")
    lengths = {
        row: (len(plain), len(own))
        for row, plain, own in zip(ours.ids, theirs.written, ours.written, strict=True)
        if own is not None
    }
    assert found["pairs"] == len(lengths) == 10
    for row, (plain, own) in lengths.items():
        assert found["verdicts"][row] == ("tie" if plain == own else "b" if own > plain else "a")
    equipoise.load(folder)  # looks at the hash of every file
    assert "What a judge model says" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_guide_is_true() -> None:
    guide = Path(__file__).parents[1] / "docs" / "writing.md"
    found = doctest.testfile(str(guide), module_relative=False)
    assert found.attempted > 10
    assert not found.failed


@pytest.mark.parametrize("method", ["ia3", "prefix"])
def test_an_encoder_decoder_through_every_door(method: str, rows: Path, tmp_path: Path) -> None:
    """Trained, judged on its own test rows with the same scores, and asked."""
    base = save_writing_base(tmp_path / "base", "t5", 2)
    settings = ("write.decode.new_tokens=6", "write.decode_rows=4", "model.max_tokens=48")
    out = tmp_path / "run"
    done = run_cli(
        *("train", rows, "--model", base, "--method", method, "--epochs", "1", "--out", out),
        *(*COLUMNS, "--baseline", "none", "--quiet", "--json"),
        *(word for setting in settings for word in ("--set", setting)),
    )
    assert done.code == 0, done.stderr
    trained = json.loads(done.stdout)
    asked = [json.loads(line) for line in (rows / "test.jsonl").read_text().splitlines()]
    judged = run_cli("evaluate", out, rows / "test.jsonl", "--json")
    assert judged.code == 0, judged.stderr
    measures = json.loads(judged.stdout)["measures"]
    for name in ("loss", "bleu"):
        assert measures[name]["value"] == trained["scores"]["measures"][name]["value"]
    bare = write_jsonl(
        tmp_path / "new.jsonl", [{"id": row["id"], "question": row["question"]} for row in asked]
    )
    answers = tmp_path / "answers.csv"
    done = run_cli("predict", out, bare, "--out", answers, "--json")
    assert done.code == 0, done.stderr
    with answers.open(newline="") as file:
        found = {row["id"]: row["written"] for row in csv.DictReader(file)}
    kept = read_written(out / "written.parquet").of_split("test")
    assert found.keys() == {row["id"] for row in asked}
    for id_, text in zip(kept.ids, kept.written, strict=True):
        assert text is None or found[id_] == text
