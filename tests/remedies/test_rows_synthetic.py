"""Synthetic vectors: equal to imbalanced-learn's where it can make them, and sound where not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE

from equipoise.errors import MissingExtraError, ShapeError
from equipoise.remedies.rows import between, synthesise
from equipoise.remedies.rows.synthetic import (
    adasyn,
    borderline_smote,
    smote,
    smote_enn,
    smote_tomek,
)
from equipoise.remedies.spec import parse_remedy, remedy_spec

from .test_rows_near import rng, table

# ── against imbalanced-learn ──────────────────────────────────────────────────────────────────


def seeded(sampler, times=1, **settings):
    """The sampler with the numbers that our remedy draws for it from `rng()`."""
    draws = rng()
    seeds = [int(draws.integers(2**32)) for _ in range(times)]
    return sampler(random_state=np.random.RandomState(seeds[-1]), **settings)


def same_rows(ours, theirs):
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


SAMPLERS = [(smote, SMOTE), (borderline_smote, BorderlineSMOTE), (adasyn, ADASYN)]


@pytest.mark.parametrize(("function", "sampler"), SAMPLERS)
@pytest.mark.parametrize("counts", [[90, 20], [80, 12, 30], [12, 80, 30, 41]])
@pytest.mark.parametrize("ratio", [1.0, 0.9])
def test_made_as_imbalanced_learn_makes_them(function, sampler, counts, ratio):
    labels, vectors = table(counts, seed=2)
    # As many classes as rows have first, so that the draws come in the same order.
    first = np.unique(labels, return_index=True)[1]
    labels = np.argsort(np.argsort(first))[labels]
    target = {k: max(n, int(ratio * max(counts))) for k, n in enumerate(np.bincount(labels))}
    found = function(labels, 4, rng(), vectors=vectors, ratio=ratio, most_made=None)
    reference = seeded(sampler, sampling_strategy=target)
    theirs, their_labels = reference.fit_resample(vectors, labels)
    assert found.kept.tolist() == list(range(len(labels)))
    np.testing.assert_array_equal(found.labels, their_labels[len(labels) :])
    np.testing.assert_array_equal(found.vectors, theirs[len(labels) :])
    assert len(found.vectors) > 20


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("function", "sampler"), [(smote_enn, SMOTEENN), (smote_tomek, SMOTETomek)]
)
def test_cleaned_as_imbalanced_learn_cleans_them(function, sampler, seed):
    labels, vectors = table([90, 25], seed=seed, spread=1)
    if labels[0] == 1:
        labels = 1 - labels
    found = function(labels, 2, rng(), vectors=vectors, most_made=None)
    theirs, their_labels = seeded(sampler).fit_resample(vectors, labels)
    ours = np.concatenate([vectors[found.kept], found.vectors])
    both = np.concatenate([labels[found.kept], found.labels])
    same_rows(np.column_stack([ours, both]), np.column_stack([theirs, their_labels]))


# ── laws ──────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 8), st.sampled_from([smote, borderline_smote, adasyn]))
def test_each_lies_between_its_parent_and_a_near_row_of_its_class(seed, neighbours, function):
    counts = np.random.default_rng(seed).integers(1, 40, size=4)
    labels, vectors = table(counts, seed=seed)
    found = function(labels, 4, rng(), vectors=vectors, neighbours=neighbours)
    assert (labels[found.parents] == found.labels).all()
    after = counts + np.bincount(found.labels, minlength=4)
    assert after.max() <= counts.max() + 20  # ADASYN rounds up row by row
    for vector, parent in zip(found.vectors, found.parents, strict=True):
        rows = vectors[labels == labels[parent]]
        gaps = np.linalg.norm(rows - vectors[parent], axis=1)
        near = rows[np.argsort(gaps)[1 : neighbours + 1]]
        along = near - vectors[parent]
        step = (along @ (vector - vectors[parent])) / (along**2).sum(axis=1)
        off = np.linalg.norm(vectors[parent] + step[:, None] * along - vector, axis=1)
        assert ((off < 1e-4) & (step > -1e-4) & (step < 1 + 1e-4)).any()


def test_small_classes_use_the_rows_they_have():
    labels = np.repeat([0, 1, 2, 3], [30, 1, 2, 4])
    vectors = rng().standard_normal((37, 5)).astype(np.float32)
    found = smote(labels, 4, rng(), vectors=vectors)
    assert np.bincount(found.labels).tolist() == [0, 0, 20, 26]
    assert found.left == {1: "a single row has no neighbour"}
    # The two rows of class 2 lie on one line.
    ends = vectors[31:33]
    line = ends[1] - ends[0]
    for vector in found.vectors[found.labels == 2]:
        step = (vector - ends[0]) @ line / (line @ line)
        np.testing.assert_allclose(ends[0] + step * line, vector, atol=1e-5)
    unlimited = smote(labels, 4, rng(), vectors=vectors, most_made=None)
    assert np.bincount(unlimited.labels).tolist() == [0, 0, 28, 26]


def test_a_class_far_from_all_others_gets_none_where_borders_are_looked_for():
    labels, vectors = table([60, 12, 30], seed=3, spread=0.2)
    vectors[labels == 1] += 100
    for name in ("adasyn", "borderline_smote"):
        _, step = synthesise(
            remedy_spec(name), labels, 3, rng(), vectors=vectors, names=("a", "far", "c")
        )
        assert step.after[1] == 12
        assert "far" in step.effect
        assert "none of its rows lies near another class" in step.effect


def test_adasyn_makes_none_where_imbalanced_learn_raises():
    """Seven vectors are wanted of 41 rows that are hard alike: each row's share is rounded to 0."""
    labels, vectors = table([12, 80, 30, 41], seed=2)
    found = adasyn(labels, 4, rng(), vectors=vectors, ratio=0.6)
    assert found.left == {3: "too few are wanted to go round its rows"}
    assert np.bincount(found.labels, minlength=4).tolist()[1::2] == [0, 0]


def test_the_record_counts_rows_and_says_who_got_none():
    labels = np.repeat([0, 1, 2], [10, 1, 4])
    vectors = rng().standard_normal((15, 5)).astype(np.float32)
    made, step = synthesise(
        parse_remedy("smote"), labels, 3, rng(), vectors=vectors, names=("news", "odd", "sport")
    )
    assert step.before.tolist() == [10, 1, 4]
    assert step.after.tolist() == [10, 1, 10]
    assert len(made.vectors) == 6
    assert step.effect == (
        "smote turned 15 rows into 21, changing 1 of 3 classes; the largest class had 10 times the "
        "rows of the smallest, now 10. Of these 6 are vectors made from rows of small classes. "
        "None were made for odd (a single row has no neighbour)."
    )


def test_no_class_is_cleaned_away():
    labels = np.repeat([0, 1], [3, 2])
    vectors = np.array([[0], [2], [4], [1], [3]], dtype=np.float32)
    for function in (smote_enn, smote_tomek):
        found = function(labels, 2, rng(), vectors=vectors)
        both = np.concatenate([labels[found.kept], found.labels])
        assert set(both) == {0, 1}


def test_two_to_the_26th_rows_can_be_told_apart():
    ends = np.array([0, 1, 2**26 - 1, 2**26 - 2], dtype=np.float64)
    for a in ends:
        for b in ends:
            both = a + between._STEP * (b - a)
            assert np.rint(both) == a
            assert np.rint(both) + np.rint((both - np.rint(both)) / between._STEP) == b


def test_what_is_refused(monkeypatch):
    labels, vectors = table([20, 5])
    with pytest.raises(ShapeError, match="expected"):
        smote(labels, 2, rng(), vectors=vectors[:3])
    monkeypatch.setattr(between, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'equipoise\[sampling\]'"):
        smote(labels, 2, rng(), vectors=vectors)


def test_nothing_to_make_makes_nothing():
    labels, vectors = table([20, 20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert smote(labels, 2, rng(), vectors=vectors).vectors.shape == (0, 6)
