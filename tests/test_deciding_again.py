"""What is decided on logits that stand is what a run of its own would have decided."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is run from the root and is not installed

from benchmarks import single_remedies  # noqa: E402
from benchmarks.deciding_again import decide_again  # noqa: E402
from equipoise.data.read import read_rows  # noqa: E402
from equipoise.data.table import ColumnNames  # noqa: E402
from equipoise.fit import fit_table  # noqa: E402
from equipoise.recipe import Recipe, make_recipe  # noqa: E402
from tests.several_rows import write_several  # noqa: E402
from tests.tiny_rows import write_rows  # noqa: E402

KEPT = ("predictions.parquet", "decision.json")


def recipe_of(base: Path, remedies: tuple[str, ...], **model: Any) -> Recipe:
    return make_recipe(
        {
            "model": {"name": str(base), "head": "linear", **model},
            "train": {"epochs": 2, "batch_rows": 8, "device_rows": 8},
            "split": {"validation_share": 0.3, "test_share": 0.3},
            "remedies": remedies,
            "baselines": (),
        }
    )


@pytest.mark.parametrize("labels", ["one", "several"])
def test_it_is_what_its_own_run_decides(labels: str, tiny_base: Path, tmp_path: Path) -> None:
    several = labels == "several"
    write = write_several if several else write_rows
    columns = ColumnNames(label_separator="|" if several else None)
    table = read_rows(write(tmp_path / "rows.csv", seed=2), columns=columns)
    fit_table(table, plain := tmp_path / "plain", recipe_of(tiny_base, ("temperature",)), seed=3)
    remedies = ("at_least_one_label",) if several else ("tau_normalisation", "measure_offsets")
    recipe = recipe_of(tiny_base, (*remedies, "temperature"))
    fit_table(table, own := tmp_path / "own", recipe, seed=3)
    decide_again(plain, again := tmp_path / "again", table, recipe, seed=3)
    for name in KEPT:
        assert (again / name).read_bytes() == (own / name).read_bytes(), name
    assert (again / "decision.json").read_bytes() != (plain / "decision.json").read_bytes()


def test_a_run_on_other_rows_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_base, ("temperature",), method="head")
    tables = [read_rows(write_rows(tmp_path / f"{seed}.csv", seed=seed)) for seed in (1, 2)]
    fit_table(tables[0], plain := tmp_path / "plain", recipe)
    with pytest.raises(RuntimeError, match="plain: its validation rows are not those of the table"):
        decide_again(plain, tmp_path / "again", tables[1], recipe, seed=0)


def test_units_of_decisions_train_plain_once(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, tmp_path: Path
) -> None:
    fit_module = importlib.import_module("equipoise.fit")  # `equipoise.fit` is its function
    trained: list[str] = []
    original = fit_module._trained

    def counting(kind: Any, prepared: Any, *args: Any, **more: Any) -> Any:
        trained.append(",".join(prepared.recipe.remedies))
        return original(kind, prepared, *args, **more)

    monkeypatch.setattr(fit_module, "_trained", counting)
    monkeypatch.setattr(single_remedies, "plain_runs", lambda: tmp_path)
    write_rows(tmp_path / "rows.csv", seed=2)
    for number, remedy in enumerate(("plain", "isotonic_calibration", "focal", "measure_offsets")):
        unit = {
            "set": "trec6",
            "remedy": remedy,
            "seed": 0,
            "remedies": single_remedies.remedies_of(remedy),
            "model": {"name": str(tiny_base)},
        }
        run = single_remedies.run_of(tmp_path / "rows.csv", tmp_path / str(number), unit)
        assert all((run / name).exists() for name in KEPT)
    assert trained == ["temperature", "focal,temperature"]
