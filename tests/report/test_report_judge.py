"""`equipoise judge`: a run's texts beside its baseline's, asked of a server on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from html_check import Page
from make_run import make_run
from make_written_run import make_written

from equipoise.errors import FolderError
from equipoise.records.judged import read_judged
from equipoise.records.rows import text_column
from equipoise.records.run import read_manifest, write_manifest
from equipoise.records.written import WRITTEN, read_written, write_written
from tests.cli_runner import Outcome, run_cli
from tests.evaluate.texts.judge_server import SECRET, Server, chat, longer_wins, texts_of

LONG, SHORT = "a long answer by the run", "short"
TEXTS = [LONG] * 24 + [SHORT, SHORT] + [None] * 6 + ["rare words of the run"] * 4


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Of 32 usual rows 26 were written, of 4 rare ones all. The longer text is the run's in 24 of
    the 26, and in none of the 4."""
    folder = make_written(tmp_path / "run", TEXTS, rare=4, decode_rows=30)
    written = read_written(folder / WRITTEN)
    texts = ["middling"] * 26 + [None] * 6 + ["rare words that the plain one wrote"] * 4
    plain = replace(written, written=text_column(texts))
    write_written(folder / "baselines" / "plain" / WRITTEN, plain)
    return folder


def judged(run: Path, server: Server, *more: str | Path) -> Outcome:
    return run_cli("judge", run, "--url", server.url, "--model", "critic", "--quiet", *more)


def said(run: Path, server: Server, *more: str | Path) -> dict[str, Any]:
    done = judged(run, server, "--json", *more)
    assert done.code == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_the_verdict_its_costs_and_people(run: Path, server: Server, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id,verdict\ntest-1,b\ntest-2,b\ntest-25,b\ntest-33,a\n")
    found = said(run, server, "--human", people, "--price", "2,10")
    assert len(server.requests) == found["asked_now"] == 60, "30 pairs in both orders"
    assert sorted(texts_of(body)[0] for body in server.requests).count(LONG) == 24
    assert {body["model"] for body in server.requests} == {"critic"}
    assert set(server.keys) == {f"Bearer {SECRET}"}
    # 26 of 32 usual rows were written, so each stands for 32 / 26.
    assert found["preference"]["value"] == pytest.approx(24 / 26 * 32 / 36)
    assert found["macro_preference"]["value"] == pytest.approx((24 / 26 + 0) / 2)
    assert found["categories"]["rare"]["value"] == 0
    assert found["agreement"]["pairs"] == 4
    assert found["agreement"]["same"]["value"] == 3 / 4
    assert (found["prompt_tokens"], found["completion_tokens"]) == (6000, 600)
    assert found["cost"] == pytest.approx((6000 * 2 + 600 * 10) / 1e6)
    stored = read_judged(run / "judged.json")
    assert (stored.run, stored.against, stored.split) == (read_manifest(run).id, "plain", "test")
    assert found == stored.to_json() | {name: found[name] for name in ("out", "answers", "report")}
    everything = "".join(path.read_text() for path in run.glob("judge*.json*"))
    assert SECRET not in everything + (run / "report.html").read_text(encoding="utf-8")


def test_the_report_and_the_command_line_say_the_same(run: Path, server: Server) -> None:
    done = judged(run, server, "--price", "2,10")
    assert done.code == 0, done.stderr
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert not page.faults
    for words in (
        "critic, asked about 30 pairs of texts of test rows, finds this run better than plain "
        "fine-tuning: this run’s text is preferred in 82.1 % (95 % interval ",
        "as a mean over categories 46.2 %",
        "the two answers agreed in 100 %",
        "No verdicts of people were given",
        "It read 6,000 tokens and wrote 600, for 0.018 at the price given.",
    ):
        assert words in page.text, words
        assert words in done.stdout, words
    assert "What a judge model says" in page.text


def test_a_call_that_was_cut_off_goes_on_and_pays_nothing_twice(run: Path, server: Server) -> None:
    def dies(number: int, body: dict[str, Any]) -> Any:
        return (400, {}, b"enough") if number >= 10 else longer_wins(number, body)

    server.behave = dies
    done = judged(run, server)
    assert done.code == 2
    assert "answered 400: enough; check the endpoint" in done.stderr
    assert not (run / "judged.json").exists()
    kept = len((run / "judge_answers.jsonl").read_text().splitlines())
    server.behave, server.requests = longer_wins, []
    found = said(run, server)
    assert found["asked_now"] == len(server.requests) == 60 - kept
    url = server.url
    server.close()  # all is on file: nobody need be there
    again = run_cli("judge", run, "--url", url, "--model", "critic", "--quiet", "--json")
    assert again.code == 0, again.stderr
    assert json.loads(again.stdout)["verdicts"] == found["verdicts"]


def test_an_answer_that_can_not_be_read_is_counted(run: Path, server: Server) -> None:
    server.behave = lambda n, body: (
        chat("Well.") if "rare words of the run" in texts_of(body) else longer_wins(n, body)
    )
    found = said(run, server)
    assert found["unreadable"] == 8
    assert len(found["verdicts"]) == 26
    words = "Of its answers 8 held no verdict, so that 4 pairs have no verdict and are left out."
    assert words in (run / "report.html").read_text(encoding="utf-8")
    server.behave = lambda n, body: chat("I like both.")
    (run / "judge_answers.jsonl").unlink()
    (run / "judged.json").unlink()
    done = judged(run, server)
    assert done.code == 2
    assert (
        "gave no verdict on any of 30 pairs (60 answers without a verdict in them)" in done.stderr
    )
    assert not (run / "judged.json").exists()


def test_texts_that_are_alike_are_no_verdict(run: Path, server: Server) -> None:
    """Nobody is asked about them: they are ties beside what was asked, and no judgement alone."""
    plain = run / "baselines" / "plain" / WRITTEN
    theirs = read_written(plain)
    texts = read_written(run / WRITTEN).written.copy()
    texts[:3] = "middling"
    write_written(plain, replace(theirs, written=texts))
    server.behave = lambda n, body: chat("I like both.")
    done = judged(run, server)
    assert done.code == 2
    assert "gave no verdict on any of 3 pairs (6 answers without a verdict in them)" in done.stderr
    assert not (run / "judged.json").exists()
    (run / "judge_answers.jsonl").unlink()
    server.behave = longer_wins
    done = judged(run, server)
    assert done.code == 0, done.stderr
    assert "asked about 3 pairs of texts of test rows (27 more are the same text" in done.stdout
    write_written(plain, replace(theirs, written=read_written(run / WRITTEN).written))
    done = judged(run, server)
    assert done.code == 0, done.stderr
    assert "All texts of both are the same, so nothing was asked." in done.stdout


def test_what_can_not_be_asked_is_told_at_once(run: Path, server: Server, tmp_path: Path) -> None:
    strangers = tmp_path / "strangers.csv"
    strangers.write_text("id,verdict\nx,a\n")
    classifies = make_run(tmp_path / "classifier", names=("a", "b"))
    gone = Server()
    gone.close()
    ask = ("--url", server.url, "--model", "m")
    for command, wanted in (
        ((run, *ask, "--price", "2"), "--price 2: give two numbers"),
        ((run, *ask, "--price", "2,-1"), "--price 2,-1: give two numbers"),
        ((run, *ask, "--key-env", "NO_SUCH_KEY"), "--key-env NO_SUCH_KEY: the environment has no"),
        ((run, *ask, "--option", "temperature"), "--option temperature: expected name=value"),
        ((run, *ask, "--option", "stream=true"), "--option stream=true: stream is set by the"),
        ((run, *ask, "--option", "top_p=.nan"), "--option top_p=.nan: "),
        ((run, *ask, "--against", "tfidf"), "--against tfidf: give plain or base"),
        ((run, *ask, "--price", "2", "--option", "n=2", "--against", "x"), "--price 2: give two"),
        ((run, *ask, "--price", "2", "--option", "n=2", "--against", "x"), "--option n=2: n is"),
        ((run, *ask, "--price", "2", "--option", "n=2", "--against", "x"), "--against x: give"),
        ((run, *ask, "--against", "base"), "baselines/base: missing"),
        ((run, *ask, "--human", strangers), "a verdict on none of the 30 pairs; its ids must be"),
        ((run, "--url", "nowhere", "--model", "m"), "endpoint 'nowhere' is no address"),
        ((run, "--url", gone.url, "--model", "m"), f"nothing answers at {gone.url}"),
        ((classifies, *ask), "classifies rows, and a judge model compares texts"),
        ((tmp_path / "none", *ask), "no such folder"),
    ):
        done = run_cli("judge", *command, "--quiet")
        assert done.code == 2, (command, done.stderr)
        assert wanted in done.stderr, (command, done.stderr)
    assert server.requests == []
    assert not (run / "judged.json").exists()


def test_another_key_is_named_where_it_is_refused(run: Path, server: Server) -> None:
    server.behave = lambda n, body: (401, {}, b"who are you?")
    done = run_cli(
        *("judge", run, "--url", server.url, "--model", "m", "--key-env", "MY_KEY", "--quiet"),
        env={"MY_KEY": "sk-mine"},
    )
    assert done.code == 2
    assert server.keys[0] == "Bearer sk-mine"
    assert "check the key in the environment variable MY_KEY" in done.stderr


def test_what_is_sent_with_each_question_is_chosen_and_recorded(run: Path, server: Server) -> None:
    """A model that reasons refuses a temperature; the message says how to leave it out."""

    def reasons(number: int, body: dict[str, Any]) -> Any:
        if "temperature" in body:
            return 400, {}, b"Unsupported value: 'temperature' does not support 0"
        return longer_wins(number, body)

    server.behave = reasons
    done = judged(run, server)
    assert done.code == 2
    assert "leave that out with --option temperature=none" in done.stderr
    server.requests = []
    more = ("--option", "temperature=none", "--option", "reasoning_effort=low")
    found = said(run, server, *more, "--option", "max_completion_tokens=900")
    wanted = {"reasoning_effort": "low", "max_completion_tokens": 900}
    for body in server.requests:
        assert body == wanted | {name: body[name] for name in ("model", "messages")}
    assert found["options"] == wanted == read_judged(run / "judged.json").options
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Every question was sent with reasoning_effort=low, max_completion_tokens=900." in page


def test_a_verdict_of_before_there_were_options_is_read(run: Path, server: Server) -> None:
    assert said(run, server)["options"] == {"temperature": 0}
    path = run / "judged.json"
    record = json.loads(path.read_text())
    del record["options"]
    path.write_text(json.dumps(record))
    assert read_judged(path).options == {"temperature": 0}


def test_runs_without_remedies_and_without_texts(run: Path, server: Server, tmp_path: Path) -> None:
    manifest = read_manifest(run)
    bare = manifest.model_copy(update={"remedies": [], "baselines": []})
    write_manifest(run, bare)
    done = judged(run, server)
    assert done.code == 2
    assert "has no remedies, so it is plain fine-tuning itself" in done.stderr
    write_manifest(run, manifest)
    silent = read_written(run / WRITTEN)
    write_written(run / WRITTEN, replace(silent, written=text_column([None] * len(silent))))
    done = judged(run, server)
    assert done.code == 2
    assert "no test row has a text of both; train it again with write.decode_rows" in done.stderr


def test_a_verdict_on_another_run_is_not_shown(run: Path, server: Server) -> None:
    said(run, server)
    path = run / "judged.json"
    path.write_text(path.read_text().replace(read_manifest(run).id, "another"))
    assert run_cli("report", run).code == 0
    assert "What a judge model says" not in (run / "report.html").read_text(encoding="utf-8")
    path.write_text('{"schema": 1}')
    with pytest.raises(FolderError, match="ask again with equipoise judge"):
        read_judged(path)
