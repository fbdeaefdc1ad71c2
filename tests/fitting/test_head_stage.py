"""The head's second training: what it is fed, what it leaves alone, and that a kill changes
nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from equipoise.errors import SettingsError
from equipoise.fit import fit
from equipoise.recipe import make_recipe
from tests.tiny_rows import SHARES

CLASSES = sorted(SHARES)


def run(
    base: Path, rows: Path, out: Path, *remedies: str, progress: Any = None, **model: Any
) -> Path:
    """A finished run of two epochs, without baselines; uncalibrated, so that the rule holds the
    stated shares and not the measured ones."""
    recipe = make_recipe(
        {
            "model": {"name": str(base), "method": "light"} | model,
            "train": {"epochs": 2, "precision": "float32"},
            "remedies": list(remedies),
            "baselines": [],
        }
    )
    fit(rows, out, recipe, seed=1, **({} if progress is None else {"progress": progress}))
    return out


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def remedy(folder: Path, name: str) -> dict[str, Any]:
    return next(r for r in manifest(folder)["remedies"] if r["name"] == name)


def source_shares(folder: Path) -> np.ndarray:
    """Class shares under which the decision takes the scores to be posteriors."""
    rule = json.loads((folder / "decision.json").read_text())
    return np.exp(rule["log_source"])


def shares_of(counts: dict[str, int]) -> np.ndarray:
    numbers = np.array([counts[name] for name in CLASSES], dtype=float)
    return numbers / numbers.sum()


def fed(folder: Path, name: str = "head_rows") -> tuple[list[str], np.ndarray]:
    """The class and the origin of every row that was fed."""
    table = pq.read_table(folder / f"{name}.parquet").to_pydict()
    splits = pq.read_table(folder / "splits.parquet").to_pandas().set_index("id")
    assert set(splits.loc[table["id"], "split"]) == {"train"}
    return splits.loc[table["id"], "label"].tolist(), np.array(table["made"])


@pytest.fixture(scope="module")
def plain(tiny_base: Path, tiny_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny_base, tiny_rows, tmp_path_factory.mktemp("stage") / "plain")


@pytest.fixture(scope="module")
def crt(tiny_base: Path, tiny_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny_base, tiny_rows, tmp_path_factory.mktemp("stage") / "crt", "crt")


@pytest.fixture(scope="module")
def smote(tiny_base: Path, tiny_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny_base, tiny_rows, tmp_path_factory.mktemp("stage") / "smote", "smote")


# ── cRT ───────────────────────────────────────────────────────────────────────────────────────


def test_crt_leaves_the_body_as_it_was_trained_and_trains_the_head(plain: Path, crt: Path) -> None:
    bodies = [load_file(folder / "model" / "model.safetensors") for folder in (plain, crt)]
    assert bodies[0].keys() == bodies[1].keys()
    for name in bodies[0]:
        assert bodies[0][name].tobytes() == bodies[1][name].tobytes(), name
    heads = [load_file(folder / "head.safetensors") for folder in (plain, crt)]
    assert not np.allclose(heads[0]["head.weight"], heads[1]["head.weight"])
    records = [manifest(folder) for folder in (plain, crt)]
    assert records[0]["model"] == records[1]["model"]
    assert records[0]["training"]["head_steps"] == 0
    assert records[1]["training"]["head_epochs"] == 2
    assert records[1]["training"]["steps"] == records[0]["training"]["steps"]


def test_crt_draws_every_class_alike_and_says_so(crt: Path) -> None:
    record = remedy(crt, "crt")
    after = list(record["after"].values())
    assert max(after) - min(after) <= 1
    assert max(record["before"].values()) > 4 * min(record["before"].values())
    assert record["effect"].startswith("The head was trained again on vectors of the trained body.")
    np.testing.assert_allclose(source_shares(crt), 1 / 3, atol=0.01)
    order = np.load(crt / "head_order.npy")
    classes, made = fed(crt)
    assert not made.any()
    drawn = np.array([CLASSES.index(name) for name in classes])[order]
    assert np.ptp(np.bincount(drawn.ravel())) <= 1
    # Every step of it is balanced, not the whole alone.
    assert np.ptp(np.bincount(drawn[0, :30])) <= 1


def test_history_counts_on(crt: Path) -> None:
    lines = [json.loads(line) for line in (crt / "history.jsonl").read_text().splitlines()]
    stages = [line.get("stage") for line in lines]
    assert stages == sorted(stages, key=lambda stage: stage == "head")
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)
    training = manifest(crt)["training"]
    assert steps[-1] == training["steps"] + training["head_steps"]
    assert lines[-1]["epoch"] == 4
    assert any("measures" in line for line in lines if line.get("stage") == "head")


@pytest.mark.parametrize("others", [("logit_adjusted",), ("balanced_sampler", "focal")])
def test_what_the_first_training_corrects_is_not_corrected_twice(
    others: tuple[str, ...], tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    found = run(tiny_base, tiny_rows, tmp_path / "run", *others, "crt")
    np.testing.assert_allclose(source_shares(found), 1 / 3, atol=0.01)
    assert [r["name"] for r in manifest(found)["remedies"]] == [*others, "crt"]
    assert all(r["effect"] for r in manifest(found)["remedies"])


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_crt_works_with_every_body(
    method: str, tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    found = run(tiny_base, tiny_rows, tmp_path / "run", "crt:head_epochs=1", method=method)
    assert manifest(found)["training"]["head_epochs"] == 1
    np.testing.assert_allclose(source_shares(found), 1 / 3, atol=0.01)


def test_the_head_may_go_on_from_where_it_is(
    plain: Path, tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    slow = "crt:start=trained,head_epochs=1,epoch_rows=3"
    found = run(tiny_base, tiny_rows, tmp_path / "run", slow)
    before, after = (load_file(f / "head.safetensors")["head.weight"] for f in (plain, found))
    moved = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    assert (moved > 0).all()
    assert (moved < 0.2).all()  # one step of three rows


# ── made vectors ──────────────────────────────────────────────────────────────────────────────


def test_light_feeds_rows_to_the_body_and_made_vectors_to_the_head(
    plain: Path, smote: Path
) -> None:
    bodies = [load_file(folder / "model" / "model.safetensors") for folder in (plain, smote)]
    assert all(bodies[0][name].tobytes() == bodies[1][name].tobytes() for name in bodies[0])
    first, made = fed(smote, "fed_rows")
    assert not made.any()
    classes, made = fed(smote)
    record = remedy(smote, "smote")
    assert {name: first.count(name) for name in CLASSES} == record["before"]
    assert {name: classes.count(name) for name in CLASSES} == record["after"]
    assert len(classes) - len(first) == made.sum() > 20
    # Parents are of the class that was small.
    assert "bank" not in set(np.array(classes)[made])
    np.testing.assert_allclose(source_shares(smote), shares_of(record["after"]))
    assert f"{made.sum()} are vectors made" in record["effect"]


def test_head_learns_from_rows_and_made_vectors_at_once(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    found = run(tiny_base, tiny_rows, tmp_path / "run", "smote:ratio=0.5", method="head")
    classes, made = fed(found, "fed_rows")
    record = remedy(found, "smote")
    assert {name: classes.count(name) for name in CLASSES} == record["after"]
    assert made.any()
    assert not (found / "head_rows.parquet").exists()
    assert manifest(found)["training"]["head_steps"] == 0
    np.testing.assert_allclose(source_shares(found), shares_of(record["after"]))


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("borderline_smote", "light"),
        ("adasyn", "head"),
        ("smote_enn", "light"),
        ("smote_tomek", "head"),
    ],
)
def test_every_kind_of_made_vectors_trains_a_head(
    name: str, method: str, tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    found = run(tiny_base, tiny_rows, tmp_path / "run", name, method=method)
    record = remedy(found, name)
    assert min(record["after"].values()) > 0
    np.testing.assert_allclose(source_shares(found), shares_of(record["after"]))


def test_rows_are_chosen_first_and_one_second_training_does_both(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    remedies = ("smote", "random_undersample:ratio=0.5", "class_weights", "crt")
    found = run(tiny_base, tiny_rows, tmp_path / "run", *remedies)
    assert remedy(found, "smote")["before"] == remedy(found, "random_undersample")["after"]
    assert remedy(found, "crt")["before"] == remedy(found, "smote")["after"]
    names = [r["name"] for r in manifest(found)["remedies"]]
    assert names == ["smote", "random_undersample", "class_weights", "crt"]
    np.testing.assert_allclose(source_shares(found), 1 / 3, atol=0.01)


def test_losses_and_weights_take_the_shares_of_rows_and_made_vectors(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    found = run(tiny_base, tiny_rows, tmp_path / "run", "smote:ratio=0.5", "logit_adjusted")
    np.testing.assert_allclose(source_shares(found), 1 / 3, atol=1e-6)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "model", "says"),
    [
        ("smote", {"method": "full"}, "can train a head but not what method full trains below it"),
        ("adasyn", {"method": "lora"}, "method light or head"),
        ("smote_enn", {"method": "light", "head": "native"}, "head native"),
        ("crt", {"method": "full", "head": "native"}, "head native"),
    ],
)
def test_what_has_no_head_of_its_own_is_refused_before_anything_is_done(
    asked: str, model: dict[str, str], says: str, tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=says):
        run(tiny_base, tiny_rows, tmp_path / "run", asked, **model)
    assert not (tmp_path / "run").exists()


# ── kills ─────────────────────────────────────────────────────────────────────────────────────

SCRIPT = """
import os, signal, sys, torch
from pathlib import Path
from tests.fitting.test_head_stage import run
torch.set_num_threads(1)
base, rows, out, title, last = sys.argv[1:]
def progress(what, done, total):
    if what == title and done == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
run(Path(base), Path(rows), Path(out), "smote", progress=progress)
"""


@pytest.mark.slow
def test_a_kill_in_the_second_training_changes_no_byte(
    smote: Path, tiny_base: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    last = manifest(smote)["training"]["head_steps"] - 1
    arguments = [str(tiny_base), str(tiny_rows), str(out), "training the head again", str(last)]
    died = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ,
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not (out / "run.json").exists()
    run(tiny_base, tiny_rows, out, "smote")
    whole, resumed = manifest(smote)["files"], manifest(out)["files"]
    assert whole.keys() == resumed.keys()
    differing = {name for name in whole if whole[name] != resumed[name]}
    assert differing <= {"history.jsonl"}  # it holds seconds
