"""Runs with samplers and weights: what was promised is what was fed, and the record says so."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import equipoise
from equipoise.data.table import ColumnNames
from equipoise.errors import SettingsError
from equipoise.fit import Run, fit
from equipoise.recipe import make_recipe
from equipoise.records.decision import read_decision
from equipoise.records.run import RemedyRecord
from equipoise.remedies.prior import log_shares
from tests.tiny_rows import write_rows

FAST = {"learning_rate": 3.0, "warmup_share": 0.0}
COSTS = {"default": 1, "costs": {"music": {"bank": 50, "light": 30}}}
CLASSES = ["bank", "light", "music"]


@dataclass(frozen=True)
class Fitted:
    run: Run
    labels: np.ndarray
    ids: np.ndarray
    """Both of the training rows as fed."""
    order: np.ndarray

    @property
    def record(self) -> RemedyRecord:
        return self.run.manifest.remedies[0]

    def counts(self, rows: np.ndarray) -> np.ndarray:
        return np.array([np.sum(self.labels[rows] == name) for name in CLASSES])

    @property
    def log_source(self) -> np.ndarray:
        return read_decision(self.run.folder / "decision.json").log_source


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.csv", seed=2)


def fitted(
    rows: Path, base: Path, out: Path, *remedies: str, group: bool = False, **more: object
) -> Fitted:
    import pyarrow.parquet as pq

    recipe = make_recipe(
        {
            "model": {"name": str(base)},
            "train": {"epochs": 3, "batch_rows": 8, "device_rows": 4},
            "remedies": remedies,
            "baselines": (),
            **more,
        }
    )
    run = fit(rows, out, recipe, columns=ColumnNames(group=("customer",) if group else ()))
    splits = pq.read_table(out / "splits.parquet").to_pandas()
    train = splits[splits["split"] == "train"]
    return Fitted(
        run, train["label"].to_numpy(), train["id"].to_numpy(), np.load(out / "order.npy")
    )


def test_presence_is_promised_to_every_step(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    done = fitted(rows, tiny_base, tmp_path / "run", "guaranteed_presence:classes=music,at_least=2")
    steps = [epoch[at : at + 8] for epoch in done.order for at in range(0, done.order.shape[1], 8)]
    assert min(np.sum(done.labels[step] == "music") for step in steps) >= 2
    # The record counts what this counts again.
    assert done.record.before is not None
    assert done.record.after is not None
    assert done.record.repeats is not None
    assert list(done.record.before.values()) == done.counts(np.arange(len(done.labels))).tolist()
    drawn = done.counts(done.order.ravel()) / 3
    assert list(done.record.after.values()) == np.round(drawn).tolist()
    again = np.mean([done.order.shape[1] - len(np.unique(epoch)) for epoch in done.order])
    assert abs(sum(done.record.repeats.values()) - again) <= 1.5  # three numbers are rounded
    assert "at least 2 of music" in done.record.effect
    np.testing.assert_allclose(done.log_source, log_shares(drawn))


def test_a_wish_that_no_step_can_hold_ends_before_training(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="steps of 8 rows can't hold 9; raise batch_rows to 10"):
        fitted(rows, tiny_base, tmp_path / "run", "guaranteed_presence:classes=music,at_least=9")
    with pytest.raises(SettingsError, match="did you mean music"):
        fitted(rows, tiny_base, tmp_path / "run", "guaranteed_presence:classes=musik")
    assert not (tmp_path / "run").exists()


def test_weights_by_group_cluster_and_cost(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    done = fitted(
        rows,
        tiny_base,
        tmp_path / "run",
        "group_weights:by=group",
        "cluster_weights",
        "cost_weights",
        group=True,
        costs=COSTS,
    )
    says = [record.effect for record in done.run.manifest.remedies]
    assert says[0].startswith("group_weights:by=group gave rows weights from ")
    assert says[1].startswith("cluster_weights gave rows weights from ")
    assert says[2].endswith("one row of music count as much as 40 of bank.")
    # Scores lean towards music by what its rows counted: 40 times as much, times the other two.
    natural = log_shares(done.counts(done.order[0]))
    lean = done.log_source - natural
    assert np.log(20) < lean[2] - lean[0] < np.log(80)
    assert equipoise.load(tmp_path / "run").predict(["play my song"]).labels is not None


def test_cells_of_a_column_are_balanced(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    """A channel that is no group column: its two kinds stand on all sides of the split."""
    with rows.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    channel = {row[0]: "app" if k % 4 else "" for k, row in enumerate(table)}
    named = tmp_path / "named.csv"
    with named.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [*row, channel[row[0]] if k else "channel"] for k, row in enumerate(table)
        )
    asked = "group_balanced_sampler:column=channel"
    done = fitted(named, tiny_base, tmp_path / "run", asked)
    cells = [f"{label} {channel[i]}" for i, label in zip(done.ids, done.labels, strict=True)]
    times = Counter(cells[row] for row in done.order.ravel())
    assert len(times) == 6
    assert max(times.values()) - min(times.values()) <= 1
    with pytest.raises(SettingsError, match="the rows have no 'chanel' to take groups from"):
        fitted(named, tiny_base, tmp_path / "other", "group_weights:column=chanel")
    with pytest.raises(SettingsError, match="remedy group_weights: needs groups"):
        fitted(named, tiny_base, tmp_path / "other", "group_weights")


def test_a_curriculum_ends_balanced(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    done = fitted(rows, tiny_base, tmp_path / "run", "progressive_sampler:over=2")
    first, last = done.counts(done.order[0]), done.counts(done.order[-1])
    assert first.tolist() == done.counts(np.arange(len(done.labels))).tolist()
    assert np.ptp(last) <= 1
    np.testing.assert_allclose(done.log_source, log_shares(done.counts(done.order[1:].ravel())))


def test_the_shares_are_those_of_the_epoch_that_is_kept(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """Weights that switch on late do not count where an earlier epoch is kept."""
    found = {}
    for choose_by in ("last", "log_loss"):
        train = {"epochs": 3, "batch_rows": 8, "device_rows": 4, "choose_by": choose_by}
        # A rate that ruins the model: the first epoch has the least log loss.
        done = fitted(rows, tiny_base, tmp_path / choose_by, "ldam:defer=0.5", train=train | FAST)
        found[choose_by] = done
    counts = found["last"].counts(np.arange(len(found["last"].labels)))
    kept = found["log_loss"].run.manifest.training.best_step
    assert kept is not None
    assert kept <= 0.5 * found["last"].run.manifest.training.steps, "else nothing is tested"
    np.testing.assert_allclose(found["log_loss"].log_source, log_shares(counts))
    assert np.abs(found["last"].log_source - log_shares(counts)).max() > 0.1


def test_what_rows_weigh_moves_the_shares_and_not_its_unit(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with rows.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    models = []
    for times in (1, 4):
        named = tmp_path / f"by{times}.csv"
        with named.open("w", encoding="utf-8", newline="") as file:
            weights = (times * (8 if row[2] == "music" else 1) for row in table[1:])
            csv.writer(file).writerows(
                [*row, w] for row, w in zip(table, ["weight", *weights], strict=True)
            )
        recipe = make_recipe(
            {"model": {"name": str(tiny_base)}, "train": {"epochs": 1}, "remedies": []}
            | {"baselines": []}
        )
        out = tmp_path / f"run{times}"
        run = fit(named, out, recipe, columns=ColumnNames(weight="weight"))
        counts = np.array(list(run.manifest.rows.splits["train"].counts.values()))
        found = read_decision(out / "decision.json").log_source
        np.testing.assert_allclose(found, log_shares(counts * [1, 1, 8]))
        models.append((out / "model" / "model.safetensors").read_bytes())
    assert models[0] == models[1]
