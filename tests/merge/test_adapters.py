"""LoRA and its kin: against PEFT's own products, and laws of merging them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2Model,
)

from equipoise import merge
from equipoise.errors import ModelError, SettingsError
from equipoise.merge.factoring import factored

TINY: dict[str, Any] = {"vocab_size": 40, "num_labels": 3}
IDS = torch.arange(12).reshape(2, 6)


def bert(folder: Path) -> nn.Module:
    config = BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **TINY
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    return model


def gpt2(folder: Path) -> nn.Module:
    """Its weights are stored transposed."""
    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=40))
    model.save_pretrained(folder)
    return model


def adapter(base: Path, folder: Path, seed: int, rank: int = 4, **how: Any) -> Path:
    """An adapter on a base as PEFT makes it, with factors that are no longer zero."""
    classes = "Sequence" in json.loads((base / "config.json").read_text())["architectures"][0]
    kind = AutoModelForSequenceClassification if classes else AutoModel
    body = kind.from_pretrained(base)
    targets = how.pop("target_modules", ["query", "dense"] if classes else ["c_attn", "c_proj"])
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=8,
        target_modules=targets,
        task_type="SEQ_CLS" if classes else "FEATURE_EXTRACTION",
        fan_in_fan_out=not classes,
        **how,
    )
    tuned = get_peft_model(body, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if value.requires_grad:
                noise = torch.randn(value.shape, generator=generator)
                value.add_(noise * (0.05 if "magnitude" in name else 0.2))
    tuned.save_pretrained(folder)
    return folder


def folded(base: Path, adapter_: Path, kind: Any) -> nn.Module:
    """By PEFT."""
    model: nn.Module = PeftModel.from_pretrained(kind.from_pretrained(base), adapter_)
    merged: nn.Module = model.merge_and_unload()  # type: ignore[operator]
    return merged.eval()


KINDS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": {"query": 2}, "alpha_pattern": {"0.attention.self.query": 3}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_folded_is_what_peft_folds(kind: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    bert(base)
    one = adapter(base, tmp_path / "one", 1, **KINDS[kind])
    merge.average([one], out=tmp_path / "out")
    ours = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    theirs = folded(base, one, AutoModelForSequenceClassification)
    for (name, value), wanted in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6, msg=name)
    torch.testing.assert_close(ours(IDS).logits, theirs(IDS).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora"])
def test_transposed_weights_fold_too(kind: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    gpt2(base)
    one = adapter(base, tmp_path / "one", 1, **KINDS[kind])
    merge.average([one], out=tmp_path / "out")
    ours = AutoModel.from_pretrained(tmp_path / "out").eval()
    theirs = folded(base, one, AutoModel)
    torch.testing.assert_close(
        ours(IDS).last_hidden_state, theirs(IDS).last_hidden_state, rtol=1e-4, atol=1e-5
    )


def test_products_are_averaged_and_not_factors(tmp_path: Path) -> None:
    base = tmp_path / "base"
    bert(base)
    places = [adapter(base, tmp_path / str(k), k, rank=2 + k) for k in range(3)]
    found = merge.average(places).state
    assert found is not None
    states = [folded(base, p, AutoModelForSequenceClassification).state_dict() for p in places]
    for name, value in found.items():
        torch.testing.assert_close(value, sum(s[name] for s in states) / 3, rtol=1e-5, atol=1e-6)


def test_every_selected_value_is_of_one_adapter(tmp_path: Path) -> None:
    base = tmp_path / "base"
    bert(base)
    places = [adapter(base, tmp_path / str(k), k) for k in range(3)]
    found = merge.select(places, seed=1).state
    each = [merge.average([place]).state for place in places]
    assert found is not None
    name = "bert.encoder.layer.1.output.dense.weight"
    same = torch.stack([one[name] == found[name] for one in each if one is not None])
    assert bool(same.any(0).all())
    assert bool((same.float().mean((1, 2)) > 0.2).all())
    for stretch in (5, 64):
        again = merge.select(places, seed=1, stretch=stretch, threads=2).state
        assert again is not None
        assert all(torch.equal(again[key], found[key]) for key in found)


def test_heads_kept_whole_are_merged_with_them(tmp_path: Path) -> None:
    base = tmp_path / "base"
    bert(base)
    places = [adapter(base, tmp_path / str(k), k) for k in range(2)]
    heads = [
        folded(base, place, AutoModelForSequenceClassification).get_parameter("classifier.weight")
        for place in places
    ]
    assert not torch.equal(*heads)
    found = merge.average(places).state
    assert found is not None
    torch.testing.assert_close(found["classifier.weight"], (heads[0] + heads[1]) / 2)


def test_a_merge_of_adapters_can_be_an_adapter(tmp_path: Path) -> None:
    """The average of products of rank 4 and 4 has rank 8, and nothing is lost at 8."""
    base = tmp_path / "base"
    bert(base)
    places = [adapter(base, tmp_path / str(k), k, use_rslora=k == 1) for k in range(2)]
    whole = merge.average(places).state
    found = merge.average(places, rank=8, out=tmp_path / "out")
    lost = {n: c["lost"] for n, c in found.tensors.items() if "lost" in c}
    assert lost
    assert max(lost.values()) < 1e-5
    ours = folded(base, tmp_path / "out", AutoModelForSequenceClassification).state_dict()
    assert whole is not None
    for name, value in whole.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-5)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (8, 8, False)
    short = merge.average(places, rank=2)
    assert min(c["lost"] for c in short.tensors.values() if "lost" in c) > 0.1


def test_the_nearest_product_of_a_rank_loses_what_singular_values_say() -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(9, 9, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(7, 7, generator=generator)).Q
    sizes = torch.tensor([4.0, 3.0, 0, 0, 0, 0, 0])
    product = (left[:, :7] * sizes) @ right
    high, low, lost = factored(product, 1, 0)
    assert (high.shape, low.shape) == ((9, 1), (1, 7))
    assert lost == pytest.approx(3 / 5, abs=1e-4)  # 3 of the length 5
    high, low, lost = factored(product, 9, 0)
    assert (high.shape, low.shape) == ((9, 9), (9, 7))
    assert lost < 1e-5
    assert factored(torch.zeros(3, 4), 2, 0)[2] == 0


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    model = bert(base)
    one = adapter(base, tmp_path / "one", 1)
    other = adapter(base, tmp_path / "other", 2, target_modules=["query"])
    merge.average([one, other])  # another choice of layers: where one is silent, the base's
    with pytest.raises(ModelError, match="lacks tensor"):
        merge.average([one, other], rank=4)
    with pytest.raises(ModelError, match="is an adapter, and others are whole models"):
        merge.average([one, model])
    with pytest.raises(ModelError, match="none of the models is one"):
        merge.average([model], rank=3)
    with pytest.raises(SettingsError, match="rank is 0"):
        merge.average([one], rank=0)
    gpt2(tmp_path / "gpt2")
    with pytest.raises(ModelError, match="has no such layer"):
        merge.merge("average", [one], tmp_path / "gpt2")
