"""A fitted estimator that is kept: pickled, copied, as a run folder; and what it leaves behind."""

from __future__ import annotations

import copy
import pickle
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import equipoise
from equipoise import EquipoiseClassifier
from tests.tiny_estimator import TEXTS, TOPICS, frozen_heap, tiny_estimator


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap() -> Iterator[None]:
    with frozen_heap():
        yield


@pytest.fixture
def tiny(tiny_base: Path) -> EquipoiseClassifier:
    return tiny_estimator(tiny_base)


@pytest.mark.parametrize("method", ["head", "full", "lora"])
def test_pickles_and_copies_need_no_folder(
    tiny: EquipoiseClassifier, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tiny.set_params(method=method, epochs=1, costs={"costs": {"music": {"bank": 5}}})
    expected = tiny.fit(TEXTS, TOPICS).predict_proba(TEXTS)
    assert not list(tmp_path.iterdir()), "a folder is left behind"
    for again in (pickle.loads(pickle.dumps(tiny)), copy.deepcopy(tiny)):
        assert (again.predict_proba(TEXTS) == expected).all()
        assert (again.predict(TEXTS) == tiny.predict(TEXTS)).all()
        assert again.get_params().keys() == tiny.get_params().keys()
    assert not list(tmp_path.iterdir())


def test_the_run_folder_is_kept_and_resumed(tiny: EquipoiseClassifier, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    tiny.set_params(run_folder=folder).fit(TEXTS, TOPICS)
    loaded = equipoise.load(folder).predict(TEXTS)
    assert (loaded.probabilities == tiny.predict_proba(TEXTS)).all()
    made = (folder / "run.json").stat().st_mtime_ns
    again = clone(tiny).fit(TEXTS, TOPICS)
    assert (folder / "run.json").stat().st_mtime_ns == made
    assert (again.predict_proba(TEXTS) == loaded.probabilities).all()
    with pytest.raises(ValueError, match=r"holds another run.*as run_folder, or remove that one$"):
        clone(tiny).set_params(epochs=3).fit(TEXTS, TOPICS)


def test_a_run_is_saved_for_the_command_line(tiny: EquipoiseClassifier, tmp_path: Path) -> None:
    fitted = tiny.fit(TEXTS, TOPICS)
    folder = fitted.save_run(tmp_path / "run")
    found = equipoise.load(folder).predict(TEXTS)
    assert (found.decided == fitted.predict(TEXTS)).all()
    assert not (folder / "judged_rows.parquet").exists(), "texts are not kept"
    with pytest.raises(ValueError, match="holds something already"):
        fitted.save_run(tmp_path / "run")
    with pytest.raises(NotFittedError):
        EquipoiseClassifier().save_run(tmp_path / "none")


def test_quiet_unless_asked(tiny: EquipoiseClassifier, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.set_params(epochs=1).fit(TEXTS, TOPICS).predict(TEXTS)
    pickle.loads(pickle.dumps(tiny)).predict(TEXTS)
    assert capfd.readouterr() == ("", "")
    tiny.set_params(verbose=True).fit(TEXTS, TOPICS)
    said = capfd.readouterr()
    assert "training" in said.err
    assert said.out == ""


def test_global_draws_are_not_touched(tiny: EquipoiseClassifier) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    def seed() -> None:
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)

    seed()
    expected = draws()
    seed()
    tiny.set_params(epochs=1).fit(TEXTS, TOPICS)
    assert draws() == expected
