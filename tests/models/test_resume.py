"""A training that is killed goes on, and ends with the bytes it would have ended with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from equipoise.models.trainer import last_checkpoint, remove_checkpoint
from tests.models.conftest import Bases
from tests.models.tiny import easy_rows, make, make_feed, weights_of
from tests.models.training import train

CHOOSING = {"method": "full", "settings": {"choose_by": "recall:2"}}
CACHED: dict[str, Any] = {"method": "light", "settings": {}}
PATIENT = {"method": "lora", "settings": {"choose_by": "accuracy", "patience": 1}}
TRAPS: list[list[str]] = [
    ["step:1", "step:9", "step:24"],
    ["save:1", "save:2", "save:3"],
    ["mark:1", "mark:2", "mark:2"],
    ["drop:1", "drop:1", "finish"],
]
"""Where every attempt but the last dies; see kills.py."""


def killed(base: Path, out: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.models.kills", str(base), str(out), json.dumps(jobs)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads((out / "results.json").read_text())
    return found


@pytest.mark.slow
def test_killed_trainings_end_with_the_same_bytes(bases: Bases, tmp_path: Path) -> None:
    """Dropout on: random numbers are part of what must be taken up again."""
    traps = {
        "full": [*TRAPS, ["time:0.3", "time:0.7", "time:1.1"]],
        "light": [["step:9", "mark:2", "step:20"], ["time:0.4", "time:0.8"]],
        "lora": [["step:4", "mark:2"], ["finish"]],
    }
    jobs = [
        {**job, "kills": kills}
        for job in (CHOOSING, CACHED, PATIENT)
        for kills in ([], *traps[job["method"]])
    ]
    results = killed(bases("bert"), tmp_path, jobs)
    whole: dict[str, Any] = {}
    for job, found in zip(jobs, results, strict=True):
        if not job["kills"]:
            whole = found
            continue
        if not job["kills"][0].startswith("time"):
            assert found["died"] == [True] * len(job["kills"]) + [False], job
        assert found["digest"] == whole["digest"], job
        assert found["trained"] == whole["trained"], job
        assert found["left"] == ["finished.json", "trained.safetensors"], job
    # The last was the patient one: it stopped early, once, whenever it was killed.
    assert whole["trained"]["stopped"] == "1 epochs without a better accuracy"
    assert whole["trained"]["steps"] in (12, 18)


def test_a_half_written_checkpoint_is_ignored(bases: Bases, tmp_path: Path) -> None:
    rows = easy_rows(24)
    whole, base, _, _ = make(bases("bert", 2), method="full", dropout=0.1)
    feed = make_feed(base, rows)
    train(whole, feed, tmp_path / "whole")
    resumed, _, _, _ = make(bases("bert", 2), method="full", dropout=0.1)
    broken = tmp_path / "resumed" / "checkpoint-3"
    broken.mkdir(parents=True)
    (broken / "trained.safetensors").write_bytes(b"half")
    (broken / "trainer_state.json").write_text("{")
    train(resumed, feed, tmp_path / "resumed")
    assert weights_of(resumed) == weights_of(whole)


def test_a_finished_training_is_not_run_again(bases: Bases, tmp_path: Path) -> None:
    rows = easy_rows(24)
    classifier, base, _, _ = make(bases("bert", 2), method="full")
    first = train(classifier, make_feed(base, rows), tmp_path)
    again, _, _, _ = make(bases("bert", 2), method="full")
    steps: list[int] = []
    second = train(
        again, make_feed(base, rows), tmp_path, stepped=lambda step, _: steps.append(step)
    )
    assert steps == []
    assert first == second
    assert weights_of(again) == weights_of(classifier)


def test_the_newest_whole_checkpoint_counts(tmp_path: Path) -> None:
    for step, whole in ((9, True), (10, True), (100, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if whole:
            (folder / "complete.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-100").exists()
    remove_checkpoint(tmp_path / "checkpoint-10")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
    assert last_checkpoint(tmp_path / "nowhere") is None
