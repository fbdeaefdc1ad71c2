from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from equipoise.remedies.decisions.adjustment import _value
from equipoise.remedies.decisions.apply import posterior
from equipoise.remedies.decisions.offsets import _gain_error
from equipoise.remedies.decisions.values import VALUES, evaluate
from equipoise.remedies.prior import trained_correction

from .scored import FLAT, NAMES, SHARES, decided, fit, rows

# ── offsets ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", VALUES)
def test_measures_are_those_of_scikit_learn(name):
    theirs = {
        "macro_f1": lambda y, d: f1_score(y, d, average="macro", labels=np.unique(y)),
        "balanced_accuracy": balanced_accuracy_score,
        "weighted_f1": lambda y, d: f1_score(y, d, average="weighted", labels=np.unique(y)),
        "accuracy": accuracy_score,
    }[name]
    logits, labels = rows(300)
    assert evaluate(name, labels, logits.argmax(1), 3) == pytest.approx(
        theirs(labels, logits.argmax(1))
    )


def test_posthoc_adjustment_decides_by_the_flat_posterior():
    logits, labels = rows(400)
    rule = fit(["posthoc_logit_adjustment"], logits, labels)
    np.testing.assert_array_equal(decided(rule, logits), (logits - SHARES).argmax(axis=1))
    np.testing.assert_allclose(posterior(rule, logits), softmax(logits, axis=1))
    none = fit(["posthoc_logit_adjustment:tau=0"], logits, labels)
    np.testing.assert_array_equal(decided(none, logits), logits.argmax(axis=1))


@pytest.mark.parametrize("trained", [SHARES, FLAT, SHARES / 2])
def test_posthoc_adjustment_decides_alike_whatever_training_corrected(trained):
    """The reason why it is not refused beside `logit_adjusted`."""
    logits, labels = rows(400)
    rule = fit(["posthoc_logit_adjustment"], logits - SHARES + trained, labels, log_source=trained)
    np.testing.assert_array_equal(
        decided(rule, logits - SHARES + trained), (logits - SHARES).argmax(axis=1)
    )


def test_a_correction_in_training_is_heard_through_start():
    logits, labels = rows(400)
    flat = logits - SHARES
    start = trained_correction(FLAT, SHARES)
    rule = fit(["temperature"], flat, labels, log_source=FLAT, start=start)
    assert rule.kind == "offsets"
    np.testing.assert_array_equal(decided(rule, flat), flat.argmax(axis=1))


@pytest.mark.parametrize("measure", ["macro_f1", "balanced_accuracy"])
def test_offsets_raise_their_measure_on_fresh_rows(measure):
    logits, labels = rows(4000, pull=1.5)
    fresh, truth = rows(20_000, seed=1, pull=1.5)
    rule = fit(["measure_offsets"], logits, labels, measure=measure)
    plain = evaluate(measure, truth, fresh.argmax(axis=1), 3)
    assert evaluate(measure, truth, decided(rule, fresh), 3) > plain + 0.01
    np.testing.assert_allclose(posterior(rule, fresh), softmax(fresh, axis=1))


def test_offsets_for_balanced_accuracy_do_as_well_as_the_log_shares():
    """Minus the log shares are the best that can be had, since the scores are true posteriors."""
    logits, labels = rows(10_000)
    fresh, truth = rows(50_000, seed=1)
    rule = fit(["measure_offsets"], logits, labels, measure="balanced_accuracy")
    best = evaluate("balanced_accuracy", truth, (fresh - SHARES).argmax(axis=1), 3)
    assert best - 0.005 < evaluate("balanced_accuracy", truth, decided(rule, fresh), 3)
    relative = rule.offsets - rule.offsets[0]
    np.testing.assert_allclose(relative, SHARES[0] - SHARES, atol=0.8)


def test_no_search_over_two_classes_beats_ours():
    """With two classes there is one threshold: try every one."""
    shares = np.log([0.9, 0.1])
    logits, labels = rows(400, shares=shares, pull=1.0)
    log_p = log_softmax(logits, axis=1)
    for name in VALUES:
        from equipoise.remedies.decisions.offsets import _ascend

        found = _ascend(log_p, labels, np.ones(400), name, np.zeros(2), 0.0, 3)
        ours = evaluate(name, labels, np.argmax(log_p + found, axis=1), 2)
        margins = log_p[:, 0] - log_p[:, 1]
        every = [
            evaluate(name, labels, (margins < t).astype(np.int64), 2)
            for t in [-99.0, *(np.sort(margins) + 1e-9)]
        ]
        assert ours == pytest.approx(max(every), abs=1e-12)


def test_the_staircase_is_the_measure_itself():
    """Values along the line against plain evaluation at each step, with 6 classes, one empty."""
    from equipoise.remedies.decisions import line
    from equipoise.remedies.decisions.values import class_value

    rng = np.random.default_rng(0)
    labels = rng.choice(6, 80, p=[0.4, 0.3, 0.1, 0.1, 0.1, 0])
    start = rng.integers(0, 6, 80)
    order = rng.permutation(np.flatnonzero(start != 2))
    for name, weights in product(VALUES, (np.ones(80), rng.uniform(0.1, 9, 80))):
        fast = line._staircase(2, start, order, labels, weights, class_value(name), 6)
        for r in range(len(order) + 1):
            now = start.copy()
            now[order[:r]] = 2
            assert fast[r] == pytest.approx(evaluate(name, labels, now, 6, weights), abs=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_a_row_of_weight_two_is_a_row_twice(name):
    logits, labels = rows(300)
    decided, times = logits.argmax(axis=1), np.arange(300) % 3
    twice = evaluate(name, np.repeat(labels, times), np.repeat(decided, times), 3)
    assert evaluate(name, labels, decided, 3, times.astype(float)) == pytest.approx(twice)


def test_a_function_as_measure_finds_what_the_name_finds():
    logits, labels = rows(2000, pull=1.5)
    fresh, truth = rows(20_000, seed=1, pull=1.5)

    def macro_f1(y, d, k):
        return f1_score(y, d, average="macro", labels=range(k), zero_division=0)

    by_name, by_function = (
        evaluate(
            "macro_f1",
            truth,
            decided(fit(["measure_offsets"], logits, labels, measure=m, log_train=SHARES), fresh),
            3,
        )
        for m in ("macro_f1", macro_f1)
    )
    assert by_function == pytest.approx(by_name, abs=0.01)


def test_noise_earns_no_offsets():
    """Labels without relation to the scores: nothing holds on unseen folds, or next to nothing."""
    rng = np.random.default_rng(0)
    kept = 0
    for seed in range(20):
        logits = rng.normal(size=(200, 3))
        labels = rng.choice(3, 200, p=np.exp(FLAT))
        rule = fit(["measure_offsets"], logits, labels, seed=seed, log_source=FLAT, log_target=FLAT)
        kept += rule.kind == "offsets"
    assert kept <= 5


def test_a_measure_without_a_value_in_most_resamples_earns_no_offsets():
    """A user's function that has none where a rare class was not drawn: noise may not win by it."""

    def mean_recall(truth, decided, classes):
        if not (truth == 2).any():
            return -np.inf  # what stands for "no value" here
        return np.mean([np.mean(decided[truth == k] == k) for k in range(classes)])

    kept = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1, 2], [150, 146, 4])
        logits = rng.normal(size=(300, 3))
        asked = {"log_source": FLAT, "log_target": FLAT, "log_train": FLAT}
        asked |= {"measure": mean_recall, "seed": seed}
        rule = fit(["measure_offsets"], logits, labels, **asked)
        assert "nan" not in rule.notes[-1]
        kept.append(rule.kind == "offsets")
    assert sum(kept) <= 3


def test_offsets_shrink_with_few_rows_and_not_at_all_without():
    logits, labels = rows(4000, pull=1.5)
    free = fit(["measure_offsets:shrink_rows=0"], logits, labels)
    n = np.bincount(labels)
    half = fit([f"measure_offsets:shrink_rows={n[2]}"], logits, labels)
    assert half.offsets[2] == pytest.approx(free.offsets[2] / 2)
    four = np.column_stack([logits, np.full(len(logits), -3.0)])
    rule = fit(
        ["measure_offsets"],
        four,
        labels,
        classes=(*NAMES, "d"),
        log_source=np.append(SHARES, -9),
        log_target=np.append(SHARES, -9),
    )
    assert rule.offsets[3] == 0


def test_offsets_go_on_from_the_posthoc_ones():
    logits, labels = rows(2000)
    both = fit(["measure_offsets", "posthoc_logit_adjustment"], logits, labels, measure="accuracy")
    alone = fit(["posthoc_logit_adjustment"], logits, labels)
    assert "posthoc" not in both.notes[-1]
    truth = [evaluate("accuracy", labels, decided(r, logits), 3) for r in (both, alone)]
    assert truth[0] > truth[1]


@pytest.mark.parametrize("measure", ["macro_f1", lambda y, d, k: float((y == d).mean())])
def test_naming_of_classes_changes_no_decision(measure):
    logits, labels = rows(600, pull=1.5)
    new = np.array([2, 0, 1])
    turn = np.argsort(new)
    texts = ["temperature", "measure_offsets"]
    rule = fit(texts, logits, labels, measure=measure, log_train=SHARES)
    renamed = fit(
        texts,
        logits[:, turn],
        new[labels],
        measure=measure,
        log_source=SHARES[turn],
        log_target=SHARES[turn],
        log_train=SHARES[turn],
    )
    np.testing.assert_allclose(renamed.offsets, rule.offsets[turn], atol=1e-9)
    np.testing.assert_array_equal(decided(renamed, logits[:, turn]), new[decided(rule, logits)])


def test_what_is_expected_of_a_class_may_be_less_than_a_row():
    """20 rows surely of class 0, and one that is of either by a half, decided as 1: class 0 expects
    20 right of 20.5, class 1 half a row right of half a row."""
    held = np.array([[1.0, 0.0]] * 20 + [[0.5, 0.5]])
    decided = np.array([0] * 20 + [1])
    found = _value(VALUES["balanced_accuracy"], held, decided, np.ones(2))
    assert found == pytest.approx((20 / 20.5 + 1) / 2)


DEFAULT = ["temperature", "plugin_adjustment", "measure_offsets"]


@pytest.mark.parametrize("texts", [DEFAULT, DEFAULT[:2], ["measure_offsets"]])
@pytest.mark.parametrize("measure", ["macro_f1", "accuracy", "balanced_accuracy"])
def test_decisions_for_stated_shares_are_good_on_rows_that_have_them(texts, measure):
    """Fitted on 80 : 15 : 5, stated and judged as balanced, where the largest probability is best
    already: what offsets cost is noise of few rows."""
    logits, labels = rows(1500)
    fresh, truth = rows(20_000, seed=1, shares=FLAT)
    fresh = fresh - FLAT + SHARES
    given = {"log_target": FLAT, "log_train": SHARES, "measure": measure}
    plain, fitted = (fit(names, logits, labels, **given) for names in (texts[:0], texts))
    best, found = (evaluate(measure, truth, decided(r, fresh), 3) for r in (plain, fitted))
    assert found > best - 0.015
    assert "counted by the shares that are stated" in fitted.notes[-1]


def test_scores_that_are_off_under_stated_shares_are_put_right():
    """The first class is called too likely, by 1.5 nats."""
    tilt = np.array([1.5, 0, 0])
    logits, labels = rows(1500)
    given = {"log_target": FLAT, "log_train": SHARES, "measure": "accuracy"}
    rule = fit(["measure_offsets"], logits + tilt, labels, **given)
    fresh, truth = rows(20_000, seed=1, shares=FLAT)
    ours = evaluate("accuracy", truth, decided(rule, fresh - FLAT + SHARES + tilt), 3)
    left, best = (evaluate("accuracy", truth, (fresh + t).argmax(axis=1), 3) for t in (tilt, 0))
    assert left + 0.02 < best - 0.01 < ours


def test_a_function_has_no_offsets_for_stated_shares():
    logits, labels = rows(200)
    asked = {"log_train": SHARES, "measure": lambda y, d, k: float((y == d).mean())}
    assert "shares" not in fit(["measure_offsets"], logits, labels, **asked).notes[-1]
    rule = fit(["measure_offsets"], logits, labels, log_target=FLAT, **asked)
    assert rule.kind == "argmax"
    assert "a function can't be told of the shares stated" in rule.notes[-1]


@pytest.mark.parametrize("copies", [2, 20])
def test_copies_of_rows_are_no_further_evidence(copies):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    decided, without = (np.where(rng.random(60) < 0.7, labels, 0) for _ in range(2))
    lone = np.arange(60)
    errors = [
        _gain_error(
            "macro_f1",
            *(np.repeat(column, times) for column in (labels, decided, without)),
            np.ones(3),
            np.repeat(lone, times),
            np.random.default_rng(1),
        )
        for times in (1, copies)
    ]
    assert errors[0] > 0
    assert errors[1] == pytest.approx(errors[0])
