"""Runs that choose rows by what the model says of them before training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from equipoise.errors import SettingsError
from equipoise.fit import Run, fit
from equipoise.fitting import probe
from equipoise.fitting.writing import arm
from equipoise.recipe import make_recipe
from equipoise.records.run import read_manifest
from tests.models.tiny import TOPICS
from tests.models.writing.tiny import save_writing_base
from tests.tiny_rows import write_rows


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_writing_base(tmp_path_factory.mktemp("base") / "llama", "llama")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One word over and over, which is learned in no time; in every fourth row words at random."""
    rng = random.Random(0)
    lines = []
    for number in range(120):
        noise = number % 4 == 0
        asked = rng.sample(TOPICS["bank"], 3)
        said = rng.sample(TOPICS["music"], 4) if noise else ["light"] * 4
        line = {"id": f"{'noise' if noise else 'easy'}{number}", "prompt": " ".join(asked)}
        category = "a" if number % 8 < 6 else "b"
        lines.append(json.dumps(line | {"completion": " ".join(said), "category": category}))
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(base: Path, rows: Path, out: Path, *remedies: str, **model: Any) -> Run:
    settings = {
        "model": {"name": str(base), "method": "full", "max_tokens": 48, "dropout": 0.0} | model,
        "train": {"epochs": 1, "learning_rate": 3e-3, "precision": "float32", "batch_rows": 8,
                  "device_rows": 8},
        "write": {"decode_rows": 0},
        "baselines": [],
        "remedies": list(remedies),
    }  # fmt: skip
    return fit(rows, out, make_recipe(settings))


def fed(out: Path) -> list[str]:
    return pq.read_table(out / "fed_rows.parquet").column("id").to_pylist()


@pytest.mark.parametrize("method", ["full", "light"])
def test_noise_is_not_learnable(llama: Path, rows: Path, tmp_path: Path, method: str) -> None:
    done = run(llama, rows, tmp_path / "run", "learnable_rows:share=0.5", method=method)
    record = done.manifest.remedies[0]
    assert record.before is not None
    assert record.after is not None
    for category, before in record.before.items():
        assert before / 2 <= record.after[category] <= before / 2 + 1
    kept = fed(tmp_path / "run")
    assert sum(name.startswith("easy") for name in kept) > 0.9 * len(kept)


def test_losses_alone_drop_either_end(llama: Path, rows: Path, tmp_path: Path) -> None:
    done = run(llama, rows, tmp_path / "run", "plain_loss_rows:drop_lowest=0.2")
    record = done.manifest.remedies[0]
    assert record.before is not None
    assert record.after is not None
    for category, n in record.before.items():
        assert record.after[category] == n - int(0.2 * n + 1e-9) - int(0.1 * n + 1e-9)


def test_losses_are_the_bases_whatever_a_method_puts_in_front(
    llama: Path, rows: Path, tmp_path: Path
) -> None:
    """Virtual tokens are drawn: what they do to a row says nothing of the row."""
    for method in ("full", "prompt"):
        run(llama, rows, tmp_path / method, "plain_loss_rows:drop_lowest=0.4", method=method)
    assert set(fed(tmp_path / "full")) == set(fed(tmp_path / "prompt"))


def test_the_short_training_leaves_no_trace_but_its_choice(
    llama: Path, rows: Path, tmp_path: Path
) -> None:
    """Keeping every row, the run is to the byte the run without the remedy."""
    run(llama, rows, tmp_path / "one", "learnable_rows:share=1,probe_rows=40")
    run(llama, rows, tmp_path / "two")
    for file in ("model/model.safetensors", "order.npy", "written.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_killed_run_goes_on_to_the_same_bytes(
    llama: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("learnable_rows:share=0.5,probe_rows=40",)
    run(llama, rows, tmp_path / "whole", *asked)
    with monkeypatch.context() as patched:

        def killed(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        patched.setattr(arm, "train_watched", killed)  # the short training is done by then
        with pytest.raises(KeyboardInterrupt):
            run(llama, rows, tmp_path / "killed", *asked)
    assert (tmp_path / "killed" / "checkpoints" / "run" / "probe" / "finished.json").exists()
    assert run(llama, rows, tmp_path / "killed", *asked).resumed
    for file in ("model/model.safetensors", "fed_rows.parquet", "order.npy"):
        one, two = (tmp_path / name / file for name in ("whole", "killed"))
        assert one.read_bytes() == two.read_bytes(), file
    assert not (tmp_path / "killed" / "checkpoints").exists()


def test_a_classifier_does_the_same_from_class_means(tiny_base: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.csv")
    done = run(tiny_base, source, tmp_path / "run", "learnable_rows", method="light")
    record = done.manifest.remedies[0]
    assert record.before is not None
    assert record.after is not None
    assert set(record.after) == set(record.before)
    assert sum(record.after.values()) < sum(record.before.values())
    assert read_manifest(tmp_path / "run").training.epochs_run == 1


def test_a_random_head_is_not_asked(tiny_base: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.csv")
    with pytest.raises(SettingsError, match="still random") as caught:
        run(tiny_base, source, tmp_path / "run", "learnable_rows", "plain_loss_rows")
    assert len(caught.value.faults) == 2
    assert not (tmp_path / "run").exists()


def test_losses_of_classes_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])) + 1000.0
    found = probe.class_losses(logits, np.array([1, 2]))
    np.testing.assert_allclose(found, [np.log(4), -np.log(0.8)])
