"""The decision that is expected to be best by the probabilities themselves."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.remedies.decisions.adjustment import plugin_adjustment

NONE = np.zeros(0, dtype=np.int64)


def drawn(seed: int, apart: float, rows: int = 4000, shares: tuple[float, ...] = (0.9, 0.08, 0.02)):
    """Rows of classes with Gaussian scores, their exact posteriors and labels."""
    rng = np.random.default_rng(seed)
    share = np.array(shares)
    labels = rng.choice(len(share), size=rows, p=share)
    centres = np.eye(len(share)) * apart
    x = centres[labels] + rng.normal(size=(rows, len(share)))
    log_joint = np.log(share) - 0.5 * ((x[:, None, :] - centres) ** 2).sum(-1)
    log_p = log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)
    return log_p, labels, np.log(share)


def strength(log_p, labels, measure: str, log_share) -> float:
    offsets, _ = plugin_adjustment(
        log_p, labels, measure, np.zeros(log_p.shape[1]), log_share, log_share
    )
    rare = int(np.argmin(log_share))
    return float(offsets[rare] / (log_share.max() - log_share[rare]))


def test_by_hand():
    """Two rows, shares 0.8 and 0.2; the second is decided for b, rightly, from a strength of 0.3
    on, and the step from there, smoothed, is highest at the end."""
    log_p = np.log([[0.9, 0.1], [0.6, 0.4]])
    log_share = np.log([0.8, 0.2])
    labels = np.array([0, 1])
    offsets, said = plugin_adjustment(log_p, labels, "macro_f1", np.zeros(2), log_share, log_share)
    assert np.argmax(log_p + offsets, axis=1).tolist() == [0, 1]
    # Expected of a: right 0.9, decided 1, rows 1.5: 1.8 / 2.5; of b: right 0.4, decided 1, rows
    # 0.5: 0.8 / max(1.5, 1). Without: of a right 1.5, decided 2, rows 1.5: 3 / 3.5; of b nothing.
    # Seen: both right; without, a has one of two decided rows right: F1 2 / 3, b none.
    assert f"1.0000 on 2 rows and expected to be {(1.8 / 2.5 + 0.8 / 1.5) / 2:.4f} so" in said
    assert f"{1 / 3:.4f} and {3 / 3.5 / 2:.4f} without" in said


def test_accuracy_takes_nothing_out_and_balanced_accuracy_nearly_everything():
    log_p, labels, log_share = drawn(0, 1.5)
    assert strength(log_p, labels, "accuracy", log_share) < 0.15
    assert strength(log_p, labels, "balanced_accuracy", log_share) > 0.75


def test_classes_that_are_told_apart_are_left_alone_and_blurred_ones_are_not():
    clear, labels, log_share = drawn(0, 8.0)
    assert strength(clear, labels, "macro_f1", log_share) == 0
    blurred, labels, _ = drawn(1, 1.3)
    found = strength(blurred, labels, "macro_f1", log_share)
    assert 0.1 < found < 0.9
    # It holds on new rows, and beats leaving the decision alone there.
    from sklearn.metrics import f1_score

    fresh, truth, _ = drawn(2, 1.3, rows=20_000)
    values = {
        s: f1_score(truth, (fresh - s * log_share).argmax(1), average="macro")
        for s in np.linspace(0, 1, 11)
    }
    ours = f1_score(truth, (fresh - found * log_share).argmax(1), average="macro")
    assert ours > max(values.values()) - 0.015
    assert ours > values[0.0]


def test_probabilities_that_promise_too_much_are_corrected_by_what_is_seen():
    """Scores three times too sure: what is expected alone would leave the decision as it is."""
    log_p, labels, log_share = drawn(1, 1.8)
    sure = 3 * log_p - np.logaddexp.reduce(3 * log_p, axis=1, keepdims=True)
    assert strength(sure, labels, "balanced_accuracy", log_share) > 0.5


def test_rows_of_other_shares_expect_the_measure_under_their_own():
    """Balanced rows, probabilities under the shares of training: nothing of these may be left."""
    log_p, labels, _ = drawn(3, 1.3, shares=(1 / 3, 1 / 3, 1 / 3))
    log_train = np.log([0.9, 0.08, 0.02])
    lopsided = log_p + log_train
    lopsided -= np.logaddexp.reduce(lopsided, axis=1, keepdims=True)
    start, even = np.zeros(3), np.log(np.full(3, 1 / 3))
    given = lopsided, labels, "macro_f1", start, log_train
    own, said = plugin_adjustment(*given, even)
    assert own[2] - own[0] > 0.85 * (log_train[0] - log_train[2])
    as_trained, _ = plugin_adjustment(*given, log_train)
    assert as_trained[2] - as_trained[0] < own[2] - own[0]
    # What is expected then agrees with what is seen.
    seen, expected = (float(word) for word in re.findall(r"0\.\d{4}", said)[:2])
    assert seen == pytest.approx(expected, abs=0.03)


def test_rows_by_their_worth_stand_for_rows_of_other_shares():
    """Rows of 90 : 8 : 2, each counted by what balanced ones have more or less of its class: seen
    and expected are then nearly those of balanced rows."""
    even = np.log(np.full(3, 1 / 3))
    log_p, labels, log_train = drawn(4, 1.3, rows=20_000)
    start, worth = np.zeros(3), np.exp(even - log_train)
    stated = log_p + even - log_train
    stated -= np.logaddexp.reduce(stated, axis=1, keepdims=True)
    _, said = plugin_adjustment(stated, labels, "macro_f1", start, even, log_train, worth)
    balanced, truth, _ = drawn(5, 1.3, rows=20_000, shares=(1 / 3, 1 / 3, 1 / 3))
    _, wanted = plugin_adjustment(balanced, truth, "macro_f1", start, even, even)
    ours, theirs = ([float(w) for w in re.findall(r"0\.\d{4}", s)] for s in (said, wanted))
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_a_measure_that_is_no_sum_over_classes_is_left_alone():
    log_p, labels, log_share = drawn(0, 1.8, rows=50)

    def mine(_, decided, __):
        return float(np.mean(decided == 2))

    offsets, said = plugin_adjustment(log_p, labels, mine, np.zeros(3), log_share, log_share)
    assert not offsets.any()
    assert "mine" in said
    offsets, said = plugin_adjustment(
        log_p[:0], NONE, "macro_f1", np.zeros(3), log_share, log_share
    )
    assert not offsets.any()
    assert "no labelled rows" in said


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 4), st.permutations([0, 1, 2]))
def test_the_order_of_classes_is_irrelevant(seed, apart, order):
    log_p, labels, log_share = drawn(seed, apart, rows=60)
    plain, _ = plugin_adjustment(log_p, labels, "macro_f1", np.zeros(3), log_share, log_share)
    renamed = np.argsort(order)[labels]
    moved, _ = plugin_adjustment(
        log_p[:, order], renamed, "macro_f1", np.zeros(3), log_share[order], log_share[order]
    )
    assert moved == pytest.approx(plain[order])
