"""Every architecture named in the design: cached states equal the whole model, for every cut and
padding; exactly the upper layers train; what is saved loads with plain transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise.models.batches import padded
from equipoise.models.cache import CachedStates, CacheSettings
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.cut import Cut, find_layers
from equipoise.models.methods import default_cut
from equipoise.models.predict import predict_logits
from equipoise.models.save import load_classifier, save_classifier
from equipoise.models.states import ensure_states
from equipoise.models.tokenize import Tokens
from tests.models.conftest import Bases
from tests.models.tiny import (
    ARCHITECTURES,
    DECODERS,
    cross_entropy,
    easy_rows,
    make,
    make_feed,
    token_rows,
    weights_of,
)

ROWS = easy_rows(16)
CUTS = [(architecture, cut) for architecture in ARCHITECTURES for cut in (1, 2, 3)]
LAYER_LISTS = {"gpt2": "h", "modernbert": "layers"} | dict.fromkeys(
    ("bert", "roberta", "deberta", "deberta_v2", "deberta_v3"), "encoder.layer"
)
FINAL_NORMS = {"gpt2": ("ln_f",), "modernbert": ("final_norm",)} | dict.fromkeys(
    ("bert", "roberta", "deberta", "deberta_v2", "deberta_v3"), ()
)


def batch(tokens: Tokens, states: CachedStates, side: str) -> tuple[Tensor, Tensor, Tensor]:
    """ids, mask and states of all rows padded on `side`; "none": of rows of one length."""
    rows = np.arange(len(tokens))
    if side == "none":
        rows = np.flatnonzero(tokens.lengths == np.bincount(tokens.lengths).argmax())
        assert len(rows) > 1
    where = "left" if side == "left" else "right"
    ids, mask = padded([tokens.row(int(i)) for i in rows], fill=0, side=where)
    entering, _ = padded([states.row(int(i)) for i in rows], fill=0.0, side=where)
    return torch.from_numpy(ids).long(), torch.from_numpy(mask), torch.from_numpy(entering)


def cached_states(classifier: SequenceClassifier, base: Any, folder: Path) -> CachedStates:
    states = ensure_states(
        classifier, base, token_rows(base, ROWS), CacheSettings(folder, 1_000_000_000)
    )
    assert states is not None
    return states


@pytest.mark.parametrize("head", ["cosine", "native"])
@pytest.mark.parametrize(("architecture", "cut"), CUTS)
def test_cached_equals_uncached(
    bases: Bases, tmp_path: Path, architecture: str, cut: int, head: str
) -> None:
    folder = bases(architecture, 4)
    classifier, base, _, notes = make(folder, method="light", head=head, trained_layers=4 - cut)
    assert notes == []
    assert classifier.cut is not None
    assert classifier.cut.number == cut
    assert base.causal == (architecture in DECODERS)
    classifier.eval()
    states = cached_states(classifier, base, tmp_path)
    tokens = token_rows(base, ROWS)
    sides = ["right", "none"] + ["left"] * base.causal
    for side in sides:
        ids, mask, entering = batch(tokens, states, side)
        with torch.no_grad():
            whole = classifier(ids, mask)
            entered = classifier(ids, mask, entering)
            classifier.cut.skip_lower()
            assert classifier.cut.skipping
            cached = classifier(ids, mask, entering)
            classifier.cut.restore_lower()
            again = classifier(ids, mask)
        assert not classifier.cut.skipping
        torch.testing.assert_close(cached, whole, rtol=0, atol=1e-5)
        torch.testing.assert_close(entered, cached, rtol=0, atol=0)
        torch.testing.assert_close(again, whole, rtol=0, atol=0)
        assert whole.abs().max() > 1e-3


@pytest.mark.parametrize("architecture", DECODERS)
def test_padding_side_does_not_matter_to_decoders(bases: Bases, architecture: str) -> None:
    classifier, base, _, _ = make(bases(architecture, 4), method="full")
    classifier.eval()
    tokens = token_rows(base, ROWS)
    parts = [tokens.row(i) for i in range(len(tokens))]
    logits = {}
    for side in ("left", "right"):
        ids, mask = padded(parts, fill=0, side=side)
        with torch.no_grad():
            logits[side] = classifier(torch.from_numpy(ids).long(), torch.from_numpy(mask))
    torch.testing.assert_close(logits["left"], logits["right"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_exactly_the_upper_layers_final_norm_and_head_are_trained(
    bases: Bases, architecture: str
) -> None:
    classifier, _, _, _ = make(bases(architecture, 4), method="light", trained_layers=2)
    layers = LAYER_LISTS.get(architecture, "layers")
    norms = FINAL_NORMS.get(architecture, ("norm",))
    allowed = tuple(f"body.{part}." for part in (*(f"{layers}.{i}" for i in (2, 3)), *norms))
    trained = {name for name, p in classifier.named_parameters() if p.requires_grad}
    wanted = {n for n, _ in classifier.named_parameters() if n.startswith((*allowed, "head."))}
    assert trained == wanted
    assert {name for name in trained if name.startswith("head.")} == {
        "head.weight",
        "head.log_scale",
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lower_weights_stay_byte_identical_and_upper_ones_move(
    bases: Bases, tmp_path: Path, architecture: str
) -> None:
    classifier, base, _, _ = make(bases(architecture, 4), method="light", trained_layers=2)
    states = cached_states(classifier, base, tmp_path)
    before = weights_of(classifier)
    trained = {name for name, p in classifier.named_parameters() if p.requires_grad}
    assert classifier.cut is not None
    classifier.cut.skip_lower()
    classifier.train()
    optimizer = torch.optim.AdamW(
        [p for p in classifier.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.1
    )
    feed = make_feed(base, ROWS, states=states)
    for _ in range(2):
        inputs = feed.batch(np.arange(len(feed)))
        labels, *_ = (inputs.pop(name) for name in ("labels", "weights", "counts"))
        cross_entropy(classifier(**inputs), labels).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    classifier.cut.restore_lower()
    after = weights_of(classifier)
    changed = {name for name in before if before[name] != after[name]}
    # A bias on keys shifts all of a query's scores alike, so a softmax gives it no gradient.
    unmoved = {name for name in trained - changed if not name.endswith("bias")}
    assert changed <= trained
    assert unmoved == set()


@pytest.mark.parametrize("head", ["cosine", "native"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_loads_whole_and_with_transformers_alone(
    bases: Bases, tmp_path: Path, architecture: str, head: str
) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    classifier, base, settings, _ = make(
        bases(architecture, 4), method="light", head=head, trained_layers=2
    )
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    save_classifier(tmp_path, classifier, base, settings, ROWS.classes)
    loaded = load_classifier(tmp_path)
    assert loaded.classes == ROWS.classes
    first = predict_logits(loaded, ROWS.texts)
    assert first.tobytes() == predict_logits(loaded, ROWS.texts).tobytes()
    assert first.tobytes() == predict_logits(load_classifier(tmp_path), ROWS.texts).tobytes()

    classifier.eval()
    ids, mask, _ = batch(
        token_rows(base, ROWS), cached_states(classifier, base, tmp_path / "c"), "right"
    )
    with torch.no_grad():
        own = classifier(ids, mask).double().numpy()
        np.testing.assert_allclose(first, own, rtol=0, atol=1e-5)
        if head == "native":
            plain: nn.Module = AutoModelForSequenceClassification.from_pretrained(
                tmp_path / "model"
            )
            theirs = plain.eval()(input_ids=ids, attention_mask=mask).logits.double().numpy()
            np.testing.assert_allclose(theirs, first, rtol=0, atol=1e-5)
            assert plain.config.id2label == dict(enumerate(ROWS.classes))
        else:
            body = AutoModel.from_pretrained(tmp_path / "model").eval()
            theirs = body(input_ids=ids, attention_mask=mask).last_hidden_state
            ours = classifier.body(input_ids=ids, attention_mask=mask).last_hidden_state
            torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


def test_shared_layers_fall_back_with_a_message(bases: Bases) -> None:
    classifier, _, _, notes = make(bases("albert", 4), method="light")
    assert classifier.cut is None
    assert len(notes) == 1
    assert "can't be cut" in notes[0]
    assert "trained in full" in notes[0]
    for name, parameter in classifier.named_parameters():
        assert parameter.requires_grad == ("pooler" not in name)  # our head does without it
    assert find_layers(classifier.body) is None
    with pytest.raises(ValueError, match="no layer 1 to cut at"):
        Cut(classifier.body, 1)


def test_more_trained_layers_than_there_are_is_said(bases: Bases) -> None:
    classifier, _, _, notes = make(bases("bert", 3), method="light", trained_layers=9)
    assert classifier.cut is not None
    assert classifier.cut.number == 1
    assert notes == ["trained_layers=9: the model has 3 layers; trained the upper 2"]


def test_half_of_the_layers_trains_by_default_or_five() -> None:
    assert [default_cut(layers, None) for layers in (2, 3, 6, 12, 32)] == [1, 2, 3, 6, 16]
    assert [default_cut(layers, None, 5) for layers in (2, 3, 6, 8, 12)] == [1, 1, 1, 3, 6]
    assert [default_cut(6, trained) for trained in (1, 2, 5, 6, 7)] == [5, 4, 1, 1, 1]


def test_a_model_that_hands_on_more_than_states_is_not_cached(bases: Bases, tmp_path: Path) -> None:
    """If the output depends on lower layers by another way than the states, nothing is cached."""
    classifier, base, _, _ = make(bases("bert", 4), method="light", trained_layers=2)
    assert classifier.cut is not None
    seen: list[Tensor] = []
    body: Any = classifier.body
    body.encoder.layer[0].register_forward_hook(lambda _, __, out: seen.append(out))
    body.encoder.layer[3].register_forward_hook(
        lambda _, __, out: out + seen.pop() if seen else out
    )
    settings = CacheSettings(tmp_path, 1_000_000_000)
    assert ensure_states(classifier, base, token_rows(base, ROWS), settings) is None
    assert not list(tmp_path.iterdir())
    assert not classifier.cut.skipping
