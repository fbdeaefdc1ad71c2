import json
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from equipoise.errors import FolderError
from equipoise.merge.sinks import FolderSink
from equipoise.merge.weights_files import TYPES, TensorInfo, WeightsFile, header_of, in_shards


def test_every_type_is_read_as_the_library_wrote_it(tmp_path: Path) -> None:
    state = {name: torch.arange(6).reshape(2, 3).to(kind) for name, kind in TYPES.items()} | {
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
    }
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    file = WeightsFile(tmp_path / "model.safetensors")
    assert file.metadata == {"format": "pt"}
    for name, value in state.items():
        assert file.infos[name] == TensorInfo(value.dtype, tuple(value.shape))
        flat = value.reshape(-1)
        whole = file.read(name, 0, flat.numel())
        assert whole.view(torch.uint8).tolist() == flat.view(torch.uint8).tolist()
        if flat.numel() > 4:
            part = file.read(name, 2, 5)
            assert (
                part.view(torch.uint8).tolist() == flat[2:5].contiguous().view(torch.uint8).tolist()
            )
    file.close()


def test_what_is_written_is_read_by_the_library(tmp_path: Path) -> None:
    state = {"b": torch.randn(3, 4).bfloat16(), "a": torch.arange(5), "scalar": torch.tensor(1.5)}
    infos = {name: TensorInfo(v.dtype, tuple(v.shape)) for name, v in state.items()}
    sink = FolderSink(tmp_path, infos, [("model.safetensors", list(state))], "id")
    for name, value in state.items():
        flat = value.reshape(-1)
        for start in range(0, flat.numel(), 2):
            sink.write(name, start, flat[start : start + 2])
        sink.finished(name, {"values": flat.numel()})
    sink.settle()
    found = load_file(tmp_path / "model.safetensors")
    for name, value in state.items():
        assert torch.equal(found[name], value)
    sink.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_header_is_that_of_the_library(tmp_path: Path) -> None:
    state = {"w": torch.zeros(3, 4), "v": torch.zeros(2, dtype=torch.bfloat16)}
    save_file(state, tmp_path / "one.safetensors", {"format": "pt"})
    with closing(WeightsFile(tmp_path / "one.safetensors")) as file:
        ours = header_of(file.infos, {"format": "pt"})
    theirs = (tmp_path / "one.safetensors").read_bytes()[: len(ours)]
    assert len(ours) % 8 == 0
    assert json.loads(ours[8:]) == json.loads(theirs[8:])


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda data: data[:-3], "cut short"),
        (lambda data: data + b"more", "cut short"),
        (lambda data: data[:6], "no whole safetensors file"),
        (lambda data: (10**9).to_bytes(8, "little") + data[8:], "no whole safetensors file"),
        (lambda data: data[:8] + b"!" + data[9:], "header can't be read"),
        (lambda data: data.replace(b'"F32"', b'"F31"'), "of type 'F31'"),
        (lambda data: data.replace(b"[3,4]", b"[3,5]"), "other bytes than its shape"),
        (lambda data: b"PK\x03\x04 a pickle, or some other thing altogether", "no whole"),
    ],
)
def test_what_is_no_whole_file_is_refused(tmp_path: Path, broken: object, says: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(3, 4)}, path)
    path.write_bytes(broken(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(FolderError, match=says):
        WeightsFile(path)


def test_a_folder_says_which_files_are_its_weights(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"no \.safetensors file"):
        in_shards(tmp_path)
    save_file({"w": torch.zeros(1)}, tmp_path / "odd.safetensors")
    assert [path.name for path in in_shards(tmp_path)] == ["odd.safetensors"]
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert [path.name for path in in_shards(tmp_path)] == ["model.safetensors"]
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(FolderError, match="no index"):
        in_shards(tmp_path)
    index = {"weight_map": {"w": "other.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [path.name for path in in_shards(tmp_path)] == ["other.safetensors"]
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(FolderError, match="no index of weights"):
        in_shards(tmp_path)
