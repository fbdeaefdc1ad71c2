"""Checks that every remedy of a kind must pass; a new one is checked as soon as it is in its table.

`names_of(kind)` lists what is in the tables, so nothing has to be added here for a new remedy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from equipoise.remedies.batches import build_order, build_weights
from equipoise.remedies.losses import build_loss
from equipoise.remedies.rows import choose_rows
from equipoise.remedies.spec import remedy_spec
from equipoise.remedies.table import REMEDIES

LABELS = {
    "lopsided": np.repeat([2, 0, 1], [40, 7, 3]),
    "one class has no row": np.repeat([0, 2], [9, 4]),
    "single rows": np.array([0, 1, 2]),
    "one class": np.zeros(5, dtype=np.int64),
    "one row": np.zeros(1, dtype=np.int64),
    "1 : 100,000": np.repeat([0, 1], [100_000, 1]),
}
CLASSES = 3
RENAMED = np.array([2, 0, 1])
"""New number of each class."""


def names_of(kind: str) -> list[str]:
    return [remedy.name for remedy in REMEDIES.values() if remedy.kind == kind]


def shuffled(labels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(5).permutation(labels)


# ── rows ──────────────────────────────────────────────────────────────────────────────────────


def chosen(name: str, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    found = choose_rows([remedy_spec(name)], labels, CLASSES, np.random.default_rng(seed))
    assert found.steps[0].before.tolist() == np.bincount(labels, minlength=CLASSES).tolist()
    after = np.bincount(labels[found.index], minlength=CLASSES)
    assert found.steps[0].after.tolist() == after.tolist()
    return found.index


def rows_same_seed_same_bytes(name: str, labels: np.ndarray) -> None:
    assert chosen(name, labels).tobytes() == chosen(name, labels).tobytes()


def rows_keep_every_class(name: str, labels: np.ndarray) -> None:
    index = chosen(name, labels)
    assert index.dtype == np.int64
    assert index.min() >= 0
    assert index.max() < len(labels)
    assert set(labels[index]) == set(labels)


def rows_do_not_depend_on_names(name: str, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(chosen(name, RENAMED[labels]), chosen(name, labels))


ROW_CHECKS: list[Callable[[str, np.ndarray], None]] = [
    rows_same_seed_same_bytes,
    rows_keep_every_class,
    rows_do_not_depend_on_names,
]


# ── batches: samplers ─────────────────────────────────────────────────────────────────────────


def order(name: str | None, labels: np.ndarray, epochs: int = 2, seed: int = 0) -> np.ndarray:
    specs = [] if name is None else [remedy_spec(name)]
    return build_order(specs, labels, CLASSES, epochs, np.random.default_rng(seed))


def order_same_seed_same_bytes(name: str | None, labels: np.ndarray) -> None:
    assert order(name, labels).tobytes() == order(name, labels).tobytes()


def order_is_whole(name: str | None, labels: np.ndarray) -> None:
    found = order(name, labels)
    assert found.dtype == np.int64
    assert found.shape[0] == 2
    assert found.min() >= 0
    assert found.max() < len(labels)


def longer_plan_begins_with_shorter(name: str | None, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(order(name, labels, 5)[:2], order(name, labels, 2))


def order_does_not_depend_on_names(name: str | None, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(order(name, RENAMED[labels]), order(name, labels))


ORDER_CHECKS: list[Callable[[str | None, np.ndarray], None]] = [
    order_same_seed_same_bytes,
    order_is_whole,
    longer_plan_begins_with_shorter,
    order_does_not_depend_on_names,
]


# ── batches: weights ──────────────────────────────────────────────────────────────────────────


def check_weights(name: str, settings: dict, counts: np.ndarray) -> None:
    spec = remedy_spec(name, settings)
    weights = build_weights([spec], counts)
    assert weights.shape == counts.shape
    assert np.isfinite(weights).all()
    assert (weights[counts > 0] > 0).all()
    # The mean weight over the rows as fed is 1.
    np.testing.assert_allclose((weights * counts).sum() / counts.sum(), 1)
    # Fewer rows never count less.
    present = np.flatnonzero(counts)
    by_rows = present[np.argsort(-counts[present], kind="stable")]
    assert (np.diff(weights[by_rows]) >= -1e-12).all()
    # Order and naming of classes make no difference, beyond the order of a sum.
    turn = np.argsort(RENAMED)
    np.testing.assert_allclose(build_weights([spec], counts[turn]), weights[turn], rtol=1e-14)


# ── losses ────────────────────────────────────────────────────────────────────────────────────

COUNTS = np.array([100_000, 30, 1])


def loss_of(name: str, settings: dict, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return build_loss(remedy_spec(name, settings), COUNTS)(logits, labels)


def check_loss(name: str, settings: dict) -> None:
    torch.manual_seed(0)
    logits = torch.randn(12, 3, dtype=torch.float64)
    labels = torch.arange(12) % 3
    rows = loss_of(name, settings, logits, labels)
    assert rows.shape == (12,)
    assert (rows >= 0).all()
    # Same numbers, same bytes; every row for itself, whatever else is in the batch.
    assert torch.equal(rows, loss_of(name, settings, logits, labels))
    pairs = zip(logits, labels, strict=True)
    alone = torch.cat([loss_of(name, settings, z[None], y[None]) for z, y in pairs])
    torch.testing.assert_close(alone, rows, rtol=1e-13, atol=1e-14)
    # A constant added to all logits of a row changes nothing.
    torch.testing.assert_close(loss_of(name, settings, logits + 3, labels), rows)
    # No rows, no loss, and a sum of 0 that still has a gradient.
    empty = torch.zeros(0, 3, requires_grad=True)
    nothing = loss_of(name, settings, empty, torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (0,)
    nothing.sum().backward()


def check_loss_naming(name: str, settings: dict) -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    turn = np.argsort(RENAMED)
    renamed = build_loss(remedy_spec(name, settings), COUNTS[turn])(
        logits[:, torch.from_numpy(turn)], torch.from_numpy(RENAMED)[labels]
    )
    torch.testing.assert_close(
        renamed, loss_of(name, settings, logits, labels), rtol=1e-12, atol=1e-14
    )


def check_loss_extremes(name: str, settings: dict, dtype: torch.dtype) -> None:
    """Logits from certain and right to certain and wrong: values and gradients stay numbers."""
    steps = torch.tensor([0.0, 1e-8, 1e-3, 1, 20, 100, 1000, 30000])
    column = torch.cat([steps, -steps])
    base = torch.zeros(len(column), 3)
    base[:, 0] = column
    for k in range(3):
        logits = base.to(dtype).requires_grad_()
        rows = loss_of(name, settings, logits, torch.full((len(column),), k))
        assert rows.dtype in (torch.float32, torch.float64)
        assert torch.isfinite(rows).all(), (name, settings, k)
        rows.sum().backward()
        assert torch.isfinite(logits.grad).all(), (name, settings, k)
