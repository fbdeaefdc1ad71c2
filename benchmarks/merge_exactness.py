"""Values of merges against mergekit's, on the same files.

    python -m benchmarks.merge_exactness

Needs mergekit 0.1.5 (pip install --no-deps mergekit==0.1.5 immutables sentencepiece); nothing else
here does, and without it every unit fails. Tiny Llama-shaped models in float32, merged by both from
the same folders, where both follow the paper: `linear` at given weights, `task_arithmetic`, `slerp`
between two, `ties`, and `dare_linear` at density 1, which drops nothing. Held against each other
are all tensors; the record says how far the values moved from the first model, too, so that a small
difference means something.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Bench, Unit
from benchmarks.machine import run_child

WEIGHTS = (0.5, 0.3, 0.2)
TOLERANCE = 1e-6
"""Of values around 0.02: what float32 leaves after a sum of three."""
METHODS: dict[str, dict[str, Any]] = {
    "linear": {"ours": "average", "models": 3},
    "task_arithmetic": {"ours": "task_arithmetic", "models": 3, "base": True},
    "slerp": {"ours": "slerp", "models": 2, "settings": {"t": 0.3}},
    "ties": {"ours": "ties", "models": 3, "base": True, "settings": {"density": 0.4}},
    "dare_linear": {"ours": "dare", "models": 3, "base": True, "settings": {"density": 1.0}},
}


def save_models(folder: Path) -> None:
    """base, and one, two and three, each moved from it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(folder / "base")
    for number in range(3):
        generator = torch.Generator().manual_seed(number)
        moved = {
            name: value + 0.01 * torch.randn(value.shape, generator=generator)
            for name, value in start.items()
        }
        model.load_state_dict(moved)
        model.save_pretrained(folder / f"model{number}")


def mergekit_recipe(method: str, folder: Path) -> dict[str, Any]:
    said = METHODS[method]
    settings = said.get("settings", {})
    models: list[dict[str, Any]] = [
        {"model": str(folder / f"model{k}"), "parameters": {"weight": WEIGHTS[k]}}
        for k in range(said["models"])
    ]
    recipe: dict[str, Any] = {"merge_method": method, "models": models, "dtype": "float32"}
    if method == "linear":
        return recipe
    if method == "slerp":
        for one in models:
            del one["parameters"]
        return recipe | {"base_model": str(folder / "model0"), "parameters": dict(settings)}
    for one in models:
        # Equal weights where ours weigh the mean of those that agree by them, and theirs too.
        one["parameters"] |= {k: v for k, v in settings.items() if k == "density"}
    shared = {"normalize": method in ("ties", "dare_linear")}
    if method == "dare_linear":
        shared["rescale"] = True
    return recipe | {"base_model": str(folder / "base"), "parameters": shared}


def run_unit(unit: Unit) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    from equipoise import merge

    method = unit.settings["method"]
    said = METHODS[method]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_models(folder)
        (folder / "recipe.yaml").write_text(json.dumps(mergekit_recipe(method, folder)))
        run_child(
            [
                *(sys.executable, "-m", "mergekit.scripts.run_yaml"),
                *(folder / "recipe.yaml", folder / "theirs", "--no-copy-tokenizer", "--quiet"),
            ],
            cwd=ROOT,
        )
        models = [folder / f"model{k}" for k in range(said["models"])]
        weights = None if method == "slerp" else WEIGHTS[: said["models"]]
        base = folder / "base" if said.get("base") else None
        ours = merge.merge(
            *(said["ours"], models, base), weights=weights, **said.get("settings", {})
        ).state
        assert ours is not None
        theirs: dict[str, Any] = {}
        for path in sorted((folder / "theirs").glob("*.safetensors")):
            theirs |= load_file(path)
        first = load_file(models[0] / "model.safetensors")
    apart = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    moved = max(float((ours[name] - first[name]).abs().max()) for name in ours)
    same = float(torch.cat([(ours[n] == theirs[n]).reshape(-1) for n in ours]).double().mean())
    return {
        "tensors": len(ours),
        "largest_difference": apart,
        "moved_from_first": round(moved, 4),
        "same_bits": round(same, 4),
        "agrees": apart <= TOLERANCE,
    }


BENCH = Bench(
    "merge_exactness",
    units=[Unit(method, {"method": method, "mergekit": "0.1.5"}) for method in METHODS],
    run=run_unit,
    price_seconds=lambda unit: 25.0,
    summarise=lambda units: {"agree": all(unit["result"]["agrees"] for unit in units)},
    about="Values of merges against mergekit's, on the same files.",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
