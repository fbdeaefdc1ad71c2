"""One arm on one set with one seed: what decides its result, running it, judging it, its price.

`real_input` and `quality` are lists of such units. Every arm is a process of its own on the same
three files, watched from outside, and judged by the same lines (`judged.py`). Training is capped at
6,000 rows (a stratified sample that keeps every class, drawn anew for each seed), validation at
1,500, test at 5,500, for all arms alike; the largest sets at fewer training rows (`LARGE`), so that
three seeds of ten arms end within a day of a small machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Bench, Result, Unit, load_set, open_test
from benchmarks.judged import Judged, judge, measures, pack
from benchmarks.machine import Child, machine, native_bfloat16, run_child, threads
from benchmarks.sets import LABEL_SEPARATOR, MULTI_LABEL, ROOT, Pair, TextSet, write_set
from equipoise.errors import MissingExtraError

TRAIN_CAP, VALIDATION_CAP, TEST_CAP = 6_000, 1_500, 5_500
LARGE = {
    "hate_offensive": 3_000,
    "goemotions": 3_000,
    "goemotions_multilabel": 3_000,
    "clothing_reviews": 1_500,
}
"""Training rows of the sets that have more than 15,000; validation has a quarter as many."""
PRECISION = "bfloat16"
"""Of the rivals that train the encoder, on a processor with instructions for it, elsewhere float32:
as Equipoise does, so that times compare methods and not number formats."""
SEEDS = (0, 1, 2)
FEWER_SEEDS = {"trainer_early": 2, "trainer_weights": 1, "trainer_sampler": 1, "setfit": 1}
"""Arms run on the first so many of the seeds, to fit: those that train the whole encoder, the plain
Trainer excepted. `quality` takes the seeds' variance from all rivals of a kind."""
WORDS = {
    "atis_intents": (4_478, 500, 893, 11),
    "clinc150_imbalanced": (10_625, 3_100, 5_500, 8),
    "banking77_longtail": (1_872, 1_003, 3_080, 11),
    "trec6": (4_906, 546, 500, 10),
    "hate_offensive": (17_348, 2_478, 4_957, 14),
    "tweet_emotion": (3_257, 374, 1_421, 16),
    "goemotions": (36_308, 4_548, 4_590, 13),
    "clothing_reviews": (15_844, 2_264, 4_528, 63),
    "goemotions_multilabel": (43_410, 5_426, 5_427, 13),
}
"""Rows of train, validation and test, and mean words a row: what the price is made of."""
TOKENS = {
    "atis_intents": (14, 26),
    "clinc150_imbalanced": (11, 20),
    "banking77_longtail": (15, 46),
    "trec6": (13, 26),
    "hate_offensive": (27, 68),
    "tweet_emotion": (25, 45),
    "goemotions": (19, 37),
    "clothing_reviews": (81, 128),
    "goemotions_multilabel": (20, 36),
}
"""Mean tokens a row, and of the longest of 32 rows that nobody sorted by length."""

_TRAINER = {
    "arm_version": 1,
    "epochs": 3,
    "learning_rate": 5e-5,
    "rows_a_step": 32,
    "max_tokens": 128,
}
ARM_SETTINGS: dict[str, dict[str, Any]] = {
    "tfidf_plain": {"arm_version": 1},
    "tfidf": {"arm_version": 1},
    "vectors": {"arm_version": 1},
    "smote": {"arm_version": 1, "neighbours": 5},
    "equipoise": {"arm_version": 4, "command": "equipoise train SET --seed S --out RUN"},
    "trainer_plain": _TRAINER,
    "trainer_weights": {**_TRAINER, "balance": "class_weights"},
    "trainer_sampler": {**_TRAINER, "balance": "sampler"},
    "trainer_early": {**_TRAINER, "epochs": 10, "patience": 2},
    "setfit": {
        "arm_version": 1,
        "pairs_a_row": 4,
        "learning_rate": 2e-5,
        "rows_a_step": 16,
        "max_tokens": 128,
    },
}
"""Part of each unit's settings: a changed arm runs again, the others keep their results."""

PACKAGES = {"smote": ("imbalanced-learn", "imblearn"), "setfit": ("setfit", "setfit")}
"""What an arm needs beside Equipoise's own, by package and module."""
IN_EITHER_PRECISION = (
    "trainer_plain",
    "trainer_weights",
    "trainer_sampler",
    "trainer_early",
    "setfit",
)
"""Arms that train the encoder: in float32, or in bfloat16 autocast as `precision` says."""

ALIKE = ("cores", "cpu", "bfloat16", "system", "torch", "transformers")
"""What two machines must share for their times to be compared. Units stored before `bfloat16` was
looked at are of machines that have it."""


Parts = dict[str, tuple[Judged, dict[str, float]]]
"""Per judged split: its rows, and the measures that need whole probabilities."""


def unit_of(
    name: str, arm: str, seed: int, trial_rows: int | None = None, precision: str = PRECISION
) -> Unit:
    """trial_rows  At most so many rows of each split, to try the benchmark itself."""
    train_cap = trial_rows or LARGE.get(name, TRAIN_CAP)
    settings = {
        "set": name,
        "arm": arm,
        "seed": seed,
        "train_cap": train_cap,
        "validation_cap": min(VALIDATION_CAP, trial_rows or max(train_cap // 4, 1)),
        "test_cap": trial_rows or TEST_CAP,
        **ARM_SETTINGS[arm],
    }
    if precision != "float32" and arm in IN_EITHER_PRECISION:
        settings["precision"] = precision
    if arm == "equipoise" and (options := label_options(name)):
        settings["options"] = options
    return Unit(f"{name}.{arm}.s{seed}", settings)


def seeds_of(arm: str) -> Sequence[int]:
    return SEEDS[: FEWER_SEEDS.get(arm, len(SEEDS))]


def label_options(name: str) -> list[str]:
    """What the command has to be told of a set's labels."""
    return ["--label-separator", LABEL_SEPARATOR] if name in MULTI_LABEL else []


def run_arm(unit: Unit, *, by: str) -> Result:
    """Run the unit's arm as a process on fresh files, and say what it reached and what it took.

    by  The benchmark that asks, for the ledger of test openings.
    """
    s = unit.settings
    _need_package(s["arm"])
    chosen = load_set(s["set"], s["train_cap"], s["seed"], cap_validation=s["validation_cap"])
    test = open_test(s["set"], cap_rows=s["test_cap"], by=f"{by} {unit.name}")
    rows = TextSet(*chosen, test)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if s["arm"] == "equipoise":
            child, record, parts = run_equipoise(folder, s, rows, s.get("options", ()))
        else:
            child, record, parts = run_rival(folder, s, rows)
    return judged_result(rows, child, record, parts)


def _need_package(arm: str) -> None:
    """Before test rows are opened for nothing. Raises MissingExtraError."""
    if arm in PACKAGES:
        package, module = PACKAGES[arm]
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"the arm {arm}", package, "bench")


def judged_result(rows: TextSet, child: Child, record: dict[str, Any], parts: Parts) -> Result:
    """The record that every arm leaves: test figures by their names, validation's with a prefix."""
    test, beside = parts["test"]
    validation, _ = parts["validation"]
    figures = measures(test, rows.train) | beside
    found = measures(validation, rows.train)
    record = {
        **figures,
        **{f"validation_{name}": found[name] for name in ("macro_f1", "log_loss", "brier")},
        **record,
        "seconds": round(child.seconds, 2),
        "cpu_seconds": round(child.cpu_seconds, 2),
        "peak_rss_mib": round(child.peak_rss / 2**20),
        "rows": {split: len(getattr(rows, split)) for split in rows._fields},
        "classes": int(test.known.sum()),
    }
    return Result(record, {"npz": pack({split: part for split, (part, _) in parts.items()})})


def run_rival(folder: Path, settings: Any, rows: TextSet) -> tuple[Child, dict[str, Any], Parts]:
    name, out = settings["set"], folder / "said.npz"
    write_set(folder / name, rows)
    asked = json.dumps({**settings, "started": time.time()})
    command = [sys.executable, "-m", "benchmarks.rivals", settings["arm"], folder / name, out]
    child = run_child([*map(str, command), asked], cwd=ROOT, env=offline(folder))
    with np.load(out) as said:
        classes = said["classes"].tolist()
        probabilities = {split: said[split] for split in ("validation", "test")}
    parts = {
        split: judge(
            [label for _, label in getattr(rows, split)],
            classes,
            probabilities[split],
            look_alikes(getattr(rows, split)),
            several=name in MULTI_LABEL,
        )
        for split in ("validation", "test")
    }
    return child, child.record, parts


def run_equipoise(
    folder: Path,
    settings: Any,
    rows: TextSet,
    options: Sequence[str] = (),
    *,
    cache: Path | None = None,
) -> tuple[Child, dict[str, Any], Parts]:
    """The command as a user types it. Figures are computed from predictions.parquet by the same
    lines as the rivals' and must agree with scores.json.

    options   More of the command line. cache: a folder of states that outlives the unit.
    """
    write_set(folder / settings["set"], rows)
    name, out = settings["set"], folder / "run"
    program = Path(sys.executable).parent / "equipoise"
    said = ["--seed", str(settings["seed"]), "--out", out, "--json", *options]
    command = [program, "train", folder / name, *said]
    env = offline(folder) | ({"EQUIPOISE_CACHE": str(cache)} if cache else {})
    child = run_child(command, cwd=folder, env=env)
    parts = read_run(out, name, rows)
    scores = json.loads((out / "scores.json").read_text())
    macro_f1 = scores["measures"]["macro_f1"]
    ours = measures(parts["test"][0], rows.train)["macro_f1"]
    if abs(macro_f1["value"] - ours) > 1e-9:
        raise RuntimeError(f"scores.json says macro_f1 {macro_f1['value']}, we find {ours}")
    manifest = json.loads((out / "run.json").read_text())
    # The history's clock starts with the fit, after Python and its imports. What the process took
    # beyond its stages is put before them, a little to our disadvantage: part of it comes after.
    start_up = max(0.0, child.seconds - sum(manifest["seconds"].values()))
    record = {
        "macro_f1_low": macro_f1["low"],
        "macro_f1_high": macro_f1["high"],
        "start_up_seconds": round(start_up, 2),
        "evaluations": read_history(out / "history.jsonl", start_up),
        "stages": {stage: round(value, 2) for stage, value in manifest["seconds"].items()},
        "epochs_run": manifest["training"]["epochs_run"],
        "recipe": manifest["recipe"],
        "device": manifest["device"],
    }
    return child, record, parts


def read_run(out: Path, name: str, rows: TextSet, *, balanced: bool = False) -> Parts:
    """What a run folder says of the judged rows. Every test row must be there; a validation row
    may have been left out because it resembles a test row.

    balanced  Turn the test rows' probabilities from training's class shares to equal ones.
    """
    from equipoise.records.decision import read_decision
    from equipoise.records.predictions import read_predictions

    predictions = read_predictions(out / "predictions.parquet")
    parts: Parts = {}
    for split in ("validation", "test"):
        said = predictions.of_split(split)
        given: list[Pair] = getattr(rows, split)
        # Rows without an id of their own are named by their number, counted from 1.
        at = np.array([int(row.rpartition("-")[2]) - 1 for row in said.ids], dtype=np.int64)
        labels = [given[k][1] for k in at]
        same = [_as_text(label) for label in labels] == [_as_text(label) for label in said.labels]
        if not same or (split == "test" and len(at) != len(given)):
            raise RuntimeError(f"{name}: the run's {split} rows are not the {len(given)} given")
        probabilities = said.probabilities
        if balanced and split == "test":
            shares = np.exp(read_decision(out / "decision.json").log_target)
            probabilities = probabilities / shares
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        record, beside = judge(
            labels,
            said.classes,
            probabilities,
            look_alikes(given)[at],
            several=name in MULTI_LABEL,
            decided=[_as_text(label) for label in said.decided],
            rows=at,
        )
        parts[split] = (record, beside)
    return parts


def _as_text(label: str | Sequence[str]) -> str:
    """Of several labels, in whichever form: their names in order, joined."""
    names = label.split(LABEL_SEPARATOR) if isinstance(label, str) else label
    return LABEL_SEPARATOR.join(sorted(names))


def look_alikes(rows: Sequence[Pair]) -> NDArray[np.int64]:
    """(n,) cluster of every row: the same texts and near-duplicates share a number."""
    from equipoise.data.duplicates import cluster_rows

    return cluster_rows([text for text, _ in rows])


def read_history(path: Path, start_up: float) -> list[dict[str, float]]:
    """The evaluations: epoch, step, validation macro_f1 and seconds since the process began, which
    are those of the file and `start_up`."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    judged = [line for line in lines if "macro_f1" in line.get("measures", {})]
    return [
        {
            "epoch": round(line["epoch"], 3),
            "step": line["step"],
            "macro_f1": line["measures"]["macro_f1"],
            "seconds": round(line["seconds"] + start_up, 2),
        }
        for line in judged
    ]


def offline(folder: Path) -> dict[str, str]:
    """No hub, quiet tokenizers, and a cache of states that starts empty."""
    return {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "false"),
        "EQUIPOISE_CACHE": str(folder / "cache"),
    }


def alike(stored: dict[str, Any]) -> bool:
    """Whether a stored unit was run on a machine and with threads like ours."""
    return _kind(stored) == _kind({"machine": machine(), "threads": threads(), "result": {}})


def timed(units: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results whose times can be compared: of the kind of machine that most of the units ran
    on, and of several such kinds the first."""
    kinds = [_kind(unit) for unit in units]
    most = max(kinds, key=kinds.count)
    return [unit["result"] for unit, kind in zip(units, kinds, strict=True) if kind == most]


def _kind(unit: dict[str, Any]) -> tuple[Any, ...]:
    ran_on = unit["result"].get("ran_on", unit)  # a unit that was taken over ran elsewhere
    has = {"bfloat16": True, **ran_on["machine"]}
    return (*(has.get(key) for key in ALIKE), ran_on["threads"])


def on_processor(result: dict[str, Any]) -> bool:
    return "cpu" in str(result["device"]).lower()


def token_seconds() -> float:
    """To train the default encoder on a token, on a quiet core."""
    return 0.25e-3 if native_bfloat16() else 1.8e-3


def price_seconds(unit: Unit) -> float:
    """From rows x tokens, on a quiet core: 0.12 ms a token forward, and what it takes to train
    one."""
    s = unit.settings
    train, validation, test, words = WORDS[s["set"]]
    tokens, padded = TOKENS[s["set"]]
    train = min(train, int(s["train_cap"]))
    judged = min(validation, int(s["validation_cap"])) + min(test, int(s["test_cap"]))
    forward, trained = 0.12e-3, token_seconds()
    match s["arm"]:
        case "tfidf" | "tfidf_plain":
            return 3 + 1.5e-3 * train * (1 + words / 20)
        case "vectors":
            return 10 + (train + judged) * tokens * forward
        case "smote":
            return 60 + (train + judged) * tokens * forward
        case "equipoise":
            return 40 + (train + judged) * tokens * forward + 5 * train * tokens * trained
        case "setfit":
            passes = 2 * int(s["pairs_a_row"])
            return 30 + passes * train * padded * trained + judged * tokens * forward
        case arm:
            epochs = 7 if arm == "trainer_early" else int(s["epochs"])
            return 15 + epochs * train * padded * trained + 2 * judged * padded * forward


def taken_over(bench: Bench, unit: Unit) -> Result | None:
    """The unit of another benchmark with the same name and settings, if it keeps its rows."""
    stored = bench.load(unit)
    if stored is None or "npz" not in stored["paths"]:
        return None
    content = Path(stored["paths"]["npz"]).read_bytes()
    ran_on = {name: stored[name] for name in ("machine", "threads", "load_before")}
    found = {"taken_over_from": stored["date"], "ran_on": ran_on}
    return Result({**stored["result"], **found}, {"npz": content})
