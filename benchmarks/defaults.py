"""Why the defaults are what they are: the epochs, the loss, the epoch kept, the arithmetic.

    python -m benchmarks.defaults

Each unit is one `equipoise train`, differing from the default in one thing. It is judged on the
set's validation rows, which it never sees: what it validates and fits decisions on is held out of
its training rows (at most 3,000 of them). Test rows are not opened, for a choice must not be made
on them. `decided` is the run as it decides; `argmax` takes the largest logit of the same model, so
that what a decision remedy adds shows without training again; `by_tau` adds tau times the log of
one over the class's share of training rows to the calibrated scores instead.

The rule, stated before measuring: a variant becomes the default if the geometric mean of its log
loss over the sets is lower, its mean macro-F1 is not lower by more than 0.005, and the sum of its
training seconds is not higher by more than a fifth. One seed: this chooses defaults, it proves
nothing; benchmarks/quality.py compares. Of what acts on the decision alone, which leaves the log
loss as it is, the mean macro-F1 must be higher by more than 0.005 instead.
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

SETS = (
    "banking77_longtail",
    "tweet_emotion",
    "trec6",
    "hate_offensive",
    "goemotions",
    "atis_intents",
    "clinc150_imbalanced",
)
CAP, CAP_JUDGED = 3_000, 1_500
HALF = ["--set", "model.trained_layers=3"]
OFFSETS = ["--remedy", "temperature", "--remedy", "measure_offsets"]
VARIANTS: dict[str, list[str]] = {
    "epochs_5": ["--epochs", "5", *OFFSETS, *HALF],
    "epochs_3": ["--epochs", "3", *OFFSETS, *HALF],
    "epochs_8": ["--epochs", "8", *OFFSETS, *HALF],
    "adjusted": ["--epochs", "5", "--remedy", "logit_adjusted", *OFFSETS, *HALF],
    "half_adjusted": [
        *("--epochs", "5", "--remedy", "temperature", "--remedy", "measure_offsets"),
        *("--remedy", "posthoc_logit_adjustment:tau=0.5", *HALF),
    ],
    "plugin_adjusted": [
        *("--epochs", "5", "--remedy", "temperature", "--remedy", "measure_offsets"),
        *("--remedy", "plugin_adjustment", *HALF),
    ],
    "deep": [
        *("--epochs", "3", *OFFSETS, "--set", "model.trained_layers=5"),
        *("--set", "train.learning_rate=0.0001"),
    ],
    "a_third": ["--epochs", "5", *OFFSETS, "--set", "model.trained_layers=2"],
    "best_epoch": ["--epochs", "5", *OFFSETS, *HALF, "--set", "train.choose_by=macro_f1"],
    "float32": ["--epochs", "5", *OFFSETS, *HALF, "--set", "train.precision=float32"],
}
"""Options of each variant; "epochs_5" is what the default was when this was asked, with half of
the layers (`benchmarks.depth` asks of those)."""
AGAINST = "epochs_5"
DECISIONS = ("half_adjusted", "plugin_adjusted")
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
NOISE_F1, SLOWER = 0.005, 1.2
SEED = 0


def run_unit(unit: Unit) -> dict[str, Any]:
    from equipoise.records.predictions import read_predictions

    name, variant = unit.settings["set"], unit.settings["variant"]
    rows = choosing_set(name, CAP, SEED, cap_judged=CAP_JUDGED)
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
        "log_loss": log_loss_of(judged),
        "by_tau": by_tau(judged, manifest["rows"]["splits"]["train"]["counts"]),
        "training_seconds": manifest["seconds"]["training"],
        "precision": manifest["training"]["precision"],
        "epoch_kept": manifest["training"]["best_step"],
        "seconds": child.seconds,
    }


def by_tau(judged: Any, counts: dict[str, int]) -> dict[str, float]:
    """Macro-F1 of posthoc logit adjustment by its strength, no offsets fitted."""
    share = np.array([counts[name] for name in judged.classes], dtype=np.float64)
    log_p = np.log(np.maximum(judged.probabilities, 1e-300))
    classes, labels = np.array(judged.classes), judged.labels.tolist()
    return {
        f"{tau:g}": macro_f1(
            labels, classes[(log_p - tau * np.log(share / share.sum())).argmax(axis=1)].tolist()
        )
        for tau in TAUS
    }


def log_loss_of(judged: Any) -> float:
    """Mean surprise in nats over rows whose class training knew: it moves before macro-F1 does."""
    place = {name: k for k, name in enumerate(judged.classes)}
    rows = [k for k, name in enumerate(judged.labels.tolist()) if name in place]
    own = [place[judged.labels[k]] for k in rows]
    return float(-np.log(np.maximum(judged.probabilities[rows, own], 1e-12)).mean())


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Each variant against the default of then, over the sets that both have."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for unit in units:
        found.setdefault(unit["settings"]["variant"], {})[unit["settings"]["set"]] = unit["result"]
    default = found.get(AGAINST, {})
    return {
        variant: against(default, results, decides=variant in DECISIONS)
        for variant, results in found.items()
        if variant != AGAINST and set(results) & set(default)
    }


def against(default: dict[str, Any], results: dict[str, Any], *, decides: bool) -> dict[str, Any]:
    shared = sorted(set(default) & set(results))
    ratio = np.exp(
        np.mean([np.log(results[n]["log_loss"] / default[n]["log_loss"]) for n in shared])
    )
    gain = np.mean([results[n]["decided"] - default[n]["decided"] for n in shared])
    times = [sum(one[n]["training_seconds"] for n in shared) for one in (results, default)]
    slower = times[0] / times[1]
    return {
        "sets": len(shared),
        "log_loss_ratio": round(float(ratio), 4),
        "macro_f1_gain": round(float(gain), 4),
        "time_ratio": round(slower, 2),
        "replaces_the_default": bool(
            gain > NOISE_F1 if decides else ratio < 1 and gain >= -NOISE_F1 and slower <= SLOWER
        ),
        "macro_f1_by_set": {
            n: [round(default[n]["decided"], 4), round(results[n]["decided"], 4)] for n in shared
        },
    }


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
        for variant in VARIANTS
        for name in SETS
    ],
    run=run_unit,
    version=4,
    price_seconds=lambda unit: 50.0 if unit.settings["set"].startswith("banking") else 75.0,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
