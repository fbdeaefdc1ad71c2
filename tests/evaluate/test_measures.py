"""Measures: hand-worked, against scikit-learn where definitions agree, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from equipoise.evaluate import measures, ranking
from equipoise.statistics.sums import sums_of

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2])
DECIDED = np.array([0, 0, 0, 1, 1, 1, 0, 1])


def test_by_hand():
    found = measures.decision_measures(sums_of(LABELS, DECIDED, 3))
    assert float(found["accuracy"]) == 5 / 8
    assert float(found["balanced_accuracy"]) == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)
    assert float(found["macro_f1"]) == pytest.approx((6 / 8 + 4 / 7 + 0) / 3)
    assert float(found["weighted_f1"]) == pytest.approx((4 * 6 / 8 + 3 * 4 / 7) / 8)
    assert float(found["g_mean"]) == 0
    assert float(found["expected_cost"]) == 375


def test_costs_are_per_thousand_rows():
    costs = np.array([[0, 5, 0, 0], [2, 0, 0, 0], [0, 7, 0, 0]], dtype=float)
    found = measures.decision_measures(sums_of(LABELS, DECIDED, 3, costs))
    assert float(found["expected_cost"]) == 1000 * (5 + 2 + 7) / 8


def test_a_class_without_rows_is_left_out_of_macro_means():
    with_empty = measures.decision_measures(sums_of(LABELS, DECIDED, 5))
    without = measures.decision_measures(sums_of(LABELS, DECIDED, 3))
    for name in ("macro_f1", "balanced_accuracy", "g_mean", "mcc"):
        assert float(with_empty[name]) == pytest.approx(float(without[name]))


def test_zero_by_zero_is_zero_for_f1_and_nan_elsewhere():
    sums = sums_of(np.array([0, 0]), np.array([0, 0]), 2)
    assert measures.class_f1(sums).tolist() == [1.0, 0.0]
    assert np.isnan(measures.class_recall(sums)[1])
    assert np.isnan(measures.class_precision(sums)[1])
    assert np.isnan(measures.mcc(sums))


CODES = st.integers(2, 5).flatmap(
    lambda k: st.integers(2, 60).flatmap(
        lambda n: st.tuples(
            st.just(k),
            st.lists(st.integers(0, k - 1), min_size=n, max_size=n),
            st.lists(st.integers(0, k - 1), min_size=n, max_size=n),
        )
    )
)


@settings(deadline=None)
@given(CODES)
def test_decisions_agree_with_scikit_learn(drawn):
    k, labels, decided = drawn
    labels, decided = np.array(labels), np.array(decided)
    sums = sums_of(labels, decided, k)
    found = measures.decision_measures(sums)
    present = np.unique(labels)
    f1 = {"labels": present, "zero_division": 0}
    assert float(found["accuracy"]) == pytest.approx(metrics.accuracy_score(labels, decided))
    assert float(found["balanced_accuracy"]) == pytest.approx(
        metrics.recall_score(labels, decided, average="macro", **f1)
    )
    assert float(found["macro_f1"]) == pytest.approx(
        metrics.f1_score(labels, decided, average="macro", **f1)
    )
    assert float(found["weighted_f1"]) == pytest.approx(
        metrics.f1_score(labels, decided, average="weighted", **f1)
    )
    if len(present) > 1 and len(np.unique(decided)) > 1:
        assert float(found["mcc"]) == pytest.approx(
            metrics.matthews_corrcoef(labels, decided), abs=1e-9
        )
    precision = metrics.precision_score(
        labels, decided, labels=range(k), average=None, zero_division=np.nan
    )
    assert np.allclose(measures.class_precision(sums), precision, equal_nan=True)


@settings(deadline=None)
@given(CODES, st.randoms(use_true_random=False))
def test_renaming_the_classes_changes_nothing(drawn, random):
    k, labels, decided = drawn
    order = list(range(k))
    random.shuffle(order)
    other = np.array(order)
    one = measures.decision_measures(sums_of(np.array(labels), np.array(decided), k))
    two = measures.decision_measures(sums_of(other[labels], other[decided], k))
    for name in one:
        assert float(one[name]) == pytest.approx(float(two[name]), abs=1e-12, nan_ok=True)


RANKED = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda y: any(y) and not all(y)),
    )
)


@settings(deadline=None)
@given(RANKED)
def test_rankings_with_ties_agree_with_scikit_learn(drawn):
    scores, positive = np.array(drawn[0]) / 10, np.array(drawn[1])
    assert ranking.average_precision(scores, positive) == pytest.approx(
        metrics.average_precision_score(positive, scores)
    )
    assert ranking.roc_auc(scores, positive) == pytest.approx(
        metrics.roc_auc_score(positive, scores)
    )


def test_a_ranking_without_both_kinds_is_undefined():
    scores = np.array([0.1, 0.2])
    assert np.isnan(ranking.average_precision(scores, np.array([False, False])))
    assert ranking.average_precision(scores, np.array([True, True])) == 1
    assert np.isnan(ranking.roc_auc(scores, np.array([True, True])))


@pytest.mark.parametrize(
    ("value", "influence"),
    [
        (ranking.average_precision, ranking.average_precision_influence),
        (ranking.roc_auc, ranking.roc_auc_influence),
    ],
)
def test_influence_foretells_what_a_second_copy_of_a_row_does(value, influence):
    rng = np.random.default_rng(0)
    positive = rng.random(4000) < 0.3
    scores = rng.normal(size=4000) + positive
    moved = influence(scores, positive)
    base = value(scores, positive)
    raw = np.array(
        [
            value(np.append(scores, scores[i]), np.append(positive, positive[i])) - base
            for i in range(60)
        ]
    )
    for kind in (positive[:60], ~positive[:60]):
        # Influence is centred within each kind, so only differences can be compared.
        expected = raw[kind] - raw[kind][0]
        assert np.allclose(moved[:60][kind] - moved[:60][kind][0], expected, atol=2e-6)
    assert moved[positive].sum() == pytest.approx(0, abs=1e-9)


def test_log_loss_and_brier_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    p, labels = rng.dirichlet(np.ones(4), 50), np.arange(50) % 4
    assert measures.row_log_loss(p, labels).mean() == pytest.approx(metrics.log_loss(labels, p))
    assert measures.row_brier(p, labels).mean() == pytest.approx(
        ((p - np.eye(4)[labels]) ** 2).sum(axis=1).mean()
    )


def test_brier_of_a_class_the_model_does_not_know_is_its_whole_mass():
    p = np.array([[0.5, 0.3, 0.2, 0.0]])
    assert measures.row_brier(p, np.array([3]))[0] == pytest.approx(0.25 + 0.09 + 0.04 + 1)


def test_log_loss_is_floored():
    assert measures.row_log_loss(np.array([[1.0, 0.0]]), np.array([1]))[0] == pytest.approx(
        -np.log(1e-15)
    )


def test_ece_by_hand():
    """Three rows in the bin above 0.8, two right; one row in the bin above 0.53, right."""
    p = np.array([[0.85, 0.15], [0.85, 0.15], [0.85, 0.15], [0.55, 0.45]])
    labels = np.array([0, 0, 1, 0])
    expected = 3 / 4 * abs(0.85 - 2 / 3) + 1 / 4 * abs(0.55 - 1)
    assert measures.ece(p, labels) == pytest.approx(expected)


def test_bins_are_closed_above():
    assert measures.bin_of(np.array([0.0, 1 / 15, 0.07, 1.0]), 15).tolist() == [0, 0, 1, 14]
