"""Merges into folders: sharded, resumed, and whole or not there."""

import errno
import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from equipoise import merge
from equipoise.errors import FolderError
from equipoise.merge import sinks
from equipoise.merge.weights_files import WeightsFile
from tests.merge.models import State, base_state, same, sub_models


def sharded(folder: Path, state: State, shards: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "none"}')
    names = list(state)
    if shards == 1:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        return folder
    where = {}
    for k in range(shards):
        file = f"model-{k + 1:05}-of-{shards:05}.safetensors"
        own = {name: state[name] for name in names[k::shards]}
        save_file(own, folder / file, {"format": "pt"})
        where |= dict.fromkeys(own, file)
    index = {"metadata": {}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def read_back(folder: Path) -> State:
    found: State = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


@pytest.fixture
def base() -> State:
    return base_state()


@pytest.fixture
def models(base: State) -> list[State]:
    return sub_models(base, 3)


def test_folders_merge_as_what_they_hold(tmp_path: Path, base: State, models: list[State]) -> None:
    """Whatever their shards."""
    plain = merge.select(models, base).state
    assert plain is not None
    for shards in (1, 2, 3):
        places = [sharded(tmp_path / f"{shards}" / str(k), m, shards) for k, m in enumerate(models)]
        places[1] = sharded(tmp_path / f"{shards}" / "other", models[1], 2)
        out = tmp_path / f"{shards}" / "out"
        found = merge.select(places, base, out=out)
        assert found.folder == out
        written = read_back(out)
        assert same({name: written[name] for name in plain}, plain)
        assert len(list(out.glob("*.safetensors"))) == shards
        assert (out / "model.safetensors.index.json").exists() == (shards > 1)
        assert (out / "config.json").read_text() == '{"model_type": "none"}'
        assert not (out / sinks.WORK).exists()


def test_transformers_reads_a_sharded_merge(tmp_path: Path) -> None:
    from transformers import AutoModel, BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
    )
    torch.manual_seed(0)
    places = []
    for k in range(2):
        BertModel(config).save_pretrained(tmp_path / str(k), max_shard_size="5KB")
        places.append(tmp_path / str(k))
    merge.average(places, out=tmp_path / "out")
    bodies = [
        AutoModel.from_pretrained(place).state_dict() for place in [*places, tmp_path / "out"]
    ]
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    for name, value in bodies[2].items():
        torch.testing.assert_close(value, (bodies[0][name] + bodies[1][name]) / 2)


def test_the_record_tells_what_was_done(tmp_path: Path, base: State, models: list[State]) -> None:
    place = sharded(tmp_path / "a", models[0], 1)
    merge.select([place, *models[1:]], base, out=tmp_path / "out", seed=7, probabilities=[1, 2, 1])
    record = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert (record["method"], record["seed"]) == ("select", 7)
    assert [one["weight"] for one in record["models"]] == [1, 2, 1]
    assert record["models"][0]["model"]["name"] == str(place)
    assert record["tensors"]["model.layers.0.w"]["values"] == 35
    card = (tmp_path / "out" / "README.md").read_text()
    assert "arXiv:2410.03743" in card
    assert "seed: 7" in card


def test_a_finished_merge_is_left_and_another_refused(
    tmp_path: Path, base: State, models: list[State]
) -> None:
    out = tmp_path / "out"
    first = merge.select(models, base, out=out)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert merge.select(models, base, out=out).tensors == first.tensors
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(FolderError, match="holds something else"):
        merge.select(models, base, out=out, seed=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="holds something else"):
        merge.select(models, base, out=tmp_path / "file")


class Killed(BaseException):
    """What no code catches: the process is gone."""


@pytest.mark.parametrize("at", range(20))
def test_a_merge_killed_at_any_moment_goes_on_to_the_same_bytes(
    tmp_path: Path, base: State, models: list[State], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty moments: writes, notes, renames, and what is written beside."""
    places = [sharded(tmp_path / str(k), model, 2) for k, model in enumerate(models)]
    whole = tmp_path / "whole"
    merge.select(places, base, out=whole, stretch=7, threads=1)
    monkeypatch.setattr(sinks, "FLUSH_SECONDS", 0.0)
    calls = 0

    def counting(call: Any) -> Any:
        def counted(*args: Any, **how: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2 * at + 1:
                raise Killed
            return call(*args, **how)

        return counted

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", counting(os.pwrite))
        patched.setattr(os, "fsync", counting(os.fsync))
        patched.setattr(Path, "replace", counting(Path.replace))
        patched.setattr(shutil, "rmtree", counting(shutil.rmtree))
        try:
            merge.select(places, base, out=out, stretch=7, threads=1)
            finished = True
        except Killed:
            finished = False
    assert finished == (calls < 2 * at + 1)
    if not finished:
        assert not (out / "merge.json").exists() or (out / sinks.WORK).exists()
    merge.select(places, base, out=out, stretch=3, threads=2)
    assert not (out / sinks.WORK).exists()
    for path in sorted(whole.iterdir()):
        if path.name != "merge.json":
            assert (out / path.name).read_bytes() == path.read_bytes()
    ours, theirs = (json.loads((f / "merge.json").read_text()) for f in (out, whole))
    assert ours["tensors"] == theirs["tensors"]


def test_what_was_finished_is_not_merged_again(
    tmp_path: Path, base: State, models: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "FLUSH_SECONDS", 0.0)
    write, written = sinks.FolderSink.write, []

    def stops(self: sinks.FolderSink, name: str, start: int, values: torch.Tensor) -> None:
        if len(set(written) | {name}) > 2:
            raise Killed
        written.append(name)
        write(self, name, start, values)

    with monkeypatch.context() as patched:
        patched.setattr(sinks.FolderSink, "write", stops)
        with pytest.raises(Killed):
            merge.select(models, base, out=tmp_path / "out", threads=1)
    again = []

    def notes(self: sinks.FolderSink, name: str, start: int, values: torch.Tensor) -> None:
        again.append(name)
        write(self, name, start, values)

    monkeypatch.setattr(sinks.FolderSink, "write", notes)
    merge.select(models, base, out=tmp_path / "out", threads=1)
    assert not set(again) & set(written)
    assert set(again) | set(written) == set(base)


def test_a_merge_begun_otherwise_is_not_gone_on_with(
    tmp_path: Path, base: State, models: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sinks.FolderSink, "settle", lambda self: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            merge.select(models, base, out=tmp_path / "out")
    with pytest.raises(FolderError, match="another merge that was begun"):
        merge.select(models, base, out=tmp_path / "out", seed=5)


def test_a_full_disk_leaves_nothing_that_looks_whole(
    tmp_path: Path, base: State, models: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(FolderError, match="make room and give the same command again"):
            merge.select(models, base, out=out)
    assert [path.name for path in out.iterdir()] == [sinks.WORK]
    usage = shutil.disk_usage(tmp_path)._replace(free=3)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(FolderError, match=r"the disk has 0\.0 GB left"):
            merge.select(models, base, out=tmp_path / "other")
    merge.select(models, base, out=out)
    assert load_file(out / "model.safetensors").keys() == base.keys()


def test_a_model_that_shrinks_while_it_is_read_is_told(tmp_path: Path, base: State) -> None:
    place = sharded(tmp_path / "a", base, 1)
    with closing(WeightsFile(place / "model.safetensors")) as file:
        os.truncate(place / "model.safetensors", 200)
        with pytest.raises(FolderError, match="became shorter"):
            file.read(list(file.infos)[-1], 0, 1)
