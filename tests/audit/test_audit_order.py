"""The order of a run's data: planted slopes are found, real runs are read, wrong rows refused."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.auditing.order_losses import Losses
from equipoise.auditing.order_slopes import Places, relate
from equipoise.fit import fit
from equipoise.recipe import make_recipe
from equipoise.records.order import read_order
from equipoise.records.rows import Rows, text_column
from equipoise.report import write_report
from tests.cli_runner import run_cli
from tests.models.tiny import TOPICS
from tests.models.writing.tiny import save_writing_base
from tests.report.html_check import read_page
from tests.tiny_rows import write_rows

TRAIN = {"epochs": 1, "precision": "float32", "batch_rows": 4, "device_rows": 4}


def made_up(slope: float, seed: int) -> tuple[Places, Losses, Rows]:
    """320 rows in 40 steps, one in four of a rare, harder class; the rest of the loss is noise."""
    rng = np.random.default_rng(seed)
    step = rng.permutation(np.repeat(np.arange(40), 8))
    rare = rng.random(320) < 0.25
    base = 2.0 + rng.gamma(2, size=320) + rare
    final = 0.4 * base + rare + slope * step / 39 + 0.2 * rng.normal(size=320)
    labels = text_column(["rare" if r else "often" for r in rare])
    texts = text_column([f"row {k}" for k in range(320)])
    rows = Rows(ids=texts, texts=texts, labels=labels, clusters=np.arange(320))
    return Places(step / 39, step, 40, 0), Losses(final, base, "nats per token", ""), rows


def test_a_planted_slope_is_found_and_none_is_not() -> None:
    def held(slope: float, seed: int) -> Any:
        places, losses, rows = made_up(slope, seed)
        return relate(places, losses, rows, np.ones(320, bool))

    overall, classes, tenths = held(-0.3, 0)
    assert overall.held.high is not None
    assert overall.held.high < 0
    assert "Rows fed later end lower" in overall.says
    assert [c.name for c in classes] == ["often", "rare"]
    assert len(tenths) == 10
    assert tenths[0].excess > tenths[-1].excess
    # The base's loss takes most of the noise out.
    assert overall.plain.high is not None
    assert overall.plain.low is not None
    assert overall.held.low is not None
    assert overall.held.high - overall.held.low < (overall.plain.high - overall.plain.low) / 2
    silent = [held(0.0, seed)[0].says.startswith("No trace") for seed in range(100)]
    assert sum(silent) >= 89  # 95 expected


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that writes; its rows lie beside it."""
    folder = tmp_path_factory.mktemp("written")
    base = save_writing_base(folder / "base", "llama")
    rng = random.Random(0)
    lines = []
    for number in range(96):
        topic = "bank" if number % 4 else "light"
        words = rng.sample(TOPICS[topic], 4)
        line = {"prompt": " ".join(words), "completion": " ".join(reversed(words))}
        lines.append(json.dumps(line | {"category": topic}))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    settings = {
        "model": {"name": str(base), "method": "full", "max_tokens": 48, "dropout": 0.0},
        "train": TRAIN | {"learning_rate": 3e-3},
        "write": {"decode_rows": 0},
        "remedies": ["sqrt_sampler"],
        "baselines": [],
    }
    fit(folder / "rows.jsonl", folder / "run", make_recipe(settings))
    return folder


def test_a_run_that_writes(written: Path, tmp_path: Path) -> None:
    done = run_cli("audit", "--order", written / "run", "--out", tmp_path, "--json", "--quiet")
    assert done.code == 0, done.stderr
    answer = json.loads(done.stdout)
    record = read_order(tmp_path)
    assert answer["overall"] == record.overall.model_dump(mode="json")
    assert record.unit == "nats per token"
    assert record.steps >= 16
    assert record.overall.loss < record.overall.base_loss
    assert {c.name for c in record.classes} == {"bank", "light"}
    assert sum(c.rows for c in record.classes) == record.overall.rows
    trained = json.loads((written / "run" / "run.json").read_text())["rows"]["splits"]["train"]
    left = sum(record.left_out.values())  # square-root sampling passes some rows over
    assert record.overall.rows + left == trained["rows"]
    assert any("more than once" in note for note in record.notes)
    page = read_page(tmp_path / "order.html")
    assert not page.faults
    assert record.overall.says.split(":")[0] in page.text  # figures are in decimals there
    before = (tmp_path / "order.html").read_bytes()
    assert write_report(tmp_path).read_bytes() == before


def test_a_run_that_classifies(tiny_base: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv")
    settings = {
        "model": {"name": str(tiny_base), "method": "light"},
        "train": TRAIN,
        "remedies": [],
        "baselines": [],
    }
    fit(rows, tmp_path / "run", make_recipe(settings))
    moved = rows.rename(tmp_path / "moved.csv")
    lost = run_cli("audit", "--order", tmp_path / "run", "--out", tmp_path / "out", "--quiet")
    assert lost.code == 2
    assert "is where the run's rows lay" in lost.stderr
    out = tmp_path / "out"
    done = run_cli("audit", moved, "--order", tmp_path / "run", "--out", out, "--quiet")
    assert done.code == 0, done.stderr
    record = read_order(out)
    assert record.unit == "nats per row"
    assert {c.name for c in record.classes} == {"bank", "light", "music"}
    assert record.overall.says.split(":")[0] in done.stdout
    assert "By class" in done.stdout


def test_what_is_not_the_run_s_is_refused(written: Path, tmp_path: Path) -> None:
    def refused(*args: str | Path) -> str:
        done = run_cli("audit", *args, "--out", tmp_path / "out", "--quiet")
        assert done.code == 2
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()
        return done.stderr

    other = tmp_path / "other.jsonl"
    lines = (written / "rows.jsonl").read_text().splitlines()
    other.write_text("\n".join(lines[1:]) + "\n")
    assert "holds other rows" in refused(other, "--order", written / "run")
    assert "no such folder" in refused("--order", tmp_path / "nowhere")
    assert "give ROWS" in refused()
    said = refused("--order", written / "run", "--model", "none", "--no-texts")
    assert said.count("error:") == 2
    broken = shutil.copytree(written / "run", tmp_path / "broken")
    (broken / "order.npy").unlink()
    assert "order.npy" in refused("--order", broken)
