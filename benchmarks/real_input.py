"""What the default `equipoise train` reaches on eight real, lopsided sets, beside its rivals.

    python -m benchmarks.real_input [--only 'tfidf|vectors'] [--list]

Every unit is one set, arm and seed, as benchmarks/arms.py runs them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.arms import (
    LARGE,
    PRECISION,
    SEEDS,
    TEST_CAP,
    TRAIN_CAP,
    VALIDATION_CAP,
    WORDS,
    price_seconds,
    run_arm,
    seeds_of,
    timed,
    unit_of,
)
from benchmarks.common import Bench, Result, Unit
from benchmarks.sets import MULTI_LABEL

SETS = tuple(name for name in WORDS if name not in MULTI_LABEL)
ARMS = ("tfidf", "vectors", "equipoise", "trainer_plain", "trainer_early")


def run_unit(unit: Unit) -> Result:
    return run_arm(unit, by="real_input")


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Per set and arm: mean test macro-F1 over the seeds that are there, and its range; times of
    the kind of machine that most of the units ran on."""
    sets: dict[str, Any] = {}
    for name in SETS:
        found = {arm: figures(units, name, arm) for arm in ARMS}
        sets[name] = {arm: figure for arm, figure in found.items() if figure}
    whole = {name: arms for name, arms in sets.items() if len(arms) == len(ARMS)}
    return {
        "measure": "test macro-F1, mean over seeds",
        "caps": {
            "training": TRAIN_CAP,
            **{f"training of {name}": rows for name, rows in LARGE.items() if name in SETS},
            "validation": f"{VALIDATION_CAP}, or a quarter of training's cap",
            "test": TEST_CAP,
        },
        "trainers_compute_in": f"{PRECISION} where the processor has it",
        "early_stopping_never_stopped": [
            unit["name"]
            for unit in units
            if unit["settings"]["arm"] == "trainer_early"
            and unit["result"]["epochs_run"] >= unit["settings"]["epochs"]
        ],
        "sets": sets,
        "sets_with_every_arm": len(whole),
        "equipoise_first_on": [
            name
            for name, arms in whole.items()
            if arms["equipoise"]["macro_f1"] >= max(arms[arm]["macro_f1"] for arm in ARMS)
        ],
        "equipoise_minus": {
            rival: {
                name: round(arms["equipoise"]["macro_f1"] - arms[rival]["macro_f1"], 4)
                for name, arms in sets.items()
                if "equipoise" in arms and rival in arms
            }
            for rival in ARMS
            if rival != "equipoise"
        },
    }


def figures(units: list[dict[str, Any]], name: str, arm: str) -> dict[str, Any] | None:
    own = [u for u in units if u["settings"]["set"] == name and u["settings"]["arm"] == arm]
    if not own:
        return None
    mine = [unit["result"] for unit in own]
    spent = [unit["seconds"] for unit in timed(own)]
    values = [result["macro_f1"] for result in mine]
    return {
        "macro_f1": round(statistics.fmean(values), 4),
        "low": round(min(values), 4),
        "high": round(max(values), 4),
        "tail_macro_f1": round(statistics.fmean(r["tail_macro_f1"] for r in mine), 4),
        "seconds": round(statistics.median(spent), 1),
        "peak_rss_mib": max(r["peak_rss_mib"] for r in mine),
        "seeds": len(mine),
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for name, arms in summarise(units)["sets"].items():
        line: dict[str, Any] = {"set": name}
        for arm in ARMS:
            found = arms.get(arm)
            line[arm] = found and f"{found['macro_f1']:.3f} ({found['seconds']:.0f} s)"
        lines.append(line)
    return lines


def units_of(trial_rows: int | None = None, seeds: Iterable[int] = SEEDS) -> list[Unit]:
    """One seed of everything first, and cheap arms before dear ones: a partial result says most."""
    return [
        unit_of(name, arm, seed, trial_rows)
        for seed in seeds
        for arm in ARMS
        for name in SETS
        if seed in seeds_of(arm)
    ]


BENCH = Bench(
    "real_input",
    units=units_of(),
    run=run_unit,
    price_seconds=price_seconds,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
