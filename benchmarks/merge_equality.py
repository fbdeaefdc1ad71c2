"""Whether a merge gives the same bytes however it is done, and after SIGKILL at twenty moments.

    python -m benchmarks.merge_equality

Checkpoints of 200 MB (see `benchmarks.merge_files`), five sub-models and a base. Each unit merges
them once as they are, and again in another way: other shards, stretches, threads, sub-models in
another order with their keys; or killed at a moment spread over the seconds that a whole merge
takes, and the same command again. Compared are the bytes of all tensors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, Bench, Unit
from benchmarks.machine import run_child
from benchmarks.merge_files import checkpoints, write_checkpoint
from equipoise.merge.folders import RECORD
from equipoise.merge.sinks import WORK
from equipoise.merge.sources import FolderSource
from equipoise.merge.walk import STRETCH

BYTES, MODELS, KILLS = 200 * 10**6, 5, 20
SLOWED = 3.0
"""Seconds that a merge to be killed takes, by waiting at every stretch."""
SETTINGS: dict[str, dict[str, Any]] = {
    "select": {},
    "select_twice": {"resamples": 2},
    "select_shares": {"weights": [1.0, 2.0, 3.0, 4.0, 5.0]},
    "average": {"weights": [1.0, 2.0, 3.0, 4.0, 5.0]},
    "ties": {"density": 0.3},
    "dare": {"density": 0.3},
}
WAYS: dict[str, dict[str, Any]] = {
    "shards": {"end": ".3"},
    "stretch": {"stretch": 99_991},
    "one thread": {"threads": 1},
    "three threads": {"threads": 3},
    "order": {"turned": True},
    "plain": {"plain": True},
}
"""plain: without the compiler, of the methods that use it."""


def unit_of(method: str, size: int = BYTES, kills: int = KILLS) -> Unit:
    return Unit(method, {"method": method, "bytes": size, "models": MODELS, "kills": kills})


def run_unit(unit: Unit) -> dict[str, Any]:
    s = unit.settings
    with checkpoints(s["models"], s["bytes"], 1) as folder:
        for name in ("base", *(f"model{k}" for k in range(s["models"]))):
            number = None if name == "base" else int(name.removeprefix("model"))
            write_checkpoint(folder / f"{name}.3", s["bytes"], 3, number)
        plain = merged(folder, s["method"], {})
        same = {name: merged(folder, s["method"], way) == plain for name, way in WAYS.items()}
        moments = [
            kill_and_go_on(folder, s["method"], k, s["kills"], plain) for k in range(s["kills"])
        ]
    return {
        **{f"same {name}": value for name, value in same.items()},
        "killed": sum(moment["killed"] for moment in moments),
        "same after kill": all(moment["same"] for moment in moments),
        "gone on": sum(moment["gone_on"] for moment in moments),
        "whole but wrong": sum(moment["wrong"] for moment in moments),
    }


def command(folder: Path, method: str, way: dict[str, Any]) -> list[str]:
    asked = {
        "method": method.partition("_")[0],
        "settings": SETTINGS[method],
        "folder": str(folder),
        "way": way,
    }
    return [sys.executable, "-m", "benchmarks.merge_equality", "--merge", json.dumps(asked)]


def merged(folder: Path, method: str, way: dict[str, Any]) -> str:
    run_child(command(folder, method, way), cwd=ROOT)
    found = tensors_hash(folder / "out")
    shutil.rmtree(folder / "out")
    return found


def tensors_hash(out: Path) -> str:
    """Of all tensors by name, whatever the shards."""
    found = hashlib.sha256()
    with closing(FolderSource(out)) as source:
        for name in sorted(source.infos):
            values = source.read(name, 0, source.infos[name].values)
            found.update(f"{name} {source.infos[name]}".encode())
            found.update(values.view(torch.uint8).numpy().data)
    return found.hexdigest()


def kill_and_go_on(
    folder: Path, method: str, number: int, moments: int, plain: str
) -> dict[str, Any]:
    """Killed at one of the moments from the first file to the end of a merge; then the same command
    again."""
    out = folder / "out"
    process = subprocess.Popen(
        command(folder, method, {"slow": True}), cwd=ROOT, stdout=subprocess.DEVNULL
    )
    while not (out / WORK / "plan.json").exists() and process.poll() is None:
        time.sleep(0.002)
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() - begun < number * SLOWED / moments:
        time.sleep(0.001)
    killed = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = (out / RECORD).exists()
    noted = (out / WORK / "done.jsonl").exists()
    wrong = whole and tensors_hash(out) != plain
    run_child(command(folder, method, {}), cwd=ROOT)
    again = tensors_hash(out)
    shutil.rmtree(out)
    return {
        "killed": killed,
        "gone_on": noted and not whole,
        "wrong": wrong,
        "same": again == plain,
    }


def merge_in_child(asked: dict[str, Any]) -> None:
    """In a process of its own."""
    from equipoise import merge
    from equipoise.merge import sinks
    from equipoise.merge.methods import selection

    folder, way = Path(asked["folder"]), asked["way"]
    end, count = way.get("end", ""), MODELS
    models = [folder / f"model{k}{end}" for k in range(count)]
    how = {**asked["settings"], **{k: way[k] for k in ("stretch", "threads") if k in way}}
    keys = [f"model{k}" for k in range(count)]
    if way.get("turned"):
        turned = [3, 0, 4, 2, 1]
        models, keys = [models[k] for k in turned], [keys[k] for k in turned]
        if "weights" in how:
            how["weights"] = [how["weights"][k] for k in turned]
    if way.get("plain"):
        selection.compiled = lambda: None
    if way.get("slow"):
        sinks.FLUSH_SECONDS = 0.0
        write = sinks.FolderSink.write

        def slowly(self: sinks.FolderSink, name: str, start: int, values: Any) -> None:
            stretches = BYTES / (2 * STRETCH)
            time.sleep(2 * SLOWED / stretches)  # of two threads
            write(self, name, start, values)

        sinks.FolderSink.write = slowly  # type: ignore[method-assign]
    merge.merge(
        *(asked["method"], models, folder / f"base{end}"),
        keys=keys,
        out=folder / "out",
        seed=5,
        **how,
    )


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    results = [unit["result"] for unit in units]
    return {
        "same_bytes": all(
            value for r in results for name, value in r.items() if name.startswith("same")
        ),
        "killed": sum(r["killed"] for r in results),
        "went_on_with_finished_tensors": sum(r["gone on"] for r in results),
        "whole_but_wrong": sum(r["whole but wrong"] for r in results),
    }


BENCH = Bench(
    "merge_equality",
    units=[unit_of(method) for method in SETTINGS],
    run=run_unit,
    price_seconds=lambda unit: 60 + 10 * unit.settings["kills"],
    summarise=summarise,
    about="Whether a merge gives the same bytes however it is done, and after SIGKILL.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--merge"]:
        merge_in_child(json.loads(sys.argv[2]))
        print("{}")
    else:
        raise SystemExit(BENCH.main())
