"""What a run took, over all of its sessions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from equipoise.fitting.folder import HISTORY, STARTED, begin, counted, open_run


def test_interrupted_sessions_are_added_up(tmp_path: Path) -> None:
    out = tmp_path / "run"
    opened = open_run(out, "one")
    begin(opened)
    seconds: dict[str, float] = {}
    with pytest.raises(KeyboardInterrupt), counted(opened, seconds, time.perf_counter() - 30):
        raise KeyboardInterrupt
    assert seconds == {}
    opened = open_run(out, "one")
    assert opened.state == "resumed"
    with pytest.raises(KeyboardInterrupt), counted(opened, seconds, time.perf_counter() - 8):
        raise KeyboardInterrupt
    assert seconds["sessions before"] == pytest.approx(30, abs=1)
    now = time.perf_counter()
    with counted(open_run(out, "one"), seconds, now) as began:
        assert now - began == pytest.approx(38, abs=1)
    assert seconds["sessions before"] == pytest.approx(38, abs=1)


def test_of_a_killed_session_the_last_line_of_the_history_counts(tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin(open_run(out, "one"))
    (out / HISTORY).write_text('{"seconds": 4.5, "step": 1}\n{"seconds": 12.5, "st', "utf-8")
    seconds: dict[str, float] = {}
    with counted(open_run(out, "one"), seconds, time.perf_counter()):
        pass
    assert seconds == {"sessions before": 4.5}


def test_a_run_that_left_nothing_keeps_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    opened = open_run(out, "one")
    begin(opened)

    def abandoned() -> None:
        with counted(opened, {}, time.perf_counter()):
            (out / STARTED).unlink()
            raise ValueError("mistake")

    with pytest.raises(ValueError, match="mistake"):
        abandoned()
    assert not list(out.iterdir())
    begin(opened)
    assert "seconds" not in json.loads((out / STARTED).read_text(encoding="utf-8"))
