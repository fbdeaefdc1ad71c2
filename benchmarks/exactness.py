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
              Also with samplers and a wrapper of the loss
reloaded.*    saved predictions against those of the reloaded model, twice, in two processes
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import ROOT, Bench, Unit
from equipoise.records.files import file_sha256
from equipoise.remedies.batches import BATCHES
from equipoise.remedies.losses import LOSSES

ARCHITECTURES = (
    *("bert", "roberta", "deberta", "deberta_v2", "deberta_v3", "modernbert"),
    *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "gpt2"),
)
LIMITS = {"float64": 1e-10, "float32": 1e-5}
CACHED_LIMIT = 1e-5
KILLS = 20
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
_REMEDIES = ("logit_adjusted", "temperature")
"""Of the runs that are killed, unless a unit says otherwise."""
METHODS = ("light", "full")
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
COMPARED = ("model/model.safetensors", "head.safetensors", "predictions.parquet", "scores.json")


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


def gradients(settings: dict[str, Any]) -> dict[str, Any]:
    """1, 2, 4 and 8 micro-batches in one process."""
    import torch

    from tests.models import gradients as g

    worst = {}
    remedies = settings.get("remedies", ())
    with tempfile.TemporaryDirectory() as folder:
        base = _base(Path(folder), settings["architecture"], 2)
        for dtype in LIMITS:
            kind = getattr(torch, dtype)
            whole = g.plain_gradients(base, kind, remedies=remedies)
            for parts in (1, 2, 4, 8):
                found = g.step_gradients(
                    base,
                    device_rows=g.BATCH_ROWS // parts,
                    dtype=kind,
                    remedies=remedies,
                    output=Path(folder) / "trainer",
                )
                worst[f"{dtype}, {parts} parts"] = _worst(found, whole)
    return _gradient_record(worst)


def gradients_of_processes(settings: dict[str, Any]) -> dict[str, Any]:
    """Two processes over gloo, each with 1, 2 or 4 micro-batches a step."""
    import torch

    from tests.models import gradients as g

    worst = {}
    remedies = settings.get("remedies", ())
    with tempfile.TemporaryDirectory() as folder:
        base, out = _base(Path(folder), settings["architecture"], 2), Path(folder)
        cases = [(dtype, rows) for dtype in LIMITS for rows in (8, 4, 2)]
        found = g.in_two_processes(base, out, cases, l1=0.0, remedies=remedies)
        for (dtype, rows, rank), steps in found.items():
            whole = g.plain_gradients(base, getattr(torch, dtype), remedies=remedies)
            worst[f"{dtype}, {8 // rows} parts in process {rank}"] = _worst(steps, whole)
    return _gradient_record(worst)


def _worst(found: Any, whole: Any) -> float:
    from tests.models.gradients import relative_difference

    return max(relative_difference(a, b) for a, b in zip(found, whole, strict=True))


def _gradient_record(worst: dict[str, float]) -> dict[str, Any]:
    by_type = {d: max(v for name, v in worst.items() if name.startswith(d)) for d in LIMITS}
    return {
        **by_type,
        "exact": all(by_type[dtype] <= limit for dtype, limit in LIMITS.items()),
        "cases": worst,
    }


def cached(settings: dict[str, Any]) -> dict[str, Any]:
    from equipoise.models.cache import CacheSettings
    from equipoise.models.states import ensure_states
    from tests.models import tiny

    worst: dict[str, float] = {}
    rows = tiny.easy_rows(64)
    with tempfile.TemporaryDirectory() as folder:
        base_folder = _base(Path(folder), settings["architecture"], 4)
        for cut in (1, 2, 3):
            for head in ("cosine", "linear", "native"):
                classifier, base, _, _ = tiny.make(
                    base_folder, method="light", head=head, trained_layers=4 - cut
                )
                tokens = tiny.token_rows(base, rows)
                states = ensure_states(
                    classifier, base, tokens, CacheSettings(Path(folder) / "cache", 10**9)
                )
                for side in ("right", "none", *["left"] * base.causal):
                    apart = _apart(classifier.eval(), tokens, states, side)
                    worst[side] = max(worst.get(side, 0.0), apart)
    largest = max(worst.values())
    return {"largest": largest, "exact": largest <= CACHED_LIMIT, "by_padding": worst}


def _apart(classifier: Any, tokens: Any, states: Any, side: str) -> float:
    """Largest difference of logits over all rows; "none": row by row."""
    import torch

    from equipoise.models.batches import padded

    groups = [[i] for i in range(len(tokens))] if side == "none" else [list(range(len(tokens)))]
    worst = 0.0
    for group in groups:
        where = "left" if side == "left" else "right"
        ids, mask = padded([tokens.row(i) for i in group], fill=0, side=where)
        entering, _ = padded([states.row(i) for i in group], fill=0.0, side=where)
        given = torch.from_numpy(ids).long(), torch.from_numpy(mask)
        with torch.no_grad():
            whole = classifier(*given)
            classifier.cut.skip_lower()
            from_cache = classifier(*given, torch.from_numpy(entering))
            classifier.cut.restore_lower()
        worst = max(worst, float((whole - from_cache).abs().max()))
    return worst


def killed(settings: dict[str, Any]) -> dict[str, Any]:
    method, seed = settings["method"], settings["seed"]
    remedies = tuple(settings.get("remedies", _REMEDIES))
    whole = _left_alone(method, remedies)
    rng = np.random.default_rng([seed, KILLS])
    # One moment in each twentieth of the work, so that every stage gets its share. Moments are in
    # processor seconds, which other programs on the machine hardly stretch.
    share = (seed + float(rng.random())) / KILLS
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(10):
            out = Path(folder) / str(attempt)
            moment = whole["begun"] + share * (whole["ended"] - whole["begun"])
            if _run_until(_command(method, out, remedies), moment):
                break
            share *= 0.9  # it was done sooner than the run left alone
        else:
            raise RuntimeError("was done before it could be killed, ten times")
        stage = _stage(out)
        _run(_command(method, out, remedies))
        same = {name: file_sha256(out / name) == whole["files"][name] for name in COMPARED}
        leftovers = [path.name for path in out.rglob("*.part")]
    return {
        "exact": all(same.values()),
        "killed_at_share": round(share, 4),
        "killed_at_cpu_seconds": round(moment, 3),
        "stage": stage,
        "same": same,
        "leftovers": leftovers,
    }


def _run_until(command: list[str], cpu_seconds: float) -> bool:
    """Start, and SIGKILL after so many processor seconds. False: it ended before that."""
    process = psutil.Popen(command, env=_environment(), cwd=ROOT, **_SILENT)
    while process.poll() is None:
        if _cpu_seconds(process) >= cpu_seconds:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    return bool(process.wait() == -signal.SIGKILL)


def _cpu_seconds(process: Any) -> float:
    """0 for a process that has just ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def reloaded(settings: dict[str, Any]) -> dict[str, Any]:
    import pandas as pd

    from equipoise.load import load

    run = _left_alone(settings["method"], _REMEDIES)["folder"]
    saved = pd.read_parquet(run / "predictions.parquet")
    saved = saved[saved["split"] == "test"]
    texts = pd.read_csv(_rows() / "test.csv", dtype=str).set_index("id")["text"]
    given = texts.loc[saved["id"]].tolist()
    columns = [name for name in saved if name.startswith("z:")]
    wanted = np.ascontiguousarray(saved[columns].to_numpy()).tobytes()
    own = [np.ascontiguousarray(load(run).predict(given).logits).tobytes() for _ in range(2)]
    evaluated = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            out = Path(folder) / str(number)
            rows = str(_rows() / "test.csv")
            command = [sys.executable, "-m", "equipoise.cli", "evaluate", str(run), rows]
            _run([*command, "--out", str(out)])
            evaluated.append([file_sha256(path) for path in sorted(out.iterdir())])
    return {
        "exact": own[0] == own[1] == wanted and evaluated[0] == evaluated[1],
        "saved_are_the_reloaded_models": own[0] == wanted,
        "predicting_twice_bit_equal": own[0] == own[1],
        "evaluating_twice_bit_equal": evaluated[0] == evaluated[1],
        "rows": len(saved),
    }


@functools.cache
def _work() -> Path:
    """Folder of the base model, the cache and the undisturbed runs, for as long as we live."""
    import atexit
    import shutil

    folder = Path(tempfile.mkdtemp(prefix="exactness-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _rows() -> Path:
    """A copy of the demo's rows, so that nothing changes them between two runs."""
    import shutil

    from equipoise.demo import demo_folder

    return Path(shutil.copytree(demo_folder(), _work() / "rows"))


@functools.cache
def _left_alone(method: str, remedies: tuple[str, ...]) -> dict[str, Any]:
    """The run that nobody kills: its folder, its files' hashes, and the processor seconds at which
    it began and ended its work. The first run fills the cache; the second is what counts."""
    place = _work() / "-".join([method, *(name.partition(":")[0] for name in remedies)])
    _run(_command(method, place / "first", remedies))
    out = place / "second"
    process = psutil.Popen(_command(method, out, remedies), env=_environment(), cwd=ROOT, **_SILENT)
    begun = ended = None
    while process.poll() is None:
        now = _cpu_seconds(process)
        if begun is None and (out / "started.json").exists():
            begun = now
        if ended is None and (out / "run.json").exists():
            ended = now
        time.sleep(0.002)
    if process.wait() or begun is None or ended is None:
        raise RuntimeError(f"the run left alone ended with {process.wait()}")
    files = {name: file_sha256(out / name) for name in COMPARED}
    return {"folder": out, "begun": begun, "ended": ended, "files": files}


def _command(method: str, out: Path, remedies: tuple[str, ...]) -> list[str]:
    given = [
        *("--model", str(_demo_base()), "--method", method, "--head", "cosine"),
        *("--group", "customer", "--epochs", "10"),
        *(part for name in remedies for part in ("--remedy", name)),
        *("--set", "model.dropout=0.1", "--baseline", "none"),
        *("--set", "train.choose_by=macro_f1", "--quiet"),
        # Two micro-batches a step; few steps, so that the kills cost minutes.
        *("--set", "train.batch_rows=128", "--set", "train.device_rows=64"),
    ]
    rows = str(_rows())
    return [sys.executable, "-m", "equipoise.cli", "train", rows, "--out", str(out), *given]


def _run(command: list[str]) -> None:
    """Raises RuntimeError with what the command said, if it fails."""
    done = subprocess.run(
        command, env=_environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-1000:]}")


def _environment() -> dict[str, str]:
    settings = {"EQUIPOISE_CACHE": str(_work() / "cache"), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **settings}


def _stage(out: Path) -> str:
    """How far the run had come, by the files it had left."""
    if (out / "run.json").exists():
        return "finished"
    for name, stage in (
        ("scores.json", "judging done"),
        ("predictions.parquet", "judging"),
        ("classifier.json", "predicting"),
        ("checkpoints/run/finished.json", "saving"),
    ):
        if (out / name).exists():
            return stage
    whole = [path.parent.name for path in out.glob("checkpoints/run/*/complete.json")]
    steps = max((int(name.split("-")[1]) for name in whole), default=None)
    if steps is not None:
        return f"training, after step {steps}"
    return "training" if (out / "checkpoints").exists() else "before training"


def _base(folder: Path, architecture: str, layers: int) -> Path:
    from tests.models.tiny import save_base

    return save_base(folder / "base", architecture, layers)


@functools.cache
def _demo_base() -> Path:
    """A three-layer BERT with the 2,000 most frequent words of the demo's rows."""
    import csv

    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    with (_rows() / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(vocab_size=2000, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2000,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    folder = _work() / "base"
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=128,
    ).save_pretrained(folder)
    return folder


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
