"""The cheap baselines that every language model has to beat: logistic regression on TF-IDF and on
the frozen encoder's vectors, both with balanced class weights.

Rows or vectors in, (n, K) log-probabilities out; no file is read and nothing is kept. The settings
are the same for every set, so that a baseline costs no search: they were chosen once, on the
validation rows of the eight sets of benchmarks/real_input.py (see docs/benchmarks.md).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError
from equipoise.records.rows import Column, Rows, holds_several, indicators

LOG_FLOOR = math.log(1e-12)
"""Log-probability of a class that training never saw: finite, so that it can be calibrated."""

TFIDF_C = 3.0
"""Inverse strength of the L2 penalty. Validation macro-F1 moves by less than 0.02 from 1 to 30,
but for `atis_intents`, where 10 and more lose 0.07."""

VECTORS_C = 0.03
"""The same, for vectors of which every coordinate has variance 1. Ten times weaker or stronger
loses about 0.01 on most sets."""

MAX_TERMS = 50_000
"""Most frequent terms kept of each kind."""

MAX_WEIGHTS = 5_000_000
"""Terms x K: the solver keeps about 20 copies of the weights, here 0.8 GB."""


def tfidf_baseline(
    train: Rows, judged: Rows, classes: tuple[str, ...], seed: int
) -> NDArray[np.float64]:
    """Fit on word 1-2-grams and character 3-5-grams of `train`, score `judged`.

    Returns natural log-probabilities of shape (len(judged), K), columns in the order of `classes`;
    they are posteriors under flat class shares, since the balanced weights removed those of
    training. Row weights of `train` are honoured. Where a row may have several labels, a regression
    for each label (one against the rest), and log-odds in place of log-probabilities. Raises
    DataError for training rows without labels, ShapeError for a label that is not in `classes`.
    """
    if train.labels is None:
        raise DataError("training rows: have no labels; name the column that holds them")
    at_once = 2 if train.several else len(classes)
    fitted, scored = tfidf_terms(train.texts.tolist(), judged.texts.tolist(), at_once)
    return _regression(
        fitted, train.labels, scored, classes, seed, TFIDF_C, train_weights=train.weights
    )


def vectors_baseline(
    train_vectors: NDArray[np.floating[Any]],
    train_labels: Column,
    judged_vectors: NDArray[np.floating[Any]],
    classes: tuple[str, ...],
    seed: int,
) -> NDArray[np.float64]:
    """Fit on an encoder's vectors (rows, d) of the training rows, score those of the judged rows.

    Vectors are scaled to unit length, then each coordinate to mean 0 and variance 1 in training,
    so that one penalty fits every encoder: many crowd all texts into a narrow cone, where raw
    coordinates hardly differ. Returns log-probabilities (judged rows, K) as `tfidf_baseline` does.
    """
    train, judged = _unit_length(train_vectors), _unit_length(judged_vectors)
    mean, spread = train.mean(axis=0), train.std(axis=0)
    # A coordinate that never moves (std is rounding noise) would be blown up to noise of size 1.
    spread = np.where(spread > 1e-9, spread, 1.0)
    return _regression(
        (train - mean) / spread, train_labels, (judged - mean) / spread, classes, seed, VECTORS_C
    )


def _regression(
    train: Any,
    train_labels: Column,
    judged: Any,
    classes: tuple[str, ...],
    seed: int,
    c: float,
    train_weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """One regression of all classes, or where a row may have several labels one for each."""
    if not holds_several(train_labels):
        return balanced_regression(train, train_labels, judged, classes, seed, c, train_weights)
    answers = np.array(["no", "yes"], dtype=object)
    columns = []
    for held in indicators(train_labels, classes).T:
        log_p = balanced_regression(
            train, answers[held], judged, ("no", "yes"), seed, c, train_weights
        )
        columns.append(log_p[:, 1] - log_p[:, 0])
    return np.column_stack(columns)


def balanced_regression(
    train: Any,
    train_labels: Column,
    judged: Any,
    classes: tuple[str, ...],
    seed: int,
    c: float,
    train_weights: NDArray[np.float64] | None = None,
    *,
    balanced: bool = True,
) -> NDArray[np.float64]:
    """Multinomial logistic regression in which every class weighs the same, whatever its rows;
    with `balanced` false every row does.

    `train` and `judged` are dense or sparse (rows, d). Returns natural log-probabilities
    (judged rows, K), not below LOG_FLOOR; a class without training rows gets LOG_FLOOR.
    Raises ShapeError if features, labels or classes do not fit together.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if train.shape[0] != len(train_labels) or train.shape[0] == 0:
        raise ShapeError(f"{train.shape[0]} rows of features, {len(train_labels)} labels")
    place = {name: k for k, name in enumerate(classes)}
    seen = sorted(set(train_labels.tolist()), key=str)
    strange = [name for name in seen if name not in place]
    if strange:
        raise ShapeError(f"training labels {strange} are not among the classes {list(classes)}")
    scores = np.full((judged.shape[0], len(classes)), LOG_FLOOR)
    if judged.shape[0] == 0:
        return scores
    if len(seen) == 1:
        scores[:, place[seen[0]]] = 0.0
        return scores
    model = LogisticRegression(
        C=c, class_weight="balanced" if balanced else None, max_iter=1000, random_state=seed
    )
    with warnings.catch_warnings():
        # After 1,000 steps the decisions no longer move; a baseline need not say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, train_labels.astype(str), sample_weight=train_weights)
    columns = [place[name] for name in model.classes_]
    scores[:, columns] = np.maximum(model.predict_log_proba(judged), LOG_FLOOR)
    return scores


def tfidf_terms(train: list[str], judged: list[str], classes: int) -> tuple[Any, Any]:
    """Sparse TF-IDF of both, of shapes (len(train), d) and (len(judged), d); at most MAX_TERMS
    terms of each kind, fewer for many classes. d is 1, a column of zeros, where no training text
    holds any term.
    """
    from scipy.sparse import csr_array, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    limit = max(5_000, min(MAX_TERMS, MAX_WEIGHTS // (2 * max(1, classes))))
    # Words of one letter count too: "I" and "a" tell registers apart, and many scripts write
    # words with one character.
    words = {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    parts = {"analyzer": "char_wb", "ngram_range": (3, 5)}
    blocks: list[tuple[Any, Any]] = [(csr_array((len(train), 1)), csr_array((len(judged), 1)))]
    for kind in (words, parts):
        vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=limit, **kind)
        analyze = vectorizer.build_analyzer()
        if judged and any(analyze(text) for text in train):
            blocks.append((vectorizer.fit_transform(train), vectorizer.transform(judged)))
    return hstack([fit for fit, _ in blocks], "csr"), hstack([score for _, score in blocks], "csr")


def _unit_length(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    wide = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1.0)
