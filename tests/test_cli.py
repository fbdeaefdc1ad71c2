"""Every mistake ends in clear lines and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bad_input import CASES, GROUPS, Case, Place
from tests.bad_input.case import faults_of, left_behind, snapshot
from tests.cli_runner import run_cli

COMMANDS = ("demo", "train", "evaluate", "predict", "report", "cache")


@pytest.fixture
def place(tmp_path: Path, tiny_base: Path, tiny_rows: Path, tiny_run: Path) -> Place:
    folder = tmp_path / "case"
    folder.mkdir()
    return Place(folder, tiny_base, tiny_rows, tiny_run)


def test_there_are_at_least_150_cases_each_with_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_ends_in_clear_lines(case: Case, place: Place) -> None:
    args = case.prepare(place)
    before = snapshot(place.folder)
    done = run_cli(args[0], "--json", *args[1:], env=case.env)
    faults = faults_of(case, done.code, done.stdout, done.stderr, as_json=True)
    faults += left_behind(case, before, snapshot(place.folder))
    assert not faults, "\n".join([*faults, "", done.stderr[-3000:]])


def test_a_mistake_in_a_process_of_its_own(place: Place) -> None:
    """Without --json: nothing on standard output. benchmarks/bad_input.py tries every case so."""
    case = next(case for case in GROUPS["rows"] if not case.env)
    args = case.prepare(place)
    before = snapshot(place.folder)
    done = subprocess.run(
        [sys.executable, "-m", "equipoise.cli", *args],
        capture_output=True,
        text=True,
        timeout=120,
    )
    faults = faults_of(case, done.returncode, done.stdout, done.stderr, as_json=False)
    faults += left_behind(case, before, snapshot(place.folder))
    assert not faults, "\n".join([case.name, *faults])


def test_without_json_standard_output_stays_empty(place: Place) -> None:
    done = run_cli("train", place.rows, "--remedy", "magic", "--out", place.folder / "out")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("command", [(), ("--help",), *((c, "--help") for c in COMMANDS)])
def test_help_is_given(command: tuple[str, ...]) -> None:
    done = run_cli(*command)
    assert done.code == 0
    assert done.stdout.startswith("Usage: equipoise")
    assert done.stderr == ""


def test_the_version_is_told() -> None:
    import equipoise

    assert run_cli("--version").stdout.strip() == equipoise.__version__


def test_the_cache_is_shown_and_cleared(tiny_run: Path, own_cache: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(own_cache, tmp_path / "cache"))
    (copy / "notes.txt").write_text("mine", encoding="utf-8")
    env = {"EQUIPOISE_CACHE": str(copy)}
    shown = json.loads(run_cli("cache", "--json", env=env).stdout)
    assert shown["folder"] == str(copy)
    assert 0 < shown["bytes"] < shown["limit_bytes"]
    cleared = json.loads(run_cli("cache", "--clear", "--json", env=env).stdout)
    assert cleared["freed_bytes"] == shown["bytes"]
    assert cleared["bytes"] == 0
    assert [path.name for path in copy.rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_fault_of_our_own_exits_1_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tiny_run: Path
) -> None:
    import equipoise.report

    def broken(folder: Path) -> Path:
        raise RuntimeError(f"boom in {folder}")

    monkeypatch.setattr(equipoise.report, "write_report", broken)
    done = run_cli("report", tiny_run, "--json")
    assert done.code == 1
    assert done.stdout == ""
    assert "RuntimeError: boom" in done.stderr
    assert "fault of equipoise" in done.stderr.splitlines()[-1]


def test_a_full_disk_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch, tiny_run: Path) -> None:
    import equipoise.report

    def full(folder: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr(equipoise.report, "write_report", full)
    done = run_cli("report", tiny_run)
    assert done.code == 2
    assert done.stderr.startswith(f"error: {tiny_run}: No space left on device; make room")


def test_names_that_the_terminal_can_t_show_do_not_hide_the_error(tmp_path: Path) -> None:
    """A file name that is not UTF-8, on an ASCII terminal."""
    name = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "equipoise.cli", "train", "rows.csv", "--costs", name, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "no such cost file" in json.loads(done.stdout)["errors"][0]


def test_ctrl_c_exits_130_and_the_same_command_goes_on(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Interrupted in the middle of training, resumed, and the same bytes as without."""
    command = ["train", str(tiny_rows), "--model", str(tiny_base), "--epochs", "80"]
    command += ["--set", "train.choose_by=last", "--baseline", "none", "--json"]
    out, whole = tmp_path / "stopped", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "equipoise.cli", *command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not (out / "history.jsonl").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert json.loads(stdout) == {
        "errors": ["interrupted: the same command goes on where this one stopped"]
    }
    assert "Traceback" not in stderr
    assert "the same command goes on" in stderr.splitlines()[-1]
    kept = json.loads((out / "started.json").read_text())["seconds"]
    assert 0 < kept < 120
    assert not (out / "run.json").exists()
    assert "unfinished" in run_cli("report", out).stderr

    done = run_cli(*command, "--out", out)
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["resumed"], said["state"]) == (True, "went on")
    assert said["seconds"]["sessions before"] == kept
    told = [
        json.loads(line)["seconds"] for line in (out / "history.jsonl").read_text().splitlines()
    ]
    assert told == sorted(told)
    assert told[-1] > kept
    again = run_cli(*command, "--out", out)
    assert json.loads(again.stdout)["state"] == "was finished"
    shown = run_cli(*(word for word in command if word != "--json"), "--out", out).stdout
    assert shown.startswith("this run was finished before (20")
    assert "nothing was trained" in shown.splitlines()[0]
    made = run_cli(*command, "--out", whole)
    assert json.loads(made.stdout)["state"] == "made"
    for name in ("model/model.safetensors", "head.safetensors", "predictions.parquet", "order.npy"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_errors_that_the_page_shows_are_those_that_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The page may break a line off with "..."."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
    command, *shown = page.split("```console\n$ equipoise train rows.csv --remedy focall")[1].split(
        "\n"
    )
    shown = shown[: shown.index("```")]
    done = run_cli("train", "rows.csv", "--remedy", "focall", *command.split())
    said = done.stderr.splitlines()
    assert len(said) == len(shown) == 2
    for line, as_shown in zip(said, shown, strict=True):
        assert line.startswith(as_shown.removesuffix("...")), line
        assert as_shown.endswith("...") or line == as_shown


def test_settings_of_all_sources_are_told_together(tmp_path: Path) -> None:
    done = run_cli(
        *("train", "rows.csv", "--measure", "f1", "--prior", tmp_path / "none.yaml"),
        *("--costs", tmp_path / "nowhere.yaml", "--set", "epochs=2", "--set", "model.rank=0"),
        *("--remedy", "costs", "--remedy", "focall"),
    )
    said = "\n".join(done.stderr.splitlines())
    for part in (
        "none.yaml: no such file",
        "nowhere.yaml: no such cost file",
        "measure: 'f1' is not known; did you mean macro_f1 or weighted_f1",
        "epochs: unknown setting; did you mean train.epochs?",
        "model.rank is 0",
        "unknown remedy 'focall'",
    ):
        assert part in said
    assert len(done.stderr.splitlines()) == 6  # and nothing that follows from another fault


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_help_names_no_option_that_is_not_there(command: str) -> None:
    assert "--task" not in run_cli(command, "--help").stdout


def test_texts_without_a_class_may_be_meant_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("text\nhello\n", encoding="utf-8")
    said = run_cli("audit", tmp_path / "bare.csv", "--out", tmp_path / "other").stderr
    assert "or say --task write" in said


def test_remedies_lists_every_remedy_with_its_source() -> None:
    from equipoise.remedies.table import REMEDIES
    from equipoise.summary import remedies_record, remedies_text

    record = remedies_record()
    assert sum(len(found) for found in record.values()) == len(REMEDIES)
    said = remedies_text(record)
    for name, remedy in REMEDIES.items():
        assert name in said
        assert remedy.source in said
        assert record[remedy.moment][name]["is"]
