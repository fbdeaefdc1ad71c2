"""Tokens of completion a second, and memory, against TRL's SFTTrainer.

    python -m benchmarks.sft_speed --only 'cpu.*'
    python -m benchmarks.sft_speed --only 'gpu.*'       # one GPU of 24 GB or more

Needs TRL 1.16.0 (pip install -c constraints.txt --no-deps trl==1.16.0); nothing else here does.

Same model (Llama-shaped, weights at random: what they are changes no time), rows, precision and
rate, packing on in both (TRL's as it comes and in its other two ways, of which the quickest
counts), no gradient checkpointing in either, each in a process of its own. `light`
trains the upper half of the layers on cached states; what caching costs is counted in its tokens a
second, and shown apart. The profile units run the same under PyTorch's profiler, for shares of
time alone. Times of a busy machine are not worth much: the record holds the load at the start, and
the same rates by seconds of processor (processor_ratio).

Goals: at least 1.3 times TRL's tokens of completion a second without light and 3 times with it, and
no more memory at the peak.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.arms import offline
from benchmarks.common import Bench, Unit
from benchmarks.machine import run_child
from benchmarks.sets import ROOT, load_lines
from benchmarks.sft_arms import TRL
from benchmarks.tiny_base import need_tiny_base
from benchmarks.writing_runs import Line
from equipoise.errors import SettingsError

SHAPES: dict[str, dict[str, int]] = {
    "cpu": {
        "hidden_size": 384,
        "intermediate_size": 1_024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "vocab_size": 8_192,
    },
    "gpu": {
        "hidden_size": 2_048,
        "intermediate_size": 8_192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
    },
}
"""gpu: that of Llama 3.2 1B."""
LOADS: dict[str, dict[str, Any]] = {
    "cpu": {
        "rows": 320,
        "epochs": 3,
        "max_tokens": 256,
        "batch_rows": 32,
        "precision": "float32",
    },
    "gpu": {
        "rows": 256,
        "epochs": 1,
        "max_tokens": 2_048,
        "batch_rows": 8,
        "precision": "bf16",
    },
}
METHODS = {
    **dict.fromkeys(("trl", "trl_wrapped", "trl_unpacked", "ours"), "full"),
    "ours_light": "light",
}
PACKING = {"trl": "bfd", "trl_wrapped": "wrapped", "trl_unpacked": None}
"""Of TRL; its quickest is what ours are held against."""
PROFILED = ("trl", "ours", "ours_light")
GOALS = {"ours": 1.3, "ours_light": 3.0}
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Dense bf16, by what the device's name holds; from the makers' sheets."""


def unit_of(where: str, arm: str, *, profile: bool = False, **load: Any) -> Unit:
    """load  In place of LOADS, to try the benchmark itself."""
    settings = {"where": where, "arm": arm, "profile": profile, "shape": SHAPES[where], "trl": TRL}
    name = f"{where}.profile.{arm}" if profile else f"{where}.{arm}"
    return Unit(name, settings | LOADS[where] | load)


def run_unit(unit: Unit) -> dict[str, Any]:
    s = unit.settings
    device = refuse_unless_possible(s["where"], s["arm"])
    rows = rows_of(s)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        for split, lines in {"train": rows, "validation": rows[:4], "test": rows[4:8]}.items():
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "rows" / f"{split}.jsonl").write_text(text, encoding="utf-8")
        parameters = save_base(folder / "base", s["shape"], s["max_tokens"])
        asked = {
            **s,
            "trainer": s["arm"].partition("_")[0],
            "method": METHODS[s["arm"]],
            "packing": PACKING.get(s["arm"]),
        }
        (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
        env = offline(folder) | {"HF_DATASETS_CACHE": str(folder / "datasets")}
        command = [sys.executable, "-m", "benchmarks.sft_arms", folder]
        child = run_child(command, cwd=ROOT, env=env)
    record = {
        **child.record,
        "parameters": parameters,
        "device": device,
        "whole_seconds": round(child.seconds, 2),
        "cpu_seconds": round(child.cpu_seconds, 2),
    }
    if s["where"] == "gpu":
        record |= utilisation(record, s["shape"], s["max_tokens"])
    return record


def refuse_unless_possible(where: str, arm: str) -> str:
    """The device's name. Raises SettingsError if there is no GPU, or no TRL, where it is needed."""
    import torch

    faults = []
    if where == "gpu" and not torch.cuda.is_available():
        faults.append("gpu: PyTorch finds no GPU here; run this unit where one is")
    if where == "cpu" and torch.cuda.is_available():
        faults.append("cpu: there is a GPU; hide it (CUDA_VISIBLE_DEVICES=) and run again")
    if arm in PACKING and importlib.util.find_spec("trl") is None:
        faults.append(
            f"trl: not installed; pip install -c constraints.txt --no-deps trl=={TRL}, beside the "
            "torch and transformers that are here"
        )
    if faults:
        raise SettingsError(*faults)
    return torch.cuda.get_device_name() if where == "gpu" else "cpu"


def rows_of(settings: Mapping[str, Any]) -> list[Line]:
    """Prompts and completions: of `e2e_nlg`; for long lines, the first and the second half of
    passages of books, which fill them."""
    if settings["where"] == "cpu":
        return load_lines("e2e_nlg", "train")[:: 42_061 // settings["rows"]][: settings["rows"]]
    half = settings["max_tokens"] * 2  # characters: a token has about four
    text = "".join(book["text"] for book in load_lines("books_pd", "train"))
    return [
        {
            "prompt": text[at : at + half].strip(),
            "completion": text[at + half : at + 2 * half].strip(),
        }
        for at in range(0, settings["rows"] * 2 * half, 2 * half)
    ]


def save_base(folder: Path, shape: Mapping[str, int], window: int) -> int:
    """A model of the shape with the tiny base's tokenizer; returns its parameters."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(need_tiny_base())
    torch.manual_seed(0)
    config = LlamaConfig(
        **shape,
        max_position_embeddings=window,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.model_max_length = window
    tokenizer.save_pretrained(folder)
    return sum(p.numel() for p in model.parameters())


def model_flops(parameters: int, shape: Mapping[str, int], length: int) -> float:
    """A token's, forward and backward, of a model trained whole: 6 for each weight, and attention
    over a line of `length` tokens, 12 × layers × width × length / 2, since half of it is masked.
    Source  Chowdhery et al. 2022, PaLM, appendix B, arXiv:2204.02311."""
    attention = 6 * shape["num_hidden_layers"] * shape["hidden_size"] * length
    return 6.0 * parameters + attention


def utilisation(
    record: Mapping[str, Any], shape: Mapping[str, int], length: int
) -> dict[str, float | None]:
    """Model-FLOPs utilisation of the loop: every token that is read counts as if trained whole."""
    peak = next((v for name, v in PEAK_FLOPS.items() if name in record["device"]), None)
    a_second = record["read_tokens"] / record["loop_seconds"]
    flops = a_second * model_flops(record["parameters"], shape, length)
    return {
        "tflops_a_second": round(flops / 1e12, 3),
        "mfu": None if peak is None else round(flops / peak, 4),
    }


def price_seconds(unit: Unit) -> float:
    s = unit.settings
    if s["where"] == "gpu":
        return 90
    share = {"ours": 1.0, "ours_light": 0.4}.get(s["arm"], 1.5)
    return 40 + share * 0.07 * s["rows"] * s["epochs"]


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for where in SHAPES:
        own = [unit for unit in units if unit["settings"]["where"] == where]
        timed = {u["settings"]["arm"]: u["result"] for u in own if not u["settings"]["profile"]}
        profiles = {
            u["settings"]["arm"]: u["result"]["profile"] for u in own if u["settings"]["profile"]
        }
        if timed or profiles:
            out[where] = {**compare(timed), "profiles": profiles}
    return out


def compare(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Ours over TRL's quickest: tokens of completion a second and memory."""
    rivals = {name: arm for name, arm in arms.items() if name in PACKING}
    if not rivals:
        return {}
    quickest = max(rivals, key=lambda name: rivals[name]["tokens_per_second"])
    rival, out = rivals[quickest], {}
    for name, goal in GOALS.items():
        if name not in arms:
            continue
        own = arms[name]
        ratio = own["tokens_per_second"] / rival["tokens_per_second"]
        memory = own["peak_mib"] / rival["peak_mib"]
        out[name] = {
            "against": quickest,
            "ratio": round(ratio, 3),
            "loop_ratio": round(own["loop_tokens_per_second"] / rival["loop_tokens_per_second"], 3),
            "processor_ratio": round(
                own["processor"]["tokens_per_second"] / rival["processor"]["tokens_per_second"], 3
            ),
            "memory_ratio": round(memory, 3),
            "goal": goal,
            "goal_met": ratio >= goal and memory <= 1,
        }
    return out


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = (
        *("tokens_per_second", "loop_tokens_per_second", "spent_once_seconds", "loop_seconds"),
        *("peak_mib", "learned_tokens", "read_tokens", "mfu"),
    )
    return [
        {"unit": unit["name"], **{name: unit["result"].get(name) for name in names}}
        for unit in units
    ]


def trial_units() -> list[Unit]:
    shape = SHAPES["cpu"] | {"num_hidden_layers": 2, "hidden_size": 48, "intermediate_size": 64}
    load = {"rows": 24, "epochs": 2, "batch_rows": 8, "shape": shape}
    return [
        *(unit_of("cpu", arm, **load) for arm in METHODS),
        *(unit_of("cpu", arm, profile=True, **load) for arm in ("trl", "ours")),
        unit_of("gpu", "ours"),
    ]


BENCH = Bench(
    "sft_speed",
    units=[
        *(unit_of("cpu", arm) for arm in METHODS),
        *(unit_of("cpu", arm, profile=True, epochs=1) for arm in PROFILED),
        *(unit_of("gpu", arm) for arm in METHODS),
    ],
    run=run_unit,
    price_seconds=price_seconds,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
