import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from equipoise.errors import DataError, SettingsError
from equipoise.remedies.batches import BATCHES, build_order, build_weights, class_weights
from equipoise.remedies.batches.order import balanced_order
from equipoise.remedies.losses import build_loss
from equipoise.remedies.prior import counts_drawn_alike, drawn_counts
from equipoise.remedies.spec import parse_remedy

from . import checks
from .checks.batches import CASES, ORDER_CHECKS, check_weights
from .checks.batches import order as ordered

KINDS = ["inverse", "sqrt", "effective"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("check", ORDER_CHECKS)
def test_rows_without_a_sampler(check, case):
    check(None, CASES[case])


@pytest.mark.parametrize("counts", [[40, 7, 3], [100_000, 1, 10], [9, 0, 4]])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999999])
def test_every_kind_of_class_weight(kind, counts, beta):
    check_weights("class_weights", {"kind": kind, "beta": beta}, np.array(counts))


def test_weights_by_hand():
    """Counts 8 and 2. Inverse 1/8 : 1/2 scaled to mean 1 over 10 rows: 0.625, 2.5.
    Square root: 1/sqrt 8 : 1/sqrt 2 = 1 : 2, mean (8 + 4)/10: 5/6, 5/3.
    Effective with beta 0.5: (1-0.5^8) : (1-0.5^2) = 255/256 : 3/4, inverted."""
    counts = np.array([8, 2])
    np.testing.assert_allclose(class_weights(counts), [0.625, 2.5])
    np.testing.assert_allclose(class_weights(counts, kind="sqrt"), [5 / 6, 5 / 3])
    raw = np.array([256 / 255, 4 / 3])
    expected = raw * 10 / (raw * counts).sum()
    actual = class_weights(counts, kind="effective", beta=0.5)
    np.testing.assert_allclose(actual, expected)


def test_inverse_weights_are_those_of_scikit_learn():
    labels = checks.LABELS["lopsided"]
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights(np.bincount(labels)), theirs)


def test_effective_number_lies_between_none_and_inverse():
    counts = np.array([100, 10, 1])
    np.testing.assert_allclose(class_weights(counts, kind="effective", beta=0.0), [1, 1, 1])
    nearly = class_weights(counts, kind="effective", beta=1 - 1e-9)
    np.testing.assert_allclose(nearly, class_weights(counts), rtol=1e-6)


def test_no_rows_no_weights():
    with pytest.raises(DataError, match="no class has training rows"):
        class_weights(np.zeros(3))


def test_weights_are_one_without_a_remedy_and_samplers_are_passed_over():
    counts = np.array([40, 7, 3])
    np.testing.assert_array_equal(build_weights([], counts), [1, 1, 1])
    specs = [parse_remedy("balanced_sampler"), parse_remedy("focal")]
    np.testing.assert_array_equal(build_weights(specs, counts), [1, 1, 1])


def test_natural_order_feeds_every_row_once_an_epoch():
    order = ordered(None, checks.LABELS["lopsided"], epochs=3)
    assert order.shape == (3, 50)
    assert (np.sort(order, axis=1) == np.arange(50)).all()
    assert len({epoch.tobytes() for epoch in order}) == 3


@pytest.mark.parametrize("case", checks.LABELS)
def test_balanced_order_is_balanced_in_every_window_and_repeats_last(case):
    labels = checks.shuffled(checks.LABELS[case])
    order = balanced_order(labels, 3, 4, np.random.default_rng(0)).ravel()
    present = np.unique(labels)
    whole = len(order) // len(present) * len(present)
    blocks = labels[order[:whole]].reshape(-1, len(present))
    assert (np.sort(blocks, axis=1) == present).all()
    for k in present:
        rows = np.flatnonzero(labels == k)
        drawn = order[labels[order] == k]
        for start in range(0, len(drawn) - len(rows) + 1, len(rows)):
            assert len(set(drawn[start : start + len(rows)])) == len(rows)


def test_epoch_rows_sets_the_length_of_an_epoch():
    labels = checks.LABELS["lopsided"]
    spec = parse_remedy("balanced_sampler:epoch_rows=9")
    order = build_order([spec], labels, 3, 2, np.random.default_rng(0))
    assert order.shape == (2, 9)
    np.testing.assert_allclose(drawn_counts(labels, order, 3), [3, 3, 3])


@pytest.mark.parametrize("epochs", [1, 5])
def test_places_left_over_make_no_class_a_rare_one(epochs):
    """100 places an epoch are no whole number for each of three classes."""
    labels = np.repeat([0, 1, 2, 4], [80, 15, 5, 0])
    order = balanced_order(labels, 5, epochs, np.random.default_rng(0))
    assert len(set(drawn_counts(labels, order, 5)[:3])) > 1
    counts = counts_drawn_alike(labels, order, 5)
    assert counts[0] == counts[1] == counts[2] == pytest.approx(100 / 3)
    assert not counts[3:].any()
    # Equal classes are all smoothed as the largest is.
    logits, rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), torch.arange(3)
    aware, plain = (
        build_loss(parse_remedy(text), counts)(logits, rows, 0.0)
        for text in ("label_aware_smoothing:epsilon=0.3", "label_smoothing:epsilon=0.3")
    )
    torch.testing.assert_close(aware, plain)
    natural = np.arange(100)[None]
    np.testing.assert_array_equal(counts_drawn_alike(labels, natural, 5), [80, 15, 5, 0, 0])


def test_two_samplers_are_refused():
    spec = parse_remedy("balanced_sampler")
    with pytest.raises(SettingsError, match="two samplers"):
        build_order([spec, spec], np.arange(3), 3, 1, np.random.default_rng(0))


def test_the_table_names_its_remedies_rightly():
    assert all(name == remedy.name for name, remedy in BATCHES.items())
