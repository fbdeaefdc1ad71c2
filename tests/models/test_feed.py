"""Feeds of vectors, and the vectors of a body as it is now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from equipoise.models.cache import CacheSettings
from equipoise.models.feed import Feed
from equipoise.models.outputs import feed_vectors, predict_feed
from equipoise.models.states import ensure_states, pooled_vectors
from tests.models.tiny import easy_rows, make, make_feed, token_rows

ROWS = easy_rows(30)


def test_vectors_alone_are_fed_and_taken() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    feed = Feed(
        tokens=None,
        labels=np.array([0, 1, 1, 0]),
        weights=np.array([1.0, 2.0, 3.0, 4.0]),
        states=None,
        vectors=vectors,
    )
    taken = feed.take(np.array([3, 1, 1]), np.array([1.0, 0.5, 2.0]))
    assert len(taken) == 3
    assert taken.lengths.tolist() == [1, 1, 1]
    assert taken.weights.tolist() == [4, 1, 4]
    batch = taken.batch(np.array([0, 2]))
    assert batch.keys() == {"vectors", "labels", "weights", "counts"}
    assert batch["vectors"].tolist() == vectors[[3, 1]].tolist()
    nobody = taken.batch(np.array([], dtype=np.int64))
    assert batch["counts"].tolist() == [1, 1]
    assert nobody["weights"].tolist() == nobody["counts"].tolist() == [0]
    assert nobody["vectors"].shape == (1, 3)


@pytest.mark.parametrize("method", ["light", "full"])
def test_vectors_are_those_of_the_trained_body(
    method: str, tiny_base: Path, tmp_path: Path
) -> None:
    classifier, base, _, _ = make(tiny_base, method=method)
    tokens = token_rows(base, ROWS)
    states = None
    if method == "light":
        states = ensure_states(classifier, base, tokens, CacheSettings(tmp_path, 10**9))
        assert states is not None
    untouched = pooled_vectors(classifier, base, tokens)
    with torch.no_grad():
        for parameter in classifier.body.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()).view_as(parameter)))
    feed = make_feed(base, ROWS, states=states)
    found = feed_vectors(classifier, feed)
    assert found.dtype == np.float32
    assert np.abs(found - untouched).max() > 1e-3
    np.testing.assert_allclose(found, pooled_vectors(classifier, base, tokens), atol=1e-5)
    # The lower layers stand where they stood, and the head gives from them what the model gives.
    assert classifier.cut is None or not classifier.cut.skipping
    alone = Feed(tokens=None, labels=ROWS.labels, weights=np.ones(30), states=None, vectors=found)
    np.testing.assert_allclose(
        predict_feed(classifier, alone), predict_feed(classifier, feed), atol=1e-4
    )
    assert feed_vectors(classifier, alone) is found
