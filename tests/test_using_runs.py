"""evaluate, predict and `load` on a finished run: what new rows are called, rows that the run has
seen, and whose folder the results go into."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

import equipoise
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import DataError, FolderError
from equipoise.fitting.seen import text_marks
from equipoise.load import LoadedRun
from equipoise.records.folders import check_audit_folder, check_scores_folder
from equipoise.records.rows import Rows, text_column
from equipoise.records.run import read_manifest
from equipoise.records.turns import Turn
from tests.cli_runner import Outcome, run_cli
from tests.tiny_rows import write_rows

NAMES = {"id": "Nr.", "text": "Msg Body", "label": "Thema (final)", "customer": "Kunden-Nr"}


def renamed(path: Path, *, seed: int, start: int = 0, without: str = "") -> Path:
    """Rows under a newcomer's names, with amounts, and without one of the columns."""
    rows = pd.read_csv(write_rows(path, seed=seed, start=start)).rename(columns=NAMES)
    rows["Betrag"] = range(1, len(rows) + 1)
    rows.drop(columns=[without] if without else []).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """One that knows its rows by other names, and is asked to decide by costs."""
    folder = tmp_path_factory.mktemp("named")
    costs = folder / "costs.yaml"
    costs.write_text("default: {times: Betrag}\n", encoding="utf-8")
    done = run_cli(
        *("train", renamed(folder / "rows.csv", seed=0), "--model", tiny_base, "--method", "head"),
        *("--epochs", "1", "--baseline", "none", "--costs", costs, "--out", folder / "run"),
        *("--text", "Msg Body", "--label", "Thema (final)", "--group", "Kunden-Nr"),
        *("--id", "Nr.", "--quiet"),
    )
    assert done.code == 0, done.stderr
    return folder / "run"


# ── what the columns are called ───────────────────────────────────────────────────────────────


def test_rows_are_read_by_the_names_they_had_in_training(run: Path, tmp_path: Path) -> None:
    rows = renamed(tmp_path / "next.csv", seed=3, start=500)
    judged = run_cli("evaluate", run, rows, "--out", tmp_path / "scores", "--json")
    assert judged.code == 0, judged.stderr
    decided = run_cli("predict", run, rows, "--out", tmp_path / "decided.csv")
    assert decided.code == 0, decided.stderr
    with (tmp_path / "decided.csv").open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["id"] == "m500"
    for form in ("csv", "jsonl", "parquet"):  # what predict wrote it may write again
        for _ in range(2):
            done = run_cli("predict", run, rows, "--out", tmp_path / f"decided.{form}")
            assert done.code == 0, done.stderr
    kept = pd.read_parquet(tmp_path / "scores" / "predictions.parquet")
    assert kept["group"].notna().all()


def test_ids_and_groups_may_be_missing_from_new_rows(run: Path, tmp_path: Path) -> None:
    for lost in ("Nr.", "Kunden-Nr"):
        rows = renamed(tmp_path / f"no{lost}.csv", seed=3, without=lost)
        done = run_cli("evaluate", run, rows, "--json")
        assert done.code == 0, done.stderr


def test_files_of_a_folder_may_each_count_their_rows(tiny_run: Path, tmp_path: Path) -> None:
    """As training and `predict` take them; within a file an id still names one row."""
    for part, seed in (("train", 3), ("test", 4)):
        write_rows(tmp_path / f"{part}.csv", seed=seed)
    labelled, _ = equipoise.load(tiny_run).evaluate(read_rows(tmp_path))
    assert labelled.ids[[0, -1]].tolist() == ["train-m0", "test-m95"]
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as file:
        file.write("m0,one more,bank,c0\n")
    with pytest.raises(DataError) as caught:
        equipoise.load(tiny_run).evaluate(read_rows(tmp_path))
    (said,) = caught.value.faults
    assert said.startswith(f"{tmp_path} (test): the id 'm0' occurs 2 times, in rows 1, 97;")


def test_a_missing_column_is_explained_by_what_it_is_for(run: Path, tmp_path: Path) -> None:
    why = {
        "Msg Body": "for the text; its columns are 'Nr.', 'Thema (final)', 'Kunden-Nr', 'Betrag'",
        "Thema (final)": f"({run} is judged by the right classes; to decide without them take",
        "Betrag": f"({run} has costs that are times this column)",
    }
    for lost, said in why.items():
        done = run_cli("evaluate", run, renamed(tmp_path / "rows.csv", seed=3, without=lost))
        assert done.code == 2
        assert said in done.stderr
        assert ("needs their text" in done.stderr) == (lost == "Msg Body")


def test_a_name_of_ones_own_wins(run: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(renamed(tmp_path / "rows.csv", seed=3)).rename(columns={"Msg Body": "text"})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert "no column 'Msg Body'" in run_cli("evaluate", run, tmp_path / "rows.csv").stderr
    done = run_cli("evaluate", run, tmp_path / "rows.csv", "--text", "text")
    assert done.code == 0, done.stderr


# ── rows that the run has seen ────────────────────────────────────────────────────────────────


def test_rows_that_were_trained_on_are_told_loudly(run: Path) -> None:
    splits = pd.read_parquet(run / "splits.parquet")["split"].value_counts()
    done = run_cli("evaluate", run, run.parent / "rows.csv")
    first = done.stdout.splitlines()[0]
    assert first.startswith(
        f"warning: {splits['train']} of {splits.sum()} rows were trained on, "
        f"{splits['validation']} chose the decision rule (by their texts):"
    )
    said = json.loads(run_cli("evaluate", run, run.parent / "rows.csv", "--json").stdout)
    assert said["warnings"] == [first.removeprefix("warning: ")]


def test_new_rows_are_not_and_ids_alone_say_nothing(
    tiny_run: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    loaded = equipoise.load(tiny_run)
    _, scores = loaded.evaluate(read_rows(tiny_rows / "test.csv"))
    assert scores.warnings == ()
    # The ids of training rows, on texts that nobody has seen.
    _, scores = loaded.evaluate(read_rows(write_rows(tmp_path / "rows.csv", seed=9)))
    assert scores.warnings == ()
    # And their texts, in other letters and without ids.
    seen = pd.read_csv(tiny_rows / "train.csv")
    seen.assign(text=seen["text"].str.upper() + "!")[["text", "label"]].to_csv(
        tmp_path / "seen.csv", index=False
    )
    _, scores = loaded.evaluate(read_rows(tmp_path / "seen.csv"))
    assert "of 96 rows were trained on" in scores.warnings[0]


def test_rows_look_alike_from_where_the_run_was_told(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "alike.csv"
    texts = [f"please play the loud music number {k} of the old band" for k in range(12)]
    labels = ["music", "bank"] * 6
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    loaded = equipoise.load(tiny_run)
    assert isinstance(loaded, LoadedRun)
    for threshold, clusters in ((0.8, 2), (1.0, 12)):
        loaded.manifest.recipe["split"]["threshold"] = threshold
        predictions, _ = loaded.evaluate(read_rows(path))
        assert len(set(predictions.clusters.tolist())) == clusters


def test_a_run_without_marks_says_that_nobody_can_tell(run: Path, tmp_path: Path) -> None:
    import shutil

    old = Path(shutil.copytree(run, tmp_path / "old"))
    splits = pd.read_parquet(old / "splits.parquet").drop(columns="text_mark")
    splits.to_parquet(old / "splits.parquet", index=False)
    done = run_cli("evaluate", old, run.parent / "rows.csv")
    assert "keeps no marks of its rows, so nobody can tell" in done.stdout.splitlines()[0]


def test_marks_are_those_of_duplicates_and_of_whole_conversations() -> None:
    def marks(*texts: str, answer: str = "Yes.") -> list[str]:
        turns = [(Turn("user", text), Turn("assistant", answer)) for text in texts]
        plain = Rows(ids=text_column(list(texts)), texts=text_column(list(texts)))
        asked = Rows(ids=plain.ids, texts=plain.texts, turns=text_column(turns))
        return [*text_marks(plain), *text_marks(asked)]

    one, two, three, *written = marks("Is it?", "is  IT", "it is")
    assert one == two != three
    assert not set(written) & set(marks("Is it?", answer="No.")[1:])


# ── one text is no list of texts ──────────────────────────────────────────────────────────────


def test_a_lone_text_goes_into_a_list(tiny_run: Path) -> None:
    with pytest.raises(DataError, match=r"a lone text goes into a list, as \['refund'\]"):
        equipoise.load(tiny_run).predict("refund")


def test_a_path_is_no_table(tiny_run: Path) -> None:
    with pytest.raises(DataError, match=r"was given str 'new.csv'; read rows with equipoise.data"):
        equipoise.load(tiny_run).evaluate("new.csv")  # type: ignore[arg-type]


def test_loading_shows_no_bars(tiny_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    equipoise.load(tiny_run)
    assert capfd.readouterr().err == ""


# ── whose folder it is ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["report.html", "audit.json", "scores.json", "notes.txt"])
def test_files_of_others_are_never_overwritten(
    name: str, tiny_run: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text('{"schema": 1, "mine": true}', encoding="utf-8")
    for args in (("audit", tiny_rows, "--model", "none"), ("evaluate", tiny_run, tiny_rows)):
        done = run_cli(*args, "--out", tmp_path)
        assert done.code == 2
        assert f"({name}); give another folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert "mine" in (tmp_path / name).read_text(encoding="utf-8")


def test_an_earlier_result_of_the_same_command_is_replaced(
    tiny_run: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    scores, audit = tmp_path / "scores", tmp_path / "audit"
    for _ in range(2):
        done = run_cli("evaluate", tiny_run, tiny_rows / "test.csv", "--out", scores)
        assert done.code == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"scores: {scores / 'scores.json'}"
        done = run_cli("audit", tiny_rows, "--model", "none", "--out", audit, "--quiet")
        assert done.code == 0, done.stderr
    with pytest.raises(FolderError, match="not scores of equipoise evaluate"):
        check_scores_folder(audit)
    with pytest.raises(FolderError, match="not an audit"):
        check_audit_folder(scores)
    with pytest.raises(FolderError, match="holds a run"):
        check_audit_folder(tiny_run)
    told = json.loads(
        run_cli("evaluate", tiny_run, tiny_rows / "test.csv", "--out", scores, "--json").stdout
    )
    assert told["out"] == str(scores)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_what_is_no_run_is_called_by_its_name(
    command: str, tiny_rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}", encoding="utf-8")
    for given, said in ((tiny_rows / "test.csv", "is a file, not a run folder"),
                        (tmp_path / "audit", "holds an audit, not a run")):  # fmt: skip
        out = ("--out", tmp_path / "d.csv") if command == "predict" else ()
        done = run_cli(command, given, tiny_rows, *out)
        assert done.code == 2
        assert said in done.stderr


def test_a_classifier_s_own_run_is_asked_for_by_common_names(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Its rows came as arrays, whose names X and y no file has."""
    table = read_rows(tiny_rows / "train.csv", columns=ColumnNames()).parts["all"]
    model = equipoise.EquipoiseClassifier(model=str(tiny_base), method="head", epochs=1)
    model.fit(table.texts.tolist(), table.labels.tolist())
    folder = model.save_run(tmp_path / "run")
    done = run_cli("evaluate", folder, tiny_rows / "test.csv")
    assert done.code == 0, done.stderr


# ── check, and train nothing ──────────────────────────────────────────────────────────────────


def test_a_check_shows_the_division_of_the_run_and_writes_nothing(
    tiny_run: Path, tiny_trained: tuple[tuple[str, ...], Outcome], tmp_path: Path
) -> None:
    command = [word for word in tiny_trained[0] if word != "--json"]
    command[command.index("--out") + 1] = str(tmp_path / "none")
    told = run_cli(*command, "--check")
    assert told.code == 0, told.stderr
    assert told.stdout.endswith("rows and settings can be used; nothing was trained\n")
    checked = json.loads(run_cli(*command, "--check", "--json").stdout)
    kept = read_manifest(tiny_run).rows
    assert checked["classes"] == {name: one.counts for name, one in kept.splits.items()}
    assert checked["warnings"] == kept.warnings
    assert not (tmp_path / "none").exists()


def test_a_check_finds_what_training_would(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "prior.yaml").write_text("unheard of: 0.5\nbank: 0.5\n", encoding="utf-8")
    asked = ("train", tiny_rows, "--model", tiny_base, "--prior", tmp_path / "prior.yaml")
    asked = (*asked, "--out", tmp_path / "run")
    checked, trained = run_cli(*asked, "--check"), run_cli(*asked)
    assert checked.code == trained.code == 2
    assert "prior: class 'unheard of' is not in the training rows" in checked.stderr
    assert checked.stderr == trained.stderr
