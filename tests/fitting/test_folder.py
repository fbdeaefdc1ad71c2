"""A run that is to be replaced is lost only once the new one is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from equipoise.fitting.folder import HISTORY, Opened, abandon, begin, open_run, settle
from equipoise.records.run import MANIFEST
from tests.test_fit import contents


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of id "old", by the files that a folder is told by."""
    out = tmp_path / "run"
    begin(open_run(out, "old"))
    (out / MANIFEST).write_text("{}", "utf-8")
    (out / HISTORY).write_text("{}\n", "utf-8")
    (out / "model").mkdir()
    (out / "model" / "weights").write_bytes(b"old")
    return out


def half_a_run(out: Path, run_id: str) -> Opened:
    opened = open_run(out, run_id, force=True)
    begin(opened)
    (out / HISTORY).write_text('{"step": 1}\n', "utf-8")
    opened.checkpoints.mkdir()
    (opened.checkpoints / "weights").write_bytes(b"half")
    return opened


def test_a_failed_run_gives_back_what_it_was_to_replace(finished: Path) -> None:
    before = contents(finished)
    abandon(half_a_run(finished, "new"))
    assert contents(finished) == before
    assert open_run(finished, "old").state == "finished"


def test_a_killed_run_keeps_it_beside_and_another_one_finds_it(finished: Path) -> None:
    before = contents(finished)
    half_a_run(finished, "killed")
    assert open_run(finished, "killed").state == "resumed"
    opened = open_run(finished, "third", force=True)
    begin(opened)
    assert not opened.checkpoints.exists()
    abandon(opened)
    assert contents(finished) == before


def test_a_finished_run_drops_the_one_before(finished: Path) -> None:
    settle(half_a_run(finished, "new"))
    assert sorted(path.name for path in finished.iterdir()) == [HISTORY, "started.json"]


def test_a_new_run_that_failed_early_leaves_no_trace(tmp_path: Path) -> None:
    opened = open_run(tmp_path / "runs" / "one", "new")
    begin(opened)
    abandon(opened)
    assert not list(tmp_path.iterdir())
