"""What is trained is made from training rows alone: whatever the judged rows say, every remedy on
rows, on batches and in the loss leaves the same rows, the same order and the same weights."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.fit import check_run
from equipoise.fitting.arms import TrainedArm
from equipoise.fitting.classifying import CLASSIFYING
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.recipe import make_recipe
from equipoise.remedies.losses.wrapping import PLACES
from equipoise.remedies.table import REMEDIES
from tests.models.tiny import weights_of
from tests.several_rows import write_several
from tests.test_every_remedy import MUST_SAY
from tests.test_fit import COSTS
from tests.tiny_rows import write_rows

ONE, SEVERAL = "one label a row", "several labels a row"
CASES = [
    (name, labels)
    for name, remedy in REMEDIES.items()
    if remedy.moment != "decision"
    for labels, can in ((ONE, remedy.labels != "several"), (SEVERAL, remedy.labels != "one"))
    if can
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """By the labels of a row: a folder of rows that train, choose and judge; one with other texts
    and labels to choose and judge, a class among them that training lacks; one in which a single
    training row reads otherwise."""
    made: dict[str, dict[str, Path]] = {}
    for labels, write in ((ONE, write_rows), (SEVERAL, write_several)):
        made[labels] = {}
        for which, seed in (("given", 1), ("judged otherwise", 5), ("trained otherwise", 1)):
            folder = made[labels][which] = tmp_path_factory.mktemp("rows")
            write(folder / "train.csv", seed=0)
            for number, part in enumerate(("validation", "test"), start=1):
                write(folder / f"{part}.csv", seed=seed + number, start=1000 * number)
                _set_apart(folder / f"{part}.csv", "film" if which == "judged otherwise" else None)
        _turn_a_text(made[labels]["trained otherwise"] / "train.csv")
    return made


def _set_apart(path: Path, instead: str | None) -> None:
    """Texts with words that no other row has, for training rows that look like judged ones would be
    left out; and a class in the place of "music"."""
    rows = _read(path)
    for row in rows[1:]:
        row[1] += "".join(f" {row[0]}{letter}" for letter in "abcdefgh")
        if instead is not None:
            names = row[2].split("|")
            row[2] = "|".join(instead if name == "music" else name for name in names)
    _write(path, rows)


def _turn_a_text(path: Path) -> None:
    """The last row's words are all of one topic that is not its own."""
    rows = _read(path)
    rows[-1][1] = "fee fee fee price cost" if "bank" not in rows[-1][2] else "dim bulb dim lamp dim"
    _write(path, rows)


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def trained(
    name: str | None, rows: Path, base: Path, folder: Path, labels: str
) -> tuple[Prepared, TrainedArm]:
    """Divided, prepared and trained as a run does it, up to where judging begins.

    Method head, or light where words are acted on. The last epoch is kept: which one is, validation
    rows may say.
    """
    remedy = None if name is None else REMEDIES[name]
    asked: dict[str, Any] = {
        "model": {
            "name": str(base),
            "method": "light" if PLACES.get(name or "") == "words" else "head",
        },
        "train": {"epochs": 1, "batch_rows": 32, "device_rows": 32, "choose_by": "last"},
        "remedies": [] if name is None else [MUST_SAY.get(name, name)],
        "baselines": [],
    }
    groups: tuple[str, ...] = ()
    if remedy is not None and {"costs", "row_costs"} & set(remedy.needs):
        asked["costs"] = yaml.safe_load(COSTS)
    if remedy is not None and "groups" in remedy.needs:
        groups = ("customer",)
    columns = ColumnNames(group=groups, label_separator="|" if labels == SEVERAL else None)
    recipe = make_recipe(asked)
    prepared, _ = check_run(read_rows(rows, columns=columns), folder / "run", recipe, seed=2)
    watch = Watch(folder / "checkpoints", CLASSIFYING.measures(prepared), "training")
    return prepared, CLASSIFYING.train(prepared, watch)


def outcome(arm: TrainedArm) -> dict[str, bytes]:
    """Rows fed, their order, the shares that they stand for and every trained weight, of both
    trainings where the head is trained again."""
    stages = [arm] if arm.head is None else [arm, arm.head]
    found = {f"weights {name}": held for name, held in weights_of(arm.classifier).items()}
    for number, stage in enumerate(stages):
        found[f"fed {number}"] = stage.fed.tobytes() + str(stage.made).encode()
        found[f"order {number}"] = stage.plan.order.tobytes()
        found[f"shares {number}"] = stage.log_source.tobytes()
    return found


@pytest.mark.parametrize(("name", "labels"), CASES)
def test_judged_rows_change_nothing_of_what_is_trained(
    name: str,
    labels: str,
    tables: dict[str, dict[str, Path]],
    tiny_base: Path,
    tmp_path: Path,
) -> None:
    if REMEDIES[name].kind == "synthesise":
        pytest.importorskip("imblearn")
    found = [
        trained(name, tables[labels][which], tiny_base, tmp_path / which, labels)
        for which in ("given", "judged otherwise")
    ]
    (prepared, arm), (other, again) = found
    # The same rows train, and none of the others is what it was.
    assert prepared.splits.train.ids.tolist() == other.splits.train.ids.tolist()
    assert prepared.classes == other.classes
    for split in ("validation", "test"):
        assert (prepared.rows(split).texts != other.rows(split).texts).all()
        assert (prepared.labels[split] != other.labels[split]).any()
    before, after = outcome(arm), outcome(again)
    assert before.keys() == after.keys()
    assert [part for part in before if before[part] != after[part]] == []


@pytest.mark.parametrize("labels", [ONE, SEVERAL])
def test_a_training_row_that_reads_otherwise_is_seen(
    labels: str, tables: dict[str, dict[str, Path]], tiny_base: Path, tmp_path: Path
) -> None:
    """What is compared above would show it."""
    before, after = (
        outcome(trained(None, tables[labels][which], tiny_base, tmp_path / which, labels)[1])
        for which in ("given", "trained otherwise")
    )
    assert before["weights head.weight"] != after["weights head.weight"]
