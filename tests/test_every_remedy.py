"""Every remedy of the table, from rows to the report's page, or refused before training begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from equipoise.remedies.table import REMEDIES
from tests.cli_runner import Outcome, run_cli
from tests.report.html_check import read_page
from tests.several_rows import write_several
from tests.test_fit import COSTS
from tests.tiny_rows import write_rows

GROUPED = tuple(name for name, r in REMEDIES.items() if "groups" in r.needs)
PRICED = tuple(name for name, r in REMEDIES.items() if {"costs", "row_costs"} & set(r.needs))
HEAD_ONLY = tuple(name for name, r in REMEDIES.items() if r.kind == "synthesise")
MUST_SAY = {
    "guaranteed_presence": "guaranteed_presence:at_least=2",
    "group_weights": "group_weights:by=cell",
    "deferral": "deferral:by=coverage,coverage=0.9",
}
"""Remedies that want a setting, or are asked for as users would."""
SMALL = ("--baseline", "none", "--epochs", "1", "--quiet")


@pytest.fixture(scope="module")
def one_label(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    return write_rows(folder / "rows.csv", seed=2)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    return write_several(folder / "rows.csv", seed=3)


def train(rows: Path, base: Path, out: Path, name: str, *more: str | Path) -> Outcome:
    asked = ("--remedy", MUST_SAY.get(name, name))
    method = ("--method", "head") if name in HEAD_ONLY else ()
    if REMEDIES[name].kind == "rescale":
        method = ("--head", "linear")
    return run_cli(
        *("train", rows, "--model", base, "--out", out, *SMALL, *asked, *method, *more),
    )


def needed(name: str, rows: Path) -> list[str | Path]:
    more: list[str | Path] = []
    if name in GROUPED:
        more += ["--group", "customer"]
    if name in PRICED:
        more += ["--costs", rows.parent / "costs.yaml"]
    return more


def check_whole(done: Outcome, out: Path, name: str) -> None:
    assert done.code == 0, done.stderr
    assert name in [r["name"] for r in json.loads((out / "run.json").read_text())["remedies"]]
    page = read_page(out / "report.html")
    assert name in page.text
    assert not page.faults


@pytest.mark.parametrize("name", [n for n, r in REMEDIES.items() if r.labels != "several"])
def test_one_label_a_row(name: str, one_label: Path, tiny_base: Path, tmp_path: Path) -> None:
    if REMEDIES[name].kind == "synthesise":
        pytest.importorskip("imblearn")
    done = train(one_label, tiny_base, tmp_path / "run", name, *needed(name, one_label))
    check_whole(done, tmp_path / "run", name)


@pytest.mark.parametrize("name", [n for n, r in REMEDIES.items() if r.labels != "one"])
def test_several_labels_a_row(name: str, several: Path, tiny_base: Path, tmp_path: Path) -> None:
    done = train(several, tiny_base, tmp_path / "run", name, "--label-separator", "|")
    check_whole(done, tmp_path / "run", name)


@pytest.mark.parametrize("name", [n for n, r in REMEDIES.items() if r.labels == "one"])
def test_several_labels_refuse(
    name: str, several: Path, one_label: Path, tiny_base: Path, tmp_path: Path
) -> None:
    more = ("--label-separator", "|", *needed(name, one_label))
    done = train(several, tiny_base, tmp_path / "run", name, *more)
    assert done.code == 2
    lines = done.stderr.splitlines()
    said = [line for line in lines if line.startswith(f"error: remedy {name}:")]
    assert len(said) == 1, done.stderr
    assert "may have several" in said[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [n for n, r in REMEDIES.items() if r.labels == "several"])
def test_one_label_refuses(name: str, one_label: Path, tiny_base: Path, tmp_path: Path) -> None:
    done = train(one_label, tiny_base, tmp_path / "run", name)
    assert done.code == 2
    said = [x for x in done.stderr.splitlines() if x.startswith("error:") and name in x]
    assert len(said) == 1, done.stderr
    assert not (tmp_path / "run").exists()
