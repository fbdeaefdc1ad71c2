"""Scale: reading, checking, duplicates and splits at 10 k, 100 k and 1 M rows of short text, each
in a process of its own: seconds, processor seconds, peak memory.

The texts are made up: 2 to 8 words drawn from 40,000 by Zipf's law, half with a common phrase in
it, 5 % copies but for case and punctuation, 5 % one word longer than another; 50 classes of Zipf
sizes. A second kind is the worst we know of: every row is made from one of 200 templates, so that
nearly all rows have hundreds of look-alikes.

    python -m benchmarks.scale              (processor seconds are steadier on a busy machine)
"""

from __future__ import annotations

import csv
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, Bench, Unit, run_child

KINDS = ("messages", "templates")
SIZES = (10_000, 100_000, 1_000_000)
LIMIT_SECONDS, LIMIT_BYTES = 180, 4 * 2**30
"""What was promised for a million short rows: duplicates and splits, on two cores."""
_SYLLABLES = [
    onset + vowel + coda
    for onset in (*"bcdfghjklmnprstvwz", "st", "tr", "ch", "sh", "pl", "br", "cl", "gr", "fr", "th")
    for vowel in ("a", "e", "i", "o", "u", "ai", "ea", "ou", "oo")
    for coda in ("", *"nrstlmpdx", "ck", "nd", "st", "ng")
]


def zipf(count: int, shift: float = 5.0) -> np.ndarray:
    share = 1 / (np.arange(count) + shift)
    return share / share.sum()


def vocabulary(count: int, rng: np.random.Generator) -> list[str]:
    lengths = rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2], size=count)
    drawn = rng.integers(len(_SYLLABLES), size=(count, 3)).tolist()
    return list(
        dict.fromkeys(
            "".join(_SYLLABLES[i] for i in own[:k]) for own, k in zip(drawn, lengths, strict=True)
        )
    )


def messages(rows: int, rng: np.random.Generator) -> list[str]:
    words = vocabulary(40_000, rng)
    share = zipf(len(words))
    phrases = [
        " ".join(words[i] for i in rng.choice(len(words), size=k, p=share))
        for k in rng.integers(2, 5, size=3000)
    ]
    lengths = rng.integers(2, 9, size=rows)
    drawn = rng.choice(len(words), size=int(lengths.sum()), p=share)
    phrase = rng.choice(len(phrases), size=rows, p=zipf(len(phrases), 10.0))
    texts, begin = [], 0
    for row, length in enumerate(lengths.tolist()):
        own = [words[i] for i in drawn[begin : begin + length]]
        if row % 2:
            own.insert(row % 3, phrases[phrase[row]])
        texts.append(" ".join(own))
        begin += length
    for row, other in rng.integers(rows, size=(rows // 20, 2)).tolist():
        texts[row] = f"{texts[other].title()}!"
    for row, other in rng.integers(rows, size=(rows // 20, 2)).tolist():
        texts[row] = f"{texts[other]} {words[row % 100]}"
    return texts


def templates(rows: int, rng: np.random.Generator) -> list[str]:
    words = vocabulary(5000, rng)
    made = [
        [words[i] if rng.random() < 0.7 else "" for i in rng.integers(len(words), size=size)]
        for size in rng.integers(5, 14, size=200)
    ]
    slots = rng.integers(300, size=(rows, 14)).tolist()
    chosen = rng.integers(len(made), size=rows).tolist()
    return [
        " ".join(word or words[slot] for word, slot in zip(made[t], own, strict=False))
        for t, own in zip(chosen, slots, strict=True)
    ]


def write_rows(path: Path, kind: str, rows: int) -> None:
    rng = np.random.default_rng(0)
    texts = {"messages": messages, "templates": templates}[kind](rows, rng)
    labels = rng.choice(50, size=rows, p=zipf(50, 1.0))
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["text", "label"])
        writer.writerows((text, f"class {k}") for text, k in zip(texts, labels, strict=True))


def child(path: str) -> dict[str, Any]:
    """What is measured: from the file to three parts and five folds."""
    from equipoise.data import check_rows, find_clusters, folds, read_rows, split_table

    seconds: dict[str, float] = {}
    processor: dict[str, float] = {}

    def timed(name: str, call: Any) -> Any:
        wall, own = time.perf_counter(), time.process_time()
        result = call()
        seconds[name] = round(time.perf_counter() - wall, 2)
        processor[name] = round(time.process_time() - own, 2)
        return result

    table = timed("read", lambda: read_rows(path))
    timed("check", lambda: check_rows(table))
    rows = table.parts["all"]
    found = timed("duplicates", lambda: find_clusters(rows.texts, None, rows.labels))
    splits = timed("split, with duplicates", lambda: split_table(table))
    timed("five folds", lambda: folds(rows.labels, found.ids, 5, 0))
    return {
        "seconds": seconds,
        "cpu_seconds": processor,
        "repeated": found.repeated,
        "look_alike_pairs": found.links,
        "cut": found.cut,
        "clusters": int(found.ids.max()) + 1,
        "largest_cluster": int(np.bincount(found.ids).max()),
        "parts": [len(splits.train), len(splits.validation), len(splits.test or [])],
    }


def run(unit: Unit) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, unit.settings["kind"], unit.settings["rows"])
        command = [sys.executable, "-m", "benchmarks.scale", "--child", path]
        measured = run_child(command, cwd=ROOT)
    result: dict[str, Any] = measured.record
    return result | {"peak_bytes": measured.peak_rss, "process_seconds": round(measured.seconds, 1)}


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit["name"],
            **{f"{k}_s": v for k, v in unit["result"]["seconds"].items()},
            "duplicates_cpu_s": unit["result"]["cpu_seconds"]["duplicates"],
            "peak_gb": unit["result"]["peak_bytes"] / 2**30,
            "look-alikes": unit["result"]["look_alike_pairs"],
            "largest": unit["result"]["largest_cluster"],
        }
        for unit in units
    ]


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    """The exponent is that of rows in processor seconds between 100 k and 1 M: 1 is linear."""
    by_name = {unit["name"]: unit["result"] for unit in units}
    summary: dict[str, Any] = {}
    for kind in KINDS:
        small, large = (by_name.get(f"{kind}-{size}") for size in SIZES[1:])
        if small is None or large is None:
            continue
        seconds, before = (r["cpu_seconds"]["duplicates"] for r in (large, small))
        wall = large["seconds"]["split, with duplicates"]
        kept = wall <= LIMIT_SECONDS and large["peak_bytes"] <= LIMIT_BYTES
        summary[kind] = {
            "million_rows_seconds": wall,
            "million_rows_cpu_seconds": large["cpu_seconds"]["split, with duplicates"],
            "million_rows_gigabytes": round(large["peak_bytes"] / 2**30, 2),
            "exponent": round(math.log(seconds / before, 10), 2),
            "within_3_minutes_and_4_gb": kept,
        }
    return summary


bench = Bench(
    "scale",
    units=[
        Unit(f"{kind}-{size}", {"kind": kind, "rows": size}) for kind in KINDS for size in SIZES
    ],
    run=run,
    price_seconds=lambda unit: unit.settings["rows"] * (2e-4 if unit.name[0] == "m" else 6e-4) + 5,
    table=table,
    summarise=summarise,
    about="Duplicates and splits at 10 k, 100 k and 1 M rows: time and memory.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2])))
        raise SystemExit(0)
    raise SystemExit(bench.main())
