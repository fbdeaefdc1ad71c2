"""How many layers of the default encoder `light` should train: three, four or five of six.

    python -m benchmarks.depth

A unit is one set and one depth: of its training and validation rows (test rows are not opened) a
third, at most 4,000, is judged, and of the others at most 3,000 train and validate, as in
`benchmarks.deciding`. Nothing else differs from the default.

The rule, stated before these units were measured, after a trial on other runs of five of the sets:
a depth becomes the default if its mean gain in macro-F1 over the sets, against three layers (the
default when this was asked), is at least 0.005, it loses more than 0.01 on no set, and the goal of
`benchmarks.speed` is still met.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.arms import offline
from benchmarks.common import Bench, Unit
from benchmarks.deciding import LEAST_GAIN, MOST_LOSS, SETS, divided
from benchmarks.defaults import log_loss_of
from benchmarks.judged import macro_f1
from benchmarks.machine import run_child
from benchmarks.sets import write_set

DEPTHS = (5, 3, 4)
"""In the order they are run in."""
AGAINST = 3
SEED = 0


def run_unit(unit: Unit) -> dict[str, Any]:
    from equipoise.records.predictions import read_predictions

    name, layers = unit.settings["set"], unit.settings["layers"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_set(folder / name, divided(name, SEED))
        command = [Path(sys.executable).parent / "equipoise", "train", folder / name, "--json"]
        options = ["--seed", str(SEED), "--out", str(folder / "run"), "--baseline", "none"]
        depth = ["--set", f"model.trained_layers={layers}"]
        child = run_child([*command, *options, *depth], cwd=folder, env=offline(folder))
        judged = read_predictions(folder / "run" / "predictions.parquet").of_split("test")
        manifest = json.loads((folder / "run" / "run.json").read_text())
    return {
        "macro_f1": macro_f1(judged.labels.tolist(), judged.decided.tolist()),
        "log_loss": log_loss_of(judged),
        "judged": len(judged),
        "training_seconds": manifest["seconds"]["training"],
        "cpu_seconds": round(child.cpu_seconds, 2),
    }


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Each depth against three layers, over the sets that both have."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for unit in units:
        settings = unit["settings"]
        found.setdefault(settings["layers"], {})[settings["set"]] = unit["result"]
    base = found.get(AGAINST, {})
    return {
        str(layers): against(base, results)
        for layers, results in found.items()
        if layers != AGAINST and set(results) & set(base)
    }


def against(base: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    shared = sorted(set(base) & set(results))
    gains = {name: results[name]["macro_f1"] - base[name]["macro_f1"] for name in shared}
    surprise = [math.log(results[n]["log_loss"] / base[n]["log_loss"]) for n in shared]
    spent = [sum(one[name]["cpu_seconds"] for name in shared) for one in (results, base)]
    mean, worst = statistics.fmean(gains.values()), min(gains.values())
    return {
        "sets": len(shared),
        "mean_gain": round(mean, 4),
        "worst": round(worst, 4),
        "gains": {name: round(gain, 4) for name, gain in gains.items()},
        "log_loss_ratio": round(math.exp(statistics.fmean(surprise)), 4),
        "cpu_ratio": round(spent[0] / spent[1], 2),
        "gains_enough": mean >= LEAST_GAIN and worst >= -MOST_LOSS,
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines: dict[str, dict[str, Any]] = {}
    for unit in units:
        settings, result = unit["settings"], unit["result"]
        line = lines.setdefault(settings["set"], {"set": settings["set"]})
        line[f"{settings['layers']} layers"] = (
            f"{result['macro_f1']:.4f} (log loss {result['log_loss']:.3f}, "
            f"{result['cpu_seconds']:.0f} s of processor)"
        )
    return list(lines.values())


BENCH = Bench(
    "depth",
    units=[
        Unit(f"{name}.{layers}", {"set": name, "layers": layers})
        for layers in DEPTHS
        for name in SETS
    ],
    run=run_unit,
    price_seconds=lambda unit: 50.0 + 15 * unit.settings["layers"],
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
