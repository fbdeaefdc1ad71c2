"""The cheap baselines: separable rows, laws, and the corners where a regression has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import DataError, ShapeError
from equipoise.models.baselines import (
    LOG_FLOOR,
    balanced_regression,
    tfidf_baseline,
    vectors_baseline,
)
from equipoise.records.rows import Rows, text_column

TRAIN = {
    "card": ["my card is lost", "the card was stolen", "block my card please", "new card please"],
    "rate": ["what is the exchange rate", "rate for dollars", "exchange rates today"],
    "pin": ["i forgot my pin"],
}
JUDGED = {"card": "is my card blocked", "rate": "exchange rate of dollars", "pin": "forgot pin"}
CLASSES = ("card", "pin", "rate")


def rows(texts: list[str], labels: list[str] | None = None, weights: object = None) -> Rows:
    return Rows(
        ids=text_column([str(k) for k in range(len(texts))]),
        texts=text_column(texts),
        labels=None if labels is None else text_column(labels),
        weights=weights,
    )


def train_rows(**changes: object) -> Rows:
    pairs = [(text, label) for label, texts in TRAIN.items() for text in texts]
    return rows([t for t, _ in pairs], [y for _, y in pairs], **changes)


def judged_rows() -> Rows:
    return rows(list(JUDGED.values()), list(JUDGED))


def decided(scores: np.ndarray, classes: tuple[str, ...] = CLASSES) -> list[str]:
    return [classes[k] for k in scores.argmax(1)]


def test_tfidf_tells_plain_topics_apart_even_from_one_row() -> None:
    assert decided(tfidf_baseline(train_rows(), judged_rows(), CLASSES, 0)) == list(JUDGED)


def test_tfidf_gives_log_probabilities() -> None:
    scores = tfidf_baseline(train_rows(), judged_rows(), CLASSES, 0)
    assert scores.shape == (3, 3)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(np.exp(scores).sum(1), 1)


def test_features_that_say_nothing_leave_no_trace_of_the_class_sizes() -> None:
    """Only the intercept is left, and with balanced weights 9 : 2 : 1 rows count as 1 : 1 : 1."""
    labels = text_column(["a"] * 9 + ["b"] * 2 + ["c"])
    scores = balanced_regression(
        np.zeros((12, 2)), labels, np.zeros((1, 2)), ("a", "b", "c"), 0, 1.0
    )
    np.testing.assert_allclose(np.exp(scores), [[1 / 3] * 3], atol=1e-4)


def test_without_balance_the_class_sizes_are_what_is_left() -> None:
    labels = text_column(["a"] * 9 + ["b"] * 2 + ["c"])
    scores = balanced_regression(
        np.zeros((12, 2)), labels, np.zeros((1, 2)), ("a", "b", "c"), 0, 1.0, balanced=False
    )
    np.testing.assert_allclose(np.exp(scores), [[9 / 12, 2 / 12, 1 / 12]], atol=1e-3)


def test_same_seed_same_bytes() -> None:
    first = tfidf_baseline(train_rows(), judged_rows(), CLASSES, 3)
    assert first.tobytes() == tfidf_baseline(train_rows(), judged_rows(), CLASSES, 3).tobytes()


def test_a_class_without_training_rows_gets_the_floor() -> None:
    classes = ("card", "loan", "pin", "rate")
    scores = tfidf_baseline(train_rows(), judged_rows(), classes, 0)
    assert (scores[:, 1] == LOG_FLOOR).all()
    assert decided(scores, classes) == list(JUDGED)


def test_one_class_is_certain() -> None:
    scores = tfidf_baseline(rows(["a b", "c d"], ["x", "x"]), rows(["e"]), ("w", "x"), 0)
    np.testing.assert_array_equal(scores, [[LOG_FLOOR, 0.0]])


def test_texts_without_any_term_say_nothing() -> None:
    scores = tfidf_baseline(rows(["", ""], ["x", "y"]), rows(["a"]), ("w", "x", "y"), 0)
    np.testing.assert_allclose(scores, [[LOG_FLOOR, np.log(0.5), np.log(0.5)]], atol=1e-6)


def test_texts_without_words_are_told_apart_by_their_signs() -> None:
    train = rows(["!!!!", "!!!", "????", "???"], ["angry", "angry", "asks", "asks"])
    scores = tfidf_baseline(train, rows(["!!!!!", "?????"]), ("angry", "asks"), 0)
    assert decided(scores, ("angry", "asks")) == ["angry", "asks"]


def test_nothing_to_judge() -> None:
    assert tfidf_baseline(train_rows(), rows([]), CLASSES, 0).shape == (0, 3)


def test_row_weights_count_as_repeats() -> None:
    twice = balanced_regression(
        np.array([[0.0], [1.0], [1.0], [3.0]]),
        text_column(list("abba")),
        np.array([[2.0]]),
        ("a", "b"),
        0,
        1.0,
    )
    # Balanced weights are made from counts of rows: a weighs 4/(2·2) either way.
    weighted = balanced_regression(
        np.array([[0.0], [1.0], [3.0]]),
        text_column(list("aba")),
        np.array([[2.0]]),
        ("a", "b"),
        0,
        1.0,
        train_weights=np.array([4 / 3, 4 / 3, 4 / 3]),
    )
    # 3/(2·2)·4/3 = 1 for each a, 3/(2·1)·4/3 = 2 for the one b: the same loss as above.
    np.testing.assert_allclose(weighted, twice, atol=1e-4)


def test_faults_are_named() -> None:
    with pytest.raises(DataError, match="no labels"):
        tfidf_baseline(rows(["a"]), judged_rows(), CLASSES, 0)
    with pytest.raises(ShapeError, match="'rate'"):
        tfidf_baseline(train_rows(), judged_rows(), ("card", "pin"), 0)
    with pytest.raises(ShapeError, match="2 rows of features, 1 labels"):
        balanced_regression(np.eye(2), text_column(["a"]), np.eye(2), ("a",), 0, 1.0)


def cloud(seed: int, n: int = 60, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], [n - 12, 10, 2]).astype(object)
    centres = {"a": 0, "b": 1, "c": 2}
    vectors = rng.normal(size=(n, d))
    vectors[np.arange(n), [centres[y] for y in labels]] += 6
    return vectors, labels


def test_vectors_are_told_apart() -> None:
    vectors, labels = cloud(0)
    fresh, truth = cloud(1)
    scores = vectors_baseline(vectors, labels, fresh, ("a", "b", "c"), 0)
    assert (
        np.mean([a == b for a, b in zip(decided(scores, ("a", "b", "c")), truth, strict=True)])
        > 0.9
    )
    np.testing.assert_allclose(np.exp(scores).sum(1), 1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
def test_the_encoders_scale_does_not_matter(seed: int, scale: float) -> None:
    vectors, labels = cloud(seed)
    plain = vectors_baseline(vectors, labels, vectors, ("a", "b", "c"), 0)
    scaled = vectors_baseline(vectors * scale, labels, vectors * scale, ("a", "b", "c"), 0)
    np.testing.assert_allclose(scaled, plain, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99))
def test_renaming_the_classes_changes_nothing(seed: int) -> None:
    vectors, labels = cloud(seed)
    plain = vectors_baseline(vectors, labels, vectors, ("a", "b", "c"), 0)
    new = {"a": "z", "b": "y", "c": "x"}
    renamed = vectors_baseline(
        vectors, text_column([new[y] for y in labels]), vectors, ("x", "y", "z"), 0
    )
    np.testing.assert_allclose(renamed[:, ::-1], plain, atol=1e-2)


def test_still_coordinates_and_empty_vectors_stay_finite() -> None:
    vectors, labels = cloud(0)
    vectors[:, 5] = 0
    fresh = np.vstack([vectors[:3], np.zeros((1, 8))])
    assert np.isfinite(vectors_baseline(vectors, labels, fresh, ("a", "b", "c"), 0)).all()
