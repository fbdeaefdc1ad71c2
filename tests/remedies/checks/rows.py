"""Checks of remedies that choose rows, and of those that make vectors."""

from __future__ import annotations

import numpy as np

from equipoise.remedies.rows import choose_rows, synthesise
from equipoise.remedies.rows.synthetic import Synthesis
from equipoise.remedies.spec import remedy_spec

from . import CLASSES, LABELS, RENAMED, shuffled

CASES = {case: shuffled(labels) for case, labels in LABELS.items()}


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


ROW_CHECKS = (
    rows_same_seed_same_bytes,
    rows_keep_every_class,
    rows_do_not_depend_on_names,
)


# ── vectors made ──────────────────────────────────────────────────────────────────────────────


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


SYNTHESIS_CHECKS = (
    made_same_seed_same_bytes,
    made_keeps_every_class,
    made_does_not_depend_on_names,
)
