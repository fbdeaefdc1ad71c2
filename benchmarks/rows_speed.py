"""How long remedies on rows take that look at vectors: up to 100,000 rows of width 384.

    python -m benchmarks.rows_speed

Processor seconds and the largest memory of each remedy with its default settings, on vectors made
like an encoder's: of unit length, classes as 1 : 1/2 : 1/3 … that overlap, most of the spread in 40
directions. Each unit is a process of its own. SMOTE with cleaning is measured at 10,000 rows only:
its time grows with the square of the rows after making, which here are five times those given.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT, Bench, Unit, peak_rss

WIDTH, CLASSES = 384, 20
SIZES = (10_000, 100_000)
REMEDIES = {
    "cluster_undersample": 45,
    "redundancy_undersample": 10,
    "near_miss": 3,
    "tomek_links": 70,
    "edited_nearest_neighbours": 55,
    "smote": 10,
    "borderline_smote": 85,
    "adasyn": 85,
    "smote_enn": 3000,
    "smote_tomek": 3000,
}
"""Processor seconds to be expected at 100,000 rows."""
_CLEANING = ("smote_enn", "smote_tomek")


def clouds(rows: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels (rows,) and vectors (rows, WIDTH)."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLASSES + 1) ** 1.2
    labels = rng.choice(CLASSES, rows, p=share / share.sum())
    centres, directions = rng.normal(size=(CLASSES, WIDTH)), rng.normal(size=(40, WIDTH))
    vectors = 0.35 * centres[labels] + 0.15 * rng.normal(size=(rows, 40)) @ directions
    vectors += 0.3 * rng.normal(size=(rows, WIDTH))
    return labels, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def measured(name: str, rows: int) -> dict[str, Any]:
    """In a process of its own, for the memory's sake."""
    from equipoise.remedies.rows import ROWS
    from equipoise.remedies.rows.synthetic import Synthesis

    labels, vectors = clouds(rows)
    before = peak_rss()
    wall, cpu = time.perf_counter(), time.process_time()
    found = ROWS[name].function(labels, CLASSES, np.random.default_rng(0), vectors=vectors)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    made = len(found.labels) if isinstance(found, Synthesis) else 0
    return {
        "processor_seconds": round(cpu, 2),
        "wall_seconds": round(wall, 2),
        "rows_kept": len(found.kept) if isinstance(found, Synthesis) else len(found),
        "vectors_made": made,
        "vectors_mib": round(vectors.nbytes / 2**20),
        "peak_rss_above_mib": round((peak_rss() - before) / 2**20),
    }


def run(unit: Unit) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.rows_speed",
            "--measure",
            json.dumps(dict(unit.settings)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


BENCH = Bench(
    "rows_speed",
    units=[
        Unit(f"{name}.{rows}", {"name": name, "rows": rows})
        for rows in SIZES
        for name in REMEDIES
        if rows == SIZES[0] or name not in _CLEANING
    ],
    run=run,
    price_seconds=lambda unit: (
        3 + REMEDIES[unit.settings["name"]] * (unit.settings["rows"] / max(SIZES)) ** 2
    ),
    about="Processor seconds and memory of remedies on rows that look at vectors.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measured(**json.loads(sys.argv[2]))))
    else:
        raise SystemExit(BENCH.main())
