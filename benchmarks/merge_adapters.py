"""Memory and speed of merging LoRA adapters, beside PEFT's weighted adapters.

    python -m benchmarks.merge_adapters

A base of 1 GB in bf16 (see `benchmarks.merge_files`) and K adapters of rank 16 on all its linear
layers. Two results are asked for, of both libraries: a whole model, the mean of the adapters'
products folded into the base (PEFT: `add_weighted_adapter` by `cat`, which is exact, then
`merge_and_unload`); and one adapter of rank 16, the nearest to that mean (PEFT: `svd`). PEFT's
`linear`, which takes the means of factors, is timed beside them: it is no mean of the products, and
the record says how far off it is. Each arm is a process of its own; its inputs are read once
before.

Goal: at least twice as fast as PEFT, with less memory.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Bench, Unit
from benchmarks.machine import run_child, threads
from benchmarks.merge_files import checkpoints
from benchmarks.merge_speed import GB, read_once

RANK = 16
ARMS = ("fold", "peft_fold", "adapter", "peft_adapter", "peft_linear")
COUNTS = (2, 5)


def unit_of(count: int, size: int = GB) -> Unit:
    """size   Bytes of the base; smaller to try the benchmark itself."""
    return Unit(f"k{count}", {"models": count, "bytes": size, "rank": RANK})


def run_unit(unit: Unit) -> dict[str, Any]:
    s = unit.settings
    with checkpoints(0, s["bytes"], 4) as folder:
        asked = {"folder": str(folder), "models": s["models"], "rank": s["rank"]}
        child(asked | {"arm": "make"})
        bare = run_child([sys.executable, "-c", "import equipoise.merge; print('{}')"], cwd=ROOT)
        arms = {}
        for arm in ARMS:
            read_once([folder / "base", *(folder / f"adapter{k}" for k in range(s["models"]))])
            found = child(asked | {"arm": arm})
            arms[arm] = {
                "seconds": round(found.seconds, 2),
                "cpu_seconds": round(found.cpu_seconds, 2),
                "peak_mb_above_import": round((found.peak_rss - bare.peak_rss) / 1e6),
                **found.record,
            }
            if arm != "fold":
                arms[arm]["off"] = child(asked | {"arm": "compare", "with": arm}).record["off"]
        return {"arms": arms}


def child(asked: dict[str, Any]) -> Any:
    command = [sys.executable, "-m", "benchmarks.merge_adapters", "--arm", json.dumps(asked)]
    return run_child(command, cwd=ROOT)


def run_arm(asked: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own."""
    folder = Path(asked["folder"])
    if asked["arm"] == "make":
        for number in range(asked["models"]):
            make_adapter(folder, number, asked["rank"])
        return {}
    if asked["arm"] == "compare":
        return {"off": off(folder, asked["with"])}
    out = folder / asked["arm"]
    shutil.rmtree(out, ignore_errors=True)
    adapters = [folder / f"adapter{k}" for k in range(asked["models"])]
    begun = time.perf_counter()
    if asked["arm"].startswith("peft"):
        by_peft(asked["arm"], folder / "base", adapters, asked["rank"], out)
    else:
        from equipoise import merge

        rank = asked["rank"] if asked["arm"] == "adapter" else None
        merge.merge("average", adapters, folder / "base", rank=rank, out=out, threads=threads())
    return {"merging_seconds": round(time.perf_counter() - begun, 2)}


def loaded(base: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)


def make_adapter(folder: Path, number: int, rank: int) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, task_type="CAUSAL_LM")
    model = get_peft_model(loaded(folder / "base"), config)
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.02)
    model.save_pretrained(folder / f"adapter{number}")


def by_peft(arm: str, base: Path, adapters: list[Path], rank: int, out: Path) -> None:
    from peft import PeftModel

    names = [f"adapter{k}" for k in range(len(adapters))]
    model = PeftModel.from_pretrained(loaded(base), adapters[0], adapter_name=names[0])
    for name, path in zip(names[1:], adapters[1:], strict=True):
        model.load_adapter(path, adapter_name=name)
    weights = [1 / len(names)] * len(names)
    kind = {"peft_fold": "cat", "peft_adapter": "svd", "peft_linear": "linear"}[arm]
    how = {"svd_rank": rank} if kind == "svd" else {}
    model.add_weighted_adapter(names, weights, "merged", combination_type=kind, **how)
    model.set_adapter("merged")
    if arm == "peft_fold":
        for name in names:
            model.delete_adapter(name)
        model.merge_and_unload().save_pretrained(out)
    else:
        model.save_pretrained(out, selected_adapters=["merged"])


def off(folder: Path, arm: str) -> float:
    """How far a result lies from ours folded, as a share of what that added to the base, over the
    weights of one layer."""
    from equipoise import merge

    found = merge.merge("average", [folder / "fold"]).state
    base = merge.merge("average", [folder / "base"]).state
    where = folder / arm / "merged" if (folder / arm / "merged").exists() else folder / arm
    theirs = merge.merge("average", [where], folder / "base").state
    assert found is not None
    assert base is not None
    assert theirs is not None
    name = "model.layers.1.mlp.up_proj.weight"
    added = found[name].float() - base[name].float()
    return round(float((theirs[name].float() - found[name].float()).norm() / added.norm()), 4)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    def ratio(unit: dict[str, Any], ours: str, theirs: str, what: str) -> float:
        arms = unit["result"]["arms"]
        return round(arms[theirs][what] / max(arms[ours][what], 1e-9), 2)

    return {
        f"{theirs}_over_{ours}_{what}": {
            unit["settings"]["models"]: ratio(unit, ours, theirs, what) for unit in units
        }
        for ours, theirs in (("fold", "peft_fold"), ("adapter", "peft_adapter"))
        for what in ("seconds", "peak_mb_above_import")
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"models": unit["settings"]["models"], "arm": arm, **found}
        for unit in units
        for arm, found in unit["result"]["arms"].items()
    ]


BENCH = Bench(
    "merge_adapters",
    units=[unit_of(count) for count in COUNTS],
    run=run_unit,
    price_seconds=lambda unit: 200 + 60 * unit.settings["models"],
    summarise=summarise,
    table=table,
    about="Memory and speed of merging LoRA adapters, beside PEFT's weighted adapters.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--arm"]:
        print(json.dumps(run_arm(json.loads(sys.argv[2]))))
    else:
        raise SystemExit(BENCH.main())
