"""Made-up models whose true measures are known: what `benchmarks.coverage` draws from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from equipoise.evaluate import measures
from equipoise.evaluate.outcomes import Outcomes
from equipoise.statistics.sums import Sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Model = tuple[float, float]
"""Skill and sureness."""

COUNTS = {
    "brief": [500, 50, 10, 3, 1],
    # Rows per class of the test split of atis_intents: 893 rows, 20 classes.
    "atis": [632, 48, 38, 36, 33, 21, 18, 12, 10, 9, 8, 7, 6, 6, 3, 2, 1, 1, 1, 1],
    "ones": [50] + [1] * 9,
    "threes": [3] * 10,
    "tens": [10] * 6,
    "fifties": [50] * 10,
    "two": [200, 5],
}

COPIES = 3
"""Times that each text comes in "copies"."""
GROUP = 5
"""Rows of each customer in "groups"."""
SURENESS = 1.5
"""What a model multiplies its logits by: beyond 1 it is surer than right."""


def recalls(counts: Ints, kind: str) -> Floats:
    """(K,) true recall of each class; fewer than 20 rows is the tail."""
    tails = {"tail-worse": (0.5, 0.97), "tail-lost": (0.2, 0.97), "tail-better": (0.97, 0.7)}
    if kind in tails:
        return np.where(counts < 20, *tails[kind])
    return np.full(len(counts), float(kind))


def confusion(counts: Ints, recall: Floats, errors: str) -> Floats:
    """(K, K) chance of each decision by true class. Wrong rows go to the other classes alike
    ("even") or by these classes' rows ("by-size"): mostly into the head."""
    weight = np.ones(len(counts)) if errors == "even" else counts.astype(float)
    share = np.tile(weight, (len(counts), 1))
    np.fill_diagonal(share, 0)
    table: Floats = (1 - recall)[:, None] * share / share.sum(axis=1, keepdims=True)
    np.fill_diagonal(table, recall)
    return table


def of_decisions(counts: Ints, table: Floats) -> dict[str, Any]:
    """What each measure is on endless rows in the class mix of `counts`."""
    expected = table * counts[:, None]
    sums = Sums(
        rows=counts.astype(float),
        right=np.diag(expected).copy(),
        decided=np.append(expected.sum(axis=0), 0.0),
        cost=np.asarray(counts.sum() - np.trace(expected)),
    )
    return {
        **{name: float(value) for name, value in measures.decision_measures(sums).items()},
        "recall": measures.class_recall(sums),
        "precision": measures.class_precision(sums),
        "f1": measures.class_f1(sums),
    }


def draw(counts: Ints, table: Floats, clusters: str, rng: np.random.Generator) -> Outcomes:
    """One test split.

    "lone": every row for itself. "copies": every text comes three times and is decided alike each
    time. "groups": customers of five rows of any class; half of the customers are written so
    that all their rows share one luck.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(labels))
    if clusters == "copies":
        texts = np.where(counts >= COPIES, counts // COPIES, counts)
        labels = np.repeat(np.arange(len(counts)), texts)
        times = np.where(counts >= COPIES, COPIES, 1)[labels]
        number = np.arange(len(labels))
        decided = _decide(labels, table, rng.random(len(labels)), rng)
        return outcomes_of(*(np.repeat(a, times) for a in (labels, decided, number)), len(counts))
    luck = rng.random(len(labels))
    if clusters == "groups":
        labels = rng.permutation(labels)
        number = np.arange(len(labels)) // GROUP
        alike = rng.random(number[-1] + 1) < 0.5
        luck = np.where(alike[number], rng.random(len(alike))[number], luck)
    return outcomes_of(labels, _decide(labels, table, luck, rng), number, len(counts))


def draw_pair(
    counts: Ints, tables: list[Floats], rng: np.random.Generator
) -> tuple[Outcomes, Outcomes]:
    """Two models on one split; on seven rows in ten they share their luck."""
    labels = np.repeat(np.arange(len(counts)), counts)
    first, own = rng.random((2, len(labels)))
    second = np.where(rng.random(len(labels)) < 0.7, first, own)
    number = np.arange(len(labels))
    a, b = (
        outcomes_of(labels, _decide(labels, table, luck, rng), number, len(counts))
        for table, luck in zip(tables, (first, second), strict=True)
    )
    return a, b


def _decide(labels: Ints, table: Floats, luck: Floats, rng: np.random.Generator) -> Ints:
    """Right where luck is below the recall, else a wrong class by the table's shares."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    ends = np.cumsum(wrong, axis=1)
    point = rng.random(len(labels)) * ends[labels, -1]
    other = (point[:, None] >= ends[labels]).sum(axis=1).clip(max=len(table) - 1)
    return np.where(luck < np.diag(table)[labels], labels, other)


def draw_scores(counts: Ints, model: Model, rng: np.random.Generator) -> Outcomes:
    """One split scored by a model."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return _judged(labels, _scored(labels, counts, model, rng.normal(size=_shape(counts))))


def draw_score_pair(
    counts: Ints, models: list[Model], rng: np.random.Generator
) -> tuple[Outcomes, Outcomes]:
    """Two models on one split; half of the variance of their noise is the row's own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    row, *own = rng.normal(size=(3, *_shape(counts)))
    a, b = (
        _judged(labels, _scored(labels, counts, model, (row + noise) / np.sqrt(2)))
        for model, noise in zip(models, own, strict=True)
    )
    return a, b


def _shape(counts: Ints) -> tuple[int, int]:
    return int(counts.sum()), len(counts)


def _scored(labels: Ints, counts: Ints, model: Model, noise: Floats) -> Floats:
    """(n, K) softmax of noise plus the skill for the right class, tilted by the log of half of each
    class's share: a model that favours frequent classes and is too sure."""
    skill, sureness = model
    z = noise + 0.5 * np.log(counts / counts.sum())
    z[np.arange(len(labels)), labels] += skill
    p: Floats = softmax(sureness * z, axis=1)
    return p


def _judged(labels: Ints, p: Floats) -> Outcomes:
    return outcomes_of(labels, p.argmax(axis=1), np.arange(len(labels)), p.shape[1], p)


def of_scores(counts: Ints, model: Model, rng: np.random.Generator) -> dict[str, Any]:
    """True measures in the class mix of `counts`, from 300,000 rows weighted to it."""
    each = 300_000 // len(counts)
    labels = np.repeat(np.arange(len(counts)), each)
    p = _scored(labels, counts, model, rng.normal(size=(len(labels), len(counts))))
    weight = (counts / counts.sum())[labels] / each
    ap, auc = [], []
    for k in range(len(counts)):
        order = np.argsort(-p[:, k])
        mine = (weight * (labels == k))[order]
        others = (weight * (labels != k))[order]
        ap.append(float((mine * np.cumsum(mine) / np.cumsum(mine + others)).sum() / mine.sum()))
        above = np.cumsum(mine)
        auc.append(float((others * above).sum() / mine.sum() / others.sum()))
    return {
        "average_precision": np.array(ap),
        "macro_average_precision": float(np.mean(ap)),
        "macro_roc_auc": float(np.mean(auc)),
        "log_loss": float((weight * measures.row_log_loss(p, labels)).sum()),
        "brier": float((weight * measures.row_brier(p, labels)).sum()),
    }


def outcomes_of(
    labels: Ints, decided: Ints, clusters: Ints, count: int, probabilities: Floats | None = None
) -> Outcomes:
    return Outcomes(
        classes=tuple(f"{k:03d}" for k in range(count)),
        known=np.ones(count, dtype=bool),
        labels=labels,
        decided=decided,
        clusters=clusters,
        probabilities=np.full((len(labels), count), 1 / count)
        if probabilities is None
        else probabilities,
        costs=1.0 - np.eye(count, count + 1),
    )
