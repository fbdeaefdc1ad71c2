"""Checks that every remedy of a kind must pass; a new one is checked as soon as it is in its table.

`names_of(kind)` lists what is in the tables, so nothing has to be added here for a new remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from equipoise.errors import DataError
from equipoise.remedies.batches import build_order, build_row_weights, build_weights
from equipoise.remedies.losses import build_loss
from equipoise.remedies.rows import choose_rows, synthesise
from equipoise.remedies.rows.synthetic import Synthesis
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


def vectors_of(labels: np.ndarray, width: int = 4) -> np.ndarray:
    """Vectors that neither know their row's class nor depend on how it is numbered."""
    return np.random.default_rng(7).standard_normal((len(labels), width)).astype(np.float32)


def losses_of(rows: int) -> dict[str, np.ndarray]:
    """Losses and gains that know nothing of classes either."""
    rng = np.random.default_rng(8)
    return {
        "row_losses": rng.exponential(size=rows),
        "row_gains": rng.standard_normal(rows),
        "row_seen": rng.random(rows) < 0.5,
    }


def chosen(name: str, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    found = choose_rows(
        [remedy_spec(name)],
        labels,
        CLASSES,
        np.random.default_rng(seed),
        vectors=vectors_of(labels),
        **losses_of(len(labels)),
    )
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


# ── rows: vectors made ────────────────────────────────────────────────────────────────────────


def made(name: str, labels: np.ndarray) -> Synthesis:
    vectors = vectors_of(labels)
    found, step = synthesise(
        remedy_spec(name), labels, CLASSES, np.random.default_rng(0), vectors=vectors
    )
    every = np.concatenate([labels[found.kept], found.labels])
    assert step.before.tolist() == np.bincount(labels, minlength=CLASSES).tolist()
    assert step.after.tolist() == np.bincount(every, minlength=CLASSES).tolist()
    return found


def made_same_seed_same_bytes(name: str, labels: np.ndarray) -> None:
    once, twice = made(name, labels), made(name, labels)
    for part in ("kept", "vectors", "labels", "parents"):
        assert getattr(once, part).tobytes() == getattr(twice, part).tobytes(), part


def made_keeps_every_class(name: str, labels: np.ndarray) -> None:
    found = made(name, labels)
    assert set(labels[found.kept]) | set(found.labels) == set(labels)
    assert np.isfinite(found.vectors).all()
    assert found.vectors.shape == (len(found.labels), 4)
    assert found.vectors.dtype == np.float32
    # Every one is of its parent's class, and the parent is a row as given.
    assert (labels[found.parents] == found.labels).all()
    # A row of a class has at most ten children by default: no flood at extreme ratios.
    assert (np.bincount(found.labels, minlength=3) <= 10 * np.bincount(labels, minlength=3)).all()


def made_does_not_depend_on_names(name: str, labels: np.ndarray) -> None:
    as_named, renamed = made(name, labels), made(name, RENAMED[labels])
    np.testing.assert_array_equal(as_named.kept, renamed.kept)
    np.testing.assert_array_equal(as_named.vectors, renamed.vectors)
    np.testing.assert_array_equal(as_named.parents, renamed.parents)


SYNTHESIS_CHECKS: list[Callable[[str, np.ndarray], None]] = [
    made_same_seed_same_bytes,
    made_keeps_every_class,
    made_does_not_depend_on_names,
]


# ── batches: samplers ─────────────────────────────────────────────────────────────────────────


def given_of(labels: np.ndarray, names: list[str] | None = None) -> dict:
    """What samplers and row weights may need, none of it hanging on how classes are numbered."""
    return {
        "batch_rows": 8,
        "class_names": names or ["a", "b", "c"],
        "groups": np.arange(len(labels)) % 2,
        "cluster_sizes": 1 + np.arange(len(labels)) % 5 // 2,
        "row_costs": np.where(np.arange(CLASSES) == labels[:, None], -1.0, 5.0),
    }


def order(
    name: str | None, labels: np.ndarray, epochs: int = 2, seed: int = 0, **settings: object
) -> np.ndarray:
    specs = [] if name is None else [remedy_spec(name, settings)]
    rng = np.random.default_rng(seed)
    return build_order(specs, labels, CLASSES, epochs, rng, **given_of(labels))


def order_same_seed_same_bytes(name: str | None, labels: np.ndarray) -> None:
    assert order(name, labels).tobytes() == order(name, labels).tobytes()


def order_is_whole(name: str | None, labels: np.ndarray) -> None:
    found = order(name, labels)
    assert found.dtype == np.int64
    assert found.shape[0] == 2
    assert found.min() >= 0
    assert found.max() < len(labels)
    assert set(labels[found.ravel()]) == set(labels)


def order_is_fresh_in_every_epoch_and_with_every_seed(name: str | None, labels: np.ndarray) -> None:
    found = order(name, labels)
    if len(labels) > 12:
        assert (found[0] != found[1]).any()
        assert (found != order(name, labels, seed=1)).any()


def longer_plan_begins_with_shorter(name: str | None, labels: np.ndarray) -> None:
    # A curriculum over all epochs can't; one over a stated number does.
    stated = {"progressive_sampler": {"over": 3}, "plentiful_first": {"over": 1}}.get(
        name or "", {}
    )
    shorter = order(name, labels, 2, **stated)
    np.testing.assert_array_equal(order(name, labels, 5, **stated)[:2], shorter)


def rows_of_a_class_come_equally_often(name: str | None, labels: np.ndarray) -> None:
    """To within one: no row is drawn again before all of its class (and group) have been."""
    groups = given_of(labels)["groups"] if name and "group" in name else np.zeros_like(labels)
    times = np.bincount(order(name, labels).ravel(), minlength=len(labels))
    for k, g in {(k, g) for k, g in zip(labels, groups, strict=True)}:
        here = times[(labels == k) & (groups == g)]
        assert here.max() - here.min() <= 1, (k, g)


def order_does_not_depend_on_names(name: str | None, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(order(name, RENAMED[labels]), order(name, labels))


ORDER_CHECKS: list[Callable[[str | None, np.ndarray], None]] = [
    order_same_seed_same_bytes,
    order_is_whole,
    order_is_fresh_in_every_epoch_and_with_every_seed,
    rows_of_a_class_come_equally_often,
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


def check_row_weights(name: str, settings: dict, labels: np.ndarray) -> None:
    def built(classes: np.ndarray, turn: np.ndarray) -> np.ndarray:
        rows = {
            need: value[turn] if isinstance(value, np.ndarray) else value
            for need, value in given_of(labels).items()
        }
        if (classes != labels).any():
            rows["row_costs"] = rows["row_costs"][:, np.argsort(RENAMED)]
        return build_row_weights([spec], classes[turn], CLASSES, **rows)

    spec, same = remedy_spec(name, settings), np.arange(len(labels))
    weights = built(labels, same)
    assert weights.shape == labels.shape
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.mean(), 1)
    assert weights.tobytes() == built(labels, same).tobytes()
    # Order of rows and naming of classes make no difference, beyond the order of a sum.
    np.testing.assert_allclose(built(labels, same[::-1]), weights[::-1], rtol=1e-12)
    np.testing.assert_allclose(built(RENAMED[labels], same), weights, rtol=1e-12)


# ── losses ────────────────────────────────────────────────────────────────────────────────────

COUNTS = np.array([100_000, 30, 1])
COSTS = np.array([[0.0, 1.0, 3.0], [20.0, 0.0, 5.0], [1000.0, 2.0, -1.0]])
"""True by decided; a right decision may even pay."""

NEUTRAL: dict[str, dict[str, Any] | None] = {
    "weighted_cross_entropy": {"kind": "effective", "beta": 0},
    "focal": {"gamma": 0},
    "class_balanced_focal": {"gamma": 0, "beta": 0},
    "logit_adjusted": {"tau": 0},
    "balanced_softmax": None,
    "vector_scaling": {"gamma": 0, "tau": 0},
    "ldam": {"margin": 0, "beta": 0},
    "seesaw": {"p": 0, "q": 0},
    "cost_sensitive": {"plain": 1},
    "asymmetric": {"gamma_positive": 0, "gamma_negative": 0, "smoothing": 0},
    "dice": None,
    "generalized_cross_entropy": {"q": 0},
    "label_smoothing": {"epsilon": 0},
    "label_aware_smoothing": {"epsilon": 0, "epsilon_rare": 0},
}
"""Settings under which each loss is plain cross-entropy; None: there are none."""
FIXED_FACTOR = {"dice": {"alpha": 0.0}, "seesaw": {"q": 0.0}}
"""Losses with a factor that the gradient does not pass through, and settings that leave it out."""


def loss_of(
    name: str,
    settings: dict,
    logits: torch.Tensor,
    labels: torch.Tensor,
    progress: float = 1.0,
) -> torch.Tensor:
    return build_loss(remedy_spec(name, settings), COUNTS, costs=COSTS)(logits, labels, progress)


def check_loss(name: str, settings: dict) -> None:
    torch.manual_seed(0)
    logits = torch.randn(12, 3, dtype=torch.float64)
    labels = torch.arange(12) % 3
    rows = loss_of(name, settings, logits, labels)
    assert rows.shape == (12,)
    assert rows.dtype == torch.float64
    assert (rows >= 0).all()
    # Same numbers, same bytes; every row for itself, whatever else is in the batch.
    assert torch.equal(rows, loss_of(name, settings, logits, labels))
    pairs = zip(logits, labels, strict=True)
    alone = torch.cat([loss_of(name, settings, z[None], y[None]) for z, y in pairs])
    torch.testing.assert_close(alone, rows, rtol=1e-13, atol=1e-14)
    # A constant added to all logits of a row changes nothing, unless classes stretch theirs.
    if name != "vector_scaling" or settings.get("gamma") == 0:
        torch.testing.assert_close(loss_of(name, settings, logits + 3, labels), rows)
    # No rows, no loss, and a sum of 0 that still has a gradient.
    empty = torch.zeros(0, 3, requires_grad=True)
    nothing = loss_of(name, settings, empty, torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (0,)
    nothing.sum().backward()
    # Only a loss that asks for it knows how old training is.
    young = loss_of(name, settings, logits, labels, 0.0)
    if "progress" not in REMEDIES[name].needs:
        assert torch.equal(young, rows)


def check_loss_naming(name: str, settings: dict) -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    turn = np.argsort(RENAMED)
    turned = build_loss(remedy_spec(name, settings), COUNTS[turn], costs=COSTS[turn][:, turn])
    renamed = turned(logits[:, torch.from_numpy(turn)], torch.from_numpy(RENAMED)[labels], 1.0)
    torch.testing.assert_close(
        renamed, loss_of(name, settings, logits, labels), rtol=1e-12, atol=1e-14
    )


def check_loss_of_one_class(name: str, settings: dict) -> None:
    """Nothing is to be learned where there is one class, and nothing breaks."""
    logits = torch.tensor([[0.3], [-5000.0]], dtype=torch.float64, requires_grad=True)
    loss = build_loss(remedy_spec(name, settings), np.array([7]), costs=np.zeros((1, 1)))
    rows = loss(logits, torch.tensor([0, 0]), 1.0)
    assert torch.isfinite(rows).all()
    rows.sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-12)


def check_loss_with_an_empty_class(name: str, settings: dict) -> None:
    """A class without rows is refused by name, or does no harm to the others."""
    counts, labels = np.array([5, 0, 2]), torch.tensor([0, 0, 2])
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(6), requires_grad=True)
    spec = remedy_spec(name, settings)
    if "log_prior" in REMEDIES[name].needs or name == "vector_scaling":
        with pytest.raises(DataError, match=r"classes \[1\] have no training rows"):
            build_loss(spec, counts)(logits, labels, 1.0)
        return
    rows = build_loss(spec, counts, costs=COSTS)(logits, labels, 1.0)
    assert torch.isfinite(rows).all()
    rows.sum().backward()
    assert torch.isfinite(logits.grad).all()


def check_loss_gradient(name: str, settings: dict) -> None:
    """The gradient that torch works out is that of finite differences."""
    settings = settings | FIXED_FACTOR.get(name, {})
    torch.manual_seed(2)
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(6) % 3
    assert torch.autograd.gradcheck(lambda z: loss_of(name, settings, z, labels), logits)


def check_loss_extremes(name: str, settings: dict, dtype: torch.dtype) -> None:
    """Logits from certain and right to certain and wrong: values and gradients stay numbers."""
    steps = torch.tensor([0.0, 1e-8, 1e-3, 1, 20, 100, 1e4, 3e4])
    column = torch.cat([steps, -steps])
    base = torch.zeros(len(column), 3)
    base[:, 0] = column
    for k in range(3):
        logits = base.to(dtype).requires_grad_()
        rows = loss_of(name, settings, logits, torch.full((len(column),), k))
        # Half precision is raised: a margin of log(1e-5) would be lost in it.
        assert rows.dtype == (dtype if dtype == torch.float64 else torch.float32)
        assert torch.isfinite(rows).all(), (name, settings, k)
        rows.sum().backward()
        assert torch.isfinite(logits.grad).all(), (name, settings, k)
