import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.remedies.rows import choose_rows, random_oversample, random_undersample
from equipoise.remedies.spec import parse_remedy

from . import checks

LABELS = checks.shuffled(checks.LABELS["lopsided"])  # 7, 3, 40


def rng():
    return np.random.default_rng(0)


def counts(index):
    return np.bincount(LABELS[index], minlength=3).tolist()


def test_oversampling_by_hand():
    assert counts(random_oversample(LABELS, 3, rng())) == [40, 40, 40]
    assert counts(random_oversample(LABELS, 3, rng(), ratio=0.5)) == [20, 20, 40]
    assert counts(random_oversample(LABELS, 3, rng(), ratio=0.1)) == [7, 4, 40]
    assert counts(random_oversample(LABELS, 3, rng(), most_repeats=4)) == [28, 12, 40]
    assert counts(random_oversample(LABELS, 3, rng(), most_repeats=1)) == [7, 3, 40]


def test_undersampling_by_hand():
    assert counts(random_undersample(LABELS, 3, rng())) == [3, 3, 3]
    assert counts(random_undersample(LABELS, 3, rng(), ratio=0.5)) == [6, 3, 6]
    assert counts(random_undersample(LABELS, 3, rng(), at_least=10)) == [7, 3, 10]


def test_a_share_that_binary_can_not_hold_loses_no_row():
    labels = np.repeat([0, 1], [100, 5])
    index = random_oversample(labels, 2, rng(), ratio=0.29)
    assert np.bincount(labels[index]).tolist() == [100, 29]


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_laws_of_resampling(seed, ratio):
    labels = np.random.default_rng(seed).choice(4, size=60, p=[0.7, 0.2, 0.07, 0.03])
    before = np.bincount(labels, minlength=4)
    more = random_oversample(labels, 4, np.random.default_rng(seed), ratio=ratio)
    after = np.bincount(labels[more], minlength=4)
    assert set(more) == set(range(60))
    assert after.max() == before.max()
    assert after[before > 0].min() >= np.floor(ratio * before.max())
    # Rows of one class are repeated equally often, give or take one.
    times = np.bincount(more, minlength=60)
    assert all(np.ptp(times[labels == k]) <= 1 for k in set(labels))

    fewer = random_undersample(labels, 4, np.random.default_rng(seed), ratio=ratio)
    after = np.bincount(labels[fewer], minlength=4)
    assert len(set(fewer)) == len(fewer)
    assert after[before > 0].min() == before[before > 0].min()
    assert after.max() <= max(before[before > 0].min() / ratio + 1e-6, 1)


def test_every_row_is_as_likely_to_be_kept():
    labels = np.repeat([0, 1], [20, 5])
    kept = np.zeros(25)
    for seed in range(2000):
        kept[random_undersample(labels, 2, np.random.default_rng(seed))] += 1
    # 2000 draws of 5 in 20: 500 each, standard deviation sqrt(2000 * 0.25 * 0.75) = 19.4.
    assert np.abs(kept[:20] - 500).max() < 5 * 19.4
    assert (kept[20:] == 2000).all()


@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.0])
def test_counts_are_those_of_imbalanced_learn(ratio):
    labels = np.repeat([0, 1], [97, 13])
    rows = np.arange(110)[:, None]
    for reference, own in (
        (RandomOverSampler, random_oversample),
        (RandomUnderSampler, random_undersample),
    ):
        _, theirs = reference(sampling_strategy=ratio, random_state=0).fit_resample(rows, labels)
        ours = labels[own(labels, 2, rng(), ratio=ratio)]
        np.testing.assert_array_equal(np.bincount(ours), np.bincount(theirs))


def test_counts_of_many_classes_are_those_of_imbalanced_learn():
    rows = np.arange(len(LABELS))[:, None]
    _, more = RandomOverSampler(random_state=0).fit_resample(rows, LABELS)
    _, fewer = RandomUnderSampler(random_state=0).fit_resample(rows, LABELS)
    assert counts(random_oversample(LABELS, 3, rng())) == np.bincount(more).tolist()
    assert counts(random_undersample(LABELS, 3, rng())) == np.bincount(fewer).tolist()


def test_remedies_act_one_after_the_other_and_say_what_they_did():
    specs = [parse_remedy("random_undersample:at_least=20"), parse_remedy("random_oversample")]
    found = choose_rows(specs, LABELS, 3, rng())
    assert [s.before.tolist() for s in found.steps] == [[7, 3, 40], [7, 3, 20]]
    assert [s.after.tolist() for s in found.steps] == [[7, 3, 20], [20, 20, 20]]
    assert counts(found.index) == [20, 20, 20]
    assert found.steps[1].effect == (
        "random_oversample turned 30 rows into 60, changing 2 of 3 classes; the largest class had "
        "6.67 times the rows of the smallest, now 1."
    )
    assert "changed nothing" in choose_rows(specs[1:], np.arange(3), 3, rng()).steps[0].effect


def test_no_remedy_feeds_every_row_once():
    assert choose_rows([], LABELS, 3, rng()).index.tolist() == list(range(50))


def test_what_cannot_be_resampled():
    with pytest.raises(DataError, match="no training rows"):
        random_oversample(np.zeros(0, dtype=np.int64), 3, rng())
    with pytest.raises(ShapeError, match="from 0 to 3; expected 0 to 2"):
        random_undersample(np.arange(4), 3, rng())
    with pytest.raises(ShapeError, match="one whole number per row"):
        random_undersample(np.zeros(4), 3, rng())
    with pytest.raises(SettingsError, match="not a remedy on rows"):
        choose_rows([parse_remedy("focal")], LABELS, 3, rng())
