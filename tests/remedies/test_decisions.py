import subprocess
import sys

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from equipoise.errors import DivergedError, SettingsError, ShapeError
from equipoise.records.decision import DecisionRule, read_decision, write_decision
from equipoise.remedies.decisions.apply import decide, log_posterior, posterior
from equipoise.remedies.decisions.costs import cost_optimal
from equipoise.remedies.decisions.fit import cross_fitted, fit_rule
from equipoise.remedies.decisions.offsets import stratified_folds
from equipoise.remedies.decisions.temperature import fit_temperature
from equipoise.remedies.spec import parse_remedy

from .scored import FLAT, NAMES, SHARES, decided, fit, rows

# ── applying ──────────────────────────────────────────────────────────────────────────────────


def test_posterior_by_hand():
    """Source 0.8 : 0.15 : 0.05, target flat: odds are divided by the shares."""
    rule = fit([], *rows(0), log_target=FLAT)
    p = posterior(rule, SHARES[None])
    np.testing.assert_allclose(p, [[1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(posterior(fit([], *rows(0)), SHARES[None]), np.exp(SHARES)[None])


def test_temperature_divides_the_logits():
    rule = DecisionRule(NAMES, 2.0, FLAT, FLAT, "argmax", np.zeros(3))
    z = np.array([[2.0, 0, -4]])
    np.testing.assert_allclose(posterior(rule, z), softmax(z / 2, axis=1))


def test_huge_logits_stay_numbers_and_rows_sum_to_one():
    rule = fit([], *rows(0))
    p = posterior(rule, np.array([[1e6, 0, -1e6], [1e300, 1e300, 0]]))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert decide(rule, p)[0] == 0


def test_scores_that_do_not_fit_are_refused():
    rule = fit([], *rows(0))
    with pytest.raises(ShapeError, match=r"expected \(rows, 3\)"):
        posterior(rule, np.zeros((2, 2)))
    with pytest.raises(DivergedError, match="scores of 1 rows"):
        log_posterior(rule, np.array([[0, 0, 0], [0, np.nan, 0]]))


def test_cost_optimal_by_hand():
    """Missing a fraud costs 500, a false alarm 5: decide fraud above p = 5/505."""
    costs = np.array([[0, 5], [500, 0]])
    p = np.array([[1 - q, q] for q in (0.0098, 5 / 505 + 1e-9, 0.5)])
    assert cost_optimal(p, costs).tolist() == [0, 1, 1]
    brute = [min((0, 1), key=lambda d: sum(row[t] * costs[t, d] for t in (0, 1))) for row in p]
    assert cost_optimal(p, costs).tolist() == brute
    with pytest.raises(ShapeError, match="costs have shape"):
        cost_optimal(p, np.eye(3))


def test_equal_costs_decide_as_argmax():
    logits, labels = rows(500)
    by_cost = fit(["costs"], logits, labels, costs=1 - np.eye(3))
    assert by_cost.kind == "costs"
    np.testing.assert_array_equal(decided(by_cost, logits), logits.argmax(axis=1))


@pytest.mark.parametrize("price", [1, 10, 100, 1000])
def test_the_cost_optimal_decision_costs_less_than_argmax(price):
    costs = np.array([[0, 1, 1], [1, 0, 1], [price, price, 0]], dtype=float)
    logits, labels = rows(2000)
    fresh, truth = rows(20_000, seed=1)
    spent = [
        costs[truth, decided(fit(t, logits, labels, costs=costs), fresh)].mean()
        for t in (["temperature", "costs"], ["temperature"])
    ]
    assert spent[0] <= spent[1] * 1.001


def test_serving_a_rule_imports_no_torch():
    code = (
        "import sys, equipoise.remedies.decisions.apply, equipoise.remedies.decisions.fit\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ── temperature ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_temperature_is_that_of_brute_force(true):
    logits, labels = rows(3000)
    logits = (logits - SHARES) * true + SHARES
    ones = np.ones(len(labels))
    shift = np.zeros(3)
    fitted, _ = fit_temperature(logits, labels, ones, shift, shrink=0.0)
    grid = np.exp(np.linspace(np.log(fitted) - 0.2, np.log(fitted) + 0.2, 401))
    losses = [log_loss(labels, softmax(logits / t, axis=1), labels=[0, 1, 2]) for t in grid]
    assert abs(np.log(grid[np.argmin(losses)] / fitted)) < 0.0011  # one step of the grid


def test_temperature_under_a_prior_is_found_again():
    """Logits trained to a flat source, twice too large; the rows have shares 0.8, 0.15, 0.05."""
    logits, labels = rows(20_000)
    rule = fit(["temperature"], (logits - SHARES) * 2, labels, log_source=FLAT)
    assert rule.temperature == pytest.approx(2, rel=0.03)
    p = posterior(rule, (logits - SHARES) * 2)
    np.testing.assert_allclose(p.mean(axis=0), np.exp(SHARES), atol=0.01)


def test_temperature_with_weights_is_that_of_repeated_rows():
    logits, labels = rows(60)
    times = np.random.default_rng(0).integers(0, 4, 60)
    by_weight, _ = fit_temperature(logits, labels, times.astype(float), np.zeros(3))
    again = np.repeat(np.arange(60), times)
    by_rows, _ = fit_temperature(logits[again], labels[again], np.ones(len(again)), np.zeros(3))
    assert by_weight == pytest.approx(by_rows, rel=1e-4)


def test_few_rows_do_not_make_a_model_certain():
    z = np.array([[3.0, 0, 0]] * 30)
    separable, _ = fit_temperature(z, np.zeros(30, dtype=int), np.ones(30), np.zeros(3))
    assert 0.2 < separable <= 1
    rule = fit(["temperature"], z[:9], np.zeros(9, dtype=int))
    assert rule.temperature == 1
    assert "too few" in rule.notes[0]


# ── composing ─────────────────────────────────────────────────────────────────────────────────


def test_unknown_labels_and_empty_input():
    logits, labels = rows(300)
    more = np.concatenate([logits, logits[:50]])
    unknown = np.concatenate([labels, np.full(50, -1)])
    for texts in (["temperature"], ["measure_offsets"]):
        a, b = fit(texts, logits, labels), fit(texts, more, unknown)
        assert a.temperature == b.temperature
        np.testing.assert_array_equal(a.offsets, b.offsets)
    empty = fit(["temperature", "measure_offsets"], np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert (empty.temperature, empty.kind, len(empty.notes)) == (1, "argmax", 2)
    one_class = fit(["temperature", "measure_offsets"], logits, np.zeros(300, dtype=int))
    assert one_class.kind == "argmax"


def test_a_single_known_class():
    one = fit(
        ["temperature", "measure_offsets"],
        np.zeros((20, 1)),
        np.zeros(20, dtype=int),
        classes=("a",),
        log_source=np.zeros(1),
        log_target=np.zeros(1),
    )
    assert decided(one, np.zeros((4, 1))).tolist() == [0] * 4


def test_same_seed_same_rule_and_the_record_holds_all_of_it(tmp_path):
    logits, labels = rows(800, pull=1.5)
    texts = ["temperature", "posthoc_logit_adjustment:tau=0.5", "measure_offsets"]
    rule, again = fit(texts, logits, labels), fit(texts, logits, labels)
    write_decision(tmp_path / "a.json", rule)
    write_decision(tmp_path / "b.json", again)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    back = read_decision(tmp_path / "a.json")
    np.testing.assert_array_equal(posterior(back, logits), posterior(rule, logits))
    np.testing.assert_array_equal(decided(back, logits), decided(rule, logits))
    assert len(rule.notes) == 3


def test_what_can_not_be_composed():
    logits, labels = rows(50)
    with pytest.raises(SettingsError, match="costs and offsets both decide"):
        fit(["costs", "measure_offsets"], logits, labels, costs=np.eye(3))
    with pytest.raises(SettingsError, match="2 remedies are calibration"):
        fit(["temperature", "temperature"], logits, labels)
    with pytest.raises(SettingsError, match="needs costs"):
        fit(["costs"], logits, labels)
    with pytest.raises(SettingsError, match="not a remedy of the decision"):
        fit(["focal"], logits, labels)
    with pytest.raises(SettingsError, match="measure 'f3' is not known"):
        fit(["measure_offsets"], logits, labels, measure="f3")
    with pytest.raises(ShapeError, match="expected"):
        fit([], logits[:, :2], labels)
    with pytest.raises(ShapeError, match="-1 to 2"):
        fit([], logits, labels + 1)
    with pytest.raises(DivergedError, match="not finite"):
        fit([], logits * np.nan, labels)


# ── cross-fitting ─────────────────────────────────────────────────────────────────────────────


def test_each_fold_is_decided_by_a_rule_that_has_not_seen_it():
    logits, labels = rows(600, pull=1.5)
    folds = np.arange(600) % 3
    specs = [parse_remedy("temperature"), parse_remedy("measure_offsets")]
    common = {"classes": NAMES, "log_source": SHARES, "log_target": SHARES}
    found = cross_fitted(folds, specs, logits, labels, **common)
    held = folds == 1
    other = fit_rule(specs, logits[~held], labels[~held], **common)
    np.testing.assert_array_equal(found.probabilities[held], posterior(other, logits[held]))
    np.testing.assert_array_equal(found.decided[held], decided(other, logits[held]))
    assert found.rule.temperature == fit_rule(specs, logits, labels, **common).temperature
    # A fold's own labels play no part in how it is decided.
    wrong = labels.copy()
    wrong[held] = (wrong[held] + 1) % 3
    again = cross_fitted(folds, specs, logits, wrong, **common)
    np.testing.assert_array_equal(again.decided[held], found.decided[held])


def test_weights_go_with_their_fold():
    logits, labels = rows(200)
    weights = np.random.default_rng(0).uniform(0.1, 2, 200)
    folds = np.arange(200) % 2
    common = {"classes": NAMES, "log_source": SHARES, "log_target": SHARES}
    specs = [parse_remedy("temperature")]
    found = cross_fitted(folds, specs, logits, labels, weights=weights, **common)
    odd = folds == 1
    other = fit_rule(specs, logits[odd], labels[odd], weights=weights[odd], **common)
    np.testing.assert_array_equal(found.probabilities[~odd], posterior(other, logits[~odd]))
    with pytest.raises(ShapeError, match="one per row"):
        cross_fitted(folds[:5], specs, logits, labels, **common)


def test_folds_hold_each_class_evenly():
    labels = np.repeat([0, 1, 2], [50, 10, 3])
    fold = stratified_folds(labels, np.arange(63), 5, np.random.default_rng(0))
    assert np.ptp(np.bincount(fold, minlength=5)) <= 1
    for k, most in ((0, 10), (1, 2), (2, 1)):
        assert np.bincount(fold[labels == k], minlength=5).max() <= most


def test_duplicates_stay_in_one_fold():
    labels = np.repeat([0, 1, 2], [50, 10, 3])
    clusters = np.random.default_rng(0).permutation(np.repeat(np.arange(21), 3))
    fold = stratified_folds(labels, clusters, 5, np.random.default_rng(0))
    for cluster in range(21):
        assert len(set(fold[clusters == cluster])) == 1
    assert np.ptp(np.bincount(fold, minlength=5)) <= 3
    # What the clusters are called makes no difference.
    again = stratified_folds(labels, 100 - clusters, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(again, fold)
