"""What an experiment tracker hears of a run: one record, from the first step to the scores."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from equipoise.fit import Run, fit
from equipoise.fitting import classifying
from equipoise.models.tracking import Tracking
from equipoise.recipe import make_recipe
from equipoise.records.scores import read_scores
from tests.models.tiny import TOPICS
from tests.models.writing.tiny import save_writing_base
from tests.tiny_rows import write_rows


class Record:
    """One run, as a tracker shows it."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.lines: list[dict[str, Any]] = []
        self.ended = False


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Those of a tracker that behaves as transformers' MLflow integration does: the start of a
    training opens a record if none is open, its end closes it, and later lines have no place."""
    found: list[Record] = []

    class Recorder(TrainerCallback):
        def __init__(self) -> None:
            self.own: Record | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.own is None:
                self.own = Record(args.to_dict())
                found.append(self.own)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
            assert self.own is not None
            assert not self.own.ended
            self.own.lines.append({"step": state.global_step, **logs})

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            assert self.own is not None
            assert given["model"] is not None
            self.own.ended = True

    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "mlflow", Recorder)
    return found


def run(base: Path, rows: Path, out: Path, *remedies: str, **more: Any) -> Run:
    settings = {
        "model": {"name": str(base), "max_tokens": 48},
        "train": {"epochs": 2, "precision": "float32", "track": ["mlflow"]},
        "remedies": remedies,
        "baselines": ["plain"],
    }
    return fit(rows, out, make_recipe(settings | more))


def figures(folder: Path, split: str) -> dict[str, float]:
    measures = read_scores(folder / "scores.json").measures
    return {f"{split}_{n}": one.value for n, one in measures.items() if one.value is not None}


def test_a_run_is_one_record_that_ends_with_its_scores(
    tiny_base: Path, tiny_rows: Path, tmp_path: Path, records: list[Record]
) -> None:
    """Neither the short training, the head's second, nor the baseline is a run of its own."""
    remedies = ("learnable_rows:share=0.9", "logit_adjusted", "crt")
    done = run(tiny_base, tiny_rows, tmp_path / "topics", *remedies)
    assert [baseline.name for baseline in done.manifest.baselines] == ["plain"]
    (record,) = records
    assert record.ended
    assert record.arguments["run_name"] == "topics"
    assert record.arguments["recipe"] == done.manifest.recipe_id
    assert record.arguments["remedies"] == " ".join(remedies)
    *training, last = record.lines
    steps = done.manifest.training.steps
    assert last == {"step": steps} | figures(done.folder, "test")
    assert last["test_macro_f1"] > 0
    assert [line["step"] for line in training] == sorted(line["step"] for line in training)
    assert sum("eval_macro_f1" in line for line in training) == 2
    assert not any(key.startswith("test_") for line in training for key in line)


def test_what_is_judged_on_validation_rows_is_called_so(
    tiny_base: Path, tmp_path: Path, records: list[Record]
) -> None:
    rows = write_rows(tmp_path / "rows.csv")
    done = run(tiny_base, rows, tmp_path / "run", split={"test_share": 0}, baselines=[])
    assert records[0].lines[-1].items() >= figures(done.folder, "validation").items()


def test_a_run_that_writes_is_one_record_too(tmp_path: Path, records: list[Record]) -> None:
    base = save_writing_base(tmp_path / "llama", "llama")
    rng, lines = random.Random(0), []
    for number in range(40):
        asked = " ".join(rng.sample(TOPICS["music"], 5))
        line = {"prompt": asked, "completion": asked, "category": "ab"[number % 5 == 0]}
        lines.append(json.dumps(line))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    settings = {"write": {"decode_rows": 0}, "split": {"threshold": 1}}
    done = run(base, path, tmp_path / "writer", "sqrt_sampler", **settings)
    assert [baseline.name for baseline in done.manifest.baselines] == ["base", "plain"]
    (record,) = records
    assert record.ended
    assert record.arguments["remedies"] == "sqrt_sampler"
    assert record.lines[-1].items() >= figures(done.folder, "test").items()


def test_a_run_that_was_stopped_leaves_no_record_open(
    tiny_base: Path,
    tiny_rows: Path,
    tmp_path: Path,
    records: list[Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:

        def stopped(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        patched.setattr(classifying, "decide_validation_and_test", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_base, tiny_rows, tmp_path / "run")
    (record,) = records
    assert record.ended
    assert not any(key.startswith("test_") for line in record.lines for key in line)
    # What is left to do is no training, of which a tracker would hear.
    assert run(tiny_base, tiny_rows, tmp_path / "run").resumed
    assert records == [record]


def test_a_training_that_begins_again_goes_on_in_its_record(records: list[Record]) -> None:
    tracking = Tracking(("mlflow",), run="run", recipe="1", remedies=())
    assert tracking.callbacks()[0] is tracking.callbacks()[0]
    tracking.close()
    assert records == []
