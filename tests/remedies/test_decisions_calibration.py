"""Vector scaling and isotonic calibration: what they find, what they keep, what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression

from equipoise.records.decision import DecisionRule, Isotonic, VectorScaling
from equipoise.remedies.decisions.apply import decide, log_posterior, posterior
from equipoise.remedies.decisions.fit import cross_fitted, fit_rule
from equipoise.remedies.decisions.isotonic import isotonic_calibration
from equipoise.remedies.decisions.vector import fit_bias, vector_scaling_calibration
from equipoise.remedies.spec import parse_remedy
from equipoise.remedies.table import REMEDIES

from .scored import FLAT, NAMES, SHARES, fit, rows

CALIBRATIONS = [remedy.name for remedy in REMEDIES.values() if remedy.kind == "calibration"]
UNPROVEN = ["temperature", "vector_scaling_calibration:folds=0", "isotonic_calibration:folds=0"]


def log_loss(rule, logits, labels):
    return -log_posterior(rule, logits)[np.arange(len(labels)), labels].mean()


def arguments(labels, seed=0):
    return {"clusters": np.arange(len(labels)), "rng": np.random.default_rng(seed)}


# ── vector scaling ────────────────────────────────────────────────────────────────────────────


def test_vector_scaling_finds_the_scales_and_biases_that_were_bent():
    """Logits pulled by known scales and biases: what undoes them is found again."""
    logits, labels = rows(20_000)
    scale, bias = np.array([2.0, 0.5, 1.0]), np.array([0.7, -0.4, 0.0])
    centred = logits - logits.mean(axis=1, keepdims=True)
    rule = fit(["vector_scaling_calibration"], (centred - bias) / scale, labels)
    # The mean of the bent logits is taken out again, which no scale per class can undo, so the
    # numbers are near, not equal; what they are for is exact: the true log loss.
    assert isinstance(rule.calibration, VectorScaling)
    bent = (centred - bias) / scale
    best = log_loss(fit([], logits, labels), logits, labels)
    assert log_loss(rule, bent, labels) == pytest.approx(best, abs=0.02)
    assert log_loss(fit(["temperature"], bent, labels), bent, labels) > best + 0.03


def test_a_bias_that_training_left_is_taken_out():
    """Logits of a model whose prior nobody accounted for: class c too likely by 2 nats."""
    logits, labels = rows(8000)
    wrong = logits + np.array([0, 0, 2.0])
    rule = fit(["vector_scaling_calibration"], wrong, labels)
    np.testing.assert_allclose(posterior(rule, wrong).mean(axis=0), np.exp(SHARES), atol=0.01)
    one_number = fit(["temperature"], wrong, labels)
    assert log_loss(rule, wrong, labels) < log_loss(one_number, wrong, labels) - 0.04


def test_vector_scaling_solves_its_own_objective():
    """No step in any direction lowers it."""
    logits, labels = rows(400, pull=1.0)
    ones, shift = np.ones(400), np.array([0.1, -0.2, 0.3])
    (_, found), _ = vector_scaling_calibration(
        logits, labels, ones, shift, **arguments(labels), folds=0, shrink=3.0
    )
    temperature = fit(["temperature"], logits, labels, log_source=SHARES - shift, log_train=SHARES)
    t = temperature.temperature
    centred = logits - logits.mean(axis=1, keepdims=True)

    def objective(scale, bias):
        log_p = log_softmax(centred * scale + bias + shift, axis=1)
        shrunk = ((scale * t - 1) ** 2).sum() + (bias**2).sum()
        return -log_p[np.arange(400), labels].sum() + 1.5 * shrunk

    best = objective(found.scale, found.bias)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = rng.normal(size=(2, 3)) * 1e-2
        assert objective(found.scale + step[0], found.bias + step[1]) > best


def test_a_common_scale_and_biases_are_found():
    logits, labels = rows(20_000)
    wrong = (logits - np.array([0, 1.0, -1.0])) * 2
    factor, bias = fit_bias(wrong, labels, np.ones(len(labels)), np.zeros(3), 1.0)
    assert factor == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose(bias - bias[0], [0, 1, -1], atol=0.15)


# ── isotonic ──────────────────────────────────────────────────────────────────────────────────


def test_curves_are_those_of_scikit_learn():
    logits, labels = rows(900, pull=1.0)
    (temperature, found), _ = isotonic_calibration(
        logits, labels, np.ones(900), np.zeros(3), log_given=SHARES, **arguments(labels), folds=0
    )
    p = softmax(logits / temperature, axis=1)
    count = np.bincount(labels)
    for k in range(3):
        reference = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        reference.fit(p[:, k], labels == k)
        at, share = found.knots[k]
        grid = np.linspace(0, 1, 101)
        np.testing.assert_allclose(np.interp(grid, at, share), reference.predict(grid), atol=1e-12)
        fewer = min(count[k], 900 - count[k])
        assert found.kept[k] == pytest.approx(fewer / (fewer + 20))


def test_isotonic_mends_a_shape_that_no_temperature_can():
    """Scores squeezed by a cubic: right order, wrong distances."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-3, 3, 12_000)
    labels = (rng.random(12_000) < 1 / (1 + np.exp(-truth))).astype(int)
    bent = np.column_stack([np.zeros(12_000), truth**3 / 3])
    shares = np.log(np.bincount(labels) / 12_000)
    common = {"classes": ("a", "b"), "log_source": shares, "log_target": shares}
    seen, fresh = slice(0, 6000), slice(6000, None)
    losses = [
        log_loss(fit([name], bent[seen], labels[seen], **common), bent[fresh], labels[fresh])
        for name in ("temperature", "isotonic_calibration")
    ]
    assert losses[1] < losses[0] - 0.02


def test_classes_with_few_rows_keep_the_temperature():
    logits, labels = rows(600)
    rare = labels != 2
    rare[np.flatnonzero(labels == 2)[:5]] = True
    rule = fit(["isotonic_calibration:folds=0"], logits[rare], labels[rare])
    assert isinstance(rule.calibration, Isotonic)
    assert rule.calibration.kept[2] == 0
    assert "curves for 2 of 3 classes" in rule.notes[0]
    few = fit(["isotonic_calibration"], logits[:30], labels[:30])
    assert few.calibration is None
    assert few.temperature == fit(["temperature"], logits[:30], labels[:30]).temperature
    assert "no class has 20 labelled rows" in few.notes[0]


def test_an_isotonic_curve_keeps_rows_in_order_and_probabilities_above_nought():
    logits, labels = rows(800, pull=3.0)
    rule = fit(["isotonic_calibration:folds=0"], logits, labels)
    line = np.column_stack([np.zeros(400), np.linspace(-30, 30, 400), np.full(400, -9.0)])
    p = posterior(rule, line)
    assert (p > 0).all()
    assert np.isfinite(log_posterior(rule, np.array([[1e4, 0, -1e4], [0, 0, 0]]))).all()
    odds = p[:, 1] / p[:, 0]
    assert (np.diff(odds[(p[:, 0] > 1e-12) & (p[:, 1] > 1e-12)]) > 0).all()


# ── what all calibrations keep ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_cross_fitted_calibration_is_not_much_worse_than_the_temperature(name, seed):
    """Well calibrated logits, 300 rows: there is nothing to gain, and hardly anything is lost."""
    logits, labels = rows(300, seed=seed, pull=1.5)
    folds = np.random.default_rng(seed).integers(5, size=300)
    common = {"classes": NAMES, "log_source": SHARES, "log_target": SHARES}
    found = [
        cross_fitted(folds, [parse_remedy(n)], logits, labels, **common).probabilities
        for n in (name, "temperature")
    ]
    losses = [-np.log(p[np.arange(300), labels]).mean() for p in found]
    brier = [((p - np.eye(3)[labels]) ** 2).sum(axis=1).mean() for p in found]
    assert losses[0] - losses[1] <= 0.01
    assert brier[0] - brier[1] <= 0.01


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_a_temperature_alone_never_changes_the_decision(name):
    """Kept where nothing is gained, and then argmax is that of the logits."""
    logits, labels = rows(200, pull=2.5)
    rule = fit([name], logits * 3, labels)
    if rule.calibration is None:
        np.testing.assert_array_equal(decide(rule, posterior(rule, logits)), logits.argmax(axis=1))
    assert fit([name], logits * 3, labels).temperature == rule.temperature


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(0.01, 100), seed=st.integers(0, 99))
def test_argmax_is_untouched_by_a_temperature_and_by_equal_scales(scale, seed):
    logits = np.random.default_rng(seed).normal(size=(50, 4)) * 5
    flat = np.zeros(4)
    plain = DecisionRule(tuple("abcd"), scale, flat, flat, "argmax", flat)
    equal = replace(plain, temperature=1.0, calibration=VectorScaling(np.full(4, scale), flat))
    for rule in (plain, equal):
        np.testing.assert_array_equal(decide(rule, posterior(rule, logits)), logits.argmax(axis=1))


def test_neutral_parts_are_the_identity():
    logits, _ = rows(100)
    plain = DecisionRule(NAMES, 1.0, SHARES, FLAT, "argmax", np.zeros(3))
    ends = np.array([0.0, 1.0])
    neutral = [
        VectorScaling(np.ones(3), np.zeros(3)),
        Isotonic(SHARES, ((ends, ends),) * 3, np.full(3, 0.9)),
        Isotonic(FLAT, ((ends, ends[::-1]),) * 3, np.zeros(3)),
    ]
    for calibration in neutral:
        p = posterior(replace(plain, calibration=calibration), logits)
        np.testing.assert_allclose(p, posterior(plain, logits), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("text", UNPROVEN + CALIBRATIONS)
def test_a_constant_added_to_a_rows_logits_changes_nothing(text):
    logits, labels = rows(300)
    rule = fit([text], logits, labels)
    shifted = logits + np.random.default_rng(0).normal(size=(300, 1)) * 50
    np.testing.assert_allclose(posterior(rule, shifted), posterior(rule, logits), atol=1e-9)
    again = fit([text], shifted, labels)
    np.testing.assert_allclose(posterior(again, logits), posterior(rule, logits), atol=1e-4)


@pytest.mark.parametrize("text", UNPROVEN)
def test_rows_of_weight_two_are_rows_twice(text):
    logits, labels = rows(300)
    times = np.random.default_rng(0).integers(1, 3, 300)
    again = np.repeat(np.arange(300), times)
    kwargs = {"classes": NAMES, "log_source": SHARES, "log_target": SHARES, "log_train": SHARES}
    specs = [parse_remedy(text)]
    weighted = fit_rule(specs, logits, labels, weights=times.astype(float), **kwargs)
    repeated = fit_rule(specs, logits[again], labels[again], clusters=again, **kwargs)
    if "isotonic" in text:  # rows of a class are counted, not weighed, for how much is kept
        weighted, repeated = (
            replace(r, calibration=r.calibration and replace(r.calibration, kept=np.full(3, 0.5)))
            for r in (weighted, repeated)
        )
    np.testing.assert_allclose(posterior(weighted, logits), posterior(repeated, logits), atol=1e-4)


# ── validation rows whose classes have other shares than training's ───────────────────────────


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibration_is_fitted_under_the_shares_of_the_rows_it_sees(name):
    """A model of training's shares, twice too sure; validation rows are balanced."""
    logits, labels = rows(6000, shares=FLAT)
    scores = 2 * (logits - FLAT + SHARES)
    unseen, truth = rows(20_000, seed=1)
    rule = fit([name], scores, labels, log_train=SHARES)
    best = log_loss(fit([], unseen, truth), unseen, truth)
    found = log_loss(rule, 2 * unseen, truth)
    assert found == pytest.approx(best, abs=0.03)
