"""Every mistake of tests/bad_input as a user makes it: a process of the installed command.

    python -m benchmarks.bad_input

Malformed files and command lines, each of which must end in clear `error:` lines, exit code 2,
nothing left behind, no traceback; with `--json`, one JSON object on standard output. The tests try
the same cases inside one process; here nothing is shared but the files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.common import Bench, Unit
from tests.bad_input import GROUPS, Case, Place
from tests.bad_input.case import faults_of, left_behind, snapshot

COMMAND = Path(sys.executable).parent / "equipoise"
UNIT_CASES = 20
GOAL = 150


def run_unit(unit: Unit) -> dict[str, Any]:
    """Try the unit's cases one after the other."""
    cases = {case.name: case for cases in GROUPS.values() for case in cases}
    place, seconds, wrong = _place(), [], {}
    for name in unit.settings["cases"]:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            faults = _try(cases[name], replace(place, folder=Path(folder)))
            seconds.append(time.monotonic() - begun)
        if faults:
            wrong[name] = faults
    return {
        "cases": len(seconds),
        "right": len(seconds) - len(wrong),
        "slowest_s": round(max(seconds), 2),
        "wrong": wrong,
    }


def _try(case: Case, place: Place) -> list[str]:
    args = case.prepare(place)
    before, run = snapshot(place.folder), snapshot(place.run)
    done = subprocess.run(
        [COMMAND, args[0], "--json", *args[1:]],
        capture_output=True,
        text=True,
        errors="replace",
        env=_environment() | dict(case.env),
        timeout=600,
    )
    faults = faults_of(case, done.returncode, done.stdout, done.stderr, as_json=True)
    faults += left_behind(case, before, snapshot(place.folder))
    return faults + (
        ["the run that it was given has changed"] if snapshot(place.run) != run else []
    )


@cache
def _place() -> Place:
    """A tiny base model, good rows and a finished run, made once per process."""
    from tests.models.tiny import save_base
    from tests.tiny_rows import write_rows

    folder = _scratch()
    rows, run = folder / "rows", folder / "run"
    rows.mkdir()
    base = save_base(folder / "base", "bert", 2)
    write_rows(rows / "train.csv", seed=0)
    write_rows(rows / "test.csv", seed=1, start=1000)
    subprocess.run(
        [COMMAND, "train", rows, "--model", base, "--epochs", "2", "--out", run, "--quiet"],
        check=True,
        capture_output=True,
        env=_environment(),
    )
    return Place(folder, base, rows, run)


@cache
def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="bad_input_")
    _KEPT.append(folder)  # removed when the process ends
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _environment() -> dict[str, str]:
    """No network is asked for what does not exist, and no cache but our own is filled."""
    own = {"HF_HUB_OFFLINE": "1", "EQUIPOISE_CACHE": str(_scratch() / "cache")}
    return {**os.environ, **own}


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    cases = sum(unit["result"]["cases"] for unit in units)
    right = sum(unit["result"]["right"] for unit in units)
    wrong = {name: said for unit in units for name, said in unit["result"]["wrong"].items()}
    return {
        "says": f"{right} of {cases} mistakes end as they must: error lines, exit code 2, nothing "
        "left behind, no traceback",
        "cases": cases,
        "right": right,
        "goal": GOAL,
        "goal_met": cases >= GOAL and right == cases,
        "wrong": wrong,
    }


def _units() -> list[Unit]:
    """Cases by name, so that a changed list runs again and an unchanged one does not."""
    units = []
    for group, cases in GROUPS.items():
        names = [case.name for case in cases]
        for place in range(0, len(names), UNIT_CASES):
            chosen = names[place : place + UNIT_CASES]
            units.append(Unit(f"{group}.{place // UNIT_CASES + 1}", {"cases": chosen}))
    return units


BENCH = Bench(
    name="bad_input",
    units=_units(),
    run=run_unit,
    price_seconds=lambda unit: 3.0 * len(unit.settings["cases"]),
    summarise=summarise,
    table=lambda units: [
        {"unit": unit["name"]}
        | {key: unit["result"][key] for key in ("cases", "right", "slowest_s")}
        for unit in units
    ],
    about="malformed files and command lines, each as a process of the installed command",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
