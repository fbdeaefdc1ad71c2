"""From states to a vector, and from a vector to scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import ShapeError
from equipoise.models.heads import CosineHead, LinearHead, make_head, start_from_class_means
from equipoise.models.pooling import POOLINGS, pool

STATES = torch.tensor([[[1.0, 8], [3, 4], [5, 0]], [[7, 1], [9, 9], [9, 9]]])
MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("mean", [[3, 4], [7, 1]]),
        ("cls", [[1, 8], [7, 1]]),
        ("last", [[5, 0], [7, 1]]),
        ("max", [[5, 8], [7, 1]]),
    ],
)
def test_pooling_by_hand(rule: str, wanted: list[list[float]]) -> None:
    assert pool(STATES, MASK, rule).tolist() == wanted


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(POOLINGS),
    st.integers(1, 6),
    st.integers(0, 5),
    st.sampled_from([0.0, math.inf, -math.inf, math.nan, 1e30]),
    st.integers(0, 2**32 - 1),
)
def test_pooling_sees_neither_padding_nor_its_side(
    rule: str, tokens: int, filling: int, junk: float, seed: int
) -> None:
    states = torch.randn(3, tokens, 4, generator=torch.Generator().manual_seed(seed))
    alone = pool(states, torch.ones(3, tokens, dtype=torch.long), rule)
    pad, zeros = torch.full((3, filling, 4), junk), torch.zeros(3, filling, dtype=torch.long)
    ones = torch.ones(3, tokens, dtype=torch.long)
    for parts, marks in (([states, pad], [ones, zeros]), ([pad, states], [zeros, ones])):
        padded = pool(torch.cat(parts, 1), torch.cat(marks, 1), rule)
        torch.testing.assert_close(padded, alone, rtol=1e-6, atol=1e-6)


def test_pooling_refuses_shapes_and_rules_it_does_not_know() -> None:
    with pytest.raises(ShapeError, match="do not fit mask"):
        pool(STATES, MASK[:, :2], "mean")
    with pytest.raises(ShapeError, match="unknown pooling 'median'; known are mean, cls"):
        pool(STATES, MASK, "median")


def test_cosine_head_ignores_lengths() -> None:
    head = make_head("cosine", 4, 3, dropout=0.0, generator=torch.Generator().manual_seed(0))
    assert isinstance(head, CosineHead)
    vectors = torch.randn(5, 4)
    scores = head(vectors)
    assert scores.shape == (5, 3)
    assert scores.abs().max() <= 16.0 + 1e-5
    torch.testing.assert_close(head(7 * vectors), scores)
    with torch.no_grad():
        head.weight[1] *= 100
    torch.testing.assert_close(head(vectors), scores)


def test_heads_are_drawn_from_the_generator_given() -> None:
    for kind in ("cosine", "linear"):
        first, again = (
            make_head(kind, 4, 3, dropout=0.1, generator=torch.Generator().manual_seed(7))
            for _ in range(2)
        )
        for a, b in zip(first.parameters(), again.parameters(), strict=True):
            assert torch.equal(a, b)


def test_dropout_acts_in_training_only() -> None:
    head = LinearHead(64, 2, dropout=0.5)
    vectors = torch.randn(4, 64)
    assert not torch.equal(head.train()(vectors), head.train()(vectors))
    assert torch.equal(head.eval()(vectors), head.eval()(vectors))


def start(kind: str, vectors: np.ndarray, labels: list[int], classes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    head = make_head(kind, vectors.shape[1], classes, dropout=0.0, generator=generator)
    start_from_class_means(head, vectors, np.array(labels))
    weight = head.weight if isinstance(head, CosineHead) else head.linear.weight  # type: ignore[union-attr]
    return weight.detach()


def test_class_means_by_hand() -> None:
    # Unit vectors: class 0 means (1, 0), class 1 (0, 1); the mean of classes is (½, ½), however
    # many rows each has.
    vectors = np.array([[2.0, 0], [3, 0], [5, 0], [0, 0.1]])
    linear = start("linear", vectors, [0, 0, 0, 1], 2)
    torch.testing.assert_close(linear, torch.tensor([[0.5, -0.5], [-0.5, 0.5]]))
    cosine = start("cosine", vectors, [0, 0, 0, 1], 2)
    half = math.sqrt(0.5)
    torch.testing.assert_close(cosine, torch.tensor([[half, -half], [-half, half]]))


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_class_without_rows_keeps_its_random_start(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    fresh = make_head(kind, 2, 3, dropout=0.0, generator=generator)
    drawn = fresh.weight if isinstance(fresh, CosineHead) else fresh.linear.weight  # type: ignore[union-attr]
    weight = start(kind, np.array([[1.0, 0], [0, 1]]), [0, 2], 3)
    assert torch.equal(weight[1], drawn[1].detach())
    assert not torch.equal(weight[0], drawn[0].detach())
    assert weight.isfinite().all()


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_single_class_starts_at_its_own_mean(kind: str) -> None:
    weight = start(kind, np.array([[3.0, 4], [3, 4]]), [0, 0], 1)
    torch.testing.assert_close(weight, torch.tensor([[0.6, 0.8]]))


def test_the_start_already_tells_clusters_apart() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 16))
    labels = np.repeat(np.arange(5), [200, 50, 20, 5, 2])
    vectors = centres[labels] + 0.3 * rng.normal(size=(len(labels), 16))
    for kind in ("cosine", "linear"):
        weight = start(kind, vectors, labels.tolist(), 5).double().numpy()
        assert ((vectors @ weight.T).argmax(1) == labels).mean() > 0.97
