"""Where no texts are to be kept, what is said of rows quotes none."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli_runner import run_cli
from tests.tiny_rows import write_rows

SECRET = "my card number is 4929 1234"


def test_a_warning_of_training_names_rows_by_their_ids(tiny_base: Path, tmp_path: Path) -> None:
    """run.json and the report hold the warnings."""
    rows = write_rows(tmp_path / "rows.csv")
    with rows.open("a", encoding="utf-8") as file:
        file.writelines(f"{label},{SECRET},{label},\n" for label in ("bank", "music"))
    asked = ("train", rows, "--model", tiny_base, "--check", "--json", "--out", tmp_path / "run")
    kept, left_out = (run_cli(*asked, "--set", f"keep_texts={on}") for on in ("true", "false"))
    assert SECRET in kept.stdout
    assert SECRET not in left_out.stdout
    assert any("under different labels" in said for said in json.loads(left_out.stdout)["warnings"])


def test_nor_does_an_audit_of_prompts(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"{SECRET} {n // 2}", "completion": "yes", "category": "ab"[n % 2]}
        for n in range(20)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = run_cli(
        "audit", path, "--model", "none", "--no-texts", "--json", "--out", tmp_path / "a"
    )
    assert "under different categories" in done.stdout, done.stderr
    assert SECRET not in done.stdout
