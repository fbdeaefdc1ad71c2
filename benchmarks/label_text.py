"""Labels as text: a decoder fine-tuned to write the label, plain, weighted and logit-adjusted.

    python -m benchmarks.label_text --list
    python -m benchmarks.label_text --only '*.s0'

The tiny base (`benchmarks.tiny_base`) under `--head text` on three sets, each arm by the command as
a user types it; beside them the same base untuned, asked by three prompts whose posteriors are
averaged (self-ensembled) and calibrated by texts without content, with no answered examples and
with a few. All arms are scored by the softmax over labels of log p(label, end token | prompt) and
have the same words for the labels. Tuned arms calibrate by `temperature`, which moves no decision.

Capped: 1,500 training rows (every class kept, drawn anew for each seed), 300 validation rows, 900
test rows, 3 epochs of all weights: the upper half of the layers hardly told classes apart. A base
of four million parameters that has read 1.8 million tokens knows no task: what is asked is what the
weighting does, not how good it is.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import SEEDS, Parts, judged_result, look_alikes, run_equipoise
from benchmarks.common import Bench, Child, Result, Unit, load_set, open_test, peak_rss
from benchmarks.judged import judge
from benchmarks.machine import kept_states
from benchmarks.quality import differences_in
from benchmarks.sets import Pair, TextSet
from benchmarks.tiny_base import VERSION, need_tiny_base
from benchmarks.writing_runs import same_seeds

SETS = ("trec6", "atis_intents", "hate_offensive")
PLAIN = "plain"
TUNED = (PLAIN, "weighted_cross_entropy", "logit_adjusted")
PROMPTED = ("zero_shot", "few_shot")
SEEDLESS = ("zero_shot",)
"""Arms in which nothing is drawn: their one result stands against plain's of every seed, whose
training rows and order are drawn."""
SIZES = {"train_cap": 1_500, "validation_cap": 300, "test_cap": 900}
TUNING = {"method": "full", "epochs": 3, "learning_rate": 1e-3, "max_tokens": 128}
EXAMPLES, DRAWN = 6, 8
"""Answered examples in a prompt; each is the shortest of so many rows of its class."""
PROMPTS = ("{text}\nLabel:", "{text}\nThis is about", "Text: {text}\nAnswer:")
LABEL_WORDS = {
    "trec6": {
        "ABBR": "abbreviation",
        "DESC": "description",
        "ENTY": "thing",
        "HUM": "person",
        "LOC": "place",
        "NUM": "number",
    },
    "hate_offensive": {
        "hate_speech": "hate",
        "offensive_language": "offensive",
        "neither": "neither",
    },
}
"""What is written for a class, where its name is no word."""


def words_of(name: str, classes: Sequence[str]) -> dict[str, str]:
    """atis_flight#atis_airfare: flight and airfare."""
    if name in LABEL_WORDS:
        return LABEL_WORDS[name]
    return {c: c.replace("atis_", "").replace("_", " ").replace("#", " and ") for c in classes}


def unit_of(name: str, arm: str, seed: int, sizes: dict[str, int] | None = None) -> Unit:
    """sizes  In place of SIZES, to try the benchmark itself."""
    settings = {"set": name, "arm": arm, "seed": seed, "base": VERSION, **(sizes or SIZES)}
    if arm in TUNED:
        settings |= TUNING
    else:
        settings |= {"prompts": PROMPTS, "examples": EXAMPLES if arm == "few_shot" else 0}
    return Unit(f"{name}.{arm}.s{seed}", settings)


def run_unit(unit: Unit) -> Result:
    s = unit.settings
    base = need_tiny_base()
    chosen = load_set(s["set"], s["train_cap"], s["seed"], cap_validation=s["validation_cap"])
    test = open_test(s["set"], cap_rows=s["test_cap"], by=f"label_text {unit.name}")
    rows = TextSet(*chosen, test)
    made_of = {"base": fingerprint_of(base)}
    if s["arm"] in PROMPTED:
        child, record, parts = run_prompted(base, s, rows)
        return judged_result(rows, child, record | made_of, parts)
    with tempfile.TemporaryDirectory() as place:
        child, record, parts = run_equipoise(
            Path(place),
            s,
            rows,
            options_of(s, base, sorted({label for _, label in rows.train})),
            cache=kept_states() / f"label-text-{s['set']}",
        )
    return judged_result(rows, child, record | made_of, parts)


def fingerprint_of(base: Path) -> str:
    from equipoise.models.config import ModelConfig
    from equipoise.models.load import find_base

    return find_base(ModelConfig(name=str(base)), writes=True).fingerprint


def options_of(settings: Any, base: Path, classes: Sequence[str]) -> list[str]:
    words = json.dumps(words_of(settings["set"], classes))
    remedies = [] if settings["arm"] == PLAIN else [settings["arm"]]
    named = [word for name in (*remedies, "temperature") for word in ("--remedy", name)]
    set_to = {
        "model.label_words": words,
        "model.max_tokens": settings["max_tokens"],
        "train.epochs": settings["epochs"],
        "train.learning_rate": settings["learning_rate"],
    }
    changes = [word for name, value in set_to.items() for word in ("--set", f"{name}={value}")]
    model = ["--model", str(base), "--head", "text", "--method", settings["method"]]
    return [*model, "--baseline", "none", *named, *changes]


def run_prompted(base: Path, settings: Any, rows: TextSet) -> tuple[Child, dict[str, Any], Parts]:
    """In this process: nothing is trained, and its memory is not compared."""
    from equipoise.models.config import ModelConfig
    from equipoise.models.load import find_base
    from equipoise.models.prompted import prompted_logits

    begun, processor = time.monotonic(), time.process_time()
    classes = sorted({label for _, label in rows.train})
    found = find_base(
        ModelConfig(name=str(base), method="full", head="text", max_tokens=512), writes=True
    )
    examples = examples_of(rows.train, settings["examples"], settings["seed"])
    parts: Parts = {}
    for split in ("validation", "test"):
        given: list[Pair] = getattr(rows, split)
        log_p = prompted_logits(
            found,
            np.array([text for text, _ in given], dtype=object),
            classes,
            settings["prompts"],
            examples,
            words=words_of(settings["set"], classes),
            calibrated=True,
        )
        p = np.exp(log_p)
        p /= p.sum(axis=1, keepdims=True)
        parts[split] = judge([label for _, label in given], classes, p, look_alikes(given))
    child = Child(None, time.monotonic() - begun, time.process_time() - processor, peak_rss(), "")
    return child, {"examples": len(examples)}, parts


def examples_of(train: Sequence[Pair], wanted: int, seed: int) -> list[Pair]:
    """Rows of the classes in turn, the most frequent first, so that a prompt has room: each the
    shortest of DRAWN rows of its class that are left."""
    rng = np.random.default_rng(seed)
    order = [name for name, _ in Counter(label for _, label in train).most_common()]
    left = {name: [row for row in train if row[1] == name] for name in order}
    kept: list[Pair] = []
    while len(kept) < wanted and any(left.values()):
        for name in order:
            own = left[name]
            if own and len(kept) < wanted:
                drawn = rng.choice(len(own), min(DRAWN, len(own)), replace=False)
                kept.append(own.pop(min(drawn.tolist(), key=lambda k: (len(own[k][0]), k))))
    return kept


def price_seconds(unit: Unit) -> float:
    """On one quiet core; a few-shot prompt is ten times as long as a row."""
    s = unit.settings
    judged = s["validation_cap"] + s["test_cap"]
    if s["arm"] in PROMPTED:
        return 10 + 3 * judged * (0.05 if s["examples"] else 0.01)
    return 25 + 0.012 * s["train_cap"] * s["epochs"] + 0.015 * judged


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    found = by_set(units)
    sets: dict[str, Any] = {}
    for name, arms in found.items():
        lines = sets[name] = {}
        for arm, seeds in arms.items():
            line: dict[str, Any] = {"seeds": len(seeds), **means(seeds)}
            plain = arms.get(PLAIN, {})
            ours = dict.fromkeys(plain, next(iter(seeds.values()))) if arm in SEEDLESS else seeds
            common = same_seeds(ours, plain)
            if arm != PLAIN and common:
                paths = [tuple(side[k]["paths"]["npz"] for k in common) for side in (ours, plain)]
                apart = differences_in(paths[0], paths[1], resamples=1000)
                line["minus_plain"] = {
                    measure: apart[measure].to_json()
                    for measure in ("macro_f1", "balanced_accuracy", "log_loss")
                }
            lines[arm] = line
    return {"sets": sets}


def means(seeds: dict[int, dict[str, Any]]) -> dict[str, float]:
    names = ("macro_f1", "tail_macro_f1", "worst_class_recall", "accuracy", "log_loss")
    return {
        name: round(float(np.mean([unit["result"][name] for unit in seeds.values()])), 4)
        for name in names
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for name, arms in summarise(units)["sets"].items():
        for arm, found in arms.items():
            line = {"set": name, "arm": arm, **{k: found[k] for k in found if k != "minus_plain"}}
            if "minus_plain" in found:
                d = found["minus_plain"]["macro_f1"]
                line["macro_f1 - plain"] = f"{d['value']:+.3f} [{d['low']:.3f}, {d['high']:.3f}]"
            lines.append(line)
    return lines


def by_set(units: list[dict[str, Any]]) -> dict[str, dict[str, dict[int, dict[str, Any]]]]:
    """{set: {arm: {seed: unit}}}."""
    out: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for unit in units:
        s = unit["settings"]
        out.setdefault(s["set"], {}).setdefault(s["arm"], {})[s["seed"]] = unit
    return out


def units_of(seeds: Sequence[int] = SEEDS) -> list[Unit]:
    """One seed of everything first."""
    return [
        unit_of(name, arm, seed)
        for seed in seeds
        for name in SETS
        for arm in (*TUNED, *PROMPTED)
        if seed == seeds[0] or arm not in SEEDLESS
    ]


def trial_units() -> list[Unit]:
    """A few rows of every kind of arm: whether everything runs, not what it shows."""
    sizes = {"train_cap": 40, "validation_cap": 12, "test_cap": 20}
    arms = (PLAIN, "logit_adjusted", *PROMPTED)
    return [unit_of(name, arm, 0, sizes) for name in ("atis_intents", "trec6") for arm in arms]


BENCH = Bench(
    "label_text",
    units=units_of(),
    run=run_unit,
    price_seconds=price_seconds,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
