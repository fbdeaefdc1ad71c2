"""Why the defaults are what they are: the layers trained, the loss, the epoch kept, the
decision, the arithmetic.

    python -m benchmarks.defaults

Each unit is one `equipoise train` on a whole set, differing from plain training in one thing. It is
judged on the set's validation rows, which it never sees: what it validates and fits decisions on is
held out of its training rows. Test rows are not opened, for a choice must not be made on them.
`decided` is the run as it decides; `argmax` takes the largest logit of the same model, so that what
a decision remedy adds shows without training again. One seed: this chooses defaults, it proves
nothing; a fair comparison needs folds and seeds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import offline
from benchmarks.common import Bench, Unit
from benchmarks.judged import macro_f1
from benchmarks.machine import run_child
from benchmarks.sets import choosing_set, write_set

SETS = ("banking77_longtail", "atis_intents", "tweet_emotion", "trec6")
OFFSETS = ["--remedy", "temperature", "--remedy", "measure_offsets"]
VARIANTS: dict[str, list[str]] = {
    "default": [],
    "best_epoch": [*OFFSETS, "--set", "train.choose_by=macro_f1"],
    "adjusted": ["--remedy", "logit_adjusted", "--remedy", "temperature"],
    "float32": [*OFFSETS, "--set", "train.precision=float32"],
    "a_third": [*OFFSETS, "--set", "model.trained_layers=2"],
}
"""Options of each variant; "default" is what a user gets who says nothing."""
SEED = 0


def run_unit(unit: Unit) -> dict[str, Any]:
    from equipoise.records.predictions import read_predictions

    name, variant = unit.settings["set"], unit.settings["variant"]
    rows = choosing_set(name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_set(folder / name, rows)
        out = folder / "run"
        command = [Path(sys.executable).parent / "equipoise", "train", folder / name, "--json"]
        options = ["--seed", str(SEED), "--out", str(out), "--baseline", "none"]
        child = run_child([*command, *options, *VARIANTS[variant]], cwd=folder, env=offline(folder))
        judged = read_predictions(out / "predictions.parquet").of_split("test")
        manifest = json.loads((out / "run.json").read_text())
    classes = np.array(judged.classes)
    labels = judged.labels.tolist()
    return {
        "decided": macro_f1(labels, judged.decided.tolist()),
        "argmax": macro_f1(labels, classes[judged.logits.argmax(axis=1)].tolist()),
        "log_loss": _log_loss(judged),
        "training_seconds": manifest["seconds"]["training"],
        "precision": manifest["training"]["precision"],
        "epoch_kept": manifest["training"]["best_step"],
        "seconds": child.seconds,
    }


def _log_loss(judged: Any) -> float:
    """Mean surprise in nats over rows whose class training knew: it moves before macro-F1 does."""
    place = {name: k for k, name in enumerate(judged.classes)}
    rows = [k for k, name in enumerate(judged.labels.tolist()) if name in place]
    own = [place[judged.labels[k]] for k in rows]
    return float(-np.log(np.maximum(judged.probabilities[rows, own], 1e-12)).mean())


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines: dict[str, dict[str, Any]] = {}
    for unit in units:
        settings, result = unit["settings"], unit["result"]
        line = lines.setdefault(settings["set"], {"set": settings["set"]})
        line[settings["variant"]] = (
            f"{result['decided']:.3f} (argmax {result['argmax']:.3f}, log loss "
            f"{result['log_loss']:.3f}, "
            f"training {result['training_seconds']:.0f} s)"
        )
    return list(lines.values())


BENCH = Bench(
    "defaults",
    units=[
        Unit(f"{name}.{variant}", {"set": name, "variant": variant})
        for name in SETS
        for variant in VARIANTS
    ],
    run=run_unit,
    version=3,
    price_seconds=lambda unit: 60.0 if unit.settings["set"].startswith("banking") else 120.0,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
