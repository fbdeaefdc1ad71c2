"""Decisions for the class shares of the rows decided, and by a head whose norms are taken out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from equipoise.errors import SettingsError
from equipoise.records.decision import read_decision, write_decision
from equipoise.remedies.decisions.apply import posterior, rescaled, with_estimated_prior
from equipoise.remedies.decisions.estimate import estimate_log_prior
from equipoise.remedies.decisions.fit import cross_fitted
from equipoise.remedies.spec import parse_remedies, parse_remedy

from .scored import FLAT, NAMES, SHARES, decided, fit, rows

SHIFTED = np.log(np.array([0.3, 0.2, 0.5]))


def scores(n, seed=0, pull=2.0):
    """Logits that are a posterior under SHARES, of rows that have the shares SHIFTED."""
    logits, labels = rows(n, seed, shares=SHIFTED, pull=pull)
    return logits - SHIFTED + SHARES, labels


# ── the estimate ──────────────────────────────────────────────────────────────────────────────


def test_shifted_shares_are_found_without_labels():
    logits, labels = scores(20_000)
    found = estimate_log_prior(np.log(posterior(fit([], *rows(0)), logits)), SHARES, 0.0)
    np.testing.assert_allclose(np.exp(found), np.bincount(labels) / 20_000, atol=0.01)


def test_the_estimate_maximises_the_likelihood():
    """Against a general optimiser on the log-likelihood of the mixture."""
    logits, _ = scores(400, pull=1.0)
    log_p = np.log(posterior(fit([], *rows(0)), logits))

    def surprise(free):
        shares = np.exp(np.append(free, 0))
        shares /= shares.sum()
        return -np.log(np.exp(log_p - SHARES) @ shares).sum()

    best = minimize(surprise, np.zeros(2), tol=1e-12).x
    shares = np.exp(np.append(best, 0))
    found = np.exp(estimate_log_prior(log_p, SHARES, 0.0))
    np.testing.assert_allclose(found, shares / shares.sum(), atol=1e-4)


def test_pull_rows_hold_the_estimate_by_hand():
    """Rows that are certain: (rows of the class + pull x stated share) / (rows + pull)."""
    log_p = np.where(np.eye(3)[[0, 0, 1, 2]] > 0, 0.0, -800.0)
    found = np.exp(estimate_log_prior(log_p, FLAT, 6.0))
    np.testing.assert_allclose(found, [0.4, 0.3, 0.3])
    alone = np.exp(estimate_log_prior(log_p[:2], FLAT, 0.0))
    np.testing.assert_allclose(alone, [1, 0, 0], atol=1e-300)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(1, 60), pull=st.floats(0, 100))
def test_an_estimate_is_shares_whatever_the_rows(seed, n, pull):
    rng = np.random.default_rng(seed)
    log_p = rng.normal(size=(n, 3)) * rng.choice([1, 30, 1000])
    log_p -= np.log(np.exp(log_p - log_p.max(1, keepdims=True)).sum(1, keepdims=True))
    log_p -= log_p.max(1, keepdims=True)
    found = np.exp(estimate_log_prior(log_p, SHARES, pull))
    assert found.sum() == pytest.approx(1)
    order = np.array([2, 0, 1])
    turned = np.exp(estimate_log_prior(log_p[:, order], SHARES[order], pull))
    np.testing.assert_allclose(turned, found[order], atol=1e-5)


# ── the remedy ────────────────────────────────────────────────────────────────────────────────


def test_a_rule_decides_for_the_shares_of_the_rows_it_is_given(tmp_path):
    logits, labels = rows(2000)
    fresh, truth = scores(2000, seed=1)
    rule = fit(["temperature", "prior_shift"], logits, labels)
    moved = with_estimated_prior(rule, fresh)
    assert moved.prior_shift.rows == 2000
    # The stated shares count for 100 rows beside these.
    np.testing.assert_allclose(np.exp(moved.log_target), np.bincount(truth) / 2000, atol=0.05)
    right = [(decided(r, fresh) == truth).mean() for r in (rule, moved)]
    assert right[1] > right[0] + 0.02
    # Estimating starts from the stated shares every time, so that no estimate hangs on another.
    np.testing.assert_array_equal(with_estimated_prior(moved, fresh).log_target, moved.log_target)
    np.testing.assert_array_equal(
        with_estimated_prior(moved, logits).log_target,
        with_estimated_prior(rule, logits).log_target,
    )
    assert with_estimated_prior(rule, fresh[:0]) is rule
    write_decision(tmp_path / "d.json", moved)
    back = read_decision(tmp_path / "d.json")
    np.testing.assert_array_equal(posterior(back, fresh), posterior(moved, fresh))
    # A rule without the remedy may be asked as well.
    plain = with_estimated_prior(fit(["temperature"], logits, labels), fresh)
    np.testing.assert_array_equal(plain.log_target, moved.log_target)


def test_without_a_shift_hardly_anything_moves():
    logits, labels = rows(3000)
    rule = fit(["prior_shift"], logits, labels)
    np.testing.assert_allclose(np.exp(rule.log_target), np.exp(SHARES), atol=0.02)
    plain = fit([], logits, labels)
    assert (decided(rule, logits) != decided(plain, logits)).mean() < 0.01


def test_a_folds_labels_play_no_part_in_how_it_is_decided():
    logits, labels = scores(900)
    folds = np.arange(900) % 3
    common = {"classes": NAMES, "log_source": SHARES, "log_target": SHARES, "log_train": SHARES}
    specs = [parse_remedy("temperature"), parse_remedy("prior_shift")]
    found = cross_fitted(folds, specs, logits, labels, **common)
    turned = np.where(folds == 1, (labels + 1) % 3, labels)
    again = cross_fitted(folds, specs, logits, turned, **common)
    np.testing.assert_array_equal(found.probabilities[folds == 1], again.probabilities[folds == 1])
    # All rows tell the shares, also those of the fold: they are the rows to be decided.
    alone = cross_fitted(folds, specs[1:], logits, labels, **common)
    np.testing.assert_allclose(
        alone.probabilities.mean(axis=0), np.bincount(labels) / 900, atol=0.03
    )


def test_a_stated_correction_gives_way_to_the_rows_shares():
    logits, labels = rows(500)
    start = np.array([0, 1.0, 2.0])
    assert fit([], logits, labels, start=start).kind == "offsets"
    assert fit(["prior_shift"], logits, labels, start=start).kind == "argmax"


def test_what_excludes_the_estimate():
    with pytest.raises(SettingsError, match="one takes the class shares out"):
        parse_remedies(["prior_shift", "posthoc_logit_adjustment"])
    for fitted in ("measure_offsets", "per_group_thresholds"):
        with pytest.raises(SettingsError, match="under those of validation rows"):
            parse_remedies(["prior_shift", fitted])
    parse_remedies(["vector_scaling_calibration", "prior_shift", "costs"])


# ── tau-normalisation ─────────────────────────────────────────────────────────────────────────


def head(seed=0, n=3000, norms=(3.0, 1.0, 0.5)):
    """A linear head's logits, from its features, weights and biases."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 8))
    weights *= np.array(norms)[:, None] / np.linalg.norm(weights, axis=1, keepdims=True)
    labels = rng.choice(3, n, p=np.exp(SHARES))
    units = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    x = rng.normal(size=(n, 8)) + 2 * units[labels]
    bias = np.array([0.5, 0.0, -0.5])
    return x, weights, bias, labels


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logits_are_those_of_the_normalised_head(tau):
    x, weights, bias, labels = head()
    norms = np.linalg.norm(weights, axis=1)
    given = {"head_norms": norms, "head_bias": bias, "log_train": SHARES}
    rule = fit([f"tau_normalisation:tau={tau}"], x @ weights.T + bias, labels, **given)
    exact = x @ (weights / norms[:, None] ** tau).T
    ours = rescaled(rule, x @ weights.T + bias)
    factor = ours[0, 0] / exact[0, 0]
    assert factor > 0
    np.testing.assert_allclose(ours, factor * exact, rtol=1e-9)
    # The largest of them decides; probabilities put the class shares back.
    np.testing.assert_array_equal(decided(rule, x @ weights.T + bias), exact.argmax(axis=1))
    p = posterior(rule, x @ weights.T + bias)
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(labels) / len(labels), atol=0.02)
    # A temperature after it leaves the decision where it is.
    both = fit([f"tau_normalisation:tau={tau}", "temperature"], x @ weights.T + bias, labels,
               **given)  # fmt: skip
    np.testing.assert_array_equal(decided(both, x @ weights.T + bias), exact.argmax(axis=1))


def test_estimated_shares_take_the_place_of_normalised_logits():
    x, weights, bias, labels = head()
    z = x @ weights.T + bias
    given = {"head_norms": np.linalg.norm(weights, axis=1), "head_bias": bias, "log_train": SHARES}
    assert fit(["tau_normalisation"], z, labels, **given).kind == "offsets"
    rule = fit(["tau_normalisation", "prior_shift"], z, labels, **given)
    assert rule.rescale is not None
    assert rule.kind == "argmax"
    np.testing.assert_array_equal(decided(rule, z), posterior(rule, z).argmax(axis=1))


def test_tau_nought_and_equal_norms_change_nothing():
    x, weights, bias, labels = head()
    z = x @ weights.T + bias
    given = {"head_norms": np.linalg.norm(weights, axis=1), "head_bias": bias}
    neutral = fit(["tau_normalisation:tau=0"], z, labels, **given)
    np.testing.assert_array_equal(posterior(neutral, z), posterior(fit([], z, labels), z))
    x, weights, bias, labels = head(norms=(2.0, 2.0, 2.0))
    z = x @ weights.T
    equal = fit(
        ["tau_normalisation"],
        z,
        labels,
        head_norms=np.full(3, 2.0),
        head_bias=np.zeros(3),
        log_train=SHARES,
    )
    np.testing.assert_array_equal(decided(equal, z), z.argmax(axis=1))


def test_what_tau_normalisation_refuses():
    x, weights, bias, labels = head(n=50)
    z = x @ weights.T
    with pytest.raises(SettingsError, match="needs head_norms"):
        fit(["tau_normalisation"], z, labels)
    with pytest.raises(SettingsError, match="weight vector 0"):
        fit(["tau_normalisation"], z, labels, head_norms=np.array([1, 0, 1.0]), head_bias=bias)
    with pytest.raises(SettingsError, match="one takes the class shares out"):
        parse_remedies(["tau_normalisation", "posthoc_logit_adjustment"])
    with pytest.raises(SettingsError, match="both decide"):
        parse_remedies(["tau_normalisation", "costs"])
