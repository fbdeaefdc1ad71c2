"""Every tuning method: it trains what it should and nothing else, learns an easy set, and
predicts the same from what it saved."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch

from equipoise.errors import FolderError, ModelError
from equipoise.models.cache import CacheSettings
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import METHODS, ModelConfig
from equipoise.models.feed import Feed
from equipoise.models.heads import start_from_class_means
from equipoise.models.load import Base, find_base
from equipoise.models.methods import LEARNING_RATES, head_kind, learning_rates
from equipoise.models.outputs import predict_feed
from equipoise.models.predict import predict_logits
from equipoise.models.save import load_classifier, save_classifier
from equipoise.models.states import ensure_states
from tests.models.conftest import Bases
from tests.models.tiny import ENCODERS, cross_entropy, easy_rows, make, make_feed, weights_of
from tests.models.training import train

ROWS = easy_rows(60)
RATES = {"prompt": 3e-2, "prefix": 3e-2, "ia3": 3e-2, "light": 1e-3, "head": 1e-3}
"""Where a head starts from class means, only small steps improve on it."""
ADDED = {
    "lora": ("lora_A", "lora_B"),
    "rslora": ("lora_A", "lora_B"),
    "dora": ("lora_A", "lora_B", "lora_magnitude_vector"),
    "ia3": ("ia3_l",),
    "prefix": ("prompt_encoder",),
    "prompt": ("prompt_encoder",),
    "adapter": ("added.",),
    "head": (),
}
"""What the names of a method's new weights hold."""


def feed_of(classifier: SequenceClassifier, base: Base, method: str, folder: Path) -> Feed:
    """Rows with states or vectors where the method uses them, the head started from means."""
    feed = make_feed(base, ROWS)
    if method not in ("light", "head"):
        return feed
    states = ensure_states(classifier, base, feed.tokens, CacheSettings(folder, 10**9))
    assert states is not None
    if classifier.head is not None:
        start_from_class_means(classifier.head, states.vectors, ROWS.labels)
    return make_feed(base, ROWS, states=states, vectors_only=method == "head")


def mean_loss(classifier: SequenceClassifier, base: Base) -> float:
    logits = torch.from_numpy(predict_feed(classifier, make_feed(base, ROWS)))
    return float(cross_entropy(logits, torch.from_numpy(ROWS.labels)).mean())


def cases() -> list[Any]:
    return [
        pytest.param(architecture, method, head, id=f"{architecture}-{method}-{head}")
        for architecture in ("bert", "llama")
        for method in METHODS
        for head in ("auto", "native")
        if head == "auto"
        or method in ("light", "full", "prefix")
        or (method == "prompt" and architecture == "bert")  # llama: refused
    ]


@pytest.mark.parametrize(("architecture", "method", "head"), cases())
def test_every_method_trains_saves_and_predicts_the_same(
    bases: Bases, tmp_path: Path, architecture: str, method: str, head: str
) -> None:
    classifier, base, settings, notes = make(
        bases(architecture), method=method, head=head, rank=4, dropout=0.0
    )
    assert notes == []
    feed = feed_of(classifier, base, method, tmp_path / "cache")
    before, at_first = weights_of(classifier), mean_loss(classifier, base)
    rate = RATES.get(method, 1e-2) if head == "auto" else 1e-2
    log: list[dict[str, Any]] = []
    trained = train(classifier, feed, tmp_path / "t", epochs=2, rates=(rate, rate), log=log)
    assert (trained.epochs_run, trained.steps, trained.best_step) == (2, 16, None)
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 17))

    after = weights_of(classifier)
    assert list(after) == list(before)
    changed = {name for name in after if after[name] != before[name]}
    wanted = {name for name, p in classifier.named_parameters() if p.requires_grad}
    assert changed <= wanted
    assert not {n for n in wanted - changed if "bias" not in n}  # see the test of lower weights
    heads = ("head.", "classifier", "score")
    assert any(part in name for name in changed for part in heads)
    if method in ADDED:
        for name in changed:
            assert any(part in name for part in (*ADDED[method], *heads)), name
        for part in ADDED[method]:
            assert any(part in name for name in changed), part
    assert mean_loss(classifier, base) < 0.97 * at_first

    save_classifier(tmp_path / "run", classifier, base, settings, ROWS.classes)
    loaded = load_classifier(tmp_path / "run")
    logits = predict_logits(loaded, ROWS.texts)
    own = predict_feed(classifier, make_feed(base, ROWS))
    np.testing.assert_allclose(logits, own, rtol=0, atol=1e-6)
    assert logits.tobytes() == predict_logits(loaded, ROWS.texts).tobytes()
    alone = np.concatenate([predict_logits(loaded, ROWS.texts[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(alone, logits[:10], rtol=0, atol=2e-5)


@pytest.mark.parametrize("head", ["auto", "native"])
@pytest.mark.parametrize("method", ["lora", "ia3", "prefix", "prompt"])
@pytest.mark.parametrize("architecture", ["bert", "gpt2", "modernbert", "deberta_v3"])
def test_peft_methods_load_with_peft_alone(
    bases: Bases, tmp_path: Path, architecture: str, method: str, head: str
) -> None:
    """Native heads, whatever they are made of, come back whole; so do bodies."""
    import peft

    native = head == "native"
    refused = (method == "prefix" and architecture in ("modernbert", "deberta_v3")) or (
        method == "prompt" and native and architecture == "gpt2"
    )
    if refused:
        with pytest.raises(ModelError, match=r"use (lora or light|head linear)"):
            make(bases(architecture), method=method, head=head)
        return
    classifier, base, settings, _ = make(bases(architecture), method=method, head=head)
    assert not [n for n, p in classifier.named_parameters() if p.requires_grad and "original" in n]
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    classifier.eval()
    save_classifier(tmp_path, classifier, base, settings, ROWS.classes)
    own = predict_feed(classifier, make_feed(base, ROWS))
    np.testing.assert_allclose(
        predict_logits(load_classifier(tmp_path), ROWS.texts), own, rtol=0, atol=1e-6
    )

    kind = (
        peft.AutoPeftModelForSequenceClassification
        if native
        else peft.AutoPeftModelForFeatureExtraction
    )
    extra = {"num_labels": 3} if native else {}
    loaded = kind.from_pretrained(tmp_path / "model", **extra).eval()
    inputs = make_feed(base, ROWS).batch(np.arange(8))
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        if native:
            if base.causal:
                loaded.config.pad_token_id = 0
            torch.testing.assert_close(
                loaded(**given).logits, classifier(**given), rtol=0, atol=1e-5
            )
        else:
            torch.testing.assert_close(
                loaded(**given).last_hidden_state,
                classifier.body(**given).last_hidden_state,
                rtol=0,
                atol=1e-5,
            )


@pytest.mark.parametrize("architecture", ENCODERS)
def test_native_heads_train_what_the_base_had_no_weights_for(
    tmp_path: Path, bases: Bases, architecture: str
) -> None:
    """A base saved from masked-language training holds no pooler: a random one must learn."""
    from transformers import AutoModelForMaskedLM

    from tests.models.tiny import make_config, make_tokenizer

    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(make_config(architecture)).save_pretrained(tmp_path / "base")
    make_tokenizer().save_pretrained(tmp_path / "base")
    for method in ("light", "lora"):
        classifier, base, settings, _ = make(tmp_path / "base", method=method, head="native")
        trained = {n for n, p in classifier.named_parameters() if p.requires_grad}
        poolers = {n for n, _ in classifier.named_parameters() if ".pooler." in n}
        poolers = {n for n in poolers if "original_module" not in n}
        assert poolers <= trained
        save_classifier(tmp_path / method, classifier, base, settings, ROWS.classes)
        np.testing.assert_allclose(
            predict_logits(load_classifier(tmp_path / method), ROWS.texts),
            predict_feed(classifier, make_feed(base, ROWS)),
            rtol=0,
            atol=1e-6,
        )


@pytest.mark.parametrize("several", [False, True])
def test_a_native_head_says_whether_it_scores_one_label_or_several(
    tmp_path: Path, bases: Bases, several: bool
) -> None:
    """So that transformers' own pipelines take the sigmoid or the softmax."""
    classifier, base, settings, _ = make(bases("bert", 2), method="full", head="native")
    save_classifier(tmp_path, classifier, base, settings, ROWS.classes, several=several)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["problem_type"].startswith("multi" if several else "single")


def test_another_base_under_the_same_name_is_refused(tmp_path: Path, bases: Bases) -> None:
    from tests.models.tiny import save_base

    copytree(bases("bert"), tmp_path / "base")
    classifier, base, settings, _ = make(tmp_path / "base", method="lora")
    save_classifier(tmp_path / "run", classifier, base, settings, ROWS.classes)
    load_classifier(tmp_path / "run")
    save_base(tmp_path / "base", "bert", seed=1)
    with pytest.raises(FolderError, match=r"trained on other weights than .* holds now"):
        load_classifier(tmp_path / "run")


def test_a_base_named_from_the_working_directory_is_found_from_another(
    tmp_path: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = copytree(bases("bert", 2), tmp_path / "here" / "base")
    monkeypatch.chdir(tmp_path / "here")
    for method in ("lora", "full"):
        classifier, base, settings, _ = make(Path("base"), method=method)
        save_classifier(tmp_path / method, classifier, base, settings, ROWS.classes)
    monkeypatch.chdir(tmp_path)
    load_classifier(tmp_path / "lora")
    added = json.loads((tmp_path / "lora" / "model" / "adapter_config.json").read_text())
    assert added["base_model_name_or_path"] == str(place)
    # A run that holds the whole model says nothing of where it was made.
    assert str(tmp_path) not in (tmp_path / "full" / "classifier.json").read_text()
    # Put elsewhere with all that stood beside it, the base is found by its name again.
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    load_classifier(tmp_path / "lora")


def test_virtual_tokens_leave_room_in_the_window(bases: Bases) -> None:
    folder = str(bases("bert"))
    asked = {"name": folder, "max_tokens": 500, "rank": 8}
    assert find_base(ModelConfig(**asked)).max_tokens == 64
    assert find_base(ModelConfig(**asked, method="prompt")).max_tokens == 56
    assert find_base(ModelConfig(**asked, method="prefix")).max_tokens == 56


def test_four_bit_needs_its_library(bases: Bases) -> None:
    from equipoise.errors import MissingExtraError

    with pytest.raises(MissingExtraError, match="bitsandbytes"):
        make(bases("llama"), method="lora", four_bit=True)
    with pytest.raises(ValueError, match="four_bit needs a method that adds weights"):
        ModelConfig(method="light", four_bit=True)


def test_rates_suit_the_method_and_follow_the_users() -> None:
    assert set(LEARNING_RATES) == set(METHODS)
    assert learning_rates(ModelConfig(method="lora"), None, None) == (5e-4, 1e-3)
    assert learning_rates(ModelConfig(method="light"), 1e-4, None) == (1e-4, 5e-4)
    assert learning_rates(ModelConfig(method="light"), None, 1e-2) == (2e-4, 1e-2)
    assert [head_kind(ModelConfig(method=m)) for m in ("light", "head", "lora")] == [
        "cosine",
        "cosine",
        "linear",
    ]


def test_adapters_start_at_the_base_itself(bases: Bases) -> None:
    plain, base, _, _ = make(bases("bert"), method="full", head="linear")
    adapted, _, _, _ = make(bases("bert"), method="adapter", head="linear")
    feed = make_feed(base, ROWS)
    np.testing.assert_array_equal(predict_feed(plain, feed), predict_feed(adapted, feed))
    with pytest.raises(ModelError, match="adapters have no place; use method lora or full"):
        make(bases("albert"), method="adapter")


def test_dropout_is_set_everywhere_that_trains(bases: Bases) -> None:
    for architecture in ("bert", "gpt2", "modernbert", "deberta_v3"):
        classifier, base, _, _ = make(bases(architecture), method="full", dropout=0.25)
        rates = {m.p for m in classifier.modules() if isinstance(m, torch.nn.Dropout)}
        assert rates == {0.25}, architecture
        classifier.train()
        inputs = make_feed(base, ROWS).batch(np.arange(4))
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        assert not torch.equal(classifier(**given), classifier(**given))


@pytest.mark.parametrize("method", ["light", "head", "adapter"])
def test_frozen_parts_run_in_evaluation_mode(bases: Bases, method: str) -> None:
    depth = {"trained_layers": 1} if method == "light" else {}
    classifier, base, _, _ = make(bases("bert"), method=method, dropout=0.5, head="linear", **depth)
    classifier.train()
    noisy = {
        name
        for name, module in classifier.named_modules()
        if isinstance(module, torch.nn.Dropout) and module.training
    }
    assert all(name.startswith(("body.encoder.layer.2.", "head.")) for name in noisy)
    assert "head.dropout" in noisy
    assert (len(noisy) > 1) == (method == "light")
    classifier.eval()
    assert not any(module.training for module in classifier.modules())
    assert len(make_feed(base, ROWS)) == 60


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_a_native_head_has_its_dropout_under_light(bases: Bases, architecture: str) -> None:
    asked = {"method": "light", "trained_layers": 1, "dropout": 0.5, "head": "native"}
    classifier, _, _, _ = make(bases(architecture), **asked)
    classifier.train()
    noisy = [
        name.removeprefix("body.")
        for name, module in classifier.named_modules()
        if isinstance(module, torch.nn.Dropout) and module.training
    ]
    assert any(not name.startswith(architecture) for name in noisy)
    assert not any("embeddings" in name or "layer.0" in name for name in noisy)


def test_adapters_and_a_native_head_are_refused() -> None:
    with pytest.raises(ValueError, match="AutoModelForSequenceClassification alone would not load"):
        ModelConfig(method="adapter", head="native")
