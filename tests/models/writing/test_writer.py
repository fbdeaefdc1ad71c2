"""The writer's scores are the plain model's, packed or not, cached or not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from equipoise.errors import ModelError
from equipoise.models.cache import CacheSettings
from equipoise.models.config import Method, ModelConfig
from equipoise.models.load import find_base
from equipoise.models.states import ensure_states
from equipoise.models.writing.feed import WrittenFeed, pack
from equipoise.models.writing.outputs import base_vectors, row_log_probs
from equipoise.models.writing.save import load_writer, save_writer
from equipoise.models.writing.writer import packing_holds
from tests.models.tiny import DECODERS
from tests.models.writing.tiny import (
    OTHER_DECODERS,
    make_feed,
    make_writer,
    random_sequences,
    save_writing_base,
)


def by_hand(body: Any, feed: WrittenFeed) -> NDArray[np.float64]:
    """Each row alone through the plain model, all its scores."""
    out = []
    for row in range(len(feed)):
        ids = torch.from_numpy(feed.tokens.row(row).astype(np.int64))[None]
        with torch.no_grad():
            scores = body(input_ids=ids).logits[0]
        log_p = F.log_softmax(scores.double(), dim=-1)
        at = np.flatnonzero(feed.tokens.learned_in(row)[1:])
        out.append(sum(float(log_p[t, ids[0, t + 1]]) for t in at))
    return np.array(out)


@pytest.mark.parametrize("architecture", DECODERS)
def test_scores_are_those_of_the_plain_model_packed_and_alone(
    architecture: str, tmp_path: Path
) -> None:
    writer, _ = make_writer(save_writing_base(tmp_path / "base", architecture))
    writer.eval()
    assert packing_holds(writer)
    tokens = random_sequences(9)
    expected = by_hand(writer.body, make_feed(tokens))
    for packed in (True, False):
        found = row_log_probs(writer, make_feed(tokens, packed=packed))
        np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(found[:, 1], tokens.learned_lengths)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_light_from_cached_states_gives_the_same(architecture: str, tmp_path: Path) -> None:
    writer, base = make_writer(save_writing_base(tmp_path / "base", architecture), "light")
    assert writer.cut is not None
    tokens = random_sequences(9)
    plain = row_log_probs(writer, make_feed(tokens))
    states = ensure_states(writer, base, tokens, CacheSettings(tmp_path / "cache", 1 << 30))
    assert states is not None
    writer.cut.skip_lower()
    for packed in (True, False):
        found = row_log_probs(writer, make_feed(tokens, states=states, packed=packed))
        np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)
    writer.cut.restore_lower()


def test_rows_go_no_further_than_the_cut_to_be_cached(tmp_path: Path) -> None:
    """But for the eight by which the cut is checked, whole and from their states."""
    writer, base = make_writer(save_writing_base(tmp_path / "base", "llama"), "light")
    assert writer.cut is not None
    seen = {"below": 0, "above": 0}

    def count(place: str) -> Any:
        def hook(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            seen[place] += len(given[0])

        return hook

    writer.cut.layers[0].register_forward_pre_hook(count("below"))
    writer.cut.layers[-1].register_forward_pre_hook(count("above"))
    states = ensure_states(
        writer, base, random_sequences(30), CacheSettings(tmp_path / "cache", 1 << 30)
    )
    assert states is not None
    assert states.vectors.shape == (30, 0)
    assert seen == {"below": 8 + 30, "above": 8 + 8}


def test_an_encoder_decoder_reads_the_source_and_writes_the_rest(tmp_path: Path) -> None:
    writer, _ = make_writer(save_writing_base(tmp_path / "base", "t5"))
    writer.eval()
    assert not packing_holds(writer)
    tokens = random_sequences(5, sources=True)
    found = row_log_probs(writer, make_feed(tokens, packed=False))
    body: Any = writer.body
    assert tokens.sources is not None
    for row in range(5):
        source, own = (
            torch.from_numpy(part.row(row).astype(np.int64))[None]
            for part in (tokens.sources, tokens)
        )
        with torch.no_grad():
            loss = float(body(input_ids=source, labels=own).loss)
        assert found[row, 0] == pytest.approx(-loss * own.shape[1], rel=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "t5", "bart"])
@pytest.mark.parametrize("method", ["lora", "ia3", "adapter", "prefix", "prompt", "light", "full"])
def test_every_method_trains_something_and_comes_back_as_it_was_saved(
    method: Method, architecture: str, tmp_path: Path
) -> None:
    writer, base = make_writer(save_writing_base(tmp_path / "base", architecture), method)
    trained = {name: p for name, p in writer.named_parameters() if p.requires_grad}
    assert trained
    assert len(trained) < len(list(writer.parameters())) or method == "full"
    assert not any("lm_head" in name for name in trained) or method == "full"
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    packs = packing_holds(writer)
    assert packs == (architecture == "llama" and method not in ("prefix", "prompt"))
    feed = make_feed(random_sequences(6, sources=base.two_parts), packed=packs)
    plain, _ = make_writer(tmp_path / "base")
    assert not np.allclose(row_log_probs(writer, feed), row_log_probs(plain, feed))
    ours = row_log_probs(writer, feed)
    settings = ModelConfig(name=str(tmp_path / "base"), method=method, max_tokens=48, dropout=0.0)
    save_writer(tmp_path / "run", writer, base, settings)
    theirs = load_writer(tmp_path / "run", device="cpu")
    assert theirs.packs == packs
    np.testing.assert_array_equal(row_log_probs(theirs.module, feed), ours)


@pytest.mark.parametrize("architecture", [*DECODERS, *OTHER_DECODERS, "t5", "bart"])
def test_ia3_finds_keys_values_and_the_way_back(architecture: str, tmp_path: Path) -> None:
    """Vectors for keys, values and the second feed-forward layer of every layer that there is, all
    of which the loss moves; fused ones have one for all, and experts in a block none."""
    writer, base = make_writer(save_writing_base(tmp_path / "base", architecture, 2), "ia3")
    names = {name.split(".ia3_l")[0] for name, p in writer.named_parameters() if p.requires_grad}
    fused = ("gpt2", "gpt_neox", "bloom", "falcon", "phi3")
    each = 2 if architecture in ("mixtral", *fused) else 3
    layers = {"t5": 2 * 3 + 2 * 5, "bart": 3 * 3 + 2 * 5}.get(architecture, 2 * each)
    assert len(names) == layers, names
    feed = make_feed(random_sequences(4, sources=base.two_parts), packed=False)
    batch = feed.batch(np.arange(4))
    labels, *_ = (batch.pop(name) for name in ("labels", "weights", "counts"))
    F.cross_entropy(writer(**batch), labels).backward()
    for name, parameter in writer.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_the_layers_that_write_are_the_decoders(architecture: str, tmp_path: Path) -> None:
    """Of two layers here, one trains; an adapter stands behind each, and comes back."""
    folder = save_writing_base(tmp_path / "base", architecture, 2)
    writer, _ = make_writer(folder, "light")
    trained = {name for name, p in writer.named_parameters() if p.requires_grad}
    assert all("decoder" in name for name in trained)
    layers = {found[1] for name in trained if (found := re.search(r"(?:layers|block)\.(\d)", name))}
    assert layers == {"1"}
    writer.train()
    noisy = [name for name, module in writer.body.named_modules() if module.training]
    assert noisy
    assert all(re.search(r"decoder\.(?:layers|block)\.1|lm_head", name) for name in noisy)
    writer, base = make_writer(folder, "adapter")
    assert writer.added is not None
    assert len(writer.added) == 2
    with torch.no_grad():
        for parameter in writer.added.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    feed = make_feed(random_sequences(5, sources=True), packed=False)
    settings = ModelConfig(name=str(folder), method="adapter", max_tokens=48, dropout=0.0)
    save_writer(tmp_path / "run", writer, base, settings)
    theirs = load_writer(tmp_path / "run", device="cpu")
    np.testing.assert_array_equal(row_log_probs(theirs.module, feed), row_log_probs(writer, feed))


def test_the_head_is_asked_for_learned_tokens_alone(tmp_path: Path) -> None:
    writer, _ = make_writer(save_writing_base(tmp_path / "base", "llama"))
    seen = []
    body: Any = writer.body
    body.lm_head.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    feed = make_feed(random_sequences(6))
    batch = feed.batch(np.arange(6))
    labels, *_ = (batch.pop(name) for name in ("labels", "weights", "counts"))
    writer(**batch)
    assert seen == [(1, len(labels), 32)]
    assert len(labels) == feed.tokens.learned_lengths.sum()


@pytest.mark.parametrize("architecture", ["llama", "t5", "bart"])
def test_vectors_are_means_of_what_the_base_makes_of_the_row_or_its_source(
    architecture: str, tmp_path: Path
) -> None:
    """Also where virtual tokens stand in front of the row, which know nothing of it yet."""
    place = save_writing_base(tmp_path / "base", architecture, 2)
    plain, _ = make_writer(place)
    plain.eval()
    tokens = random_sequences(5, sources=plain.two_parts)
    methods: tuple[Method, ...] = ("lora", "prompt", "prefix")
    for method in ("full", *(methods if architecture == "llama" else ("lora",))):
        writer, base = make_writer(place, method, rank=3)
        found = base_vectors(writer, base, tokens)
        for row in range(len(tokens)):
            read = tokens.sources if tokens.sources is not None else tokens
            ids = torch.from_numpy(read.row(row).astype(np.int64))[None]
            body: Any = plain.body
            with torch.no_grad():
                states = body.get_encoder()(ids) if plain.two_parts else body.model(ids)
            mean = states.last_hidden_state[0].mean(0)
            np.testing.assert_allclose(found[row], mean, rtol=0, atol=1e-5, err_msg=method)


def test_what_cannot_write_is_refused(tmp_path: Path) -> None:
    from tests.models.tiny import save_base

    encoder = save_base(tmp_path / "bert", "bert")
    with pytest.raises(ModelError, match="is an encoder, which can't write"):
        find_base(ModelConfig(name=str(encoder)), writes=True)
    with pytest.raises(ModelError, match="method head"):
        make_writer(save_writing_base(tmp_path / "llama", "llama"), "head")


def test_weights_by_token_row_and_category() -> None:
    tokens = random_sequences(6)
    labels = np.array([0, 0, 0, 0, 1, 1])
    weights = np.array([1.0, 1, 1, 1, 2, 2])
    learned = tokens.learned_lengths
    by = {
        weigh: make_feed(tokens, labels=labels, weights=weights, weigh=weigh)
        for weigh in ("token", "row", "category")
    }
    rows = np.arange(6)
    np.testing.assert_allclose(by["token"].token_weights(rows), weights)
    np.testing.assert_allclose(by["row"].token_weights(rows) * learned, weights)
    shared = by["category"].token_weights(rows) * learned
    assert shared[:4].sum() == pytest.approx(shared[4:].sum())
    assert shared.sum() == pytest.approx(weights.sum())
    assert by["token"].token_counts(rows).tolist() == [1] * 6
    for weigh in ("row", "category"):
        np.testing.assert_allclose(by[weigh].token_counts(rows) * learned, 1)


def test_a_batch_without_rows_weighs_nothing() -> None:
    batch = make_feed(random_sequences(3)).batch(np.empty(0, np.int64))
    assert float(batch["weights"].sum()) == float(batch["counts"].sum()) == 0
    assert len(batch["labels"]) == len(batch["weights"]) == len(batch["places"])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_packing_keeps_every_row_once_and_no_line_longer_than_the_longest(
    lengths: list[int],
) -> None:
    sizes = np.array(lengths)
    lines = pack(sizes)
    assert sorted(np.concatenate(lines).tolist()) == list(range(len(sizes)))
    assert all(sizes[line].sum() <= sizes.max() for line in lines)
    # Best fit leaves no two lines that would fit into one.
    sums = sorted(int(sizes[line].sum()) for line in lines)
    assert len(sums) < 2 or sums[0] + sums[1] > sizes.max()
