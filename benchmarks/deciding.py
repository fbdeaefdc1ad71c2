"""Which decision rule deserves to be the default: rules compared on the same logits of real sets.

    python -m benchmarks.deciding

A unit is one set and one way of dividing it: of its training and validation rows (test rows are not
opened) a third, at most 4,000, is judged, and of the others at most 3,000 train and validate. The
default training runs once, and every rule is fitted on its validation logits and decides the judged
rows, so that rules differ in nothing else. Judging 4,000 rows where a set's own validation file has
some hundred is what makes rare classes tell.

The rule, stated before measuring: a decision rule becomes the default if its mean gain in macro-F1
over the sets, against `offsets` (the default when this was asked), is at least 0.005, and it loses
more than 0.01 on no set.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import offline
from benchmarks.common import Bench, Unit
from benchmarks.judged import macro_f1
from benchmarks.machine import run_child
from benchmarks.sets import Pair, TextSet, load_set, stratified_cap, write_set

SETS = (
    "banking77_longtail",
    "tweet_emotion",
    "trec6",
    "atis_intents",
    "hate_offensive",
    "goemotions",
    "clinc150_imbalanced",
)
SPLITS = (0, 1)
JUDGED, TRAINED = 4_000, 3_000
RULES: dict[str, tuple[str, ...]] = {
    "argmax": ("temperature",),
    "offsets": ("temperature", "measure_offsets"),
    "half": ("temperature", "posthoc_logit_adjustment:tau=0.5"),
    "plugin": ("temperature", "plugin_adjustment"),
    "plugin_offsets": ("temperature", "plugin_adjustment", "measure_offsets"),
}
AGAINST = "offsets"
LEAST_GAIN, MOST_LOSS = 0.005, 0.01


def divided(name: str, split: int) -> TextSet:
    """The set as the unit sees it; classes of which nothing is left to train on are not judged."""
    train, validation = load_set(name, None, 0)
    rows: list[Pair] = [*train, *validation]
    order = np.random.default_rng([split, 77]).permutation(len(rows))
    judged = min(JUDGED, len(rows) // 3)
    kept = stratified_cap([rows[k] for k in order[judged:]], TRAINED, split)
    known = {label for _, label in kept}
    return TextSet(kept, [], [rows[k] for k in order[:judged] if rows[k][1] in known])


def run_unit(unit: Unit) -> dict[str, Any]:
    from equipoise.records.predictions import read_predictions

    name, split = unit.settings["set"], unit.settings["split"]
    rows = divided(name, split)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_set(folder / name, rows)
        command = [Path(sys.executable).parent / "equipoise", "train", folder / name, "--json"]
        options = ["--seed", str(split), "--out", str(folder / "run"), "--baseline", "none"]
        # Half of the layers trained, as by default when this was asked.
        how = ["--remedy", "temperature", "--set", "model.trained_layers=3"]
        run_child([*command, *options, *how], cwd=folder, env=offline(folder))
        predictions = read_predictions(folder / "run" / "predictions.parquet")
        manifest = json.loads((folder / "run" / "run.json").read_text())
    counts = manifest["rows"]["splits"]["train"]["counts"]
    found = {rule: decided_by(specs, predictions, counts) for rule, specs in RULES.items()}
    return {
        "macro_f1": {rule: value for rule, (value, _) in found.items()},
        "notes": {rule: notes for rule, (_, notes) in found.items()},
        "judged": int((predictions.splits == "test").sum()),
        "validated": int((predictions.splits == "validation").sum()),
        "ratio": max(counts.values()) / min(counts.values()),
    }


def decided_by(
    specs: tuple[str, ...], predictions: Any, counts: dict[str, int]
) -> tuple[float, list[str]]:
    """Macro-F1 on the judged rows by a rule fitted on the validation rows, and what it notes."""
    from equipoise.remedies.decisions.apply import decide, posterior
    from equipoise.remedies.decisions.fit import fit_rule
    from equipoise.remedies.spec import parse_remedies

    validation, judged = (predictions.of_split(split) for split in ("validation", "test"))
    classes = predictions.classes
    place = {name: k for k, name in enumerate(classes)}
    share = np.array([counts[name] for name in classes], dtype=np.float64)
    log_share = np.log(share / share.sum())
    rule = fit_rule(
        parse_remedies(specs),
        validation.logits,
        np.array([place.get(label, -1) for label in validation.labels], dtype=np.int64),
        classes=classes,
        log_source=log_share,
        log_target=log_share,
        log_train=log_share,
        clusters=validation.clusters,
    )
    decided = np.array(classes)[decide(rule, posterior(rule, judged.logits))]
    return macro_f1(judged.labels.tolist(), decided.tolist()), list(rule.notes)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Each rule's gain against the default of then: per set the mean over its splits."""
    gains: dict[str, dict[str, list[float]]] = {rule: {} for rule in RULES}
    for unit in units:
        found = unit["result"]["macro_f1"]
        for rule in RULES:
            gains[rule].setdefault(unit["settings"]["set"], []).append(found[rule] - found[AGAINST])
    return {
        rule: verdict({name: statistics.fmean(values) for name, values in of.items()})
        for rule, of in gains.items()
        if of and rule != AGAINST
    }


def verdict(gains: dict[str, float]) -> dict[str, Any]:
    mean, worst = statistics.fmean(gains.values()), min(gains.values())
    return {
        "mean_gain": round(mean, 4),
        "worst": round(worst, 4),
        "gains": {name: round(value, 4) for name, value in gains.items()},
        "becomes_the_default": mean >= LEAST_GAIN and worst >= -MOST_LOSS,
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"set": unit["settings"]["set"], "split": unit["settings"]["split"]}
        | {rule: round(value, 4) for rule, value in unit["result"]["macro_f1"].items()}
        for unit in units
    ]


BENCH = Bench(
    "deciding",
    units=[
        Unit(f"{name}.{split}", {"set": name, "split": split}) for split in SPLITS for name in SETS
    ],
    run=run_unit,
    price_seconds=lambda _: 70.0,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
