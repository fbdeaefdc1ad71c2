"""Models of the same rows in several data orders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from equipoise.data.read import read_rows
from equipoise.errors import SettingsError
from equipoise.fit import fit, fit_orders
from equipoise.models.batches import StepPlan, steps_elsewhere
from equipoise.recipe import make_recipe
from equipoise.records.predictions import read_predictions
from tests.cli_runner import run_cli


def order_of(run: Path) -> np.ndarray:
    found: np.ndarray = np.load(run / "order.npy")
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_rows: Path) -> Path:
    out = tmp_path_factory.mktemp("orders") / "runs"
    done = run_cli(
        *("train", tiny_rows, "--model", tiny_base, "--epochs", "2", "--orders", "3"),
        *("--baseline", "tfidf", "--out", out),
    )
    assert done.code == 0, done.stderr
    assert "order-2" in done.stdout
    return out


def test_rows_and_division_are_the_same_and_orders_differ(runs: Path) -> None:
    folders = [runs / f"order-{k}" for k in range(3)]
    splits = [pq.read_table(folder / "splits.parquet") for folder in folders]
    assert splits[0].equals(splits[1])
    assert splits[0].equals(splits[2])
    orders = [order_of(folder) for folder in folders]
    for one in orders:
        assert (np.sort(one, axis=1) == np.sort(orders[0], axis=1)).all()
    for k in (1, 2):
        assert (orders[k] != orders[k - 1]).mean() > 0.5
    ids = {str(read_predictions(folder / "predictions.parquet").ids.tolist()) for folder in folders}
    assert len(ids) == 1


def test_baselines_are_trained_beside_the_first_alone(runs: Path) -> None:
    counts = [
        len(json.loads((runs / f"order-{k}" / "run.json").read_text())["baselines"])
        for k in range(3)
    ]
    assert counts == [1, 0, 0]


def test_the_first_order_is_that_of_a_run_alone(
    runs: Path, tmp_path: Path, tiny_base: Path, tiny_rows: Path
) -> None:
    recipe = make_recipe(
        {"model": {"name": str(tiny_base)}, "train": {"epochs": 2}, "baselines": ["tfidf"]}
    )
    alone = fit(tiny_rows, tmp_path / "alone", recipe).folder
    for name in ("order.npy", "predictions.parquet", "head.safetensors"):
        assert (alone / name).read_bytes() == (runs / "order-0" / name).read_bytes()


@pytest.mark.parametrize("method", ["light", "full", "lora"])
def test_all_start_from_one_head(
    method: str, tmp_path: Path, tiny_base: Path, tiny_rows: Path
) -> None:
    """At a rate next to nothing it stays where it was."""
    recipe = make_recipe(
        {
            "model": {"name": str(tiny_base), "method": method},
            "train": {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12},
            "baselines": [],
        }
    )
    found = fit_orders(read_rows(tiny_rows), tmp_path / "runs", recipe, 2)
    heads = [load_file(run.folder / "head.safetensors") for run in found]
    for name, value in heads[0].items():
        np.testing.assert_allclose(value, heads[1][name], rtol=1e-6, atol=1e-9)


def test_the_same_call_trains_nothing_again(runs: Path, tiny_base: Path, tiny_rows: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("model.safetensors")}
    done = run_cli(
        *("train", tiny_rows, "--model", tiny_base, "--epochs", "2", "--orders", "3"),
        *("--baseline", "tfidf", "--out", runs, "--json"),
    )
    assert done.code == 0, done.stderr
    assert [run["resumed"] for run in json.loads(done.stdout)["runs"]] == [True] * 3
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("model.safetensors")} == before


def test_one_order_is_none(tmp_path: Path, tiny_base: Path, tiny_rows: Path) -> None:
    with pytest.raises(SettingsError, match="orders is 1; give 2 or more"):
        fit_orders(read_rows(tiny_rows), tmp_path, make_recipe({}), 1)


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 7), st.integers(0, 999))
def test_steps_that_come_elsewhere_keep_their_rows(
    epochs: int, places: int, batch_rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(places) for _ in range(epochs)])
    plan = StepPlan(order.astype(np.int64), batch_rows)
    moved = steps_elsewhere(plan, rng)

    def steps(of: StepPlan, epoch: int) -> list[tuple[int, ...]]:
        return [tuple(of.step(epoch, k).tolist()) for k in range(of.steps)]

    for epoch in range(epochs):
        assert sorted(steps(plan, epoch)) == sorted(steps(moved, epoch))
        if places % batch_rows:
            assert steps(plan, epoch)[-1] == steps(moved, epoch)[-1]


def test_orders_of_steps_keep_the_steps_of_the_first(
    tmp_path: Path, tiny_base: Path, tiny_rows: Path
) -> None:
    recipe = make_recipe(
        {
            "model": {"name": str(tiny_base), "method": "head"},
            "train": {"epochs": 2, "order_of": "steps", "batch_rows": 8, "device_rows": 8},
            "baselines": [],
        }
    )
    found = fit_orders(read_rows(tiny_rows), tmp_path / "runs", recipe, 2)
    first, second = (StepPlan(order_of(run.folder), 8) for run in found)
    for epoch in range(2):
        steps = [
            sorted(tuple(plan.step(epoch, k).tolist()) for k in range(plan.steps))
            for plan in (first, second)
        ]
        assert steps[0] == steps[1]
    assert (first.order != second.order).any()
