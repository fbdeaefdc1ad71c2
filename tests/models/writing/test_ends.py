"""A text ends where the model learned to end it, with our loader and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from equipoise.models.config import ModelConfig
from equipoise.models.load import find_base
from equipoise.models.writing.build import build_writer
from equipoise.models.writing.config import DecodeConfig
from equipoise.models.writing.decode import write_texts
from equipoise.models.writing.ends import end_ids
from equipoise.models.writing.save import load_writer, save_writer
from tests.models.tiny import make_tokenizer
from tests.models.writing.templates import NO_END, SHAPES
from tests.models.writing.templates import make_tokenizer as shaped

TEMPLATE = "{% for turn in messages %}{{ turn['content'] + ' <turn> ' }}{% endfor %}"
CHAIN = ("money", "loud", "<turn>")
"""What the chained model writes, over and over: its turn, and the same turn again."""


def chained_base(folder: Path, *, template: str | None = TEMPLATE, end: str = "") -> Path:
    """A GPT-2 that writes behind each token of CHAIN the next one: its layers add nothing, and its
    head knows what follows what. The tokenizer's end of text is not among them; `end` is one that
    the base's own settings name beside it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    tokenizer.chat_template = template
    size = len(tokenizer)
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = GPT2Config(
        vocab_size=size, n_embd=size, n_head=1, n_layer=2, n_positions=64,
        tie_word_embeddings=False, **ends,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    body: Any = model.transformer
    with torch.no_grad():
        for parameter in (*body.h.parameters(), *body.wpe.parameters()):
            parameter.zero_()
        body.wte.weight.copy_(torch.eye(size))
        model.lm_head.weight.zero_()
        for now, then in zip(CHAIN, (*CHAIN[1:], CHAIN[0]), strict=True):
            first, second = tokenizer.convert_tokens_to_ids([now, then])
            model.lm_head.weight[second, first] = 1
    if end:
        model.generation_config.eos_token_id = [3, tokenizer.convert_tokens_to_ids(end)]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_text_ends_with_the_turn_that_the_template_closes(method: Any, tmp_path: Path) -> None:
    settings = ModelConfig(name=str(chained_base(tmp_path / "base")), method=method, rank=2)
    base = find_base(settings, writes=True)
    writer, _ = build_writer(base, settings, 0)
    save_writer(tmp_path / "run", writer, base, settings)
    loaded = load_writer(tmp_path / "run", device="cpu")
    asked = np.array(base.tokenizer.convert_tokens_to_ids(["money"]), dtype=np.int32)
    assert write_texts(loaded, [asked], DecodeConfig(new_tokens=9)) == ["loud"]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_text_ends_with_what_the_base_names_as_its_end(method: Any, tmp_path: Path) -> None:
    """No template names one here, and the tokenizer's end of text is never written."""
    folder = chained_base(tmp_path / "base", template=None, end="<turn>")
    settings = ModelConfig(name=str(folder), method=method, rank=2)
    base = find_base(settings, writes=True)
    writer, _ = build_writer(base, settings, 0)
    save_writer(tmp_path / "run", writer, base, settings)
    loaded = load_writer(tmp_path / "run", device="cpu")
    asked = np.array(base.tokenizer.convert_tokens_to_ids(["money"]), dtype=np.int32)
    assert write_texts(loaded, [asked], DecodeConfig(new_tokens=9)) == ["loud"]


def test_the_saved_model_alone_ends_there_too(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    settings = ModelConfig(name=str(chained_base(tmp_path / "base")), method="full")
    base = find_base(settings, writes=True)
    writer, _ = build_writer(base, settings, 0)
    save_writer(tmp_path / "run", writer, base, settings)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    asked = torch.tensor([base.tokenizer.convert_tokens_to_ids(["money"])])
    out = model.generate(asked, max_new_tokens=9, do_sample=False)
    assert base.tokenizer.convert_ids_to_tokens(out[0]) == list(CHAIN)


class _Body:
    """What `end_ids` asks of a body."""

    def __init__(self, ends: Any) -> None:
        self.generation_config = type("_Settings", (), {"eos_token_id": ends})


@pytest.mark.parametrize(
    ("shape", "closing"),
    [
        ("llama3", "<|eot_id|>"),
        ("qwen", "<|im_end|>"),
        ("gemma", "<end_of_turn>"),
        ("mistral", "</s>"),
    ],
)
def test_every_template_names_its_own_end(shape: str, closing: str) -> None:
    tokenizer = shaped("bpe", shape)
    ends = {closing, SHAPES[shape].eos}
    ids = sorted(tokenizer.convert_tokens_to_ids(token) for token in ends)
    assert end_ids(_Body(None), tokenizer, two_parts=False) == ids
    assert end_ids(_Body([0, 1]), tokenizer, two_parts=False) == sorted({0, 1, *ids})
    assert end_ids(_Body(0), tokenizer, two_parts=True) == sorted({0, tokenizer.eos_token_id})


def test_a_template_without_an_end_leaves_the_end_of_text() -> None:
    import copy

    tokenizer = copy.deepcopy(shaped("bpe", "qwen"))
    tokenizer.chat_template = NO_END
    assert end_ids(_Body(None), tokenizer, two_parts=False) == [tokenizer.eos_token_id]
