"""What a run that writes says of rows that it can't read whole, and which it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import equipoise
from equipoise.data.read import read_rows
from equipoise.errors import DataError
from equipoise.fit import check_run, fit
from equipoise.recipe import make_recipe
from equipoise.records.run import read_manifest
from equipoise.records.scores import read_scores
from equipoise.writer_run import LoadedWriterRun
from tests.cli_runner import run_cli
from tests.models.writing.tiny import save_writing_base

LOST = "rows that were written lost the beginning of what is asked"


def write_rows(path: Path, words: int, count: int = 24) -> Path:
    """Prompts of so many words."""
    lines = [
        {"prompt": f"play song {n} " + "the music " * (words // 2), "completion": "we can not"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is asked has 33 tokens, and may have 26 where 40 are to be written."""
    from tokenizers import AddedToken
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("notes")
    base = save_writing_base(folder / "base", "llama", 2)
    tokenizer = AutoTokenizer.from_pretrained(base)
    # As in Llama 3's files: special, and among none of the tokenizer's named tokens.
    tokenizer.backend_tokenizer.add_special_tokens([AddedToken("<turn>", special=True)])
    tokenizer.save_pretrained(base)
    settings = {
        "model": {"name": str(base), "method": "full", "max_tokens": 48},
        "train": {"epochs": 1},
        "baselines": [],
        "write": {"decode": {"new_tokens": 40}, "decode_rows": 3},
    }
    rows = write_rows(folder / "rows.jsonl", 30)
    return fit(rows, folder / "run", make_recipe(settings)).folder


@pytest.mark.parametrize("write", [{"decode": {"new_tokens": 3}}, {"decode_rows": 0}])
def test_answers_that_can_not_be_written_whole_are_told_before_training(
    run: Path, tmp_path: Path, write: dict[str, Any]
) -> None:
    """The answer has three words and an end token."""
    rows = write_rows(tmp_path / "rows.jsonl", 6)
    name = str(run.parent / "base")
    recipe = make_recipe({"model": {"name": name, "method": "full"}, "write": write})
    _, warnings = check_run(read_rows(rows), tmp_path / "run", recipe)
    said = [line for line in warnings if "answers of more than 3 tokens, the longest 4" in line]
    assert len(said) == ("decode" in write)


def test_a_run_tells_of_what_was_cut_before_writing(run: Path) -> None:
    wanted = f"3 of 3 {LOST}, which did not fit into the window beside 40 new tokens"
    assert any(note.startswith(wanted) for note in read_scores(run / "scores.json").notes)
    assert any(note.startswith(wanted) for note in read_manifest(run).notes)
    assert not any(LOST in note for note in read_scores(run / "scores_validation.json").notes)


def test_evaluate_tells_of_what_was_cut(run: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "long.jsonl", 60, count=8)
    done = run_cli("evaluate", run, rows, "--json")
    assert done.code == 0, done.stderr
    notes = json.loads(done.stdout)["notes"]
    assert any("tokens did not fit into the window: 8 rows lost the beginning" in n for n in notes)
    assert any(note.startswith(f"3 of 3 {LOST}") for note in notes)


def test_predict_tells_of_what_was_cut(run: Path, tmp_path: Path) -> None:
    long, short = write_rows(tmp_path / "long.jsonl", 60, 4), write_rows(tmp_path / "s.jsonl", 4, 4)
    done = run_cli("predict", run, long, "--out", tmp_path / "out.csv", "--json")
    assert done.code == 0, done.stderr
    (note,) = json.loads(done.stdout)["notes"]
    assert note.startswith(f"4 of 4 {LOST}")
    done = run_cli("predict", run, long, "--out", tmp_path / "out.csv")
    assert f"\nnote: 4 of 4 {LOST}" in done.stdout
    done = run_cli("predict", run, short, "--out", tmp_path / "out.csv", "--json")
    assert json.loads(done.stdout)["notes"] == []


@pytest.mark.parametrize("token", ["<turn>", "[CLS]"])
def test_special_tokens_are_refused_as_in_training(run: Path, tmp_path: Path, token: str) -> None:
    loaded = equipoise.load(run)
    assert isinstance(loaded, LoadedWriterRun)
    asked = f"play {token} music"
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": asked, "completion": "no"}) + "\n")
    table = read_rows(path, task="write")
    ways: list[Callable[[], Any]] = [
        lambda: loaded.write([asked]),
        lambda: loaded.write_rows(table),
        lambda: loaded.evaluate(table),
    ]
    for way in ways:
        with pytest.raises(DataError, match="special token"):
            way()
