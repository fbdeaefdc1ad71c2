"""Memory and speed of merging 2 to 20 checkpoints of 1 GB, beside plain copying and mergekit.

    python -m benchmarks.merge_speed
    python -m benchmarks.merge_speed --only 'k2'

One unit merges K sub-models and does all arms one after another: `cat` of the sub-models into one
file; parameter selection with a base, drawn again as often as it takes; the average; and mergekit's
`linear`, if mergekit 0.1.5 is there (pip install --no-deps mergekit==0.1.5 immutables
sentencepiece; `linear` of 20 takes too long and is left out). Before each arm all its inputs are
read once, so that the page cache is in one state; memory is the peak of a process of its own, above
that of one that only imports. Bytes a second are what an arm reads and writes, by its seconds: of
`cat` K read and K written; of selection K + 1 read and 1 written, flushed to the disk before it
ends, which `cat` is not.

Needs 43 GB of disk for the largest. EQUIPOISE_BENCH_CACHE names the folder.

Goals: peak memory flat in K within 10 % and at most 400 MB above a bare import; at least half the
bytes a second of `cat`; at least twice as fast as mergekit, with less memory.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Bench, Unit
from benchmarks.machine import Child, run_child, threads
from benchmarks.merge_files import checkpoints

GB = 10**9
COUNTS = (2, 5, 10, 20)
ARMS = ("cat", "select", "average", "mergekit")
MERGEKIT_UP_TO = 10
IMPORT = "from equipoise.merge.compiled import compiled; compiled(); print('{}')"


def unit_of(count: int, size: int = GB, shards: int = 4) -> Unit:
    """size   Bytes of a checkpoint; smaller to try the benchmark itself."""
    return Unit(f"k{count}", {"models": count, "bytes": size, "shards": shards})


def run_unit(unit: Unit) -> dict[str, Any]:
    s = unit.settings
    with checkpoints(s["models"], s["bytes"], s["shards"]) as folder:
        each = sum(path.stat().st_size for path in (folder / "base").glob("*.safetensors"))
        bare = run_child([sys.executable, "-c", IMPORT], cwd=ROOT)
        record: dict[str, Any] = {
            "bytes_each": each,
            "bare_import_mb": round(bare.peak_rss / 1e6),
            "arms": {},
        }
        for arm in ARMS:
            found = run_arm(arm, folder, s["models"])
            if found is not None:
                record["arms"][arm] = figures(arm, found, bare, s["models"] * each, each)
    return record


def run_arm(arm: str, folder: Path, count: int) -> Child | None:
    """None where the arm can't be run here."""
    models = [folder / f"model{k}" for k in range(count)]
    inputs = [folder / "base", *models] if arm == "select" else models
    out = folder / "out"
    if arm == "mergekit":
        if importlib.util.find_spec("mergekit") is None or count > MERGEKIT_UP_TO:
            return None
        said = [{"model": str(model), "parameters": {"weight": 1.0}} for model in models]
        recipe = {"merge_method": "linear", "models": said, "dtype": "bfloat16"}
        (folder / "mergekit.yaml").write_text(json.dumps(recipe), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "mergekit.scripts.run_yaml", folder / "mergekit.yaml", out),
            *("--no-copy-tokenizer", "--lazy-unpickle", "--quiet", "-j", str(threads())),
        ]
    elif arm == "cat":
        files = " ".join(f"{model}/*.safetensors" for model in models)
        command = ["sh", "-c", f"cat {files} > {out}"]
    else:
        asked = {"method": arm, "models": [str(m) for m in models], "out": str(out)}
        asked |= {"base": str(folder / "base")} if arm == "select" else {}
        command = [sys.executable, "-m", "benchmarks.merge_speed", "--merge", json.dumps(asked)]
    read_once(inputs)
    found = run_child(command, cwd=ROOT)
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink()
    subprocess.run(["sync"], check=True)
    return found


def read_once(folders: list[Path]) -> None:
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass


def merged(asked: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own."""
    from equipoise import merge

    begun = time.perf_counter()
    how = {"base": asked["base"]} if "base" in asked else {}
    found = merge.merge(
        asked["method"], asked["models"], out=asked["out"], threads=threads(), **how
    )
    counts = [one for one in found.tensors.values() if "moved" in one]
    values = sum(one["values"] for one in counts)
    return {
        "merging_seconds": round(time.perf_counter() - begun, 2),
        "moved": round(sum(one["moved"] for one in counts) / values, 4) if values else None,
    }


def figures(arm: str, child: Child, bare: Child, inputs: int, each: int) -> dict[str, Any]:
    moved = {"cat": 2 * inputs, "select": inputs + 2 * each}.get(arm, inputs + each)
    return {
        "seconds": round(child.seconds, 2),
        "cpu_seconds": round(child.cpu_seconds, 2),
        "bytes_read_and_written": moved,
        "gb_a_second": round(moved / child.seconds / 1e9, 3),
        "peak_mb_above_import": round((child.peak_rss - bare.peak_rss) / 1e6),
        **(child.record or {}),
    }


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    lines = {unit["settings"]["models"]: unit["result"]["arms"] for unit in units}
    bare = max(unit["result"]["bare_import_mb"] for unit in units)
    found: dict[str, Any] = {}
    for arm in ("select", "average"):
        above = {k: arms[arm]["peak_mb_above_import"] for k, arms in lines.items()}
        whole = [bare + more for more in above.values()]
        found[f"{arm}_peak_mb"] = above
        found[f"{arm}_peak_flat"] = max(whole) <= 1.1 * min(whole)
        found[f"{arm}_peak_within_400_mb"] = max(above.values()) <= 400
        found[f"{arm}_of_cat"] = {
            k: round(arms[arm]["gb_a_second"] / arms["cat"]["gb_a_second"], 2)
            for k, arms in lines.items()
        }
        found[f"mergekit_over_{arm}"] = {
            k: round(arms["mergekit"]["seconds"] / arms[arm]["seconds"], 2)
            for k, arms in lines.items()
            if "mergekit" in arms
        }
    return found


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"models": unit["settings"]["models"], "arm": arm}
        | {k: v for k, v in found.items() if k != "bytes_read_and_written"}
        for unit in units
        for arm, found in unit["result"]["arms"].items()
    ]


BENCH = Bench(
    "merge_speed",
    units=[unit_of(count) for count in COUNTS],
    run=run_unit,
    price_seconds=lambda unit: 30 + 25 * unit.settings["models"],
    summarise=summarise,
    table=table,
    about="Memory and speed of merging 2 to 20 checkpoints of 1 GB.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--merge"]:
        print(json.dumps(merged(json.loads(sys.argv[2]))))
    else:
        raise SystemExit(BENCH.main())
