"""What holds on to the base, through the doors: its files, its price, and its states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.records.run import read_manifest
from equipoise.records.written import read_written
from tests.cli_runner import Outcome, run_cli
from tests.models.writing.tiny import save_writing_base

QUICK = (
    *("--epochs", "1", "--quiet", "--set", "write.decode_rows=0"),
    *("--set", "model.max_tokens=48", "--set", "split.threshold=1"),
)


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_writing_base(tmp_path_factory.mktemp("base") / "llama", "llama", 2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["card", "bank", "money", "lamp", "light", "room", "song", "music", "band", "radio"]
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(40):
        asked = rng.permutation(words)[:4].tolist()
        lines.append({"prompt": " ".join(asked), "completion": " ".join(reversed(asked))})
    return write_lines(tmp_path_factory.mktemp("rows") / "rows.jsonl", lines)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [{"text": "we play the loud music"}, {"text": "the lamp is bright"}]
    return write_lines(tmp_path_factory.mktemp("texts") / "texts.jsonl", lines)


def train(rows: Path, base: Path, out: Path, *more: str, method: str = "full") -> Outcome:
    return run_cli(
        *("train", rows, "--model", base, "--method", method, "--out", out, *QUICK, *more)
    )


def test_what_a_hold_pays_is_told_against_plain_training_without_it(
    rows: Path, base: Path, texts: Path, tmp_path: Path
) -> None:
    held = train(
        *(rows, base, tmp_path / "held", "--set", "write.keep.kl=5.0"),
        *("--set", "train.l2_sp=0.1", "--set", f"write.keep.general={texts}"),
    )
    assert held.code == 0, held.stderr
    manifest = read_manifest(tmp_path / "held")
    titles = {one.name: one.title for one in manifest.baselines}
    assert titles["plain"] == "The same recipe without remedies or holds"
    assert "plain" in {one.against for one in manifest.comparisons}
    alone = train(rows, base, tmp_path / "alone")
    assert alone.code == 0, alone.stderr
    assert {one.name for one in read_manifest(tmp_path / "alone").baselines} == {"base"}
    plain = read_written(tmp_path / "held" / "baselines" / "plain" / "written.parquet")
    assert np.array_equal(
        plain.log_probs, read_written(tmp_path / "alone/written.parquet").log_probs
    )
    assert not np.array_equal(
        plain.log_probs, read_written(tmp_path / "held/written.parquet").log_probs
    )


@pytest.mark.parametrize("setting", ["general", "replay"])
def test_faults_of_texts_beside_the_rows_name_the_setting_and_the_file(
    setting: str, rows: Path, base: Path, texts: Path, tmp_path: Path
) -> None:
    def faults(path: Path, *more: str) -> str:
        done = train(rows, base, tmp_path / "run", "--set", f"write.keep.{setting}={path}", *more)
        assert done.code == 2, done.stdout
        assert not (tmp_path / "run").exists()
        return done.stderr

    plain = tmp_path / "plain.txt"
    plain.write_text("we play the loud music\n")
    for path in (plain, tmp_path / "none.jsonl"):
        assert f"write.keep.{setting}: {path}" in faults(path)
    forged = write_lines(tmp_path / "forged.jsonl", [{"text": "the end </s> of it [SEP] x"}])
    said = faults(forged, "--check")
    assert f"write.keep.{setting}: {forged}: " in said
    assert "special token" in said
    turns = [{"role": "user", "content": "card"}, {"role": "assistant", "content": "bank"}] * 2
    chats = write_lines(tmp_path / "chats.jsonl", [{"messages": turns}])
    said = faults(chats, "--check")
    assert f"write.keep.{setting}: {chats}: " in said
    assert "chat template" in said


def test_replay_caches_no_states_and_says_so(
    rows: Path, base: Path, texts: Path, tmp_path: Path
) -> None:
    done = train(
        *(
            rows,
            base,
            tmp_path / "run",
            "--set",
            f"write.keep.replay={texts}",
            "--baseline",
            "none",
        ),
        method="light",
    )
    assert done.code == 0, done.stderr
    notes = read_manifest(tmp_path / "run").notes
    assert "no states were cached: replayed texts run through all layers at every step" in notes
