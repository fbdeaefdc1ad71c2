"""The demo's rows to write, and the tiny base that learns from them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from equipoise import commands
from equipoise.data import ColumnNames, check_rows, read_rows
from equipoise.demo.replies import MOST_TEST, MOST_TRAIN, REPLIES, texts_of, write_reply_rows
from equipoise.models.config import ModelConfig
from equipoise.models.load import find_base, load_body
from equipoise.models.writing.random_base import save_random_base
from equipoise.models.writing.template import sequences
from equipoise.recipe import make_recipe


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reply_rows(tmp_path_factory.mktemp("replies"))


def test_rows_are_to_be_written_and_pass_the_checks(rows: Path) -> None:
    table = read_rows(rows, columns=ColumnNames(group=("customer",)))
    assert table.written
    check_rows(table)
    train, test = table.parts["train"].counts(), table.parts["test"].counts()
    assert set(train) == set(test) == set(REPLIES)
    assert max(train.values()) == MOST_TRAIN
    assert train["safety_hazard"] == 14
    assert set(test.values()) == {MOST_TEST}
    assert not set(table.parts["train"].groups) & set(table.parts["test"].groups)
    assert {len(right) for right in table.parts["test"].references} == {2}


def test_replies_are_those_of_the_category_in_turn(rows: Path) -> None:
    found = [json.loads(line) for line in (rows / "train.jsonl").read_text("utf-8").splitlines()]
    counts = Counter((row["category"], row["completion"]) for row in found)
    assert set(counts) == {(name, reply) for name, two in REPLIES.items() for reply in two}
    for one, other in REPLIES.values():
        name = next(name for name, two in REPLIES.items() if two == (one, other))
        assert abs(counts[name, one] - counts[name, other]) <= 1


def test_the_base_is_a_decoder_that_reads_every_byte(rows: Path, tmp_path: Path) -> None:
    folder = save_random_base(tmp_path / "one", texts_of(rows))
    again = save_random_base(tmp_path / "two", texts_of(rows))
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    base = find_base(ModelConfig(name=str(folder), max_tokens=96), writes=True)
    assert base.causal
    body, drawn = load_body(base, writes=True)
    assert not drawn
    assert sum(p.numel() for p in body.parameters()) < 500_000
    table = read_rows(rows)
    turns = table.parts["test"].turns
    assert turns is not None
    tokens = sequences(turns, base)
    assert tokens.unknown_share == 0
    text = base.tokenizer.decode(base.tokenizer("né 😬 £1\n").input_ids)
    assert text == "né 😬 £1\n"


def test_the_demo_trains_both_kinds_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What either run does is tested elsewhere: two to three minutes are too long here."""
    asked: list[tuple[str, Path, dict[str, Any]]] = []

    def trained(rows: str, out: Path, settings: dict[str, Any], *_: Any, **__: Any) -> Any:
        make_recipe(settings)
        asked.append((rows, out, settings))
        return {"run": str(out)}, f"run: {out}"

    monkeypatch.setattr(commands, "train_on", trained)
    record, said = commands.demo_runs(tmp_path / "demo", seed=0, force=False, quiet=True)
    assert [out for _, out, _ in asked] == [tmp_path / "demo", tmp_path / "demo-writing" / "run"]
    assert record["run"] == str(tmp_path / "demo")
    assert record["writing"] == {"run": str(tmp_path / "demo-writing" / "run")}
    assert "with random weights: it shows the path" in said
    rows, _, settings = asked[1]
    assert read_rows(rows).written
    assert settings["remedies"] == ["sqrt_sampler"]
    assert find_base(ModelConfig(name=settings["model"]["name"]), writes=True).causal
