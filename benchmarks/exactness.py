"""What must be exact is: gradients, cached states, resuming after a kill, saved predictions.

    python -m benchmarks.exactness

With two- to four-layer models of every architecture, made on the spot, and the demo's rows:

gradients.*   largest relative L2 norm between a step's gradient in micro-batches (or shared by two
              processes) and the whole batch's, dropout off, uneven row weights, small last step.
              What transformers computes in float32 in a float64 model (Gemma's norms, the softmax
              of eager attention) is computed in float64. Also with every sampler and weight, every
              loss, and the adversary
cached.*      largest difference of logits, from cached states against the whole model, over every
              cut, padding on either side (encoders: right) and both kinds of head
kill.*        `equipoise train` killed by SIGKILL at a random moment and run again, against a run
              left alone: bytes of weights, predictions and scores. The cache of states is the same.
              Also with samplers and a wrapper of the loss; `kill.writes.*` of a decoder that
              writes replies: bytes of weights, of what was written, and scores
reloaded.*    saved predictions against those of the reloaded model, twice, in two processes
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import Bench, Unit
from benchmarks.exact_models import LIMITS, cached, gradients, gradients_of_processes
from benchmarks.exact_runs import KILLS, killed, reloaded
from equipoise.remedies.batches import BATCHES
from equipoise.remedies.losses import LOSSES

ARCHITECTURES = (
    *("bert", "roberta", "deberta", "deberta_v2", "deberta_v3", "modernbert"),
    *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "gpt2"),
)
DRAWN = tuple(
    name
    for name, remedy in BATCHES.items()
    if remedy.kind in ("weights", "row_weights", "sampler") and name != "guaranteed_presence"
)
PROMISED = "guaranteed_presence:classes=0;2"
KILLED_DRAWING = ("guaranteed_presence:below=0.1", "progressive_sampler", "sqrt_sampler")
BY_ROW = (*LOSSES, "adversarial")
"""Of the losses and their wrappers, those under which every row counts for itself."""
AGEING = ("ldam", "feature_mixup")
"""A loss that changes with the age of training, and a wrapper that draws in every step."""
METHODS = ("light", "full")


def run_unit(unit: Unit) -> dict[str, Any]:
    """Run one unit; the tests' tiny models and helpers are imported late, for they bring torch."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kind = unit.settings["kind"]
    return {
        "gradients": gradients,
        "processes": gradients_of_processes,
        "cached": cached,
        "kill": killed,
        "reloaded": reloaded,
    }[kind](unit.settings)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for unit in units:
        by_kind.setdefault(unit["settings"]["kind"], []).append(unit["result"])
    shared = by_kind.get("gradients", []) + by_kind.get("processes", [])
    return {
        "exact": all(unit["result"]["exact"] for unit in units),
        "gradients": {d: max((r[d] for r in shared), default=None) for d in LIMITS},
        "cached": max((r["largest"] for r in by_kind.get("cached", [])), default=None),
        "kills_with_equal_bytes": sum(r["exact"] for r in by_kind.get("kill", [])),
        "kills": len(by_kind.get("kill", [])),
        "says": "exact throughout"
        if all(unit["result"]["exact"] for unit in units)
        else "NOT exact: " + ", ".join(u["name"] for u in units if not u["result"]["exact"]),
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit["name"],
            "exact": unit["result"]["exact"],
            "found": _found(unit["result"]),
            "took_s": unit["seconds"],
        }
        for unit in units
    ]


def _found(result: dict[str, Any]) -> str:
    if "float64" in result:
        return f"{result['float64']:.1e} in float64, {result['float32']:.1e} in float32"
    if "largest" in result:
        return f"{result['largest']:.1e}"
    if "stage" in result:
        return f"killed at {result['killed_at_share']:.0%}: {result['stage']}"
    return f"{result['rows']} rows"


def _units() -> list[Unit]:
    units = [
        Unit(f"{kind}.{name}", {"kind": kind, "architecture": name})
        for kind in ("cached", "gradients")
        for name in ARCHITECTURES
    ]
    units += [
        Unit(f"gradients.two_processes.{name}", {"kind": "processes", "architecture": name})
        for name in ("bert", "llama")
    ]
    units += [
        Unit(
            f"gradients.bert.{name.partition(':')[0]}",
            {"kind": "gradients", "architecture": "bert", "remedies": [name]},
        )
        for name in (*DRAWN, PROMISED, *BY_ROW)
    ]
    units.append(
        Unit(
            "gradients.two_processes.guaranteed_presence",
            {"kind": "processes", "architecture": "bert", "remedies": [PROMISED]},
        )
    )
    units.append(
        Unit(
            "gradients.two_processes.adversarial",
            {"kind": "processes", "architecture": "bert", "remedies": ["ldam", "adversarial"]},
        )
    )
    units += [Unit(f"reloaded.{m}", {"kind": "reloaded", "method": m}) for m in METHODS]
    # The method changes with the moment, so that both are killed in every part of a run.
    units += [
        Unit(
            f"kill.{seed:02}.{METHODS[seed % 2]}",
            {"kind": "kill", "method": METHODS[seed % 2], "seed": seed},
        )
        for seed in range(KILLS)
    ]
    # In the midst of training, where the order of rows matters.
    units += [
        Unit(
            f"kill.{name.partition(':')[0]}",
            {"kind": "kill", "method": "full", "seed": seed, "remedies": [name]},
        )
        for name, seed in zip(KILLED_DRAWING, (8, 10, 12), strict=True)
    ]
    units.append(
        Unit(
            "kill.feature_mixup",
            {"kind": "kill", "method": "full", "seed": 9, "remedies": list(AGEING)},
        )
    )
    units += [
        Unit(
            f"kill.writes.{seed:02}.{METHODS[seed // 2 % 2]}",
            {"kind": "kill", "method": METHODS[seed // 2 % 2], "seed": seed, "writes": True},
        )
        for seed in range(0, KILLS, 2)
    ]
    return units


_PRICE = {"cached": 3.0, "gradients": 3.0, "processes": 20.0, "reloaded": 60.0, "kill": 30.0}

BENCH = Bench(
    "exactness",
    units=_units(),
    run=run_unit,
    price_seconds=lambda unit: _PRICE[unit.settings["kind"]],
    summarise=summarise,
    table=table,
    about="Gradients, cached states, resuming after SIGKILL and saved predictions are exact.",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
