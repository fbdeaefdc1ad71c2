"""From rows to a judged, packaged model and back: the contracts that others may rely on."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml

import equipoise
from equipoise.fit import fit
from equipoise.recipe import make_recipe
from equipoise.records.files import file_sha256
from equipoise.records.predictions import read_predictions
from tests.cli_runner import Outcome, run_cli
from tests.models.processes import run_processes
from tests.tiny_rows import write_rows

DOCS = Path(__file__).parents[1] / "docs"
MEASURES = [
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "g_mean"),
    *("macro_average_precision", "macro_roc_auc", "log_loss", "brier", "ece", "expected_cost"),
]
CLASSES = ["bank", "light", "music"]
COSTS = "unit: EUR\ndefault: 1\ncosts:\n  music: {bank: 50, light: 40}\n"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A run on one file with groups and costs: everything is divided here."""
    folder = tmp_path_factory.mktemp("priced")
    rows = write_rows(folder / "rows.csv", seed=2)
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    done = run_cli(
        *("train", rows, "--model", tiny_base, "--group", "customer", "--epochs", "1"),
        *("--costs", folder / "costs.yaml", "--out", folder / "run", "--quiet"),
    )
    assert done.code == 0, done.stderr
    return folder / "run"


def test_fit_takes_no_draws_from_the_caller(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path
) -> None:
    """Libraries seed the global generators; a caller who draws afterwards drew the same every
    time."""
    recipe = make_recipe(
        {
            "model": {"name": str(tiny_base), "method": "head"},
            "train": {"epochs": 1},
            "baselines": [],
        }
    )

    def drawn() -> tuple[float, ...]:
        return random.random(), np.random.rand(), float(torch.rand(1))  # noqa: NPY002

    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    torch.manual_seed(11)
    expected = [drawn(), drawn()]
    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    torch.manual_seed(11)
    found = []
    for name in ("one", "two"):
        fit(tiny_rows, tmp_path / name, recipe)
        found.append(drawn())
    assert found == expected


def test_callbacks_hear_the_training_of_the_run_alone(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path
) -> None:
    from transformers import TrainerCallback

    class Counting(TrainerCallback):
        began = steps = 0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began += 1

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.steps += 1

    settings = {"name": str(tiny_base), "method": "head"}
    recipe = make_recipe(
        {
            "model": settings,
            "train": {"epochs": 2},
            "remedies": ["class_weights"],
            "baselines": ["plain"],
        }
    )
    heard = Counting()
    run = fit(tiny_rows, tmp_path / "run", recipe, callbacks=[heard])
    assert (heard.began, heard.steps) == (1, run.manifest.training.steps)
    assert fit(tiny_rows, tmp_path / "run", recipe).was_finished  # no part of what the run is


@pytest.mark.parametrize(
    ("remedies", "expected"),
    [((), ["tfidf"]), (["temperature"], ["tfidf", "plain"]), (["class_weights"], ["tfidf"])],
)
def test_plain_is_judged_where_it_takes_no_second_training(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path, remedies: list[str], expected: list[str]
) -> None:
    model = {"name": str(tiny_base), "method": "full"}
    recipe = make_recipe({"model": model, "train": {"epochs": 1}, "remedies": remedies})
    run = fit(tiny_rows, tmp_path / "run", recipe)
    assert [baseline.name for baseline in run.manifest.baselines] == expected


@pytest.mark.parametrize("measure", ["weighted_f1", "mcc"])
def test_every_measure_can_be_asked_for(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path, measure: str
) -> None:
    done = run_cli(
        *("train", tiny_rows, "--model", tiny_base, "--out", tmp_path / "run"),
        *("--measure", measure, "--check"),
    )
    assert done.code == 0, done.stderr


def test_two_processes_leave_one_run_in_place_of_another(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path, tiny_run: Path
) -> None:
    out = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    args = ["train", tiny_rows, "--model", tiny_base, "--method", "full", "--epochs", "1"]
    args += ["--remedy", "class_weights", "--baseline", "plain"]  # which is trained by one of them
    args += ["--out", out, "--json", "--quiet", "--force"]
    said = run_processes(["-m", "equipoise.cli", *map(str, args)], 2)
    records = [json.loads(one[one.index("{") :]) for one in said if "{" in one]
    assert [record["resumed"] for record in records] == [False]  # the first process alone speaks
    manifest = read(out / "run.json")
    assert manifest["training"]["epochs_run"] == 1
    assert [baseline["name"] for baseline in manifest["baselines"]] == ["plain"]
    assert not {"checkpoints", ".replaced"} & {path.name for path in out.iterdir()}


def test_fsdp_is_refused(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    done = run_cli("train", tiny_rows, "--model", tiny_base, "--out", tmp_path / "run")
    assert done.code == 2
    assert "FSDP" in done.stderr


class TestTrain:
    def test_json_is_one_object_and_nothing_else(
        self, tiny_trained: tuple[tuple[str, ...], Outcome]
    ) -> None:
        command, done = tiny_trained
        assert done.code == 0, done.stderr
        record = json.loads(done.stdout)
        assert record["run"] == command[command.index("--out") + 1]
        assert Path(record["report"]).is_file()
        assert record["resumed"] is False
        assert record["scores"] == read(Path(record["run"]) / "scores.json")
        assert "error:" not in done.stderr

    def test_every_file_is_described_and_every_described_file_is_there(
        self, tiny_run: Path
    ) -> None:
        table = (DOCS / "run_folder.md").read_text(encoding="utf-8")
        named = [
            name
            for line in table.splitlines()
            if line.startswith("| `")
            for name in re.findall(r"`([^`]+)`", line.split("|")[1])
        ]
        for name in named:
            assert (tiny_run / name.replace("NAME/", "")).exists(), name
        for path in tiny_run.iterdir():
            assert any(name.split("/")[0] == path.name for name in named), path.name

    def test_the_manifest_knows_every_file_by_its_hash(self, tiny_run: Path) -> None:
        files = read(tiny_run / "run.json")["files"]
        assert files == {name: file_sha256(tiny_run / name) for name in files}
        beside = {str(p.relative_to(tiny_run)) for p in tiny_run.rglob("*") if p.is_file()}
        assert beside - set(files) == {"run.json", "report.html", "started.json"}

    def test_remedies_and_stages_are_recorded(self, tiny_run: Path) -> None:
        manifest = read(tiny_run / "run.json")
        assert [r["name"] for r in manifest["remedies"]] == [
            "temperature",
            "plugin_adjustment",
            "measure_offsets",
        ]
        assert manifest["classes"] == CLASSES
        assert manifest["rows"]["splits"].keys() == {"train", "validation", "test"}
        assert all(seconds >= 0 for seconds in manifest["seconds"].values())

    def test_the_same_command_again_returns_the_finished_run(
        self, tiny_trained: tuple[tuple[str, ...], Outcome], tiny_run: Path, tmp_path: Path
    ) -> None:
        copy = Path(shutil.copytree(tiny_run, tmp_path / tiny_run.name))
        before = contents(copy)
        command = [str(copy) if arg == str(tiny_run) else arg for arg in tiny_trained[0]]
        done = run_cli(*command)
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout)["resumed"] is True
        assert contents(copy) == before

    def test_force_replaces_another_run(
        self, tiny_trained: tuple[tuple[str, ...], Outcome], tiny_run: Path, tmp_path: Path
    ) -> None:
        copy = Path(shutil.copytree(tiny_run, tmp_path / tiny_run.name))
        command = [str(copy) if arg == str(tiny_run) else arg for arg in tiny_trained[0]]
        done = run_cli(*command, "--seed", "5", "--baseline", "none", "--force")
        assert done.code == 0, done.stderr
        manifest = read(copy / "run.json")
        assert manifest["seed"] == 5
        assert manifest["id"] != read(tiny_run / "run.json")["id"]
        assert not (copy / "baselines").exists()

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (["guaranteed_presence:classes=nosuch"], ["nosuch"]),
            (
                ["group_weights", "guaranteed_presence:classes=nosuch,twice=true"],
                ["group", "nosuch"],
            ),
        ],
    )
    def test_impossible_wishes_are_told_before_anything_is_replaced(
        self,
        tiny_trained: tuple[tuple[str, ...], Outcome],
        tiny_run: Path,
        tmp_path: Path,
        asked: list[str],
        says: list[str],
    ) -> None:
        copy = Path(shutil.copytree(tiny_run, tmp_path / tiny_run.name))
        command = [str(copy) if arg == str(tiny_run) else arg for arg in tiny_trained[0]]
        command += [part for remedy in asked for part in ("--remedy", remedy)]
        for how in (["--force", "--check"], ["--force"]):
            done = run_cli(*command, *how)
            assert done.code == 2, done.stdout
            lines = done.stderr.strip().splitlines()
            assert len(lines) == len(says)
            for line, word in zip(lines, says, strict=True):
                assert line.startswith("error: ")
                assert word in line
        assert contents(copy) == contents(tiny_run)

    def test_the_same_seed_gives_the_same_bytes(
        self, tiny_trained: tuple[tuple[str, ...], Outcome], tiny_run: Path, tmp_path: Path
    ) -> None:
        again = tmp_path / "again"
        done = run_cli(*(str(again) if a == str(tiny_run) else a for a in tiny_trained[0]))
        assert done.code == 0, done.stderr
        mine, theirs = contents(again), contents(tiny_run)
        timed = {"run.json", "report.html", "history.jsonl"}
        assert {k: v for k, v in mine.items() if k not in timed} == {
            k: v for k, v in theirs.items() if k not in timed
        }

    def test_columns_belong_to_the_identity_of_a_run(
        self, tiny_trained: tuple[tuple[str, ...], Outcome], tiny_run: Path, tmp_path: Path
    ) -> None:
        copy = Path(shutil.copytree(tiny_run, tmp_path / tiny_run.name))
        command = [str(copy) if arg == str(tiny_run) else arg for arg in tiny_trained[0]]
        done = run_cli(*command, "--group", "customer")
        assert done.code == 2
        assert "another run" in done.stderr


class TestScores:
    def test_every_measure_of_the_contract_is_there(self, tiny_run: Path) -> None:
        scores = read(tiny_run / "scores.json")
        assert scores["schema"] == 1
        assert scores["split"] == "test"
        assert set(MEASURES) <= set(scores["measures"])
        assert list(scores["classes"]) == CLASSES
        assert sum(judged["rows"] for judged in scores["classes"].values()) == scores["rows"]
        estimates = [scores["measures"][name] for name in MEASURES]
        for judged in scores["classes"].values():
            estimates += [
                judged[name] for name in ("precision", "recall", "f1", "average_precision")
            ]
        for estimate in estimates:
            if estimate["value"] is None or estimate["low"] is None:
                assert estimate["why"]
            else:
                assert estimate["low"] <= estimate["value"] <= estimate["high"]

    def test_figures_are_those_of_the_saved_predictions(self, tiny_run: Path) -> None:
        from sklearn.metrics import f1_score, log_loss

        scores = read(tiny_run / "scores.json")["measures"]
        test = read_predictions(tiny_run / "predictions.parquet").of_split("test")
        assert scores["accuracy"]["value"] == np.mean(test.labels == test.decided)
        assert scores["macro_f1"]["value"] == pytest.approx(
            f1_score(test.labels.tolist(), test.decided.tolist(), average="macro")
        )
        assert scores["log_loss"]["value"] == pytest.approx(
            log_loss(test.labels.tolist(), test.probabilities, labels=CLASSES)
        )


class TestPredictions:
    def test_columns_and_rows(self, tiny_run: Path, tiny_rows: Path) -> None:
        table = pq.read_table(tiny_run / "predictions.parquet")
        assert table.column_names == [
            *("id", "split", "fold", "group", "label", "decided"),
            *(f"z:{name}" for name in CLASSES),
            *(f"p:{name}" for name in CLASSES),
            "cluster",
        ]
        frame = table.to_pandas()
        assert set(frame["split"]) == {"validation", "test"}
        with (tiny_rows / "test.csv").open(encoding="utf-8", newline="") as file:
            given = list(csv.DictReader(file))
        test = frame[frame["split"] == "test"]
        assert test["id"].tolist() == [row["id"] for row in given]
        assert test["label"].tolist() == [row["label"] for row in given]
        assert test["fold"].isna().all()
        assert frame[frame["split"] == "validation"]["fold"].notna().all()
        p = frame[[f"p:{name}" for name in CLASSES]].to_numpy()
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert (p >= 0).all()

    def test_loading_gives_them_back_bit_for_bit(self, tiny_run: Path, tiny_rows: Path) -> None:
        saved = read_predictions(tiny_run / "predictions.parquet").of_split("test")
        texts = pd.read_csv(tiny_rows / "test.csv")["text"].tolist()
        again = equipoise.load(tiny_run).predict(texts)
        assert again.logits.tobytes() == saved.logits.tobytes()
        assert again.probabilities.tobytes() == saved.probabilities.tobytes()
        assert again.decided.tolist() == saved.decided.tolist()

    def test_texts_that_are_none_are_refused(self, tiny_run: Path) -> None:
        with pytest.raises(equipoise.EquipoiseError, match=r"nothing, or no text, in rows 2, 3;"):
            equipoise.load(tiny_run).predict(["the bank", " ", None])  # type: ignore[list-item]


class TestEvaluateAndPredict:
    def test_the_test_file_gives_the_same_scores_and_twice_the_same_bytes(
        self, tiny_run: Path, tiny_rows: Path, tmp_path: Path
    ) -> None:
        found = []
        for name in ("once", "twice"):
            done = run_cli(
                *("evaluate", tiny_run, tiny_rows / "test.csv", "--out", tmp_path / name, "--json")
            )
            assert done.code == 0, done.stderr
            said = json.loads(done.stdout)
            assert said.pop("out") == str(tmp_path / name)
            found.append((said, contents(tmp_path / name)))
        assert found[0] == found[1]
        assert set(found[0][1]) == {"scores.json", "predictions.parquet"}
        ours, theirs = found[0][0], read(tiny_run / "scores.json")
        for name in MEASURES:
            assert ours["measures"][name]["value"] == theirs["measures"][name]["value"], name

    def test_people_read_figures_with_their_intervals(
        self, tiny_run: Path, tiny_rows: Path
    ) -> None:
        done = run_cli("evaluate", tiny_run, tiny_rows / "test.csv")
        assert done.code == 0, done.stderr
        assert re.search(r"macro_f1 +[01]\.\d{3} \[", done.stdout)
        assert all(name in done.stdout for name in CLASSES)

    def test_rows_without_labels_are_decided_alike_in_every_form(
        self, tiny_run: Path, tiny_rows: Path, tmp_path: Path
    ) -> None:
        rows = pd.read_csv(tiny_rows / "test.csv")
        rows[["id", "text"]].to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
        frames = []
        for form in ("csv", "jsonl", "parquet"):
            out = tmp_path / f"decided.{form}"
            done = run_cli("predict", tiny_run, tmp_path / "rows.jsonl", "--out", out, "--json")
            assert done.code == 0, done.stderr
            assert json.loads(done.stdout)["rows"] == len(rows)
            if form == "csv":
                frames.append(pd.read_csv(out, float_precision="round_trip"))
            elif form == "jsonl":
                # pandas rounds JSON to 10 digits; only the other two are exact.
                frames.append(pd.read_json(out, lines=True))
            else:
                frames.append(pd.read_parquet(out))
        columns = ["id", "decided", *(f"p:{name}" for name in CLASSES)]
        test = read_predictions(tiny_run / "predictions.parquet").of_split("test")
        for frame, exact in zip(frames, (True, False, True), strict=True):
            assert list(frame.columns) == columns
            assert frame["id"].tolist() == rows["id"].tolist()
            assert frame["decided"].tolist() == test.decided.tolist()
            error = np.abs(frame[columns[2:]].to_numpy() - test.probabilities).max()
            assert error == 0 if exact else error < 1e-9

    def test_one_class_alone_can_be_decided(self, tiny_run: Path, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("text,label\nthe bank card,bank\n", encoding="utf-8")
        done = run_cli("predict", tiny_run, tmp_path / "rows.csv", "--out", tmp_path / "d.csv")
        assert done.code == 0, done.stderr
        assert "1 rows decided" in done.stdout

    def test_the_report_is_written_again_byte_for_byte(
        self, tiny_run: Path, tmp_path: Path
    ) -> None:
        copy = Path(shutil.copytree(tiny_run, tmp_path / tiny_run.name))
        (copy / "report.html").unlink()
        done = run_cli("report", copy, "--json")
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout) == {"report": str(copy / "report.html")}
        assert file_sha256(copy / "report.html") == file_sha256(tiny_run / "report.html")


class TestCostsAndSplits:
    def test_costs_alone_mean_the_cheapest_decision(self, priced: Path) -> None:
        recipe = yaml.safe_load((priced / "recipe.yaml").read_text(encoding="utf-8"))
        assert recipe["remedies"] == ["vector_scaling_calibration", "costs"]
        decision = read(priced / "decision.json")
        assert decision["kind"] == "costs"
        assert decision["costs"] == [[0, 1, 1], [1, 0, 1], [50, 40, 0]]
        manifest = read(priced / "run.json")
        assert {c["measure"] for c in manifest["comparisons"]} == {"expected_cost"}

    def test_expected_cost_is_in_the_user_s_unit_per_1000_rows(self, priced: Path) -> None:
        test = read_predictions(priced / "predictions.parquet").of_split("test")
        matrix = np.array(read(priced / "decision.json")["costs"])
        place = {name: k for k, name in enumerate(CLASSES)}
        paid = [
            matrix[place[label], place[decided]]
            for label, decided in zip(test.labels, test.decided, strict=True)
        ]
        found = read(priced / "scores.json")["measures"]["expected_cost"]["value"]
        assert found == pytest.approx(1000 * np.mean(paid))

    def test_no_row_duplicate_or_customer_crosses_a_split(self, priced: Path) -> None:
        splits = pq.read_table(priced / "splits.parquet").to_pandas()
        rows = pd.read_csv(priced.parent / "rows.csv").set_index("id")
        assert len(splits) == len(rows)
        assert set(splits["split"]) == {"train", "validation", "test"}
        sides: dict[tuple[str, Any], set[str]] = defaultdict(set)
        for row in splits.itertuples():
            sides["id", row.id].add(row.split)
            sides["cluster", row.cluster].add(row.split)
            sides["text", rows.loc[row.id, "text"]].add(row.split)
            sides["customer", rows.loc[row.id, "customer"]].add(row.split)
            assert row.label == rows.loc[row.id, "label"]
        assert rows["text"].duplicated().any(), "the rows hold duplicates, or nothing is shown"
        assert {key: found for key, found in sides.items() if len(found) > 1} == {}

    def test_judged_rows_hold_no_training_text(self, priced: Path) -> None:
        splits = pq.read_table(priced / "splits.parquet").to_pandas().set_index("id")["split"]
        judged = pq.read_table(priced / "judged_rows.parquet").to_pandas()
        assert (splits[judged["id"]].to_numpy() == judged["split"].to_numpy()).all()
        assert "train" not in set(judged["split"])


class TestPackage:
    def test_the_body_loads_with_transformers_alone(self, tiny_run: Path) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        body = AutoModel.from_pretrained(tiny_run / "model")
        tokens = AutoTokenizer.from_pretrained(tiny_run / "model")(
            ["the bank"], return_tensors="pt"
        )
        with torch.no_grad():
            states = body(**tokens).last_hidden_state
        assert states.shape[-1] == 32

    def test_a_native_head_loads_with_transformers_alone_and_says_the_same(
        self, tiny_base: Path, tiny_rows: Path, tmp_path: Path
    ) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        done = run_cli(
            *("train", tiny_rows, "--model", tiny_base, "--method", "full", "--head", "native"),
            *("--epochs", "1", "--baseline", "none", "--out", tmp_path / "run", "--quiet"),
        )
        assert done.code == 0, done.stderr
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "model")
        texts = pd.read_csv(tiny_rows / "test.csv")["text"].tolist()
        with torch.no_grad():
            logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
        saved = read_predictions(tmp_path / "run" / "predictions.parquet").of_split("test")
        np.testing.assert_allclose(logits.numpy(), saved.logits, rtol=0, atol=1e-5)
        assert [model.config.id2label[k] for k in range(3)] == CLASSES

    def test_without_a_test_part_the_validation_part_is_judged_and_said_so(
        self, tiny_base: Path, tiny_rows: Path, tmp_path: Path
    ) -> None:
        rows = tmp_path / "rows"
        rows.mkdir()
        shutil.copy(tiny_rows / "train.csv", rows / "train.csv")
        shutil.copy(tiny_rows / "test.csv", rows / "validation.csv")
        done = run_cli(
            *("train", rows, "--model", tiny_base, "--epochs", "1", "--baseline", "none"),
            *("--out", tmp_path / "run", "--quiet"),
        )
        assert done.code == 0, done.stderr
        assert read(tmp_path / "run" / "scores.json")["split"] == "validation"
        manifest = read(tmp_path / "run" / "run.json")
        assert manifest["judged"] == "validation"
        assert any("no test part" in said for said in manifest["rows"]["warnings"])
        assert "warning: no test part" in done.stdout
