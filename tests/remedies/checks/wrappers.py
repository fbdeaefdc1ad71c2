"""Checks of wrappers of the loss: on the smallest model there is, and on any other pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from equipoise.errors import SettingsError
from equipoise.remedies.losses.binary import binary_cross_entropy
from equipoise.remedies.losses.common import cross_entropy
from equipoise.remedies.losses.wrappers import Pass, PlainLoss
from equipoise.remedies.losses.wrapping import build_wrapper
from equipoise.remedies.spec import remedy_spec

from . import RENAMED, TURN

NEUTRAL: dict[str, dict[str, Any]] = {
    "feature_mixup": {"alpha": 0.0},
    "word_mixup": {"alpha": 0.0},
    "adversarial": {"epsilon": 0.0},
}
"""Settings under which each wrapper leaves the loss alone."""
MORE: dict[str, list[dict[str, Any]]] = {
    "feature_mixup": [{"alpha": 0.2, "remix": 3.0}],
    "adversarial": [{"epsilon": 0.5, "share": 1.0}],
}


@dataclass(frozen=True, eq=False)
class Case:
    """One micro-batch, and the rows of every class that training is fed."""

    labels: np.ndarray
    counts: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)


BATCHES = {
    "lopsided": Case(np.array([0, 0, 1, 0, 2, 0, 1, 0]), np.array([40, 7, 3])),
    "1 : 100,000": Case(np.array([0, 0, 0, 1, 0, 0, 0, 0]), np.array([100_000, 1, 10])),
    "one class has no row": Case(np.array([2, 0, 0]), np.array([9, 0, 4])),
    "single rows": Case(np.array([0, 1, 2]), np.array([1, 1, 1])),
    "one class": Case(np.zeros(5, dtype=np.int64), np.array([5, 0, 0])),
    "one row": Case(np.zeros(1, dtype=np.int64), np.array([1, 0, 0])),
    "one class is all there is": Case(np.zeros(4, dtype=np.int64), np.array([4])),
}


def cases_of(name: str) -> dict[str, Case]:
    more = {
        str(settings): Case(batch.labels, batch.counts, settings)
        for batch in (BATCHES["lopsided"], BATCHES["1 : 100,000"])
        for settings in MORE.get(name, [])
    }
    return BATCHES | more


class Means:
    """Words, squashed one by one and averaged over each row's tokens, under a linear head: a model
    with every place where wrappers act. Classes take their weights from `turn`."""

    def __init__(self, rows: int, turn: np.ndarray) -> None:
        source = torch.Generator().manual_seed(3)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=source)

        self.embedded = drawn(rows, 5, 4).requires_grad_()
        self.body, self.bias = drawn(4, 4), drawn(3)[turn]
        self.head = drawn(3, 4)[turn].requires_grad_()
        self.mask = (torch.arange(5) < 2 + torch.arange(rows)[:, None] % 4).double()

    def words(self) -> Tensor:
        return self.embedded * self.mask[..., None]

    def __call__(
        self,
        *,
        words: Tensor | None = None,
        partner: Tensor | None = None,
        change_vectors: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        words = self.words() if words is None else words
        mask = self.mask if partner is None else torch.maximum(self.mask, self.mask[partner])
        states = torch.tanh(words @ self.body) * mask[..., None]
        vectors = states.sum(1) / mask.sum(1, keepdim=True)
        if change_vectors is not None:
            vectors = change_vectors(vectors)
        return vectors @ self.head.T + self.bias


def weights_of(rows: int) -> Tensor:
    """Of the rows of a micro-batch; the first one weighs nothing."""
    return torch.arange(rows, dtype=torch.float64) / 2


def wrapped(
    name: str,
    settings: dict[str, Any],
    counts: np.ndarray,
    run: Pass,
    labels: Tensor,
    weights: Tensor,
    loss: PlainLoss,
    seed: int = 0,
) -> Tensor:
    wrapper = build_wrapper(remedy_spec(name, settings), counts)
    assert wrapper is not None
    return wrapper(run, labels, weights, loss, np.random.default_rng(seed))


def rows_of(name: str, case: Case, *, renamed: bool = False, seed: int = 0) -> tuple[Tensor, Means]:
    """What the wrapper makes of the micro-batch, and the model whose gradients it may have."""
    k = len(case.counts)
    renamed = renamed and k > 1
    turn = TURN if renamed else np.arange(k)
    model = Means(len(case.labels), turn)
    labels = torch.from_numpy(RENAMED[case.labels] if renamed else case.labels)
    given = case.counts[turn], model, labels, weights_of(len(labels)), cross_entropy
    return wrapped(name, case.settings, *given, seed), model


def gradients(rows: Tensor, model: Means) -> list[Tensor]:
    return list(torch.autograd.grad(rows.sum(), (model.embedded, model.head)))


def same_seed_same_bytes(name: str, case: Case) -> None:
    (one, model), (two, again) = rows_of(name, case), rows_of(name, case)
    assert torch.equal(one, two)
    for a, b in zip(gradients(one, model), gradients(two, again), strict=True):
        assert torch.equal(a, b)


def order_of_classes_is_irrelevant(name: str, case: Case) -> None:
    (plain, _), (renamed, _) = rows_of(name, case), rows_of(name, case, renamed=True)
    torch.testing.assert_close(renamed, plain, rtol=1e-12, atol=1e-14)


def numbers_stay_finite(name: str, case: Case) -> None:
    for seed in range(3):
        rows, model = rows_of(name, case, seed=seed)
        assert rows.shape == case.labels.shape
        assert torch.isfinite(rows).all()
        assert all(torch.isfinite(g).all() for g in gradients(rows, model))


def rows_count_what_they_weigh(name: str, case: Case) -> None:
    model = Means(len(case.labels), np.arange(len(case.counts)))
    labels, weights = torch.from_numpy(case.labels), weights_of(len(case.labels))
    check_weight_of_all_rows(name, case.settings, case.counts, model, labels, weights)


def check_weight_of_all_rows(
    name: str,
    settings: dict[str, Any],
    counts: np.ndarray,
    run: Pass,
    labels: Tensor,
    weights: Tensor,
) -> None:
    """Where each row costs 1, all rows together cost what they weigh: with the default settings,
    for `remix` gives rare classes more on purpose."""

    def one(logits: Tensor, labels: Tensor) -> Tensor:
        return 1 + 0 * logits.sum(1)

    for seed in range(3):
        rows = wrapped(name, settings, counts, run, labels, weights, one, seed)
        assert rows.shape == weights.shape
        assert rows.sum().item() == pytest.approx(weights.sum().item(), rel=1e-6)


def neutral_settings_leave_the_loss_alone(name: str, case: Case) -> None:
    model = Means(len(case.labels), np.arange(len(case.counts)))
    labels, weights = torch.from_numpy(case.labels), weights_of(len(case.labels))
    check_neutral(name, case.counts, model, labels, weights)


def check_neutral(
    name: str, counts: np.ndarray, run: Pass, labels: Tensor, weights: Tensor
) -> None:
    assert name in NEUTRAL, "say under which settings it leaves the loss alone"
    rows = wrapped(name, NEUTRAL[name], counts, run, labels, weights, cross_entropy)
    expected = weights * cross_entropy(run(), labels)
    torch.testing.assert_close(rows.double(), expected.double(), rtol=1e-5, atol=1e-7)


def several_labels_a_row_are_as_good(name: str, case: Case) -> None:
    """The same rows and gradients every time, finite, whatever order the labels have."""
    held = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1]])

    def found(turn: np.ndarray) -> tuple[Tensor, Means]:
        model = Means(len(held), turn)
        labels, weights = torch.from_numpy(held[:, turn]), weights_of(len(held))
        counts = held.sum(axis=0)[turn]
        loss = binary_cross_entropy
        return wrapped(name, case.settings, counts, model, labels, weights, loss), model

    if case.settings.get("remix") is not None:
        with pytest.raises(SettingsError, match="have no one class"):
            found(np.arange(3))
        return
    (rows, model), (again, _), (renamed, _) = map(found, (np.arange(3), np.arange(3), TURN))
    assert torch.equal(rows, again)
    torch.testing.assert_close(renamed, rows, rtol=1e-12, atol=1e-14)
    assert torch.isfinite(rows).all()
    assert all(torch.isfinite(g).all() for g in gradients(rows, model))


WRAPPER_CHECKS = (
    same_seed_same_bytes,
    order_of_classes_is_irrelevant,
    numbers_stay_finite,
    neutral_settings_leave_the_loss_alone,
    several_labels_a_row_are_as_good,
)
