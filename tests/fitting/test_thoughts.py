"""Rows with and without thoughts, on a base whose template puts an empty thought before answers:
what is learned perfectly is written as it was learned, and judged as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import equipoise
from equipoise.fit import fit
from equipoise.recipe import make_recipe
from equipoise.records.scores import read_scores
from equipoise.records.written import read_written
from equipoise.writer_run import LoadedWriterRun
from tests.models.writing.thinking import save_thinking_base

ANSWER = "It left on Monday."
THOUGHT = "<think>\nHm.\n</think>\n\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_thinking_base(tmp_path_factory.mktemp("thinking") / "base")


def trained(base: Path, folder: Path, thought: str) -> LoadedWriterRun:
    """A run on rows of which the odd ones begin with `thought`."""
    lines = []
    for number in range(80):
        kind = "Günter" if number % 2 else "Where is my parcel?"
        said = (thought if number % 2 else "") + ANSWER
        turns = [
            {"role": "user", "content": f"{kind} {number} {number * number}"},
            {"role": "assistant", "content": said},
        ]
        lines.append(json.dumps({"messages": turns}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    recipe = make_recipe(
        {
            "model": {"name": str(base), "method": "full"},
            "train": {"epochs": 20, "learning_rate": 1e-2, "batch_rows": 16, "device_rows": 16},
            "baselines": [],
            "write": {"decode": {"new_tokens": 24}},
        }
    )
    fit(folder / "rows.jsonl", folder / "run", recipe)
    loaded = equipoise.load(folder / "run")
    assert isinstance(loaded, LoadedWriterRun)
    return loaded


@pytest.mark.parametrize("thought", ["", THOUGHT])
def test_what_was_learned_is_written_and_matches(base: Path, tmp_path: Path, thought: str) -> None:
    loaded = trained(base, tmp_path, thought)
    assert loaded.writer.thinks == bool(thought)
    scores = read_scores(tmp_path / "run" / "scores.json")
    assert scores.measures["exact_match"].value == 1
    written = read_written(tmp_path / "run" / "written.parquet").of_split("test")
    assert set(written.written) == {ANSWER, thought + ANSWER}
    for text, right, size in zip(written.written, written.references, written.bytes, strict=True):
        assert text == right[0]
        own = text if text.startswith("<") or not thought else "<think>\n\n</think>\n\n" + text
        assert size == len(own.encode()), "the bytes are those of the tokens that were judged"
    assert loaded.write(["Where is my parcel? 7 49"]) == [ANSWER]
