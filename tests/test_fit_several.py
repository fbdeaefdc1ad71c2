"""From rows with several labels to a judged, packaged model and back, by the same commands."""

from __future__ import annotations

import csv
import doctest
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import f1_score

import equipoise
from equipoise.models.heads import CosineHead, LinearHead, head_scores, start_from_labels
from equipoise.records.decision import read_decision
from equipoise.records.predictions import read_predictions
from equipoise.remedies.log_odds import log_odds
from tests.cli_runner import Outcome, run_cli
from tests.report.html_check import read_page
from tests.several_rows import SHARES, write_several
from tests.test_fit import MEASURES, contents, read

CLASSES = list(SHARES)
BAR = ("--label-separator", "|")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    write_several(folder / "train.csv", seed=0)
    write_several(folder / "test.csv", seed=1, rows=60, start=1000)
    return folder


@pytest.fixture(scope="module")
def trained(
    rows: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[Any, ...], Outcome]:
    out = tmp_path_factory.mktemp("runs") / "several"
    command = (
        *("train", rows, *BAR, "--model", tiny_base, "--epochs", "2", "--out", out, "--json"),
        *("--remedy", "binary_weighted", "--remedy", "temperature", "--remedy", "measure_offsets"),
    )
    return command, run_cli(*command)


@pytest.fixture(scope="module")
def run(trained: tuple[tuple[Any, ...], Outcome]) -> Path:
    command, done = trained
    assert done.code == 0, done.stderr
    return Path(command[command.index("--out") + 1])


def given(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(sorted(filter(None, r["label"].split("|")))) for r in csv.DictReader(file)]


class TestTrain:
    def test_one_object_and_every_measure_of_the_contract(
        self, trained: tuple[tuple[Any, ...], Outcome], run: Path
    ) -> None:
        scores = json.loads(trained[1].stdout)["scores"]
        assert scores == read(run / "scores.json")
        assert set(MEASURES) | {"micro_f1", "hamming_loss"} <= set(scores["measures"])
        assert list(scores["classes"]) == CLASSES
        for estimate in scores["measures"].values():
            assert estimate["low"] is not None or estimate["why"]

    def test_labels_are_lists_in_every_file(self, run: Path, rows: Path) -> None:
        table = pq.read_table(run / "predictions.parquet")
        assert table.column_names == [
            *("id", "split", "fold", "group", "label", "decided"),
            *(f"z:{name}" for name in CLASSES),
            *(f"p:{name}" for name in CLASSES),
            "cluster",
        ]
        test = read_predictions(run / "predictions.parquet").of_split("test")
        assert test.labels.tolist() == given(rows / "test.csv")
        assert {name for cell in test.decided for name in cell} <= set(CLASSES)
        splits = pq.read_table(run / "splits.parquet")
        assert all(isinstance(cell, list) for cell in splits["label"].to_pylist())

    def test_scores_are_those_of_the_saved_predictions(self, run: Path) -> None:
        test = read_predictions(run / "predictions.parquet").of_split("test")
        y, d = (
            np.array([[name in cell for name in CLASSES] for cell in column])
            for column in (test.labels, test.decided)
        )
        found = read(run / "scores.json")["measures"]
        assert found["macro_f1"]["value"] == pytest.approx(f1_score(y, d, average="macro"))
        assert found["accuracy"]["value"] == pytest.approx((y == d).all(axis=1).mean())

    def test_decisions_are_what_the_rule_says_of_the_scores(self, run: Path) -> None:
        rule = read_decision(run / "decision.json")
        assert rule.kind == "labels"
        test = read_predictions(run / "predictions.parquet").of_split("test")
        z = test.logits / rule.temperature + rule.log_target - rule.log_source
        np.testing.assert_allclose(test.probabilities, 1 / (1 + np.exp(-z)), atol=1e-12)
        for row, decided in zip(z + rule.offsets, test.decided, strict=True):
            assert decided == tuple(n for n, m in zip(CLASSES, row, strict=True) if m >= 0)

    def test_the_weights_are_in_the_account(self, run: Path) -> None:
        """binary_weighted with kind sqrt moves log-odds half way to none."""
        rule = read_decision(run / "decision.json")
        train = read(run / "run.json")["rows"]["splits"]["train"]
        counts = np.array([train["counts"][name] for name in CLASSES])
        given_odds = log_odds(counts, train["rows"])
        np.testing.assert_allclose(rule.log_target, given_odds)
        np.testing.assert_allclose(rule.log_source, given_odds / 2, atol=0.05)

    def test_the_manifest(self, run: Path) -> None:
        manifest = read(run / "run.json")
        assert manifest["rows"]["columns"]["label_separator"] == "|"
        assert manifest["remedies"][0]["name"] == "binary_weighted"
        assert manifest["classes"] == CLASSES
        assert {b["name"] for b in manifest["baselines"]} == {"tfidf", "vectors", "plain"}
        assert {c["measure"] for c in manifest["comparisons"]} == {"macro_f1"}
        assert any("have no label" in w for w in manifest["rows"]["warnings"])

    def test_the_same_seed_gives_the_same_bytes(
        self, trained: tuple[tuple[Any, ...], Outcome], run: Path, tmp_path: Path
    ) -> None:
        again = tmp_path / "again"
        done = run_cli(*(again if a == run else a for a in trained[0]))
        assert done.code == 0, done.stderr
        timed = {"run.json", "report.html", "history.jsonl"}
        mine, theirs = (
            {name: digest for name, digest in contents(folder).items() if name not in timed}
            for folder in (again, run)
        )
        assert mine == theirs

    def test_the_report_says_labels(self, run: Path) -> None:
        page = (run / "report.html").read_text(encoding="utf-8")
        assert not read_page(run / "report.html").faults
        assert "Labels that come together" in page
        assert "Every label, the most mistakes first" in page
        assert "--label-separator" in page
        assert "Macro F1" in page
        assert "Most confused pairs" not in page

    @pytest.mark.parametrize("head", ["linear", "native"])
    def test_other_heads_and_methods(
        self, rows: Path, tiny_base: Path, tmp_path: Path, head: str
    ) -> None:
        done = run_cli(
            *("train", rows, *BAR, "--model", tiny_base, "--method", "full", "--head", head),
            *("--epochs", "1", "--baseline", "none", "--out", tmp_path / "run", "--quiet"),
            *("--remedy", "distribution_balanced", "--remedy", "at_least_one_label"),
            *("--remedy", "word_mixup"),
            *("--set", "train.choose_by=micro_f1", "--measure", "micro_f1"),
        )
        assert done.code == 0, done.stderr
        test = read_predictions(tmp_path / "run" / "predictions.parquet")
        assert all(test.decided)
        assert read(tmp_path / "run" / "run.json")["training"]["chosen_by"] == "micro_f1"
        told = read(tmp_path / "run" / "model" / "config.json").get("problem_type")
        assert told == ("multi_label_classification" if head == "native" else None)

    def test_lists_in_json_lines_are_divided_and_trained_alike(
        self, rows: Path, tiny_base: Path, tmp_path: Path
    ) -> None:
        frame = pd.read_csv(rows / "train.csv", keep_default_na=False)
        frame["label"] = [cell.split("|") if cell else [] for cell in frame["label"]]
        frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
        done = run_cli(
            *("train", tmp_path / "rows.jsonl", "--model", tiny_base, "--epochs", "1"),
            *("--prior", "balanced", "--group", "customer", "--baseline", "tfidf"),
            *("--out", tmp_path / "run", "--quiet"),
        )
        assert done.code == 0, done.stderr
        splits = pq.read_table(tmp_path / "run" / "splits.parquet").to_pandas()
        assert set(splits["split"]) == {"train", "validation", "test"}
        rule = read_decision(tmp_path / "run" / "decision.json")
        assert not rule.log_target.any()


class TestUse:
    def test_loading_gives_the_predictions_back_bit_for_bit(self, run: Path, rows: Path) -> None:
        saved = read_predictions(run / "predictions.parquet").of_split("test")
        texts = pd.read_csv(rows / "test.csv")["text"].tolist()
        again = equipoise.load(run).predict(texts)
        assert again.logits.tobytes() == saved.logits.tobytes()
        assert again.probabilities.tobytes() == saved.probabilities.tobytes()
        assert again.decided.tolist() == saved.decided.tolist()

    def test_evaluate_knows_what_divides_labels(
        self, run: Path, rows: Path, tmp_path: Path
    ) -> None:
        done = run_cli("evaluate", run, rows / "test.csv", "--out", tmp_path, "--json")
        assert done.code == 0, done.stderr
        ours, theirs = json.loads(done.stdout), read(run / "scores.json")
        for name, estimate in theirs["measures"].items():
            assert ours["measures"][name]["value"] == estimate["value"], name
        told = run_cli("evaluate", run, rows / "test.csv")
        assert "macro_f1" in told.stdout

    def test_predict_writes_every_form(self, run: Path, rows: Path, tmp_path: Path) -> None:
        saved = read_predictions(run / "predictions.parquet").of_split("test").decided.tolist()
        for form in ("csv", "jsonl", "parquet"):
            out = tmp_path / f"decided.{form}"
            done = run_cli("predict", run, rows / "test.csv", "--out", out, "--json")
            assert done.code == 0, done.stderr
            if form == "csv":
                cells = pd.read_csv(out, keep_default_na=False)["decided"]
                found = [tuple(filter(None, cell.split("|"))) for cell in cells]
            elif form == "jsonl":
                found = [tuple(cell) for cell in pd.read_json(out, lines=True)["decided"]]
            else:
                found = [tuple(cell) for cell in pq.read_table(out)["decided"].to_pylist()]
            assert found == saved
            record = json.loads(done.stdout)
            assert record["rows"] == 60
            none = sum(not cell for cell in saved)
            assert record["decided"].get("no label", 0) == none

    def test_rows_of_one_label_are_rows_of_a_single_label(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "one.jsonl").write_text('{"text": "the bank card", "label": "bank"}\n' * 3)
        done = run_cli("evaluate", run, tmp_path / "one.jsonl", "--json")
        assert done.code == 0, done.stderr

    def test_the_report_is_written_again_byte_for_byte(self, run: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(run, tmp_path / run.name))
        (copy / "report.html").unlink()
        assert run_cli("report", copy).code == 0
        assert (copy / "report.html").read_bytes() == (run / "report.html").read_bytes()


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--remedy", "focal"), "remedy focal: is for rows of one label"),
            (("--remedy", "class_weights"), "use binary_weighted, or leave it out"),
            (("--remedy", "random_oversample"), "random_oversample: is for rows of one label"),
            (("--remedy", "feature_mixup:remix=3"), "remix asks which of two classes is rarer"),
            (("--remedy", "balanced_sampler"), "balanced_sampler: is for rows of one label"),
            (("--remedy", "posthoc_logit_adjustment"), "posthoc_logit_adjustment: is for rows"),
            (("--measure", "mcc", "--remedy", "temperature"), "'mcc' is not known where rows may"),
            (("--measure", "accuracy"), "offsets can't be fitted for accuracy where rows may"),
            (("--set", "train.choose_by=g_mean"), "unknown where a row may have several labels"),
            (("--set", "prior={bank: 0.2, light: 1.5, music: 0.1}"), "'light' has share 1.5"),
            (("--set", "prior={bank: 0.2}"), "states no share for class 'light'"),
            (("--set", "costs={costs: {bank: {light: 5}}}"), "costs: are per true and decided"),
        ],
    )
    def test_before_training_with_what_to_do(
        self, rows: Path, tiny_base: Path, tmp_path: Path, options: tuple[str, ...], words: str
    ) -> None:
        out = tmp_path / "run"
        done = run_cli("train", rows, *BAR, "--model", tiny_base, "--out", out, *options)
        assert done.code == 2, done.stderr
        assert words in done.stderr
        assert not out.exists()

    @pytest.mark.parametrize("remedy", ["binary_focal", "at_least_one_label"])
    def test_remedies_for_several_where_rows_have_one(
        self, tiny_rows: Path, tiny_base: Path, tmp_path: Path, remedy: str
    ) -> None:
        out = tmp_path / "run"
        done = run_cli("train", tiny_rows, "--model", tiny_base, "--out", out, "--remedy", remedy)
        assert done.code == 2
        assert f"remedy {remedy}: is for rows that may have several labels" in done.stderr
        assert not out.exists()

    def test_measures_for_several_where_rows_have_one(
        self, tiny_rows: Path, tiny_base: Path, tmp_path: Path
    ) -> None:
        done = run_cli(
            *("train", tiny_rows, "--model", tiny_base, "--out", tmp_path / "run"),
            *("--measure", "micro_f1"),
        )
        assert done.code == 2
        assert "'micro_f1' is not known where rows have one label each" in done.stderr

    def test_a_run_of_one_label_judges_no_rows_of_several(
        self, tiny_run: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "rows.jsonl").write_text('{"text": "the bank", "label": ["bank", "light"]}\n')
        done = run_cli("evaluate", tiny_run, tmp_path / "rows.jsonl")
        assert done.code == 2
        assert "the run decides one class a row" in done.stderr


def test_what_the_guide_shows_is_what_happens() -> None:
    guide = Path(__file__).parents[1] / "docs" / "labels.md"
    found = doctest.testfile(str(guide), module_relative=False)
    assert found.attempted >= 15
    assert found.failed == 0


class TestHead:
    @pytest.mark.parametrize("kind", ["cosine", "linear"])
    def test_scores_start_at_the_log_odds_of_the_shares(self, kind: str) -> None:
        rng = np.random.default_rng(0)
        y = (rng.random((500, 3)) < [0.5, 0.2, 0.02]).astype(np.int64)
        vectors = (1 + y @ rng.normal(0, 1, (3, 8)) + rng.normal(0, 0.3, (500, 8))).astype("f4")
        head = CosineHead(8, 3).with_bias() if kind == "cosine" else LinearHead(8, 3)
        start_from_labels(head, y, vectors)
        scores = head(torch.from_numpy(vectors)).detach().numpy()
        np.testing.assert_allclose(scores.mean(0), log_odds(y.sum(0), 500), atol=1e-3)
        with torch.no_grad():
            mean = head_scores(head, torch.from_numpy(vectors).double())
            bare = (head(torch.from_numpy(vectors)) - bias_of(head)).mean(0)
        np.testing.assert_allclose(mean, bare, atol=1e-4)
        for k in range(3):
            assert scores[y[:, k] == 1, k].mean() > scores[y[:, k] == 0, k].mean()

    def test_labels_of_all_rows_or_none_keep_their_direction(self) -> None:
        head = CosineHead(4, 2).with_bias()
        torch.nn.init.ones_(head.weight)
        start_from_labels(head, np.array([[1, 0], [1, 0]]), np.eye(2, 4, dtype="f4"))
        assert torch.equal(head.weight, torch.ones(2, 4))
        assert torch.isfinite(head.bias).all()


def bias_of(head: CosineHead | LinearHead) -> Any:
    return head.bias if isinstance(head, CosineHead) else head.linear.bias
