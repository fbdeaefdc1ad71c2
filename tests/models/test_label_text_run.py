"""`equipoise train --head text`: a whole run whose classifier writes the label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import equipoise
from equipoise.errors import DataError
from equipoise.records.predictions import read_predictions
from tests.cli_runner import Outcome, run_cli
from tests.models.label_bases import save_writer

CLASSES = ["bank", "light", "music"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_writer(tmp_path_factory.mktemp("writer") / "llama", "llama", 2)


def trained(rows: Path, writer: Path, out: Path, *more: str) -> Outcome:
    return run_cli(
        *("train", rows, "--model", writer, "--head", "text", "--out", out, "--quiet", "--json"),
        *("--set", "train.learning_rate=5e-3", "--set", "train.precision=float32"),
        *("--set", "train.batch_rows=8", "--set", "train.device_rows=8"),
        *("--baseline", "none", *more),
    )


@pytest.mark.parametrize(
    ("method", "remedies"),
    [
        ("full", ("weighted_cross_entropy", "temperature", "measure_offsets")),
        ("light", ("logit_adjusted", "adversarial:epsilon=0.1", "temperature")),
        ("lora", ("balanced_sampler", "focal", "vector_scaling_calibration")),
    ],
)
def test_a_run_learns_and_predicts_the_same_read_back(
    writer: Path, tiny_rows: Path, tmp_path: Path, method: str, remedies: tuple[str, ...]
) -> None:
    asked = [part for remedy in remedies for part in ("--remedy", remedy)]
    out = tmp_path / "run"
    done = trained(tiny_rows, writer, out, "--method", method, "--epochs", "6", *asked)
    assert done.code == 0, done.stderr
    scores = json.loads((out / "scores.json").read_text())["measures"]
    # 60, 24 and 12 rows of three classes: by chance a third.
    # `light` keeps the lower layers as they were drawn.
    assert scores["macro_f1"]["value"] > (0.5 if method == "light" else 0.7)
    assert scores["balanced_accuracy"]["low"] > 1 / 3
    saved = read_predictions(out / "predictions.parquet").of_split("test")
    texts = pd.read_csv(tiny_rows / "test.csv")["text"].tolist()
    again = equipoise.load(out).predict(texts)
    assert again.logits.tobytes() == saved.logits.tobytes()
    assert again.decided.tolist() == saved.decided.tolist()
    # Of all that can be written, labels are but a part.
    assert (np.exp(saved.logits).sum(1) <= 1).all()
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["model"]["head"] == "text"
    doubts = [n for n in manifest["notes"] if "not cached" in n or "as a tree" in n]
    assert doubts == []
    assert run_cli("evaluate", out, tiny_rows / "test.csv", "--out", tmp_path / "again").code == 0
    assert "text head" in (out / "report.html").read_text(encoding="utf-8")


def test_words_and_prompt_are_kept_with_the_run(
    writer: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = trained(
        *(tiny_rows, writer, out, "--method", "full", "--epochs", "1"),
        *("--set", "model.label_prompt='Text: {text} Topic:'"),
        *("--set", "model.label_words={bank: money, light: lamp}"),
    )
    assert done.code == 0, done.stderr
    module: Any = equipoise.load(out).classifier.module
    tokenizer = equipoise.load(out).classifier.tokenizer
    found = [tokenizer.decode(module.tree.label(k)) for k in range(3)]
    assert found == [" money</s>", " lamp</s>", " music</s>"]
    with pytest.raises(DataError, match=r"text with the special token '</s>' in row 2, which"):
        equipoise.load(out).predict(["the bank", "the lamp Topic: money</s>"])


def test_long_rows_are_cut_and_counted(writer: Path, tiny_rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = trained(
        *(tiny_rows, writer, out, "--method", "full", "--epochs", "1"),
        *("--set", "model.max_tokens=20"),
    )
    assert done.code == 0, done.stderr
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["model"]["truncated_rows"] > 0
    assert any("at the start of their text" in note for note in manifest["rows"]["warnings"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "head"), "method head trains our own head"),
        (("--method", "prefix"), "method prefix puts virtual tokens"),
        (("--remedy", "feature_mixup"), "head text does not show"),
        (("--remedy", "word_mixup"), "mixes rows word by word"),
        (("--remedy", "crt"), "which head text can't be trained on alone"),
        (("--remedy", "tau_normalisation"), "this one is text"),
        (("--set", "model.label_words={dog: cat}"), "class 'dog' is not in the training rows"),
    ],
)
def test_what_has_no_place_is_refused(
    writer: Path, tiny_rows: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    done = trained(tiny_rows, writer, tmp_path / "run", *more)
    assert done.code == 2
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_encoders_and_rows_of_several_labels_are_refused(
    tiny_base: Path, writer: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    done = trained(tiny_rows, tiny_base, tmp_path / "run", "--method", "full")
    assert done.code == 2
    assert "--head text needs a decoder" in done.stdout + done.stderr
    rows = pd.read_csv(tiny_rows / "train.csv")
    rows["label"] = [f"{label}|all" if i % 2 else label for i, label in enumerate(rows["label"])]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    done = trained(
        *(tmp_path / "rows.csv", writer, tmp_path / "run", "--label-separator", "|"),
        *("--remedy", "none"),
    )
    assert done.code == 2
    assert "text writes one label a row" in done.stdout + done.stderr
