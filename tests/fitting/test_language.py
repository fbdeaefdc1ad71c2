"""A run warns of a language that its base does not know, as the audit does."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from equipoise.models.writing.random_base import save_random_base
from tests.cli_runner import run_cli

ENGLISH = ["the music is loud", "my card was charged", "please switch the light on", "play a song"]
RUSSIAN = ["музыка играет слишком громко", "с карты списали деньги", "включите свет в комнате"]
GERMAN = [
    "die Musik in meinem Zimmer ist viel zu laut",
    "von meiner Karte wurde zweimal Geld abgebucht",
    "bitte schalten Sie das Licht in der Küche ein",
]


def write(path: Path, texts: list[str], columns: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows((f"{texts[k % len(texts)]} {k}", "ab"[k % 9 < 3]) for k in range(90))
    return path


@pytest.fixture(scope="module")
def byte_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder made for English whose tokenizer has a token for every byte, and none unknown."""
    folder = save_random_base(tmp_path_factory.mktemp("base") / "bytes", ENGLISH, width=32)
    (folder / "README.md").write_text("---\nlanguage: en\n---\n", encoding="utf-8")
    return folder


def warned(rows: Path, base: Path, out: Path, *options: str) -> list[str]:
    done = run_cli("train", rows, "--model", base, "--check", "--out", out, "--json", *options)
    assert done.code == 0, done.stderr
    return [said for said in json.loads(done.stdout)["warnings"] if "--model" in said]


def test_bytes_of_another_script_are_broken_words(tmp_path: Path, byte_base: Path) -> None:
    """No token is unknown, so only the words can tell."""
    rows = write(tmp_path / "rows.csv", RUSSIAN)
    said = warned(rows, byte_base, tmp_path / "run")[0]
    assert said.startswith(f"{byte_base}'s tokenizer hardly knows the words of 'a' and 'b': ")
    assert "of the words broken up, 0 % of the tokens unknown" in said
    audit = run_cli("audit", rows, "--model", byte_base, "--out", tmp_path / "audit", "--json")
    assert audit.code == 0, audit.stderr
    found = {f["kind"]: f["says"] for f in json.loads(audit.stdout)["findings"]}
    assert found["language"].startswith("the base model's tokenizer hardly knows the words of")


def test_the_language_of_the_rows_is_held_against_the_card(tmp_path: Path, byte_base: Path) -> None:
    pytest.importorskip("py3langid")
    rows = write(tmp_path / "rows.csv", GERMAN)
    foreign = (
        f"100 % of the rows are in other languages than {byte_base} was made for (English): "
        "German 100 %; take a base model that was trained on this language or script (--model)"
    )
    assert foreign in warned(rows, byte_base, tmp_path / "run")
    # So does a run that writes, of what is asked.
    asked = write(tmp_path / "asked.csv", GERMAN, ("prompt", "completion"))
    options = ("--prompt", "prompt", "--completion", "completion")
    assert foreign in warned(asked, byte_base, tmp_path / "run", *options)
    audit = run_cli("audit", rows, "--model", byte_base, "--out", tmp_path / "audit", "--json")
    record = json.loads(audit.stdout)
    assert record["spoken"] == {
        "declared": ["en"], "sampled": 90, "rows": 90, "outside": 1.0, "others": {"de": 1.0}
    }  # fmt: skip
    assert {f["kind"]: f["weight"] for f in record["findings"]}["other_language"] == "serious"


def test_nothing_is_said_of_a_base_that_declares_nothing(tmp_path: Path, byte_base: Path) -> None:
    pytest.importorskip("py3langid")
    bare = shutil.copytree(byte_base, tmp_path / "bare", ignore=shutil.ignore_patterns("*.md"))
    rows = write(tmp_path / "rows.csv", GERMAN)
    assert not any("languages" in said for said in warned(rows, bare, tmp_path / "run"))
    audit = run_cli("audit", rows, "--model", bare, "--out", tmp_path / "audit", "--json")
    record = json.loads(audit.stdout)
    assert record["spoken"] is None
    assert not any("language" in skipped["what"] for skipped in record["skipped"])


def test_a_run_is_silent_without_the_detector(
    tmp_path: Path, byte_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.audit import spoken

    spoken._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    rows = write(tmp_path / "rows.csv", GERMAN)
    said = warned(rows, byte_base, tmp_path / "run")
    assert not any("languages" in one or "py3langid" in one for one in said)


def test_several_labels_are_looked_at_each_by_itself(tmp_path: Path, byte_base: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        {"text": f"{ENGLISH[k % 4]} {k}", "label": ["en"]}
        if k % 2
        else {"text": f"{RUSSIAN[k % 3]} {k}", "label": ["ru"] if k % 4 else ["ru", "en"]}
        for k in range(120)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    said = warned(path, byte_base, tmp_path / "run")[0]
    assert "hardly knows the words of 'ru' and 'en'" in said
    assert said.split("; ")[0].endswith("in 'ru'")
