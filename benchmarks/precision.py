"""Does training in bf16 save time on this processor? `train.precision=auto` says where it should.

    python -m benchmarks.precision

The whole default encoder is trained on 600 rows of `trec6` for two epochs by the command, in
float32 and in bf16 by turns; no row is judged but validation rows. Seconds of processor hold where
other programs use the cores. Run it on a processor of another kind before changing what `auto`
takes.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.arms import offline
from benchmarks.common import Bench, Unit, load_set
from benchmarks.machine import run_child
from benchmarks.sets import TextSet, write_set

SET, ROWS, JUDGED, EPOCHS = "trec6", 600, 100, 2
PRECISIONS = ("float32", "bf16")
TURNS = 2


def run_unit(unit: Unit) -> dict[str, Any]:
    train, validation = load_set(SET, unit.settings["rows"], 0, cap_validation=2 * JUDGED)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_set(folder / SET, TextSet(train, validation[::2], validation[1::2]))
        set_to = {
            "model.method": "full",
            "train.precision": unit.settings["precision"],
            "train.epochs": unit.settings["epochs"],
            "split.keep_crossing": "true",
        }
        changes = [word for name, to in set_to.items() for word in ("--set", f"{name}={to}")]
        command = [Path(sys.executable).parent / "equipoise", "train", folder / SET, "--json"]
        options = ["--seed", "0", "--out", folder / "run", "--baseline", "none"]
        child = run_child([*command, *options, *changes], cwd=folder, env=offline(folder))
        manifest = json.loads((folder / "run" / "run.json").read_text())
    return {
        "training_seconds": round(manifest["seconds"]["training"], 2),
        "cpu_seconds": round(child.cpu_seconds, 2),
        "instructions": instructions(),
    }


def instructions() -> list[str]:
    """What the processor has for bf16."""
    import torch

    has: dict[str, Any] = torch.cpu.get_capabilities()
    return [name for name in ("avx512_bf16", "amx_bf16") if has.get(name)]


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in PRECISIONS}
    for unit in units:
        found[unit["settings"]["precision"]].append(unit["result"])
    if not all(found.values()):
        return {}
    seconds = {
        measure: {
            name: round(statistics.median(one[measure] for one in results), 2)
            for name, results in found.items()
        }
        for measure in ("training_seconds", "cpu_seconds")
    }
    return {
        "processor": units[0]["machine"]["cpu"],
        "instructions": units[0]["result"]["instructions"],
        "float32_over_bf16": {
            measure: round(of["float32"] / of["bf16"], 3) for measure, of in seconds.items()
        },
        **seconds,
    }


def unit_of(precision: str, turn: int) -> Unit:
    settings = {"precision": precision, "turn": turn, "rows": ROWS, "epochs": EPOCHS}
    return Unit(f"{precision}.{turn}", settings)


BENCH = Bench(
    "precision",
    units=[unit_of(name, turn) for turn in range(TURNS) for name in PRECISIONS],
    run=run_unit,
    price_seconds=lambda _: 60,
    summarise=summarise,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
