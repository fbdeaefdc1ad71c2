"""Runs that are killed and run again, and runs that are reloaded, for `exactness.py`."""

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

from benchmarks.common import ROOT
from equipoise.records.files import file_sha256

KILLS = 20
_REMEDIES = ("logit_adjusted", "temperature")
"""Of the runs that are killed, unless a unit says otherwise."""
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
_WRITING = ("sqrt_sampler",)
"""Of the runs that write and are killed."""
COMPARED = ("model/model.safetensors", "head.safetensors", "predictions.parquet", "scores.json")
COMPARED_WRITTEN = ("model/model.safetensors", "written.parquet", "scores.json")


def killed(settings: dict[str, Any]) -> dict[str, Any]:
    seed, writes = settings["seed"], settings.get("writes", False)
    remedies = tuple(settings.get("remedies", _WRITING if writes else _REMEDIES))
    how = (settings["method"], remedies, writes)
    whole = _left_alone(*how)
    rng = np.random.default_rng([seed, KILLS])
    # One moment in each twentieth of the work, so that every stage gets its share. Moments are in
    # processor seconds, which other programs on the machine hardly stretch.
    share = (seed + float(rng.random())) / KILLS
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(10):
            out = Path(folder) / str(attempt)
            moment = whole["begun"] + share * (whole["ended"] - whole["begun"])
            if _run_until(_command(out, *how), moment):
                break
            share *= 0.9  # it was done sooner than the run left alone
        else:
            raise RuntimeError("was done before it could be killed, ten times")
        stage = _stage(out)
        _run(_command(out, *how))
        same = {name: file_sha256(out / name) == wanted for name, wanted in whole["files"].items()}
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
def _replies() -> Path:
    """Rows to write: the demo's messages with their replies."""
    from equipoise.demo.replies import write_reply_rows

    return write_reply_rows(_work() / "replies")


@functools.cache
def _writing_base() -> Path:
    """A two-layer Llama with random weights."""
    from equipoise.demo.replies import texts_of
    from equipoise.models.writing.random_base import save_random_base

    return save_random_base(_work() / "writing_base", texts_of(_replies()))


@functools.cache
def _left_alone(method: str, remedies: tuple[str, ...], writes: bool = False) -> dict[str, Any]:
    """The run that nobody kills: its folder, its files' hashes, and the processor seconds at which
    it began and ended its work. The first run fills the cache; the second is what counts."""
    named = [name.partition(":")[0] for name in remedies]
    place = _work() / "-".join(["writes" if writes else "decides", method, *named])
    how = (method, remedies, writes)
    _run(_command(place / "first", *how))
    out = place / "second"
    process = psutil.Popen(_command(out, *how), env=_environment(), cwd=ROOT, **_SILENT)
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
    compared = COMPARED_WRITTEN if writes else COMPARED
    files = {name: file_sha256(out / name) for name in compared}
    return {"folder": out, "begun": begun, "ended": ended, "files": files}


def _command(out: Path, method: str, remedies: tuple[str, ...], writes: bool) -> list[str]:
    rows, own = (_replies(), _WRITER) if writes else (_rows(), _CLASSIFIER)
    given = [
        *("--model", str(_writing_base() if writes else _demo_base()), "--method", method),
        *("--group", "customer", "--baseline", "none", "--quiet", *own),
        *(part for name in remedies for part in ("--remedy", name)),
        # Two micro-batches a step; few steps, so that the kills cost minutes.
        *("--set", "train.batch_rows=128", "--set", "train.device_rows=64"),
    ]
    return [sys.executable, "-m", "equipoise.cli", "train", str(rows), "--out", str(out), *given]


_CLASSIFIER = (
    *("--head", "cosine", "--epochs", "10", "--set", "model.dropout=0.1"),
    *("--set", "train.choose_by=macro_f1"),
)
_WRITER = (
    *("--category", "category", "--epochs", "6", "--set", "write.decode_rows=60"),
    *("--set", "write.decode.batch_rows=8", "--set", "write.decode.new_tokens=24"),
)


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
        ("written.parquet", "judging"),
        ("checkpoints/written.jsonl", "writing"),
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
