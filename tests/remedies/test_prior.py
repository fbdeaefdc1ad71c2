import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import DataError
from equipoise.remedies.batches import build_order, build_weights
from equipoise.remedies.losses import LOSSES
from equipoise.remedies.prior import (
    drawn_counts,
    log_shares,
    normalised,
    shares_of_rows,
    trained_correction,
)
from equipoise.remedies.source import log_source
from equipoise.remedies.spec import parse_remedy

COUNTS = np.array([8, 2])
FLAT = [0.5, 0.5]


def source(texts, counts=COUNTS, **kwargs):
    return np.exp(log_source([parse_remedy(t) for t in texts], counts, **kwargs))


def test_sources_by_hand():
    np.testing.assert_allclose(source([]), [0.8, 0.2])
    np.testing.assert_allclose(source(["focal"]), [0.8, 0.2])
    np.testing.assert_allclose(source(["logit_adjusted"]), FLAT)
    # sqrt(0.8) : sqrt(0.2) = 2 : 1
    np.testing.assert_allclose(source(["logit_adjusted:tau=0.5"]), [2 / 3, 1 / 3])
    np.testing.assert_allclose(source(["weighted_cross_entropy"]), FLAT)
    np.testing.assert_allclose(source(["weighted_cross_entropy:kind=sqrt"]), [2 / 3, 1 / 3])
    np.testing.assert_allclose(source([], drawn=np.array([5, 5])), FLAT)
    # 0.8 * 1 : 0.2 * 3
    np.testing.assert_allclose(source([], weights=np.array([1.0, 3.0])), [4 / 7, 3 / 7])


def test_two_cures_overshoot_to_the_mirror_image():
    """What the refused pairs do: the rare class ends up as frequent as the common one was."""
    weights = build_weights([parse_remedy("class_weights")], COUNTS)
    np.testing.assert_allclose(source([], weights=weights), FLAT)
    np.testing.assert_allclose(source(["logit_adjusted"], weights=weights), [0.2, 0.8])
    np.testing.assert_allclose(source([], weights=weights, drawn=np.array([5, 5])), [0.2, 0.8])
    np.testing.assert_allclose(source(["logit_adjusted"], drawn=np.array([5, 5])), [0.2, 0.8])


def test_half_cures_compose_to_a_whole_one():
    weights = build_weights([parse_remedy("class_weights:kind=sqrt")], COUNTS)
    np.testing.assert_allclose(source(["logit_adjusted:tau=0.5"], weights=weights), FLAT)


def test_after_oversampling_nothing_is_left_to_correct():
    fed = np.array([8, 8])
    for texts in ([], ["logit_adjusted"], ["weighted_cross_entropy"]):
        np.testing.assert_allclose(source(texts, counts=fed), FLAT)


def test_the_balanced_sampler_draws_flat_shares():
    labels = np.repeat([0, 1], [8, 2])
    specs = [parse_remedy("balanced_sampler")]
    order = build_order(specs, labels, 2, 3, np.random.default_rng(0))
    drawn = drawn_counts(labels, order, 2)
    np.testing.assert_allclose(drawn, [5, 5])
    np.testing.assert_allclose(np.exp(log_source(specs, COUNTS, drawn=drawn)), FLAT)


def test_every_loss_that_corrects_the_prior_says_how():
    for remedy in LOSSES.values():
        assert remedy.corrects_prior == (remedy.prior_shift is not None), remedy.name


def test_shares_sum_to_one_at_extreme_ratios():
    for texts in (["logit_adjusted:tau=3"], ["weighted_cross_entropy"], []):
        log = log_source([parse_remedy(t) for t in texts], np.array([10**9, 1, 7]))
        assert np.isfinite(log).all()
        np.testing.assert_allclose(np.exp(log).sum(), 1)
    np.testing.assert_allclose(normalised(np.array([-2000.0, -2000.0])), np.log(FLAT))


def test_weights_that_were_not_on_moved_nothing():
    ldam = [parse_remedy("ldam:defer=0.8")]
    counts = np.array([900, 100])
    early = log_source(ldam, counts, progress=0.79)
    np.testing.assert_allclose(early, log_shares(counts))
    late = log_source(ldam, counts, progress=0.8)
    np.testing.assert_array_equal(late, log_source(ldam, counts))
    assert late[1] > early[1] + 0.5


def test_a_class_without_rows_is_named():
    with pytest.raises(DataError, match=r"classes \[1\] have no training rows"):
        log_shares(np.array([3, 0]))


def test_trained_correction_is_what_training_took_out():
    given = log_shares(COUNTS)
    np.testing.assert_allclose(trained_correction(given, given), [0, 0], atol=1e-15)
    flat = log_source([parse_remedy("logit_adjusted")], COUNTS)
    np.testing.assert_allclose(trained_correction(flat, given), [0, np.log(4)])


def test_a_stated_target_is_not_corrected_once_more():
    given = log_shares(COUNTS)
    flat = log_source([parse_remedy("logit_adjusted")], COUNTS)
    np.testing.assert_array_equal(trained_correction(flat, given, np.log(FLAT)), [0, 0])
    np.testing.assert_allclose(trained_correction(flat, given, given), [0, np.log(4)])


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 40), rows=st.integers(0, 3000))
@settings(deadline=None)
def test_rows_drawn_by_the_shares_of_training_keep_them_nearly(seed, classes, rows):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(classes)) * 0.99 + 0.01 / classes
    counts = rng.multinomial(rows, shares).astype(float)
    found = np.exp(shares_of_rows(counts, np.log(shares)))
    assert found.sum() == pytest.approx(1)
    own = counts / max(rows, 1)
    assert (found >= np.minimum(own, shares) - 1e-12).all(), "between training's and the rows' own"
    assert (found <= np.maximum(own, shares) + 1e-12).all()
    drift = np.abs(found - shares).sum()
    assert drift <= np.abs(own - shares).sum() + 1e-12


def test_stratified_rows_have_the_shares_of_training_to_the_bit():
    trained = log_shares(COUNTS)
    assert shares_of_rows(COUNTS / 4, trained) is trained
    assert shares_of_rows(np.zeros(2), trained) is trained


def test_rows_of_other_shares_have_their_own():
    trained = log_shares(np.array([900, 90, 10]))
    np.testing.assert_allclose(np.exp(shares_of_rows(np.full(3, 400.0), trained)), 1 / 3, atol=0.01)
    few = np.exp(shares_of_rows(np.array([3.0, 3.0, 3.0]), trained))
    assert 0.1 < few[2] < 1 / 3, "three of nine rows are of a class that was one in a hundred"
    assert shares_of_rows(np.array([8.0, 1.0, 0.0]), trained) is trained


@pytest.mark.parametrize("classes", [2, 20, 100])
def test_few_tables_drawn_by_the_shares_of_training_speak_against_them(classes):
    rng = np.random.default_rng(0)
    against = 0
    for rows in np.repeat([100, 1500], 200):
        shares = rng.dirichlet(np.ones(classes)) * 0.99 + 0.01 / classes
        trained = np.log(shares)
        found = shares_of_rows(rng.multinomial(rows, shares).astype(float), trained)
        against += found is not trained
    assert against <= 0.03 * 400
