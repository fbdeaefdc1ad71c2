"""Logistic regression on TF-IDF, on the encoder's vectors, and on vectors that SMOTE filled up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.common import (
    Said,
    Settings,
    encode,
    indicators,
    known_classes,
    said_of_both,
    several,
    texts_of,
)
from benchmarks.sets import Pair, TextSet


def tfidf(rows: TextSet, settings: Settings, *, balanced: bool = True) -> Said:
    """TF-IDF + balanced logistic regression: the product's own baseline. Of several labels, one
    regression per label, balanced between having it and not."""
    from equipoise.models.baselines import TFIDF_C, balanced_regression, tfidf_terms

    classes = known_classes(rows.train, settings)
    # Both judged splits in one call, so that the fit is paid for once.
    fitted, judged = tfidf_terms(
        texts_of(rows.train), texts_of(rows.validation + rows.test), len(classes)
    )

    def fit(labels: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.float64]:
        return balanced_regression(
            fitted, labels, judged, names, settings["seed"], TFIDF_C, balanced=balanced
        )

    return said_of_both(rows, classes, _by_label(fit, rows.train, classes, settings))


def tfidf_plain(rows: TextSet, settings: Settings) -> Said:
    """The same without class weights."""
    return tfidf(rows, settings, balanced=False)


def vectors(rows: TextSet, settings: Settings) -> Said:
    """Vectors of the default encoder, pooled as published, + balanced logistic regression."""
    from equipoise.models.baselines import vectors_baseline

    classes = known_classes(rows.train, settings)
    train = encode(texts_of(rows.train))
    judged = encode(texts_of(rows.validation + rows.test))

    def fit(labels: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.float64]:
        return vectors_baseline(train, labels, judged, names, settings["seed"])

    return said_of_both(rows, classes, _by_label(fit, rows.train, classes, settings))


def smote(rows: TextSet, settings: Settings) -> Said:
    """imbalanced-learn's SMOTE on the vectors, every class filled up to the largest, + the same
    regression. SMOTE draws between neighbours: a class with fewer rows than it asks for takes as
    many as there are, and a class of one row is repeated, since it has no neighbour."""
    from equipoise.models.baselines import vectors_baseline

    if several(settings):
        raise ValueError("SMOTE is for rows of one label")
    classes = known_classes(rows.train, settings)
    train = encode(texts_of(rows.train))
    labels = np.array([label for _, label in rows.train], dtype=object)
    filled, filled_labels = smoted(train, labels, settings["neighbours"], settings["seed"])
    judged = encode(texts_of(rows.validation + rows.test))
    logs = vectors_baseline(filled, filled_labels, judged, classes, settings["seed"])
    return said_of_both(rows, classes, np.exp(logs), rows_fitted=len(filled_labels))


def smoted(
    vectors: NDArray[np.float32], labels: NDArray[Any], neighbours: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """All classes with as many rows as the largest; classes of two rows or more by SMOTE with at
    most `neighbours` neighbours, fewer where the class has no more to offer."""
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    counts = Counter(labels.tolist())
    most = max(counts.values())
    # By how many neighbours a class can offer: one call of SMOTE for each number.
    offers: dict[int, list[str]] = {}
    for name, count in sorted(counts.items()):
        if count < most:
            offers.setdefault(min(neighbours, count - 1), []).append(name)
    largest = {name for name, count in counts.items() if count == most}
    parts = [vectors[np.isin(labels, list(largest))]]
    names = [labels[np.isin(labels, list(largest))]]
    for k, members in offers.items():
        chosen = np.isin(labels, [*members, *largest])
        wanted = dict.fromkeys(members, most)
        sampler = (
            SMOTE(sampling_strategy=wanted, k_neighbors=k, random_state=seed)
            if k
            else RandomOverSampler(sampling_strategy=wanted, random_state=seed)
        )
        made, made_labels = sampler.fit_resample(vectors[chosen], labels[chosen].astype(str))
        mine = np.isin(made_labels, members)
        parts.append(made[mine])
        names.append(made_labels[mine].astype(object))
    return np.concatenate(parts).astype(np.float32), np.concatenate(names)


def _by_label(
    fit: Any, train: list[Pair], classes: tuple[str, ...], settings: Settings
) -> NDArray[np.float64]:
    """(judged rows, K) probabilities: of one fit, or of one fit per label."""
    if not several(settings):
        labels = np.array([label for _, label in train], dtype=object)
        return np.exp(np.asarray(fit(labels, classes), dtype=np.float64))
    having = indicators(train, classes, settings)
    columns = [
        np.exp(fit(np.where(having[:, k] > 0, "yes", "no").astype(object), ("no", "yes"))[:, 1])
        for k in range(len(classes))
    ]
    return np.column_stack(columns)
