"""Auditing rows with several labels: counts, what comes together, and advice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.audit.co_occurrence import co_occurrence, label_ratios, scumble
from equipoise.audit.label_advice import advise_labels
from equipoise.auditing import audit_table
from equipoise.data import ColumnNames, read_rows
from equipoise.records.audit import AuditRecord
from equipoise.remedies.table import REMEDIES
from equipoise.report.audit_text import audit_text
from tests.cli_runner import run_cli
from tests.report.html_check import read_page
from tests.several_rows import SHARES, write_several
from tests.tiny_rows import TOPICS

NAMES = ("a", "b", "c")


def drawn(seed: int, rows: int = 400) -> np.ndarray:
    """Labels that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    return (rng.random((rows, 3)) < [0.5, 0.3, 0.1]).astype(np.int64)


class TestCoOccurrence:
    def test_by_hand(self) -> None:
        held = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]])
        found = co_occurrence(held, NAMES, np.arange(5))
        assert (found.rows, found.bare, found.most) == (5, 1, 3)
        assert found.per_row == pytest.approx(7 / 5)
        assert (found.sets, found.once) == (4, 3)
        assert found.alone == {"a": 2, "b": 0, "c": 0}
        # Ratios 4/4, 4/2 and 4/1.
        assert found.mean_ratio == pytest.approx(7 / 3)
        rows = [0.0, 0.0, 1 - np.sqrt(2) / 1.5, 1 - 8 ** (1 / 3) / (7 / 3)]
        assert found.scumble == pytest.approx(np.mean(rows))

    def test_pairs_that_come_together_are_named_with_their_rows(self) -> None:
        held = drawn(0)
        held[:60, 1], held[:60, 2] = 1, 1
        found = co_occurrence(held, NAMES, np.arange(400))
        assert (found.pairs[0].one, found.pairs[0].other) == ("b", "c")
        assert found.pairs[0].rows == int((held[:, 1] & held[:, 2]).sum())
        expected = held[:, 1].sum() * held[:, 2].sum() / 400
        assert found.pairs[0].expected == pytest.approx(expected)
        assert found.pairs[0].p < 1e-6

    def test_chance_is_seldom_named(self) -> None:
        named = [bool(co_occurrence(drawn(s), NAMES, np.arange(400)).pairs) for s in range(200)]
        assert np.mean(named) <= 0.08

    def test_copies_of_one_row_prove_nothing(self) -> None:
        held = np.concatenate([drawn(1, 40), np.repeat([[0, 1, 1]], 60, axis=0)])
        clusters = np.concatenate([np.arange(40), np.full(60, 40)])
        assert not co_occurrence(held, NAMES, clusters).pairs
        assert co_occurrence(held, NAMES, np.arange(100)).pairs

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10**6))
    def test_order_and_names_play_no_part(self, seed: int) -> None:
        held = drawn(seed, 60)
        turn = [2, 0, 1]
        one = co_occurrence(held, NAMES, np.arange(60))
        names = tuple(NAMES[k] for k in turn)
        two = co_occurrence(held[::-1][:, turn], names, np.arange(60))
        assert one.scumble == pytest.approx(two.scumble)
        assert (one.sets, one.once, one.alone) == (two.sets, two.once, dict(two.alone))
        pairs = [{frozenset((p.one, p.other)): p.rows for p in f.pairs} for f in (one, two)]
        assert pairs[0] == pairs[1]

    def test_ratios_and_scumble_at_the_edges(self) -> None:
        assert label_ratios(np.array([4, 0])).tolist() == [1.0, np.inf]
        assert scumble(np.zeros((3, 2), dtype=np.int64)) == 0
        assert scumble(np.eye(3, dtype=np.int64)) == 0
        lopsided = np.zeros((100_001, 2), dtype=np.int64)
        lopsided[:, 0], lopsided[0, 1] = 1, 1
        assert 0 < scumble(lopsided) < 1e-4


class TestAdvice:
    def test_it_names_remedies_that_act_on_such_rows(self) -> None:
        held = drawn(3)
        found = co_occurrence(held, NAMES, np.arange(400))
        made = advise_labels(held.sum(axis=0), NAMES, found, tuple(REMEDIES))
        assert {a.remedy for a in made} == {
            *("measure_offsets", "binary_weighted", "distribution_balanced", "binary_asymmetric")
        }
        assert all(REMEDIES[a.remedy].labels in ("several", "both") for a in made)
        assert made[0].stance == "try first"

    def test_extreme_ratios_and_mingled_labels_change_it(self) -> None:
        held = np.zeros((1000, 2), dtype=np.int64)
        held[:, 0], held[:5, 1] = 1, 1
        held[0, 0] = 0
        found = co_occurrence(held, NAMES[:2], np.arange(1000))
        stances = {
            a.remedy: a.stance
            for a in advise_labels(held.sum(axis=0), NAMES[:2], found, tuple(REMEDIES))
        }
        assert stances["binary_weighted"] == "try first"
        assert stances["distribution_balanced"] == "not here"
        assert stances["binary_asymmetric"] == "not here"

    def test_the_reason_is_the_condition_that_failed(self) -> None:
        def why(held: np.ndarray) -> dict[str, str]:
            names = tuple(f"l{k:02d}" for k in range(held.shape[1]))
            found = co_occurrence(held, names, np.arange(len(held)))
            made = advise_labels(held.sum(axis=0), names, found, tuple(REMEDIES))
            return {a.remedy: a.why for a in made if a.stance == "not here"}

        # Two labels that always come together, and 15 of which a row has one.
        both = why(np.ones((60, 2), dtype=np.int64))
        assert both["distribution_balanced"] == both["binary_weighted"] == "labels nearly alike"
        one = why(np.tile(np.eye(15, dtype=np.int64), (4, 1)))
        assert one["binary_asymmetric"] == "too few labels for a flood of easy noes"
        many = np.zeros((60, 24), dtype=np.int64)
        many[:, :5], many[0, 5:] = 1, 1
        assert why(many)["binary_asymmetric"] == "a row has many of the labels"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("several")
    train = write_several(folder / "train.csv", rows=200)
    write_several(folder / "test.csv", rows=60, seed=1, start=1000)
    with train.open("a", encoding="utf-8") as file:
        words = " ".join(TOPICS["bank"])
        file.write(f"x1,{words},bank,z1\nx2,{words},bank|light,z2\n")
    out = folder / "audit"
    done = run_cli(
        *("audit", folder, "--label-separator", "|", "--model", "none", "--out", out, "--json")
    )
    assert done.code == 0, done.stderr
    return out, json.loads(done.stdout)


def write_long(path: Path, parts: int) -> Path:
    """100 rows, 50 of them long and with two labels each, in groups of five; as one file, or as
    the test part of a folder."""
    rng = np.random.default_rng(0)
    lines = ["text,label,who"]
    for k in range(100):
        words = rng.choice([*TOPICS["bank"], *TOPICS["light"]], 200 if k < 50 else 5)
        lines.append(f"{' '.join(words)} n{k},{'a|b' if k < 50 else 'c'},g{k // 5}")
    if parts:
        path.mkdir()
    (path / "test.csv" if parts else path).write_text("\n".join(lines), encoding="utf-8")
    return path


class TestTotals:
    """A row with two labels is one row."""

    @pytest.fixture(scope="class")
    def record(self, tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> AuditRecord:
        path = write_long(tmp_path_factory.mktemp("long") / "rows.csv", parts=0)
        columns = ColumnNames(label_separator="|", group=("who",))
        return audit_table(read_rows(path, columns=columns), model=str(tiny_base))

    def test_of_texts_and_groups(self, record: AuditRecord) -> None:
        cut = next(f for f in record.findings if f.kind == "cut")
        assert cut.rows == 50
        assert cut.says.startswith("50 rows are longer")
        assert len({e.id for e in cut.examples}) == len(cut.examples)
        assert record.language is not None
        assert record.language.rows == 100
        assert record.groups is not None
        assert (record.groups.rows, record.groups.groups) == (100, 20)
        assert {group["rows"] for group in record.groups.largest} == {5}
        for finding in record.findings:
            assert finding.rows <= 100, finding.kind

    def test_a_share_is_of_the_training_rows(self, record: AuditRecord) -> None:
        shares = {c.name: c.share for c in record.classes}
        assert shares["a"] == shares["b"]
        assert shares["a"] + shares["c"] == pytest.approx(1)


def test_without_a_training_part_labels_are_still_several(tmp_path: Path) -> None:
    path = write_long(tmp_path / "rows", parts=1)
    record = audit_table(read_rows(path, columns=ColumnNames(label_separator="|")), model="none")
    assert {c.name for c in record.classes} == {"a", "b", "c"}
    assert record.co_occurrence is not None
    undivided = record.findings[0]
    assert "here the test rows are taken as training rows" in undivided.do
    said = audit_text(record, tmp_path / "report.html")
    assert "Advice, from the test rows, taken as training rows:" in said
    assert "truncation and language" in {skipped.what for skipped in record.skipped}


class TestCommand:
    def test_counts_are_of_labels(self, audited: tuple[Path, dict]) -> None:
        _, record = audited
        facts = {c["name"]: c for c in record["classes"]}
        assert set(facts) == set(SHARES)
        assert record["rows"] == {"train": 202, "test": 60}
        assert facts["bank"]["counts"]["train"] > facts["light"]["counts"]["train"]
        assert record["co_occurrence"]["per_row"] < 3
        assert record["co_occurrence"]["bare"] > 0
        assert record["power"]["classes"]

    def test_conflicts_are_between_sets_of_labels(self, audited: tuple[Path, dict]) -> None:
        _, record = audited
        conflicts = [f for f in record["findings"] if f["kind"] == "conflict"]
        assert conflicts
        shown = {e["label"] for f in conflicts for e in f["examples"]}
        assert {"bank", "bank + light"} & shown
        kinds = {f["kind"] for f in record["findings"]}
        assert not kinds & {"label_errors", "inseparable"}
        assert any("one label a row" in s["why"] for s in record["skipped"])

    def test_the_page_tells_what_comes_together(self, audited: tuple[Path, dict]) -> None:
        folder, _ = audited
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert not read_page(folder / "report.html").faults
        assert "Labels that come together" in page
        assert "SCUMBLE" in page
        assert "--label-separator" in page
        before = (folder / "report.html").read_bytes()
        assert run_cli("report", folder).code == 0
        assert (folder / "report.html").read_bytes() == before

    def test_costs_are_refused(self, audited: tuple[Path, dict], tmp_path: Path) -> None:
        folder, _ = audited
        (tmp_path / "costs.yaml").write_text("costs:\n  bank: {light: 5}\n", encoding="utf-8")
        done = run_cli(
            *("audit", folder.parent / "train.csv", "--label-separator", "|", "--model", "none"),
            *("--costs", tmp_path / "costs.yaml", "--out", tmp_path / "audit"),
        )
        assert done.code == 2
        assert "costs: are per true and decided class" in done.stderr

    def test_an_encoder_adds_tokens(
        self, audited: tuple[Path, dict], tiny_base: Path, tmp_path: Path
    ) -> None:
        folder, _ = audited
        done = run_cli(
            *("audit", folder.parent / "train.csv", "--label-separator", "|"),
            *("--model", tiny_base, "--out", tmp_path / "audit", "--json", "--quiet"),
        )
        assert done.code == 0, done.stderr
        record = json.loads(done.stdout)
        assert record["lengths"]["unit"] == "tokens"
        assert record["language"] is not None
