"""Base models that can't be one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.bad_input.case import Case, Place, train

MODEL = ("--model", "{folder}/base")


def _base(change: Callable[[Path], object]) -> Callable[[Place], None]:
    """A copy of the good base model, changed."""

    def build(place: Place) -> None:
        change(Path(shutil.copytree(place.base, place.folder / "base")))

    return build


def _without(*names: str) -> Callable[[Place], None]:
    return _base(lambda base: [(base / name).unlink() for name in names])


def _cut(name: str, keep: int) -> Callable[[Place], None]:
    return _base(lambda base: (base / name).write_bytes((base / name).read_bytes()[:keep]))


def _config(**changes: object) -> Callable[[Place], None]:
    def change(base: Path) -> None:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        kept = {key: value for key, value in (config | changes).items() if value is not None}
        (base / "config.json").write_text(json.dumps(kept), encoding="utf-8")

    return _base(change)


def _pickled(base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


MODELS = [
    Case(
        "hub id without a network",
        train("--model", "nobody/nothing"),
        ("nobody/nothing", "network"),
    ),
    Case("no such model folder", train("--model", "./nowhere"), ("./nowhere", "no such folder")),
    Case("absolute path to nothing", train("--model", "/no/such/model"), ("no such folder",)),
    Case("too many parts in a hub id", train("--model", "a/b/c"), ("a/b/c", "owner/name")),
    Case("hub id with blanks", train("--model", "my model"), ("my model", "neither")),
    Case("model without a name", train("--model", ""), ("model.name",)),
    Case("model is a file", train("--model", "{base}/model.safetensors"), ("folder",)),
    Case(
        "empty model folder",
        train(*MODEL),
        ("config.json",),
        build=lambda p: (p.folder / "base").mkdir(),
    ),
    Case("model without configuration", train(*MODEL), ("base",), build=_without("config.json")),
    Case("model configuration cut off", train(*MODEL), ("base",), build=_cut("config.json", 60)),
    Case("model of no type", train(*MODEL), ("model_type",), build=_config(model_type=None)),
    Case("model of unknown type", train(*MODEL), ("klingon",), build=_config(model_type="klingon")),
    Case(
        "model with impossible sizes",
        train(*MODEL),
        ("base",),
        build=_config(num_attention_heads=5),
    ),
    Case("model of another width", train(*MODEL), ("base",), build=_config(hidden_size=64)),
    Case(
        "model that writes",
        train(*MODEL),
        ("has an encoder and a decoder",),
        build=_config(model_type="t5"),
    ),
    Case(
        "model without weights",
        train(*MODEL),
        (".safetensors",),
        build=_without("model.safetensors"),
    ),
    Case("only pickled weights", train(*MODEL), (".safetensors", "convert"), build=_base(_pickled)),
    Case("weights cut off", train(*MODEL), ("base",), build=_cut("model.safetensors", 20_000)),
    Case("weights of no length", train(*MODEL), ("base",), build=_cut("model.safetensors", 0)),
    Case(
        "model without tokenizer",
        train(*MODEL),
        ("tokenizer",),
        build=_without("tokenizer.json", "tokenizer_config.json"),
    ),
    Case("tokenizer cut off", train(*MODEL), ("base",), build=_cut("tokenizer.json", 100)),
    Case(
        "model with code of its own",
        train(*MODEL),
        ("trust_remote_code",),
        build=_config(model_type="own", auto_map={"AutoConfig": "own.Config"}),
    ),
    Case(
        "pooling rule cut off",
        train(*MODEL),
        ("1_Pooling",),
        build=_base(
            lambda base: [
                (base / "1_Pooling").mkdir(),
                (base / "1_Pooling/config.json").write_text("{"),
            ]
        ),
    ),
    Case("unknown method", train("--method", "magic"), ("model.method", "'lora'", "magic")),
    Case("unknown head", train("--head", "bald"), ("model.head", "'cosine'", "bald")),
    Case("head native for method head", train("--method", "head", "--head", "native"), ("native",)),
]
