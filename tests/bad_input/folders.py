"""Folders that can't be written, and runs that can't be read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case, Place, copied_run, train

EVALUATE = ("evaluate", "{folder}/run", "{rows}/test.csv")
PREDICT = ("predict", "{folder}/run", "{rows}/test.csv", "--out", "{folder}/decided.csv")
REPORT = ("report", "{folder}/run")


def _run(change: Callable[[Path], object]) -> Callable[[Place], None]:
    """A copy of the finished run, broken."""
    return lambda place: (change(copied_run(place)), None)[1]


def _gone(name: str) -> Callable[[Place], None]:
    def change(run: Path) -> None:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return _run(change)


def _cut(name: str, share: float = 0.5) -> Callable[[Place], None]:
    def change(run: Path) -> None:
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: int(len(whole) * share)])

    return _run(change)


def _holds(name: str, content: str) -> Callable[[Place], None]:
    return _run(lambda run: (run / name).write_text(content, encoding="utf-8"))


def _json(name: str, **changes: Any) -> Callable[[Place], None]:
    """A record with keys changed, or taken away where the new value is None."""

    def change(run: Path) -> None:
        record = json.loads((run / name).read_text(encoding="utf-8"))
        gone = {key for key, value in changes.items() if value is None}
        kept = {key: value for key, value in (record | changes).items() if key not in gone}
        (run / name).write_text(json.dumps(kept), encoding="utf-8")

    return _run(change)


def _broken(what: str, build: Callable[[Place], None], commands: str, *words: str) -> list[Case]:
    """The same broken run under several commands."""
    args = {"evaluate": EVALUATE, "predict": PREDICT, "report": REPORT}
    return [
        Case(f"{command}: {what}", args[command], words, build=build)
        for command in commands.split()
    ]


ALL = "evaluate predict report"
LOAD = "evaluate predict"
RUNS = [
    *_broken("no such run", lambda place: None, ALL, "no such folder"),
    *_broken(
        "a run that is a file", lambda p: (p.folder / "run").touch(), "evaluate report", "run"
    ),
    *_broken(
        "an empty folder", lambda p: (p.folder / "run").mkdir(), ALL, "run.json", "unfinished"
    ),
    *_broken("an unfinished run", _gone("run.json"), ALL, "run.json", "unfinished", "again"),
    *_broken("a manifest cut off", _cut("run.json"), ALL, "run.json", "not a JSON record"),
    *_broken("a manifest of no length", _cut("run.json", 0), "report", "run.json"),
    *_broken("a manifest that is a list", _holds("run.json", "[1]"), ALL, "run.json", "schema"),
    *_broken("a manifest of another schema", _json("run.json", schema=99), ALL, "99", "reads 1"),
    *_broken("a manifest without seed", _json("run.json", seed=None), ALL, "run.json", "seed"),
    *_broken("a manifest with a word as seed", _json("run.json", seed="x"), "report", "seed"),
    *_broken("no model", _gone("model"), LOAD, "model.safetensors", "missing"),
    *_broken("no weights", _gone("model/model.safetensors"), LOAD, "model.safetensors"),
    *_broken("weights cut off", _cut("model/model.safetensors"), LOAD, "model"),
    *_broken("no tokenizer", _gone("model/tokenizer.json"), LOAD, "tokenizer"),
    *_broken("no head", _gone("head.safetensors"), LOAD, "head.safetensors"),
    *_broken("a head cut off", _cut("head.safetensors"), LOAD, "head.safetensors"),
    *_broken("no classifier", _gone("classifier.json"), LOAD, "classifier.json"),
    *_broken("a classifier cut off", _cut("classifier.json"), LOAD, "classifier.json"),
    *_broken(
        "a classifier of another schema",
        _json("classifier.json", schema=2),
        LOAD,
        "classifier.json",
    ),
    *_broken(
        "a classifier without classes",
        _json("classifier.json", classes=None),
        LOAD,
        "classifier.json",
    ),
    *_broken(
        "a classifier with fewer classes",
        _json("classifier.json", classes=["a"]),
        LOAD,
        "classifier.json",
    ),
    *_broken("no rule", _gone("decision.json"), ALL, "decision.json"),
    *_broken("a rule cut off", _cut("decision.json"), ALL, "decision.json"),
    *_broken("a rule without offsets", _json("decision.json", offsets=None), ALL, "decision.json"),
    *_broken(
        "a rule with fewer offsets", _json("decision.json", offsets=[0]), ALL, "decision.json"
    ),
    *_broken("no predictions", _gone("predictions.parquet"), "report", "predictions.parquet"),
    *_broken("predictions cut off", _cut("predictions.parquet"), "report", "predictions.parquet"),
    *_broken(
        "predictions that are text", _holds("predictions.parquet", "a,b"), "report", "parquet"
    ),
    *_broken("no scores", _gone("scores.json"), "report", "scores.json"),
    *_broken("scores cut off", _cut("scores.json"), "report", "scores.json"),
    *_broken(
        "scores without measures", _json("scores.json", measures=None), "report", "scores.json"
    ),
    *_broken(
        "scores of validation cut off", _cut("scores_validation.json"), "report", "scores_val"
    ),
    *_broken("a baseline cut off", _cut("baselines/tfidf/scores.json"), "report", "tfidf"),
    *_broken(
        "history that is no history",
        _holds("history.jsonl", "a\nb\nc\n"),
        "report",
        "history.jsonl",
        "line 1",
    ),
    *_broken("texts cut off", _cut("judged_rows.parquet"), "report", "judged_rows.parquet"),
    *_broken("splits cut off", _cut("splits.parquet"), "report", "splits.parquet"),
]

OUT = [
    Case("out is a file", train(), ("is a file", "--out"), files={"out": "mine"}),
    Case(
        "out holds other files", train(), ("not a run", "thesis.txt"), files={"out/thesis.txt": "x"}
    ),
    Case("out holds other files, forced", train("--force"), ("not a run",), files={"out/a": "x"}),
    Case(
        "out holds another run",
        train("--out", "{folder}/run", "--seed", "1"),
        ("another run", "--force"),
        build=_run(lambda run: None),
    ),
    Case(
        "out holds the start of another run",
        train(),
        ("another run", "--force"),
        files={"out/started.json": '{"schema": 1, "id": "x"}'},
    ),
    Case(
        "out holds a broken start",
        train(),
        ("started.json", "not a JSON"),
        files={"out/started.json": "{"},
    ),
    Case(
        "out holds a start of another version",
        train(),
        ("schema",),
        files={"out/started.json": '{"schema": 9, "id": "x"}'},
    ),
    Case(
        "out below a file",
        train("--out", "{folder}/mine/out"),
        ("is a file", "--out"),
        files={"mine": "x"},
    ),
    Case(
        "out where nobody can write", train("--out", "/proc/equipoise/out"), ("can't be written",)
    ),
    Case("out with a name too long", train("--out", "{folder}/" + "o" * 300), ("ooo", "--out")),
    Case("out is the rows", train("--out", "{rows}"), ("not a run", "train.csv")),
    Case(
        "scores into a file",
        ("evaluate", "{run}", "{rows}/test.csv", "--out", "{folder}/mine"),
        ("is a file",),
        files={"mine": "x"},
    ),
    Case(
        "scores below a file",
        ("evaluate", "{run}", "{rows}/test.csv", "--out", "{folder}/mine/out"),
        ("is a file",),
        files={"mine": "x"},
    ),
    Case(
        "scores into the run",
        (*EVALUATE, "--out", "{folder}/run"),
        ("holds a run",),
        build=_run(lambda run: None),
    ),
    Case(
        "decisions as text", (*PREDICT[:4], "{folder}/decided.txt"), (".csv, .jsonl or .parquet",)
    ),
    Case(
        "decisions without a form",
        (*PREDICT[:4], "{folder}/decided"),
        (".csv, .jsonl or .parquet",),
    ),
    Case(
        "decisions into a folder",
        (*PREDICT[:4], "{folder}/all.csv"),
        ("is a folder",),
        build=lambda place: (place.folder / "all.csv").mkdir(),
    ),
    Case(
        "decisions over the rows",
        ("predict", "{run}", "{folder}/r.csv", "--out", "{folder}/r.csv"),
        ("rows to decide",),
        files={"r.csv": "text\nhello\n"},
    ),
    Case(
        "decisions over a table of the user's",
        (*PREDICT[:4], "{folder}/mine.csv"),
        ("was not written by predict",),
        files={"mine.csv": "text,label\nhello,a\n"},
    ),
    Case(
        "decisions over a file of the run",
        (*PREDICT[:4], "{run}/predictions.parquet"),
        ("was not written by predict",),
    ),
    Case(
        "decisions below a file",
        (*PREDICT[:4], "{folder}/mine/decided.csv"),
        ("is a file",),
        files={"mine": "x"},
    ),
]

JUDGED = [
    Case("no rows to judge", ("evaluate", "{run}", "{folder}/none.csv"), ("no such file",)),
    Case(
        "rows without labels",
        ("evaluate", "{run}", "{folder}/r.csv"),
        ("'label'", "--label"),
        files={"r.csv": "text\nthe bank\n"},
    ),
    Case(
        "a row without label",
        ("evaluate", "{run}", "{folder}/r.csv"),
        ("empty label", "row 2"),
        files={"r.csv": "text,label\nthe bank,bank\na lamp,\n"},
    ),
    Case(
        "a row without text",
        ("evaluate", "{run}", "{folder}/r.csv"),
        ("empty text", "row 2"),
        files={"r.csv": "text,label\nthe bank,bank\n,light\n"},
    ),
    Case(
        "no group column to judge by",
        ("evaluate", "{run}", "{rows}/test.csv", "--group", "who"),
        ("'who'",),
    ),
    Case(
        "wrong encoding to judge",
        ("evaluate", "{run}", "{folder}/r.csv"),
        ("UTF-8",),
        files={"r.csv": "text,label\ncafé,bank\n".encode("latin-1")},
    ),
    Case(
        "no rows to decide",
        ("predict", "{run}", "{folder}/none.csv", "--out", "{folder}/d.csv"),
        ("no such file",),
    ),
    Case(
        "no text to decide",
        ("predict", "{run}", "{folder}/r.csv", "--out", "{folder}/d.csv"),
        ("'text'", "--text"),
        files={"r.csv": "body\nthe bank\n"},
    ),
    Case(
        "empty text to decide",
        ("predict", "{run}", "{folder}/r.csv", "--out", "{folder}/d.csv"),
        ("empty text", "row 2"),
        files={"r.csv": "id,text\n1,the bank\n2,\n"},
    ),
    Case(
        "ids that repeat to decide",
        ("predict", "{run}", "{folder}/r.csv", "--out", "{folder}/d.csv"),
        ("2 times",),
        files={"r.csv": "id,text\n1,the bank\n1,a lamp\n"},
    ),
    Case(
        "unknown encoding to decide",
        ("predict", "{run}", "{rows}/test.csv", "--out", "{folder}/d.csv", "--encoding", "klingon"),
        ("klingon",),
    ),
]

FOLDERS = [*RUNS, *OUT, *JUDGED]
