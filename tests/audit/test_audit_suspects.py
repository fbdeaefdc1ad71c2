"""Label errors and overlap: found where they are, not named where classes merely overlap, and the
suspects are those of cleanlab."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from make_given import make_given
from scipy.special import expit

from equipoise.audit.audit import audit
from equipoise.audit.findings.labels import inseparable_pairs, label_errors
from equipoise.audit.given import Given
from equipoise.audit.neighbours import nearest_rows, neighbour_votes, sample_rows
from equipoise.audit.overlap import overlap
from equipoise.audit.suspects import (
    LEVEL,
    Checked,
    _agreed,
    checked_rows,
    find_suspects,
    label_probabilities,
    lapse,
    noise,
)

COUNTS = {"a": 500, "b": 250, "c": 100, "d": 60}


def flipped(given: Given, share: float, seed: int) -> tuple[Given, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(given)) < share
    classes = len(given.classes)
    other = (given.labels + rng.integers(1, classes, len(given))) % classes
    return replace(given, labels=np.where(wrong, other, given.labels)), wrong


def seen(given: Given) -> Checked:
    return checked_rows(given, nearest_rows(given, seed=0))


@pytest.mark.parametrize("apart", [2.0, 3.0, 4.0, 6.0])
def test_overlap_alone_is_seldom_called_label_errors(apart: float) -> None:
    """2.0 is 16 % error between any two classes, 6.0 is 0.1 %."""
    named = [lapse(seen(make_given(COUNTS, seed=k, apart=apart))).p < LEVEL for k in range(25)]
    assert np.mean(named) <= 0.05


@pytest.mark.parametrize(
    ("apart", "share", "least"),
    [(4.0, 0.05, 0.85), (4.0, 0.2, 0.95), (6.0, 0.05, 0.95), (6.0, 0.2, 0.95)],
)
def test_label_errors_are_named_and_their_share_is_estimated(
    apart: float, share: float, least: float
) -> None:
    found = [
        (lapse(seen(given)), wrong.mean())
        for k in range(20)
        for given, wrong in [flipped(make_given(COUNTS, seed=k, apart=apart), share, k)]
    ]
    assert np.mean([one.p < LEVEL for one, _ in found]) >= least
    assert np.mean([one.rate for one, _ in found]) == pytest.approx(share, rel=0.2)
    assert np.mean([one.low <= truth <= one.high for one, truth in found]) >= 0.85


def drawn(rows: int, seed: int, sharp: float) -> Checked:
    """A probe that is right: labels of five lopsided classes drawn by the chances that it gives.
    Its scores are those under equal shares, as the audit's are; neighbours say what it says."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.6, 0.2, 0.1, 0.06, 0.04])
    scores = sharp * rng.normal(size=(rows, 5))
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    labels = (scores + np.log(shares) + rng.gumbel(size=scores.shape)).argmax(axis=1)
    # The shares of the labels come out as drawn; the scores are held against those.
    scores += np.log(shares) - np.log(np.bincount(labels, minlength=5) / rows)
    row = np.arange(rows)
    return Checked(row, labels, row, scores, np.eye(5)[scores.argmax(axis=1)])


def test_odds_of_a_probe_that_is_right_are_contradicted_as_often_as_they_say() -> None:
    """However many classes there are and however lopsided: this is what holds the slope near 1."""
    _, odds, wrong = _agreed(drawn(40_000, 0, 3.0))
    for part in np.array_split(np.argsort(odds), 8):
        assert wrong[part].mean() == pytest.approx(expit(-odds[part]).mean(), abs=0.015)


def test_a_probe_that_is_right_names_nothing_however_doubtful() -> None:
    for sharp in (1.0, 2.0, 4.0):
        assert lapse(drawn(3000, 1, sharp)).p >= LEVEL


def test_where_too_many_are_contradicted_no_floor_is_named() -> None:
    clear = drawn(3000, 2, 6.0)
    rng = np.random.default_rng(3)
    for share, named in ((0.2, True), (0.6, False)):
        wrong = rng.random(3000) < share
        labels = np.where(wrong, rng.integers(0, 5, 3000), clear.labels)
        assert (lapse(replace(clear, labels=labels)).p < LEVEL) == named


def test_suspects_are_the_wrong_ones() -> None:
    given, wrong = flipped(make_given(COUNTS, seed=1, apart=6.0), 0.1, 1)
    checked = seen(given)
    found = checked.rows[find_suspects(checked)]
    assert wrong[found].mean() >= 0.9
    assert wrong[found].sum() / wrong.sum() >= 0.8


def test_suspects_are_those_of_cleanlab_that_the_neighbours_confirm() -> None:
    from cleanlab.filter import find_label_issues

    given, _ = flipped(make_given(COUNTS, seed=2, apart=2.5), 0.1, 2)
    checked = seen(given)
    assert given.probe is not None
    counts = np.bincount(given.labels)
    posterior = np.exp(given.probe) * counts / len(given)
    posterior /= posterior.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(label_probabilities(checked), posterior, atol=1e-9)
    theirs = find_label_issues(given.labels, posterior, filter_by="both", n_jobs=1)
    rows = np.arange(len(given))
    other = np.where(np.eye(4, dtype=bool)[given.labels], -np.inf, given.probe).argmax(axis=1)
    nearer = checked.votes[rows, other] > checked.votes[rows, given.labels]
    likelier = given.probe[rows, other] > given.probe[rows, given.labels]
    mine = np.zeros(len(given), dtype=bool)
    mine[checked.rows[find_suspects(checked)]] = True
    np.testing.assert_array_equal(mine, theirs & nearer & likelier)
    assert 0 < mine.sum() < theirs.sum()


def test_the_record_counts_by_class_and_says_what_they_look_like() -> None:
    given, _ = flipped(make_given(COUNTS, seed=3), 0.1, 3)
    checked = seen(given)
    suspects = find_suspects(checked)
    found = noise(given, checked, suspects, lapse(checked))
    assert found.checked == len(given)
    assert found.named
    assert found.low <= found.rate <= found.high
    assert found.suspects == len(suspects) == sum(c.suspects for c in found.classes)
    for c in found.classes:
        assert sum(c.likely.values()) == c.suspects
        assert c.name not in c.likely
    assert len(found.rows) == min(100, len(suspects))
    (said,) = label_errors(found)
    assert f"{found.suspects} rows of {found.checked} suspected" in said.says
    assert said.p == found.p < LEVEL


def test_without_cleanlab_the_share_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = flipped(make_given(COUNTS, seed=3), 0.1, 3)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    found = audit(given)
    (lacking,) = found.skipped
    assert "pip install 'equipoise[audit]'" in lacking.why
    assert found.measured.noise is not None
    assert found.measured.noise.rate > 0.05
    (said,) = label_errors(found.measured.noise)
    assert said in found.findings
    assert "suspect" not in said.says + said.do


def test_renaming_the_classes_changes_nothing() -> None:
    given, _ = flipped(make_given(COUNTS, seed=4), 0.05, 4)
    order = np.array([2, 0, 3, 1])
    assert given.probe is not None
    renamed = replace(given, labels=np.argsort(order)[given.labels], probe=given.probe[:, order])
    one, two = lapse(seen(given)), lapse(seen(renamed))
    assert (one.rate, one.p, one.rows) == pytest.approx((two.rate, two.p, two.rows), rel=1e-6)
    np.testing.assert_array_equal(find_suspects(seen(given)), find_suspects(seen(renamed)))


def test_rows_without_a_probe_and_tiny_classes_are_left_out() -> None:
    given = make_given({"a": 50, "b": 50, "rare": 4}, seed=0)
    assert given.probe is not None
    probe = given.probe.copy()
    probe[:3] = np.nan
    checked = seen(replace(given, probe=probe))
    assert not np.isin(checked.rows, [0, 1, 2]).any()
    assert not (checked.labels == given.classes.index("rare")).any()


def test_nothing_contradicted_is_nothing_named() -> None:
    given = make_given({"a": 50, "b": 50}, seed=0, apart=30.0)
    checked = seen(given)
    suspects = find_suspects(checked)
    assert len(suspects) == 0
    found = noise(given, checked, suspects, lapse(checked))
    assert (found.p, found.rate, found.named) == (1.0, 0.0, False)
    assert list(label_errors(found)) == []


def test_copies_make_nothing_surer() -> None:
    given, _ = flipped(make_given(COUNTS, seed=5, apart=4.0), 0.1, 5)
    copied = given.take(np.repeat(np.arange(len(given)), 3))
    one, three = lapse(seen(given)), lapse(seen(copied))
    assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=0.02)


def test_too_few_rows_are_not_judged() -> None:
    given, _ = flipped(make_given({"a": 20, "b": 20}, seed=0), 0.2, 0)
    found = lapse(seen(given))
    assert found.p == 1.0
    assert found.high == 1.0


def confused(seed: int, apart: float) -> Given:
    """Classes a and b `apart` from each other, c and d far from all."""
    given = make_given(COUNTS, seed=seed, apart=8.0)
    rng = np.random.default_rng(seed)
    assert given.vectors is not None
    vectors = given.vectors.copy()
    here = given.labels == 1
    centre = np.zeros(vectors.shape[1])
    centre[0] = 8.0 / np.sqrt(2) - apart
    vectors[here] = centre + rng.normal(size=(int(here.sum()), vectors.shape[1]))
    centres = np.stack([vectors[given.labels == k].mean(axis=0) for k in range(4)])
    from make_given import known_probe

    return replace(given, vectors=vectors, probe=known_probe(vectors.astype(float), centres))


def test_a_pair_that_is_one_is_named_and_no_other() -> None:
    for seed in range(10):
        given = confused(seed, 0.0)
        found = overlap(given, seen(given), nearest_rows(given, seed=0))
        assert [(p.one, p.other) for p in found.pairs if p.inseparable] == [("a", "b")]
        (said,) = inseparable_pairs(given, found)
        assert said.classes == ["a", "b"]
        assert said.examples


@pytest.mark.parametrize("apart", [1.35, 3.0])
def test_pairs_that_can_be_told_apart_are_seldom_named(apart: float) -> None:
    """At 1.35 a quarter of the rows is lost even by the best rule: the limit itself."""
    named = 0
    for seed in range(40):
        given = confused(seed, apart)
        found = overlap(given, seen(given), nearest_rows(given, seed=0))
        named += any(pair.inseparable for pair in found.pairs)
    assert named / 40 <= 0.1


def test_nearest_rows_are_those_of_all_pairs() -> None:
    given = make_given({"a": 40, "b": 30}, seed=0)
    given = replace(given, clusters=np.arange(len(given)) // 2)
    assert given.vectors is not None
    near = nearest_rows(given, seed=0)
    v = given.vectors / np.linalg.norm(given.vectors, axis=1, keepdims=True)
    cosine = v @ v.T
    cosine[given.clusters[:, None] == given.clusters[None]] = -2
    np.testing.assert_array_equal(near.nearest[:, 0], cosine.argmax(axis=1))
    np.testing.assert_allclose(near.similarity, -np.sort(-cosine, axis=1)[:, :10], atol=1e-6)


def test_votes_are_shares_of_each_class() -> None:
    given = make_given({"a": 40, "b": 10}, seed=0, apart=30.0)
    votes = neighbour_votes(given, nearest_rows(given, seed=0))
    own = votes[np.arange(len(given)), given.labels]
    np.testing.assert_allclose(own[given.labels == 0], 10 / 40)
    # Nine others of the class; the tenth neighbour is of the other one.
    np.testing.assert_allclose(own[given.labels == 1], 9 / 10)


def test_a_sample_keeps_rare_classes_whole_and_thins_the_rest_to_one_size() -> None:
    labels = np.repeat([0, 1, 2], [1000, 300, 20])
    rows = sample_rows(labels, 400, np.random.default_rng(0))
    assert len(rows) <= 400
    assert np.bincount(labels[rows]).tolist() == [190, 190, 20]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(sample_rows(labels, 2000, np.random.default_rng(0)),
                                  np.arange(1320))  # fmt: skip
