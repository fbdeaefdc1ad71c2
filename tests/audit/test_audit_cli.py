"""`equipoise audit` from the door: what is written, what is printed, how mistakes end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equipoise.audit.given import TRAIN
from equipoise.auditing.encoder import probe_scores, with_tokens
from equipoise.auditing.gather import gather
from equipoise.data import read_rows
from equipoise.models.config import ModelConfig
from equipoise.models.load import find_base
from equipoise.progress import silent
from tests.cli_runner import run_cli
from tests.tiny_rows import write_rows

KEYS = {"findings", "classes", "balance", "repeats", "noise", "overlap", "lengths", "language",
        "groups", "power", "advice", "skipped", "capped", "notes"}  # fmt: skip


def test_audit_writes_the_record_and_the_page(
    tiny_rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    done = run_cli("audit", tiny_rows, "--model", tiny_base, "--group", "customer", "--out", out,
                   "--json", "--quiet")  # fmt: skip
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["schema"] == 1
    assert set(said) >= KEYS
    kept = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert {key: said[key] for key in kept} == kept
    assert Path(said["report"]) == out / "report.html"
    again = run_cli("report", out)
    assert again.code == 0, again.stderr
    kinds = {finding["kind"] for finding in kept["findings"]}
    assert "duplicates" in kinds
    assert kept["noise"]["checked"] > 0
    assert kept["language"]["rows"] > 0


def test_the_same_rows_and_seed_give_the_same_record(
    tiny_rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    records = []
    for name in ("one", "two"):
        run_cli("audit", tiny_rows, "--model", tiny_base, "--out", tmp_path / name, "--quiet")
        record = json.loads((tmp_path / name / "audit.json").read_text(encoding="utf-8"))
        records.append({k: v for k, v in record.items() if k not in ("created", "seconds")})
    assert records[0] == records[1]


def test_without_an_encoder_it_says_what_needs_one(
    tiny_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_cli("audit", tiny_rows, "--model", "none", "--out", tmp_path / "none", "--quiet")
    assert done.code == 0, done.stderr
    assert "not looked at: suspected label errors" in done.stdout
    # The default encoder is not to be had: no package, no network.
    monkeypatch.setattr("equipoise.models.load._offline_package", lambda: None)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("equipoise.models.load.DEFAULT_MODEL", "nobody/nothing-of-that-name")
    monkeypatch.setattr("equipoise.auditing.encoder.DEFAULT_MODEL", "nobody/nothing-of-that-name")
    done = run_cli("audit", tiny_rows, "--out", tmp_path / "gone", "--quiet")
    assert done.code == 0, done.stderr
    assert "pip install 'equipoise[offline]'" in done.stdout


def test_mistakes_end_in_clear_lines(tiny_rows: Path, tiny_run: Path, tmp_path: Path) -> None:
    done = run_cli("audit", tiny_rows, "--model", tmp_path / "nowhere", "--out", tmp_path / "a")
    assert done.code == 2
    assert "no such folder" in done.stderr
    assert not (tmp_path / "a").exists()
    done = run_cli("audit", tiny_rows, "--label", "lable", "--out", tmp_path / "a")
    assert done.code == 2
    assert "perhaps 'label'" in done.stderr
    done = run_cli("audit", tiny_rows, "--out", tiny_run)
    assert done.code == 2
    assert "holds a run" in done.stderr
    costs = tmp_path / "costs.yaml"
    costs.write_text("costs:\n  nobody:\n    bank: 3\n", encoding="utf-8")
    done = run_cli("audit", tiny_rows, "--costs", costs, "--out", tmp_path / "a")
    assert done.code == 2
    assert "'nobody' is not in the rows" in done.stderr


def test_costs_are_doubted_as_in_training_and_their_column_may_be_named(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv")
    lines = rows.read_text(encoding="utf-8").splitlines()
    lines = [f"{line},{'betrag' if k == 0 else k}" for k, line in enumerate(lines)]
    rows.write_text("\n".join(lines), encoding="utf-8")
    costs = tmp_path / "costs.yaml"
    costs.write_text("default: {times: amount}\ndefer: {cost: 500}\n", encoding="utf-8")
    audit = ("audit", rows, "--costs", costs, "--model", "none", "--out", tmp_path / "a", "--quiet")
    missing = run_cli(*audit)
    assert missing.code == 2
    assert "has no column 'amount' for the cost" in missing.stderr
    done = run_cli(*audit, "--cost", "betrag")
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("warning: costs: no row can ever be left to a person")
    kept = json.loads((tmp_path / "a" / "audit.json").read_text(encoding="utf-8"))
    assert "no row can ever be left" in kept["warnings"][0]
    assert kept["notes"][0] == kept["warnings"][0]


def test_the_order_of_parts_is_the_same_for_all_tables(tiny_rows: Path, tmp_path: Path) -> None:
    for rows in (tiny_rows, tiny_rows / "train.csv", write_rows(tmp_path / "r.csv", seed=4)):
        done = run_cli("audit", rows, "--model", "none", "--out", tmp_path / "a", "--json")
        assert list(json.loads(done.stdout)["roles"]) == ["train", "validation", "test"]


def test_a_probe_of_training_rows_learns_no_judged_label(tiny_rows: Path) -> None:
    """Scores of training rows are the same whatever the labels of the judged rows are."""
    given, _ = gather(read_rows(tiny_rows), costs=None, seed=0, keep_texts=True)
    rng = np.random.default_rng(0)
    given = replace(given, vectors=rng.normal(size=(len(given), 6)).astype(np.float32))
    training = np.flatnonzero(given.roles == TRAIN)
    other = replace(given, labels=np.where(given.roles == TRAIN, given.labels, 0))
    one, two = (probe_scores(rows, training, 0, [], silent) for rows in (given, other))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one[training]).all()
    assert np.isnan(one[given.roles != TRAIN]).all()


def test_token_facts_are_those_of_the_tokenizer(tiny_rows: Path, tiny_base: Path) -> None:
    table = read_rows(tiny_rows)
    given, _ = gather(table, costs=None, seed=0, keep_texts=True)
    base = find_base(ModelConfig(name=str(tiny_base), method="head"))
    facts = with_tokens(given, base, 0, [], []).tokens
    assert facts is not None
    for row in (0, 7, len(given) - 1):
        ids = base.tokenizer(given.texts[row])["input_ids"]
        assert facts.lengths[row] == len(ids)
        assert facts.unknown[row] == ids.count(base.tokenizer.unk_token_id)
    assert (facts.words > 0).all()


def test_every_finding_has_rows_to_read(tmp_path: Path, tiny_base: Path) -> None:
    """A table with nearly everything wrong with it, and a tokenizer that hardly knows its words."""
    rng = np.random.default_rng(0)
    letters = np.array(list("qxzvkwjy"))
    lines = ["text,label,who,day"]
    for row in range(160):
        label = "ab"[row % 4 == 0] if row < 150 else "rare"
        words = ["".join(rng.choice(letters, 9)) for _ in range(200 if row % 10 == 0 else 8)]
        lines.append(f"{' '.join(words)},{label},{label}{row % 3},{row}")
    lines += ["one and the same,a,a1,1", "one and the same,b,b1,2"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    done = run_cli("audit", path, "--model", tiny_base, "--group", "who", "--out", tmp_path / "out",
                   "--quiet", "--json")  # fmt: skip
    assert done.code == 0, done.stderr
    found = {finding["kind"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert {"conflict", "cut", "language", "group_tells_class", "few_groups", "imbalance"} <= set(
        found
    )
    for kind, finding in found.items():
        if kind != "too_small":  # its classes may have no judged row
            assert finding["examples"], kind
