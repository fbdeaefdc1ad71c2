"""Runs whose target is text, from rows to the folder."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from equipoise.data.table import ColumnNames
from equipoise.errors import EquipoiseError, FolderError, SettingsError
from equipoise.evaluate.texts import judge_texts
from equipoise.evaluate.texts.overlap import TOKENIZERS
from equipoise.fit import Run, fit
from equipoise.fitting.writing.compare import COMPARED, _measures
from equipoise.fitting.writing.keep import with_replay
from equipoise.fitting.writing.prepare import resolve_written
from equipoise.models.batches import StepPlan
from equipoise.models.writing.config import WriteConfig
from equipoise.models.writing.save import load_writer
from equipoise.models.writing.sequences import together
from equipoise.recipe import make_recipe
from equipoise.records.run import read_manifest
from equipoise.records.scores import read_scores
from equipoise.records.written import read_written
from equipoise.summary import run_text
from tests.models.tiny import TOPICS
from tests.models.writing.tiny import random_sequences, save_writing_base


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_writing_base(tmp_path_factory.mktemp("base") / "llama", "llama")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four words of a topic, to be written backwards; one row in eight is of the rare topic."""
    rng = random.Random(0)
    lines = []
    for number in range(160):
        topic = "bank" if number % 8 else "light"
        words = rng.sample(TOPICS[topic], 4)
        line = {"prompt": " ".join(words), "completion": " ".join(reversed(words))}
        lines.append(json.dumps(line | {"category": topic}))
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(1)
    path = tmp_path_factory.mktemp("general") / "general.jsonl"
    words = TOPICS["music"]
    path.write_text(
        "".join(json.dumps({"text": " ".join(rng.sample(words, 6))}) + "\n" for _ in range(20))
    )
    return path


def run(
    base: Path,
    rows: Path,
    out: Path,
    *,
    columns: ColumnNames | None = None,
    force: bool = False,
    **changes: Any,
) -> Run:
    settings: dict[str, Any] = {
        "model": {"name": str(base), "method": "full", "max_tokens": 48, "dropout": 0.0},
        "train": {"epochs": 2, "learning_rate": 3e-3, "precision": "float32"},
        "write": {"decode": {"new_tokens": 6}, "decode_rows": 6},
        "remedies": [],
    }
    for place, value in changes.items():
        group, _, name = place.partition("__")
        if name:
            settings[group] = settings.get(group, {}) | {name: value}
        else:
            settings[group] = value
    return fit(rows, out, make_recipe(settings), columns=columns, force=force)


def test_a_run_leaves_what_it_says(llama: Path, rows: Path, tmp_path: Path) -> None:
    done = run(llama, rows, tmp_path / "run", remedies=["sqrt_sampler", "class_weights:twice=true"])
    written = read_written(tmp_path / "run" / "written.parquet")
    scores = read_scores(tmp_path / "run" / "scores.json")
    judged = written.of_split(done.manifest.judged)
    assert scores.rows == len(judged)
    assert set(scores.classes) == {"bank", "light"}
    nats = -judged.log_probs.sum() / judged.tokens.sum()
    assert scores.measures["loss"].value == pytest.approx(nats)
    assert sum(text is not None for text in judged.written) == 6
    assert [record.name for record in done.manifest.remedies] == ["sqrt_sampler", "class_weights"]
    assert {record.name for record in done.manifest.baselines} == {"base", "plain"}
    better: dict[str, float] = {
        c.against: c.value for c in done.manifest.comparisons if c.measure == "loss"
    }
    assert better["base"] < 0
    # What is judged is what was saved.
    loaded = load_writer(tmp_path / "run", device="cpu")
    assert loaded.packs
    # The same command finds the run finished.
    assert run(
        llama, rows, tmp_path / "run", remedies=["sqrt_sampler", "class_weights:twice=true"]
    ).resumed


def test_a_run_is_compared_by_its_pattern_first(llama: Path, rows: Path, tmp_path: Path) -> None:
    done = run(llama, rows, tmp_path / "run", write__pattern=r"\w+", train__epochs=1)
    found = [c.measure for c in done.manifest.comparisons]
    assert found == ["macro_answer_match", "answer_match", *COMPARED]
    assert "macro answer match" in run_text(done, tmp_path / "report.html")
    judged = read_written(tmp_path / "run" / "written.parquet").of_split(done.manifest.judged)
    for pattern in ("no answer has this", None):
        assert _measures(judged, pattern) == COMPARED


def test_no_baseline_means_none(llama: Path, rows: Path, tmp_path: Path) -> None:
    from equipoise.report import write_report

    done = run(llama, rows, tmp_path / "run", baselines=[], remedies=["sqrt_sampler"])
    assert done.manifest.baselines == []
    assert done.manifest.comparisons == []
    assert not (tmp_path / "run" / "baselines").exists()
    assert "Verdict" in write_report(tmp_path / "run").read_text()


def test_the_same_seed_gives_the_same_bytes(llama: Path, rows: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(llama, rows, tmp_path / name, model__method="light")
    for file in ("model/model.safetensors", "written.parquet", "scores.json"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two, file


def test_a_run_that_is_killed_ends_with_the_same_bytes(rows: Path, tmp_path: Path) -> None:
    """By SIGKILL, in training and in writing; with dropout, a sampler, a loss, and drawn texts."""
    base = save_writing_base(tmp_path / "base", "gpt2")
    moments = {"whole": [], "killed": [["training", 10], ["training", 18], ["writing", 8]]}
    command = [
        sys.executable,
        "-m",
        "tests.fitting.kills",
        base,
        rows,
        tmp_path,
        json.dumps(moments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for file in ("model/model.safetensors", "order.npy", "written.parquet", "scores.json"):
        assert (whole / file).read_bytes() == (killed / file).read_bytes(), file
    assert read_manifest(killed).id == read_manifest(whole).id
    assert not list(killed.rglob("*.part*"))


def test_what_holds_on_to_the_base_does(
    llama: Path, rows: Path, general: Path, tmp_path: Path
) -> None:
    """The loss on general texts rises less under each of them; the rows' own rises with it."""
    found = {}
    for name, keep in {
        "plain": {},
        "kl": {"kl": 20.0},
        "replay": {"replay": str(general), "replay_share": 0.5},
        "interpolate": {"interpolate": 0.3},
    }.items():
        write = {
            "decode": {"new_tokens": 6},
            "decode_rows": 0,
            "keep": {"general": str(general), **keep},
        }
        out = tmp_path / name
        run(llama, rows, out, write=write, train__epochs=6, baselines=[])
        record = read_manifest(out).general
        assert record is not None
        assert record.rows == 20
        scores = read_scores(out / "scores.json")
        loss = scores.measures["loss"].value
        assert loss is not None
        found[name] = record.loss_after, loss
    before = record.loss_before
    assert found["plain"][0] > before
    for name in ("kl", "replay", "interpolate"):
        assert found[name][0] < found["plain"][0], name
        assert found[name][1] > found["plain"][1] - 0.05, name


def test_before_training_every_method_is_the_base(
    llama: Path, rows: Path, general: Path, tmp_path: Path
) -> None:
    """Virtual tokens, which are drawn, are no part of it."""
    before = {}
    for method in ("full", "lora", "prefix", "prompt"):
        done = run(
            llama,
            rows,
            tmp_path / method,
            model__method=method,
            write={"decode_rows": 0, "keep": {"general": str(general)}},
            train__epochs=1,
            baselines=[],
        )
        assert done.manifest.general is not None
        before[method] = done.manifest.general.loss_before
    assert before == pytest.approx(dict.fromkeys(before, before["full"]), rel=1e-5)


def test_what_is_for_classes_is_refused_all_at_once(
    llama: Path, rows: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        run(
            llama,
            rows,
            tmp_path / "run",
            remedies=["logit_adjusted", "temperature", "smote"],
            prior="balanced",
            baselines=["tfidf"],
            model__method="light",
        )
    said = "\n".join(caught.value.faults)
    for word in ("logit_adjusted", "temperature", "smote", "prior", "tfidf"):
        assert word in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("remedy", ["class_weights", "group_weights", "sqrt_sampler"])
def test_categories_are_not_made_equal_twice(
    llama: Path, rows: Path, tmp_path: Path, remedy: str
) -> None:
    """Weights by category would be divided out again, and a sampler's shares multiplied."""
    settings = {"write__weigh": "category", "write__decode_rows": 0}
    with pytest.raises(SettingsError, match=f"{remedy}: .*corrects the same shares twice; drop it"):
        run(llama, rows, tmp_path / "run", remedies=[remedy], **settings)
    done = run(llama, rows, tmp_path / "run", remedies=["random_oversample", "focal"], **settings)
    assert len(done.manifest.remedies) == 2


def test_categories_weigh_what_they_cost(llama: Path, rows: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"write__decode_rows": 0, "baselines": []}
    priced = {"remedies": ["cost_weights"], "costs": {"missed": {"light": 8}}}
    losses = []
    for name, more in (("plain", {}), ("priced", priced)):
        done = run(llama, rows, tmp_path / name, **settings, **more)
        scores = read_scores(tmp_path / name / "scores.json")
        losses.append(scores.classes["light"].measures["loss"].value or 0)
    assert [record.name for record in done.manifest.remedies] == ["cost_weights"]
    assert losses[1] < losses[0]
    with pytest.raises(SettingsError, match="lights"):
        run(
            llama, rows, tmp_path / "no", costs={"missed": {"lights": 8}}, remedies=["cost_weights"]
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"costs": {"missed": {"light": 8}}},
            r"^costs: decide between .*add --remedy cost_weights",
        ),
        ({"costs": {"missed": {"light": 8}}, "remedies": ["costs"]}, "remedy costs: acts on the"),
        ({"costs": {"costs": {"light": {"bank": 3}}}, "remedies": ["cost_weights"]}, "`missed`"),
        ({"costs": {"missed": {"light": 8}, "defer": 2}, "remedies": ["cost_weights"]}, "person"),
        (
            {
                "costs": {"missed": {"light": 8}},
                "remedies": ["cost_weights"],
                "write": {"weigh": "category"},
            },
            "remedy cost_weights: .*would have no effect",
        ),
    ],
)
def test_costs_of_decisions_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        resolve_written(make_recipe(settings), ("bank", "light"))


def test_the_plentiful_category_is_written_alone_first(
    llama: Path, rows: Path, tmp_path: Path
) -> None:
    """The first of two epochs feeds the usual category alone, the second both, by temperature."""
    import pyarrow.parquet as pq

    remedies = ["plentiful_first:over=1,plentiful=0.5,temperature=3"]
    out = tmp_path / "run"
    done = run(llama, rows, out, remedies=remedies, baselines=[], write__decode_rows=0)
    order = np.load(out / "order.npy")
    fed = pq.read_table(out / "fed_rows.parquet")["id"].to_pylist()
    kept = pq.read_table(out / "splits.parquet").to_pandas().set_index("id")["label"]
    first, second = (kept[[fed[place] for place in epoch]].value_counts() for epoch in order)
    assert set(first.index) == {"bank"}
    counts = done.manifest.rows.splits["train"].counts
    cube = (counts["bank"] / counts["light"]) ** (1 / 3)
    assert second["bank"] / second["light"] == pytest.approx(cube, rel=0.05)
    assert done.manifest.remedies[0].after is not None


def test_other_general_texts_are_another_run(
    llama: Path, rows: Path, general: Path, tmp_path: Path
) -> None:
    """The folder of a run is not taken for that of a run with other texts beside its rows."""
    texts = tmp_path / "general.jsonl"
    texts.write_bytes(general.read_bytes())
    write = {"decode_rows": 0, "keep": {"general": str(texts)}}
    run(llama, rows, tmp_path / "run", write=write, baselines=[])
    texts.write_text(texts.read_text() + json.dumps({"text": "loud music"}) + "\n")
    with pytest.raises(FolderError, match="another run"):
        run(llama, rows, tmp_path / "run", write=write, baselines=[])


def test_a_general_file_that_is_not_there_is_named(llama: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(EquipoiseError, match=r"nowhere\.jsonl"):
        run(llama, rows, tmp_path / "run", write={"keep": {"general": "nowhere.jsonl"}})
    assert not (tmp_path / "run").exists()


def test_words_are_cut_as_the_recipe_says(llama: Path, rows: Path, tmp_path: Path) -> None:
    """Texts of fewer than four words have no BLEU, but they have four characters."""
    found = {}
    for tokenize in ("13a", "char"):
        write = {"decode": {"new_tokens": 3}, "decode_rows": 12, "tokenize": tokenize}
        out = tmp_path / tokenize
        done = run(llama, rows, out, write=write, baselines=[], train__epochs=8)
        score = read_scores(out / "scores.json").measures["bleu"].value
        written = read_written(out / "written.parquet").of_split(done.manifest.judged)
        assert (
            score
            == judge_texts(written, split=done.manifest.judged, tokenize=tokenize)
            .measures["bleu"]
            .value
        )
        found[tokenize] = score
    assert found["13a"] == 0
    assert found["char"] > 0
    with pytest.raises(SettingsError, match=r"write\.tokenize"):
        make_recipe({"write": {"tokenize": "words"}})


def test_the_recipe_knows_every_way_to_cut_words() -> None:
    assert get_args(WriteConfig.model_fields["tokenize"].annotation) == TOKENIZERS


def test_every_step_replays_its_share() -> None:
    plan = StepPlan(np.arange(20).reshape(2, 10), batch_rows=4)
    joined = with_replay(plan, 20, 3, 0.2, np.random.default_rng(0))
    assert joined.batch_rows == 5
    assert joined.steps == plan.steps
    for epoch in range(2):
        for step in range(plan.steps):
            rows = joined.step(epoch, step)
            assert rows[rows < 20].tolist() == plan.step(epoch, step).tolist()
            assert (rows >= 20).sum() == 1
    replayed = joined.order[joined.order >= 20]
    assert np.bincount(replayed - 20).tolist() == [2, 2, 2]


def test_sequences_of_two_feeds_stand_together() -> None:
    one, other = random_sequences(3), random_sequences(2, seed=5)
    both = together(one, other)
    assert len(both) == 5
    for k in range(5):
        source, row = (one, k) if k < 3 else (other, k - 3)
        assert both.row(k).tolist() == source.row(row).tolist()
        assert both.learned_in(k).tolist() == source.learned_in(row).tolist()


def test_rows_that_were_made_are_fed_and_counted(llama: Path, rows: Path, tmp_path: Path) -> None:
    """Of every fourth row one was made: those whose row trains are fed, and the record, the rows'
    file and the page say so."""
    import pyarrow.parquet as pq

    from equipoise.report import write_report

    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    given = [line | {"id": f"row {n}", "parent": None} for n, line in enumerate(lines)]
    made = [
        line | {"id": f"made of {line['id']}", "parent": line["id"], "prompt": f"{n} we play it"}
        for n, line in enumerate(given[::4])
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*given, *made]))
    few = {"baselines": [], "write__decode_rows": 0, "train__epochs": 1}
    done = run(llama, path, tmp_path / "run", columns=ColumnNames(parent="parent"), **few)
    kept = pq.read_table(tmp_path / "run" / "splits.parquet").to_pandas()
    of_made = kept[kept["parent"].notna()]
    assert set(of_made["split"]) == {"train"}
    trains = set(kept["id"][kept["split"] == "train"])
    assert set(of_made["parent"]) <= trains
    assert len(of_made) == sum(line["parent"] in trains for line in made) > 0
    counted = {name: part.made for name, part in done.manifest.rows.splits.items()}
    assert counted == {"train": len(of_made), "validation": 0, "test": 0}
    fed = set(pq.read_table(tmp_path / "run" / "fed_rows.parquet")["id"].to_pylist())
    assert set(of_made["id"]) <= fed
    page = write_report(tmp_path / "run").read_text()
    assert "Training rows made from others" in page
