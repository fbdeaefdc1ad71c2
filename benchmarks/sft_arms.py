"""Fine-tuning one model on one set of rows, by Equipoise or by TRL, with a clock on its steps.

    python -m benchmarks.sft_arms FOLDER     (a child of benchmarks.sft_speed)

FOLDER holds asked.json, rows/{train,validation,test}.jsonl and base/. Both train the same rows with
the same model, precision, rate and packing, without gradient checkpointing. What is timed is the
loop: from the end of the first step, which pays what is paid once, to the end of the last. Memory
is the most that the process (on an accelerator: the device) held until then.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import peak_rss

TRL = "1.16.0"
RATE = 1e-4
OPS = 12
"""Kernels that the profile names."""


@dataclass
class Clock:
    """The moments at which steps ended."""

    ends: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    """Seconds of processor until then, over all threads: of use where others use the cores."""
    peak: int = 0
    """Bytes, when the last of them ended."""

    def step(self) -> None:
        synchronise()
        self.ends.append(time.perf_counter())
        self.spent.append(time.process_time())
        self.peak = device_peak() or peak_rss()

    def record(
        self, learned: int, read: int, once: tuple[float, float] = (0.0, 0.0)
    ) -> dict[str, Any]:
        """learned, read  Tokens of all steps: those learned, and all. once: seconds, and those of
        processor, that are spent once."""
        on_processor = rates(self.spent, learned, read, once[1])
        names = ("loop_seconds", "spent_once_seconds", "tokens_per_second")
        return rates(self.ends, learned, read, once[0]) | {
            "processor": {name: on_processor[name] for name in names},
            "peak_mib": round(self.peak / 2**20),
            "peak_on_device": device_peak() is not None,
        }


def rates(ends: list[float], learned: int, read: int, spent_once: float) -> dict[str, Any]:
    """Tokens a second of the loop, and with what is spent once counted as well.

    ends   Seconds at which the steps ended. The loop's whole time is taken to be so many steps of
           mean length, of which the first is not measured.
    """
    steps = len(ends)
    if steps < 2:
        raise ValueError("a rate needs two steps at least; give more rows")
    loop = (ends[-1] - ends[0]) * steps / (steps - 1)
    return {
        "steps": steps,
        "learned_tokens": learned,
        "read_tokens": read,
        "loop_seconds": round(loop, 3),
        "spent_once_seconds": round(spent_once, 3),
        "loop_tokens_per_second": round(learned / loop, 2),
        "tokens_per_second": round(learned / (loop + spent_once), 2),
        "read_tokens_per_second": round(read / (loop + spent_once), 2),
    }


def synchronise() -> None:
    """Wait for what an accelerator was asked to do."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def device_peak() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())


def train_ours(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """`equipoise.fit.fit`; the states of `light` are cached anew, and their seconds shown apart."""
    from equipoise.fit import fit
    from equipoise.fitting.writing import arm
    from equipoise.models.load import find_base
    from equipoise.models.writing.template import sequences
    from equipoise.recipe import make_recipe
    from equipoise.records.rows import text_column
    from equipoise.records.turns import Turn

    recipe = make_recipe(
        {
            "model": {
                "name": str(folder / "base"),
                "method": asked["method"],
                "max_tokens": asked["max_tokens"],
                "dropout": 0.0,
            },
            "train": {
                "epochs": asked["epochs"],
                "learning_rate": RATE,
                "precision": asked["precision"],
                "batch_rows": asked["batch_rows"],
                "device_rows": asked["batch_rows"],
            },
            "write": {"decode_rows": 0},
            "remedies": [],
            "baselines": [],
            "split": {"threshold": 1.0, "keep_crossing": True},
        }
    )
    clock, caching = Clock(), [0.0, 0.0]
    states = arm.states_of

    def timed(*given: Any, **named: Any) -> Any:
        begun = time.perf_counter(), time.process_time()
        try:
            return states(*given, **named)
        finally:
            caching[0] += time.perf_counter() - begun[0]
            caching[1] += time.process_time() - begun[1]

    arm.states_of = timed

    def progress(title: str, step: int, steps: int) -> None:
        if title == "training":
            clock.step()

    fit(folder / "rows", folder / "run", recipe, progress=progress)
    lines = [json.loads(line) for line in (folder / "rows" / "train.jsonl").open(encoding="utf-8")]
    turns = text_column(
        [(Turn("user", one["prompt"]), Turn("assistant", one["completion"])) for one in lines]
    )
    tokens = sequences(turns, find_base(recipe.model, writes=True), too_long="left")
    counted = [asked["epochs"] * int(n) for n in (tokens.learned.sum(), len(tokens.ids))]
    return clock.record(counted[0], counted[1], (caching[0], caching[1]))


def train_trl(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """SFTTrainer with `packing` as it is asked for: "bfd", its default, which lays a whole step
    into one line and is meant for FlashAttention; "wrapped", whose rows see those before them in a
    line; or none. A step has as many lines as hold about `batch_rows` rows."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    clock = Clock()

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.step()

    lines = [json.loads(line) for line in (folder / "rows" / "train.jsonl").open(encoding="utf-8")]
    # As Equipoise joins them where there is no chat template; TRL adds the end token itself.
    rows = [{"prompt": one["prompt"] + "\n", "completion": one["completion"]} for one in lines]
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    each = sum(len(tokenizer(row["prompt"] + row["completion"])["input_ids"]) + 1 for row in rows)
    packing = asked["packing"]
    lines_a_step = int(asked["batch_rows"])
    if packing is not None:
        lines_a_step = max(1, round(lines_a_step * each / len(rows) / asked["max_tokens"]))
    config = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=lines_a_step,
        num_train_epochs=asked["epochs"],
        learning_rate=RATE,
        max_length=asked["max_tokens"],
        packing=packing is not None,
        packing_strategy=packing or "bfd",
        completion_only_loss=True,
        gradient_checkpointing=False,
        bf16=asked["precision"] == "bf16",
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=0,
    )
    flash = torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is not None
    model = AutoModelForCausalLM.from_pretrained(
        folder / "base",
        dtype=torch.float32,
        attn_implementation="flash_attention_2" if flash else "sdpa",
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[Steps()],
    )
    learned = read = 0
    for row in trainer.train_dataset:
        mask = row.get("completion_mask")
        learned += sum(mask) if mask is not None else sum(token != -100 for token in row["labels"])
        read += len(row["input_ids"])
    trainer.train()
    epochs = asked["epochs"]
    return clock.record(learned * epochs, read * epochs) | {
        "lines_a_step": lines_a_step,
        "attention": model.config._attn_implementation,
    }


ARMS: dict[str, Callable[[Path, Mapping[str, Any]], dict[str, Any]]] = {
    "ours": train_ours,
    "trl": train_trl,
}


@contextmanager
def profiled(wanted: bool, found: dict[str, Any]) -> Iterator[None]:
    """Adds `profile` to what was found: share of the kernels' own time, the largest first."""
    if not wanted:
        yield
        return
    import torch
    from torch.profiler import ProfilerActivity, profile

    on_device = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    with profile(activities=activities) as seen:
        yield
    name = "self_device_time_total" if on_device else "self_cpu_time_total"
    spent = {event.key: float(getattr(event, name)) for event in seen.key_averages()}
    found["profile"] = shares(spent, OPS)


def shares(spent: Mapping[str, float], count: int) -> dict[str, float]:
    """The `count` largest as shares of the sum, and the rest.

    >>> shares({"a": 6.0, "b": 1.0, "c": 3.0}, 2)
    {'a': 0.6, 'c': 0.3, 'rest': 0.1}
    """
    total = sum(spent.values()) or 1.0
    largest = sorted(spent, key=lambda name: (-spent[name], name))[:count]
    out = {name: round(spent[name] / total, 4) for name in largest}
    return out | {"rest": round(1 - sum(spent[name] for name in largest) / total, 4)}


def main(folder: Path) -> None:
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    with profiled(asked["profile"], found):
        record = ARMS[asked["trainer"]](folder, asked)
    print(json.dumps(record | found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
