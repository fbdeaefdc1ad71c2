"""Every mistake ends in clear lines and exit code 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input import CASES, Case, Place
from tests.bad_input.case import faults_of, left_behind, snapshot
from tests.cli_runner import run_cli


@pytest.fixture
def place(tmp_path: Path, tiny_base: Path, tiny_rows: Path, tiny_run: Path) -> Place:
    folder = tmp_path / "case"
    folder.mkdir()
    return Place(folder, tiny_base, tiny_rows, tiny_run)


def test_there_are_at_least_150_cases_each_with_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_ends_in_clear_lines(case: Case, place: Place) -> None:
    args = case.prepare(place)
    before = snapshot(place.folder)
    done = run_cli(args[0], "--json", *args[1:], env=case.env)
    faults = faults_of(case, done.code, done.stdout, done.stderr, as_json=True)
    faults += left_behind(case, before, snapshot(place.folder))
    assert not faults, "\n".join([*faults, "", done.stderr[-3000:]])
