"""How long `equipoise --help` takes to answer, and which modules it loads on the way.

    python -m benchmarks.start_up

A process of the installed command, twenty times after two that warm the disk's cache.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Bench, Unit

COMMAND = Path(sys.executable).parent / "equipoise"
GOAL_S = 0.3
TIMES = 20
HEAVY = ("torch", "transformers", "numpy", "pandas", "sklearn", "scipy", "pydantic", "datasets")


def run_unit(unit: Unit) -> dict[str, Any]:
    """Wall seconds of the command, and heavy modules that it loads."""
    seconds = []
    for _ in range(TIMES + 2):
        begun = time.perf_counter()
        subprocess.run([COMMAND, *unit.settings["args"]], check=True, capture_output=True)
        seconds.append(time.perf_counter() - begun)
    code = (
        f"import sys; sys.argv = {['equipoise', *unit.settings['args']]!r}\n"
        "import equipoise.cli\n"
        "try: equipoise.cli.main()\n"
        f"except SystemExit: print('loaded', *sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    warm = sorted(seconds[2:])
    return {
        "median_s": round(statistics.median(warm), 3),
        "slowest_s": round(warm[-1], 3),
        "heavy_modules": done.stdout.splitlines()[-1].split()[1:],
    }


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    slowest = max(unit["result"]["median_s"] for unit in units)
    return {
        "says": f"help answers within {slowest:.2f} s (median of {TIMES}); the goal is {GOAL_S} s",
        "goal": GOAL_S,
        "goal_met": slowest <= GOAL_S,
    }


BENCH = Bench(
    name="start_up",
    units=[
        Unit("help", {"args": ["--help"]}),
        Unit("train help", {"args": ["train", "--help"]}),
        Unit("version", {"args": ["--version"]}),
    ],
    run=run_unit,
    price_seconds=lambda unit: 4.0,
    summarise=summarise,
    about="time until equipoise --help answers",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
