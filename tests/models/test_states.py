"""States at the cut: computed once, and the same training with or without them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from equipoise.models.cache import (
    CacheSettings,
    StateCache,
    cache_size,
    clear_cache,
    row_keys,
)
from equipoise.models.heads import start_from_class_means
from equipoise.models.states import ensure_states, ensure_states_together, pooled_vectors
from tests.models.conftest import Bases
from tests.models.tiny import easy_rows, make, make_feed, token_rows
from tests.models.training import train, weights_after

ROWS = easy_rows(40)
PLENTY = 100_000_000


def test_every_distinct_row_is_computed_once(bases: Bases, tmp_path: Path) -> None:
    classifier, base, _, _ = make(bases("bert"), method="light")
    settings = CacheSettings(tmp_path, PLENTY)
    done: list[tuple[str, int, int]] = []
    tokens = token_rows(base, ROWS)
    distinct = len({tokens.row(i).tobytes() for i in range(len(tokens))})

    def told(what: str, rows: int, of: int) -> None:
        done.append((what, rows, of))

    states = ensure_states(classifier, base, tokens.take(np.arange(20)), settings, progress=told)
    assert states is not None
    first = done[-1][2]
    more = ensure_states(classifier, base, tokens, settings, progress=told)
    assert more is not None
    assert done[-1] == ("encoding", distinct - first, distinct - first)
    count = len(done)
    again = ensure_states(classifier, base, tokens, settings, progress=told)
    assert again is not None
    assert len(done) == count  # nothing was left to compute
    for i in range(20):
        assert (states.row(i) == again.row(i)).all()
        assert len(again.row(i)) == tokens.lengths[i]
    np.testing.assert_allclose(
        again.vectors, pooled_vectors(classifier, base, tokens), rtol=0, atol=1e-5
    )


def test_every_cut_base_and_pooling_has_states_of_its_own(bases: Bases, tmp_path: Path) -> None:
    settings = CacheSettings(tmp_path, PLENTY)
    variants = [
        make(bases("bert"), method="light"),
        make(bases("bert"), method="light", trained_layers=1),
        make(bases("bert"), method="light", pooling="cls"),
        make(bases("roberta"), method="light"),
        make(bases("bert"), method="head"),
    ]
    for number, (classifier, base, _, _) in enumerate(variants, 1):
        assert ensure_states(classifier, base, token_rows(base, ROWS), settings) is not None
        assert len(list(tmp_path.iterdir())) == number


def test_vectors_alone_fall_back_to_memory(bases: Bases, tmp_path: Path) -> None:
    classifier, base, _, _ = make(bases("bert"), method="head")
    tokens = token_rows(base, ROWS)
    kept = ensure_states(classifier, base, tokens, CacheSettings(tmp_path / "a", PLENTY))
    held = ensure_states(classifier, base, tokens, CacheSettings(tmp_path / "b", 0))
    assert kept is not None
    assert held is not None
    np.testing.assert_allclose(held.vectors, kept.vectors, rtol=0, atol=1e-5)
    assert not (tmp_path / "b").exists()


def test_states_are_written_in_several_segments(
    bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise.models.states._BATCH_ROWS", 4)
    monkeypatch.setattr("equipoise.models.states._SEGMENT_BYTES", 5_000)
    classifier, base, _, _ = make(bases("bert"), method="light")
    tokens = token_rows(base, ROWS)
    states = ensure_states(classifier, base, tokens, CacheSettings(tmp_path, PLENTY))
    assert states is not None
    assert len(list(tmp_path.glob("*/*.states"))) > 3
    assert [len(states.row(i)) for i in range(len(tokens))] == tokens.lengths.tolist()


def test_rows_dropped_by_another_process_are_computed_again(
    bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, base, _, _ = make(bases("bert"), method="light")
    tokens, settings = token_rows(base, ROWS), CacheSettings(tmp_path, PLENTY)
    ensure_states(classifier, base, tokens, settings)
    missing = StateCache.missing
    times: list[int] = []

    def dropping(cache: StateCache, keys: list[bytes]) -> list[int]:
        found = missing(cache, keys)
        if not times:
            clear_cache(settings)
        times.append(len(found))
        return found

    monkeypatch.setattr(StateCache, "missing", dropping)
    states = ensure_states(classifier, base, tokens, settings)
    assert states is not None
    assert times[0] == 0
    assert times[1] > 0
    assert cache_size(settings) > 0
    assert len(states.row(0)) == tokens.lengths[0]


def test_what_is_needed_at_once_has_room_at_once_or_none(bases: Bases, tmp_path: Path) -> None:
    classifier, base, _, _ = make(bases("bert"), method="light")
    parts = [token_rows(base, rows) for rows in (ROWS, easy_rows(20, seed=7))]
    needed = sum(int(part.lengths.sum()) for part in parts) * 32 * 4
    short = CacheSettings(tmp_path / "short", needed - 1)
    assert ensure_states_together(classifier, base, parts, short) == [None, None]
    # With keys and vectors beside the states, both take more: neither goes for the other.
    enough = CacheSettings(tmp_path / "enough", needed)
    for part, states in zip(
        parts, ensure_states_together(classifier, base, parts, enough), strict=True
    ):
        assert states is not None
        alone = ensure_states(classifier, base, part, CacheSettings(tmp_path / "alone", PLENTY))
        assert alone is not None
        assert all((states.row(i) == alone.row(i)).all() for i in range(len(part)))
    assert cache_size(enough) > needed
    (key,) = enough.folder.iterdir()
    kept = StateCache(enough, key.name)
    assert kept.missing([key for part in parts for key in row_keys(part)]) == []


@pytest.mark.parametrize("architecture", ["bert", "llama"])
def test_training_without_a_cache_ends_with_the_same_weights(
    bases: Bases, tmp_path: Path, architecture: str
) -> None:
    """To 1e-5, dropout on: frozen layers draw no random numbers, cached or not."""
    after = []
    for limit in (PLENTY, 0):
        classifier, base, _, _ = make(bases(architecture), method="light")
        tokens = token_rows(base, ROWS)
        states = ensure_states(classifier, base, tokens, CacheSettings(tmp_path / "c", limit))
        assert (states is None) == (limit == 0)
        vectors = pooled_vectors(classifier, base, tokens) if states is None else states.vectors
        assert classifier.head is not None
        start_from_class_means(classifier.head, vectors, ROWS.labels)
        feed = make_feed(base, ROWS, states=states)
        train(classifier, feed, tmp_path / str(limit), epochs=2, rates=(1e-3, 1e-3))
        assert classifier.cut is not None
        assert not classifier.cut.skipping
        after.append(weights_after(classifier))
    moved = weights_after(make(bases(architecture), method="light")[0])
    for name, weight in after[0].items():
        np.testing.assert_allclose(after[1][name], weight, rtol=0, atol=1e-5, err_msg=name)
    assert any(np.abs(after[0][name] - moved[name]).max() > 1e-3 for name in moved)


@pytest.mark.parametrize("architecture", ["bert", "llama", "gpt2"])
@pytest.mark.parametrize("skipping", [True, False])
def test_the_layer_at_the_cut_may_be_computed_anew_from_outside(
    bases: Bases, architecture: str, skipping: bool
) -> None:
    """As transformers 5.17 does where activations are computed twice: with the layer's hooks, in
    the backward pass, when the states are no longer at hand."""
    classifier, base, _, _ = make(bases(architecture), method="light", dropout=0.0)
    cut, inputs = classifier.cut, make_feed(base, ROWS).batch(np.arange(4))
    assert cut is not None
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    states = torch.randn(*ids.shape, 32, generator=torch.Generator().manual_seed(0))
    if skipping:
        cut.skip_lower()
    layer = cut.layers[cut.number]
    once = type(layer)

    def twice(self: Any, *args: Any, **kwargs: Any) -> Any:
        return checkpoint(partial(once.__call__, self, **kwargs), *args, use_reentrant=False)

    found = []
    for kind in (once, type("Twice", (once,), {"__call__": twice})):
        layer.__class__ = kind
        classifier.train().zero_grad()
        classifier(ids, mask, states).square().sum().backward()
        trained = [(n, p) for n, p in classifier.named_parameters() if p.requires_grad]
        found.append({name: weight.grad.clone() for name, weight in trained})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-5, msg=name)


def test_a_base_in_another_number_format_has_states_of_its_own(
    bases: Bases, tmp_path: Path
) -> None:
    """As a base in 4 bits, under `head`, would leave vectors that no other run must read."""
    settings = CacheSettings(tmp_path, PLENTY)
    coarse, base, _, _ = make(bases("bert"), method="head")
    tokens = token_rows(base, ROWS)
    first = ensure_states(coarse.bfloat16(), base, tokens, settings)
    classifier, base, _, _ = make(bases("bert"), method="head")
    own = ensure_states(classifier, base, tokens, settings)
    assert first is not None
    assert own is not None
    assert len(list(tmp_path.iterdir())) == 2
    np.testing.assert_allclose(
        own.vectors, pooled_vectors(classifier, base, tokens), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("method", ["light", "head"])
def test_a_folder_that_cannot_be_written_to_is_done_without(bases: Bases, method: str) -> None:
    classifier, base, _, _ = make(bases("bert"), method=method)
    found = ensure_states(
        classifier, base, token_rows(base, ROWS), CacheSettings(Path("/dev/null/x"), PLENTY)
    )
    assert (found is None) == (method == "light")
