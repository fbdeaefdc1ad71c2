"""Checks of orders of rows, and of weights per class and per row."""

from __future__ import annotations

import numpy as np

from equipoise.remedies.batches import build_head_draws, build_row_weights, build_weights
from equipoise.remedies.spec import remedy_spec

from . import CLASSES, LABELS, RENAMED, TURN, shuffled

CASES = {case: shuffled(labels) for case, labels in LABELS.items()}


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
    """(epochs, places) as a sampler orders rows, or a second training of the head draws them."""
    specs = [] if name is None else [remedy_spec(name, settings)]
    rng = np.random.default_rng(seed)
    return build_head_draws(specs, labels, CLASSES, epochs, rng, **given_of(labels)).draws


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


ORDER_CHECKS = (
    order_same_seed_same_bytes,
    order_is_whole,
    order_is_fresh_in_every_epoch_and_with_every_seed,
    rows_of_a_class_come_equally_often,
    longer_plan_begins_with_shorter,
    order_does_not_depend_on_names,
)


# ── weights ───────────────────────────────────────────────────────────────────────────────────


COUNTS = {
    case: np.array(counts)
    for case, counts in {
        "lopsided": [40, 7, 3],
        "one class has no row": [9, 0, 4],
        "single rows": [1, 1, 1],
        "one class": [0, 5, 0],
        "1 : 100,000": [100_000, 1, 10],
        "1 : 1,000,000,000": [10**9, 1, 0],
    }.items()
}
"""Rows per class."""


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
    np.testing.assert_allclose(build_weights([spec], counts[TURN]), weights[TURN], rtol=1e-14)


def weights_are_sound(name: str, counts: np.ndarray) -> None:
    check_weights(name, {}, counts)


def row_weights_are_sound(name: str, labels: np.ndarray) -> None:
    def built(classes: np.ndarray, turn: np.ndarray) -> np.ndarray:
        rows = {
            need: value[turn] if isinstance(value, np.ndarray) else value
            for need, value in given_of(labels).items()
        }
        if (classes != labels).any():
            rows["row_costs"] = rows["row_costs"][:, TURN]
        return build_row_weights([spec], classes[turn], CLASSES, **rows)

    spec, same = remedy_spec(name), np.arange(len(labels))
    weights = built(labels, same)
    assert weights.shape == labels.shape
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.mean(), 1)
    assert weights.tobytes() == built(labels, same).tobytes()
    # Order of rows and naming of classes make no difference, beyond the order of a sum.
    np.testing.assert_allclose(built(labels, same[::-1]), weights[::-1], rtol=1e-12)
    np.testing.assert_allclose(built(RENAMED[labels], same), weights, rtol=1e-12)
