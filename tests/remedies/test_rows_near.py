"""Remedies that choose rows by their vectors, against imbalanced-learn and by hand."""

import warnings

import numpy as np
import pytest
from imblearn.under_sampling import (
    ClusterCentroids,
    EditedNearestNeighbours,
    NearMiss,
    TomekLinks,
)
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.remedies.rows import choose_rows
from equipoise.remedies.rows.clean import edited_nearest_neighbours, tomek_links
from equipoise.remedies.rows.clusters import cluster_undersample, redundancy_undersample
from equipoise.remedies.rows.near_miss import near_miss
from equipoise.remedies.rows.neighbours import distances, nearest
from equipoise.remedies.spec import parse_remedy


def rng(seed=0):
    return np.random.default_rng(seed)


def table(counts, width=6, seed=0, spread=1.5):
    """Labels in random order, and overlapping clouds of vectors, one per class."""
    random = rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = random.standard_normal((len(counts), width))
    vectors = centres[labels] + spread * random.standard_normal((len(labels), width))
    return labels, vectors.astype(np.float32)


def kept_by(sampler, vectors, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NearMiss-3 says that its shortlist was short
        sampler.fit_resample(vectors, labels)
    return np.sort(sampler.sample_indices_)


# ── neighbours ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("k", [1, 5, 40])
def test_neighbours_are_those_of_scikit_learn(k):
    _, vectors = table([300, 40])
    wanted, index = NearestNeighbors(n_neighbors=k + 1).fit(vectors).kneighbors(vectors)
    found = nearest(vectors, vectors, k, own=np.arange(340))
    np.testing.assert_allclose(distances(vectors, vectors, found), wanted[:, 1:], rtol=1e-5)
    # Of two rows at the same distance to seven digits, either may come first.
    assert np.mean(found == index[:, 1:]) > 0.999


def test_the_farthest_are_the_nearest_from_behind():
    queries, base = np.zeros((1, 1), np.float32), np.array([[3], [1], [-5], [2]], np.float32)
    assert nearest(queries, base, 2).tolist() == [[1, 3]]
    assert nearest(queries, base, 2, farthest=True).tolist() == [[2, 0]]


# ── against imbalanced-learn ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("counts", [[120, 30], [200, 20, 60], [50, 50, 7]])
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_near_miss_keeps_what_imbalanced_learn_keeps(counts, version, neighbours):
    for seed in range(5):
        labels, vectors = table(counts, seed=seed)
        theirs = kept_by(NearMiss(version=version, n_neighbors=neighbours), vectors, labels)
        ours = near_miss(labels, 3, rng(), vectors=vectors, version=version, neighbours=neighbours)
        np.testing.assert_array_equal(ours, theirs)


def test_near_miss_to_a_ratio():
    labels, vectors = table([200, 40])
    theirs = kept_by(NearMiss(sampling_strategy=0.5), vectors, labels)
    np.testing.assert_array_equal(near_miss(labels, 2, rng(), vectors=vectors, ratio=0.5), theirs)


@pytest.mark.parametrize("seed", range(8))
def test_tomek_links_are_those_of_imbalanced_learn(seed):
    labels, vectors = table([150, 40], seed=seed, spread=3)
    ours = tomek_links(labels, 2, rng(), vectors=vectors)
    assert len(ours) < len(labels)
    np.testing.assert_array_equal(ours, kept_by(TomekLinks(), vectors, labels))
    labels, vectors = table([90, 40, 80, 20], seed=seed, spread=3)
    ours = tomek_links(labels, 4, rng(), vectors=vectors, every_class=True)
    theirs = kept_by(TomekLinks(sampling_strategy="all"), vectors, labels)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("neighbours", [1, 3, 7])
def test_edited_rows_are_those_of_imbalanced_learn(seed, neighbours):
    labels, vectors = table([150, 40], seed=seed)
    settings = {"n_neighbors": neighbours}
    ours = edited_nearest_neighbours(labels, 2, rng(), vectors=vectors, neighbours=neighbours)
    assert len(ours) < len(labels)
    theirs = kept_by(EditedNearestNeighbours(**settings), vectors, labels)
    np.testing.assert_array_equal(ours, theirs)
    labels, vectors = table([1500, 400, 800], seed=seed)
    ours = edited_nearest_neighbours(
        labels, 3, rng(), vectors=vectors, neighbours=neighbours, every_class=True
    )
    theirs = kept_by(EditedNearestNeighbours(**settings, sampling_strategy="all"), vectors, labels)
    np.testing.assert_array_equal(ours, theirs)


def test_rows_nearest_to_the_centres_are_those_of_imbalanced_learn():
    labels, vectors = table([300, 25], seed=1)
    ours = cluster_undersample(labels, 2, rng(), vectors=vectors)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    clusters = KMeans(n_init=1, max_iter=20)
    sampler = ClusterCentroids(estimator=clusters, voting="hard")
    sampler.estimator.set_params(random_state=int(rng().integers(2**32)))
    theirs, _ = sampler.fit_resample(centred, labels)
    np.testing.assert_array_equal(
        np.unique(centred[ours], axis=0), np.unique(theirs.astype(np.float32), axis=0)
    )


# ── by hand ───────────────────────────────────────────────────────────────────────────────────


def line(*places):
    return np.array(places, dtype=np.float32)[:, None]


def test_the_larger_class_s_row_of_a_link_goes():
    labels = np.array([0, 0, 0, 1, 1, 2])
    vectors = line(0, 1, 2.9, 3, 7, 7.1)
    # 2.9 and 3 are each other's nearest, and 7 and 7.1.
    assert tomek_links(labels, 3, rng(), vectors=vectors).tolist() == [0, 1, 3, 5]
    # All four would go, and with them classes 1 and 2: those two stay as they are.
    every = tomek_links(labels, 3, rng(), vectors=vectors, every_class=True)
    assert every.tolist() == [0, 1, 3, 4, 5]


def test_a_class_that_would_be_lost_stays_whole():
    labels = np.array([0, 0, 1])
    vectors = line(0, 2, 1)
    kept = edited_nearest_neighbours(labels, 2, rng(), vectors=vectors, neighbours=2)
    assert kept.tolist() == [0, 1, 2]
    kept = edited_nearest_neighbours(labels, 2, rng(), vectors=vectors, every_class=True)
    assert kept.tolist() == [0, 1, 2]


def test_one_row_per_cluster_is_the_one_nearest_to_its_centre():
    """Three heaps of 1, 20 and 50 rows: an even part of the class, not of its rows."""
    labels = np.repeat([0, 1], [71, 3])
    heaps = np.repeat([0.0, 100.0, 200.0], [1, 20, 50]) + np.linspace(0, 1, 71)
    vectors = np.concatenate([heaps, [500, 501, 502]]).astype(np.float32)[:, None]
    kept = cluster_undersample(labels, 2, rng(), vectors=vectors)
    assert kept.tolist() == [0, 10, 45, 71, 72, 73]


def test_clusters_take_turns_when_they_are_fewer_than_the_rows_that_stay():
    labels = np.repeat([0, 1], [60, 6])
    vectors = np.concatenate([np.repeat([0.0, 9.0], [50, 10]), np.full(6, 50.0)])[:, None]
    vectors = vectors.astype(np.float32) + rng().normal(0, 0.1, (66, 1)).astype(np.float32)
    kept = cluster_undersample(labels, 2, rng(), vectors=vectors, most_clusters=2)
    assert np.sum(kept < 50) == 3
    assert np.sum((kept >= 50) & (kept < 60)) == 3


def test_repeats_go_and_one_of_each_stays():
    directions = np.eye(5, dtype=np.float32)
    vectors = np.concatenate([np.repeat(directions[:4], [10, 1, 5, 1], axis=0), directions[4:]])
    vectors += rng().normal(0, 1e-3, vectors.shape).astype(np.float32)
    labels = np.repeat([0, 1], [17, 1])
    kept = redundancy_undersample(labels, 2, rng(), vectors=vectors)
    assert len(kept) == 5
    assert set(np.argmax(vectors[kept], axis=1)) == set(range(5))
    # Never below the smallest / ratio: here ten rows of class 0 stay, those that repeat least.
    kept = redundancy_undersample(labels, 2, rng(), vectors=vectors, ratio=0.1)
    assert np.sum(labels[kept] == 0) == 10
    kept = redundancy_undersample(labels, 2, rng(), vectors=vectors, at_least=17)
    assert len(kept) == 18


def test_no_two_rows_kept_repeat_each_other_and_every_row_gone_repeats_one():
    labels, vectors = table([3000, 1], width=3)
    kept = redundancy_undersample(labels, 2, rng(), vectors=vectors, similarity=0.99)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mine = kept[labels[kept] == 0]
    among = units[mine] @ units[mine].T - 2 * np.eye(len(mine))
    assert among.max() < 0.99
    gone = np.setdiff1d(np.flatnonzero(labels == 0), kept)
    assert (units[gone] @ units[mine].T).max(axis=1).min() >= 0.99 - 1e-5


def test_equal_rows_are_repeats_and_crash_nothing():
    labels = np.repeat([0, 1], [40, 4])
    vectors = np.ones((44, 8), dtype=np.float32)
    kept = redundancy_undersample(labels, 2, rng(), vectors=vectors, similarity=1.0)
    assert np.bincount(labels[kept]).tolist() == [4, 4]
    for choose in (cluster_undersample, near_miss):
        kept = choose(labels, 2, rng(), vectors=vectors)
        assert np.bincount(labels[kept]).tolist() == [4, 4]


# ── doors ─────────────────────────────────────────────────────────────────────────────────────


def test_remedies_that_need_vectors_say_so():
    labels, vectors = table([20, 5])
    with pytest.raises(SettingsError, match="near_miss: needs vectors"):
        choose_rows([parse_remedy("near_miss")], labels, 2, rng())
    with pytest.raises(ShapeError, match=r"expected \(25, width\)"):
        near_miss(labels, 2, rng(), vectors=vectors[:20])
    vectors[3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        tomek_links(labels, 2, rng(), vectors=vectors)


def test_each_remedy_sees_the_vectors_of_the_rows_that_the_last_one_left():
    labels, vectors = table([200, 20], seed=4)
    specs = [parse_remedy("random_undersample:ratio=0.2"), parse_remedy("tomek_links")]
    found = choose_rows(specs, labels, 2, rng(), vectors=vectors, costs=np.eye(2))
    first = choose_rows(specs[:1], labels, 2, rng()).index
    left = tomek_links(labels[first], 2, rng(), vectors=vectors[first])
    np.testing.assert_array_equal(found.index, first[left])
