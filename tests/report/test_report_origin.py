"""The command that repeats a run: its paths fit one folder, which the page names."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from html_check import read_page
from make_run import make_run

from equipoise.report import write_report
from equipoise.report.page import TEMPLATES
from equipoise.report.read import read_run
from equipoise.report.sections.origin import LEVELS, OriginSection, origin_section


def origin_of(folder: Path, source: str, **settings) -> OriginSection:
    return origin_section(read_run(make_run(folder, source=source, **settings)))


def paths_of(command: str) -> tuple[str, str, str]:
    """Rows, recipe, out."""
    words = shlex.split(command)
    return words[2], words[words.index("--recipe") + 1], words[words.index("--out") + 1]


@pytest.mark.parametrize(
    ("run", "source", "levels"),
    [
        ("run", "rows.csv", 1),
        ("runs/run", "rows.csv", 2),
        ("runs/run", "data/rows.csv", 2),
        ("deep/runs/run", "../rows.csv", 2),
    ],
)
def test_every_path_leads_somewhere_from_the_folder_that_is_named(tmp_path, run, source, levels):
    start = (tmp_path / run).parents[levels - 1]
    start.mkdir(parents=True, exist_ok=True)
    rows = start / source
    rows.parent.mkdir(exist_ok=True)
    rows.write_text("text,label\n", encoding="utf-8")
    section = origin_of(tmp_path / run, source)
    named, recipe, out = paths_of(section.command)
    assert named == source
    assert (start / named).exists()
    assert (start / recipe).read_text(encoding="utf-8").startswith("model:")
    assert (start / out) == (tmp_path / f"{run}-again")
    where = "the folder above" if levels == 1 else f"the folder {levels} levels above"
    assert section.where.startswith(f"Run it from {where} the run’s own;")


def test_rows_that_are_gone_are_said_to_be_so(tmp_path):
    section = origin_of(tmp_path / "runs" / "run", "rows.csv")
    assert paths_of(section.command) == ("rows.csv", "run/recipe.yaml", "run-again")
    assert section.where.startswith("Run it from the folder above the run’s own;")
    assert "put the path of today in their place" in section.where


def test_a_name_that_no_disk_could_hold_is_not_there(tmp_path):
    assert "in their place" in origin_of(tmp_path / "run", "x" * 5000).where


def test_rows_far_up_are_others(tmp_path):
    """And the page does not tell how the disk is laid out."""
    (tmp_path / "rows.csv").touch()
    deep = "/".join("abcdefgh"[:LEVELS])
    section = origin_of(tmp_path / deep / "run", "rows.csv")
    assert paths_of(section.command)[1] == "run/recipe.yaml"


@pytest.mark.parametrize("source", ["hf:owner/name", "/data/rows.csv"])
def test_rows_that_lie_anywhere_need_no_folder(tmp_path, source):
    section = origin_of(tmp_path / "runs" / "run", source)
    assert paths_of(section.command) == (source, "run/recipe.yaml", "run-again")
    assert "in their place" not in section.where


def test_a_base_in_a_folder_tells_where_training_was_started(tmp_path):
    (tmp_path / "base").mkdir()
    run = read_run(make_run(tmp_path / "runs" / "run", source="hf:owner/name"))
    model = run.manifest.model.model_copy(update={"name": "base"})
    run = dataclasses.replace(run, manifest=run.manifest.model_copy(update={"model": model}))
    assert paths_of(origin_section(run).command)[1] == "runs/run/recipe.yaml"


def test_the_page_is_the_same_from_every_folder(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").touch()
    folder = make_run(tmp_path / "runs" / "run", source="rows.csv")
    first = write_report(folder).read_bytes()
    monkeypatch.chdir(tmp_path)
    assert write_report(Path("runs/run")).read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_the_command_wraps(tmp_path):
    page = read_page(write_report(make_run(tmp_path / "run")))
    assert [block.get("class") for block in page.all("pre")] == ["command", None]
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert "pre.command { white-space: pre-wrap;" in css


def test_the_encoding_that_was_named_is_named_again(tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    assert "--encoding" not in origin_section(run).command
    rows = run.manifest.rows.model_copy(update={"encoding": "latin-1"})
    run = dataclasses.replace(run, manifest=run.manifest.model_copy(update={"rows": rows}))
    words = shlex.split(origin_section(run).command)
    assert words[words.index("--encoding") + 1] == "latin-1"
