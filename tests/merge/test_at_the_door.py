"""What can't be merged is refused with every difference."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from equipoise import merge
from equipoise.errors import EquipoiseError, FolderError, ModelError, SettingsError
from tests.merge.models import base_state, sub_models


def faults(call: Any) -> tuple[str, ...]:
    with pytest.raises(EquipoiseError) as caught:
        call()
    return caught.value.faults


def test_every_difference_is_listed() -> None:
    base = base_state()
    one, other = sub_models(base, 2)
    del other["s"]
    other["more"] = torch.zeros(2)
    other["model.layers.0.b"] = torch.zeros(6)
    other["model.layers.0.w"] = other["model.layers.0.w"].bfloat16()
    found = faults(lambda: merge.select([one, other]))
    assert found == (
        "model 1: lacks tensor s, which model 0 holds",
        "model 0: lacks tensor more, which model 1 holds",
        "tensor model.layers.0.b: is [5] in model 0 and [6] in model 1",
        "tensor model.layers.0.w: float32 in model 0 and bfloat16 in model 1",
    )


def test_another_type_altogether_is_one_line() -> None:
    base = base_state()
    one, other = base_state(), base_state(torch.bfloat16)
    assert faults(lambda: merge.average([one, other])) == (
        "all 4 tensors are float32 in model 0 and bfloat16 in model 1",
    )
    # A base of a narrower type holds values that the models' type holds too.
    narrow = {name: value.bfloat16() for name, value in base.items()}
    wide = {name: value.float() for name, value in narrow.items()}
    tuned = sub_models(wide, 2)
    ours, theirs = merge.select(tuned, narrow).state, merge.select(tuned, wide).state
    assert ours is not None
    assert theirs is not None
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert faults(lambda: merge.select([narrow, narrow], wide))[0].startswith("all 4 tensors are")


def test_a_base_of_another_kind_is_none() -> None:
    one = base_state()
    assert faults(lambda: merge.select([one, one], {"x": torch.zeros(1)})) == (
        "the base: has no tensor of model 0's, so it is no base of it",
    )


def test_a_base_is_found_under_the_names_of_its_body() -> None:
    """A classifier's body has a word before the names of its base."""
    base = base_state()
    models = [
        {
            **{f"bert.{name}": value for name, value in one.items()},
            "classifier.w": torch.ones(3) * k,
        }
        for k, one in enumerate(sub_models(base, 3))
    ]
    plain = merge.select(models, {f"bert.{name}": value for name, value in base.items()})
    found = merge.select(models, base)
    assert plain.state is not None
    assert found.state is not None
    assert all(torch.equal(found.state[name], plain.state[name]) for name in plain.state)
    assert found.tensors == plain.tensors
    assert "moved" in found.tensors["bert.s"]
    assert "moved" not in found.tensors["classifier.w"]


def test_whole_numbers_that_differ_and_quantised_weights_are_refused() -> None:
    one = {"w": torch.zeros(3), "positions": torch.arange(3)}
    other = {"w": torch.zeros(3), "positions": torch.arange(3) + 1}
    assert "positions holds whole numbers" in faults(lambda: merge.average([one, other]))[0]
    eight = {"w": torch.zeros(3).to(torch.float8_e4m3fn)}
    assert "quantised" in faults(lambda: merge.average([eight, eight]))[0]


def saved(folder: Path, config: dict[str, Any], vocabulary: dict[str, int]) -> Path:
    folder.mkdir()
    save_file({"w": torch.zeros(4)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"model": {"vocab": vocabulary}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_folders_are_compared_by_settings_labels_and_vocabulary(tmp_path: Path) -> None:
    labels = {"label2id": {"a": 0, "b": 1}, "hidden_act": "gelu", "transformers_version": "4"}
    one = saved(tmp_path / "one", labels, {"x": 0, "y": 1})
    other = saved(
        tmp_path / "other",
        {**labels, "label2id": {"b": 0, "a": 1}, "transformers_version": "5", "hidden_act": "silu"},
        {"y": 0, "x": 1},
    )
    assert faults(lambda: merge.average([one, other])) == (
        f'config.json: hidden_act is "gelu" in {one} and "silu" in {other}',
        f'config.json: label2id is {{"a": 0, "b": 1}} in {one} and {{"b": 0, "a": 1}} in {other}',
        f"tokenizer.json: the vocabularies of {one} and {other} differ",
    )
    packed = saved(tmp_path / "packed", {"quantization_config": {"bits": 4}}, {})
    assert "are quantised" in faults(lambda: merge.average([packed, packed]))[0]


def test_a_folder_without_weights_and_a_name_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"no \.safetensors file"):
        merge.average([tmp_path])
    with pytest.raises(ModelError, match="no such folder here"):
        merge.average(["no/such-model"])


@pytest.mark.parametrize(
    ("method", "how", "says"),
    [
        ("sum", {}, "method 'sum': there is none; it is one of select, average"),
        ("slerp", {"models": 3}, "slerp: merges 2 models, and got 3"),
        ("select", {"models": 0}, "select: merges at least 1 model, and got 0"),
        ("average", {"scale": 1}, "average: has no setting 'scale'; it has none"),
        ("select", {"resamples": -1}, "resamples is -1; give a whole number from 0 on"),
        ("select", {"granularity": "byte"}, "give one of element, row, tensor, layer"),
        ("select", {"tolerance": float("nan")}, "tolerance is nan"),
        ("ties", {"density": 0}, "density is 0; give a share above 0"),
        ("slerp", {"t": 1.5}, "t is 1.5"),
        ("dare", {"scale": float("inf")}, "scale is inf"),
        ("ties", {"base": False}, "needs the base model"),
        ("fisher", {}, "needs each model's Fisher information"),
        ("average", {"weights": [1, 0]}, "weights: are [1, 0]; give numbers above 0"),
        ("average", {"weights": [1]}, "weights: there are 1, and 2 models"),
        ("average", {"keys": ["a", "a"]}, "keys: a, a are not all different"),
        ("select", {"seed": 1.5}, "seed is 1.5; give a whole number"),
        ("average", {"threads": 0}, "threads is 0"),
        ("average", {"stretch": 0}, "stretch is 0"),
    ],
)
def test_settings_are_checked(method: str, how: dict[str, Any], says: str) -> None:
    base = base_state()
    models = sub_models(base, how.pop("models", 2))
    given = base if how.pop("base", True) else None
    with pytest.raises(SettingsError) as caught:
        merge.merge(method, models, given, **how)
    assert says in str(caught.value)


def test_all_faults_of_settings_come_at_once() -> None:
    found = faults(lambda: merge.ties([base_state()], None, density=2, scale="x", keys=[]))  # type: ignore[arg-type]
    assert len(found) == 4


def test_information_of_another_shape_is_refused() -> None:
    one = base_state()
    trust = {**one, "s": torch.zeros(2)}
    del trust["model.layers.0.b"]
    found = faults(lambda: merge.fisher([one, one], [one, trust]))
    assert len(found) == 2
    assert "lacks it" in found[0]
    assert "is [2]" in found[1]
