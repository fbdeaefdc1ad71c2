"""What is tied together, what is not, and what the cap cuts."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.data import cluster_rows, find_clusters
from equipoise.data.duplicates import _CappedForest, text_links
from equipoise.data.look_alikes import find_links
from equipoise.data.normalise import duplicate_key, plain_key
from equipoise.data.shingles import shingle_hashes, similarities
from equipoise.errors import SettingsError, ShapeError

CITIES = ["boston", "denver", "atlanta", "dallas", "oakland", "pittsburgh", "newark", "memphis"]


def pieces(text: str) -> set[str]:
    padded = f" {text or ' '} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def jaccard(a: str, b: str) -> float:
    return len(pieces(a) & pieces(b)) / len(pieces(a) | pieces(b))


def sentences(count: int, words: int, seed: int) -> list[str]:
    """Distinct made-up sentences that share no more than chance."""
    draw = random.Random(seed)
    word = lambda: "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8)))  # noqa: E731
    return [" ".join(word() for _ in range(words)) for _ in range(count)]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Where is my order?", "where is  my order", True),
        ("don't", "don t", True),
        ("ﬁne ＡＢＣ", "fine abc", True),
        ("STRASSE", "straße", True),
        ("a\tb\nc", "a b c", True),
        ("good 👍", "good 👎", False),
        ("5 €", "5 $", False),
        ("!!!", "???", False),
        ("...", "...", True),
        ("네 감사합니다!", "네 감사합니다", True),
        ("order 12", "order 13", False),
    ],
)
def test_when_two_texts_are_the_same(a: str, b: str, same: bool) -> None:
    assert (duplicate_key(a) == duplicate_key(b)) is same
    assert (cluster_rows([a, b])[0] == cluster_rows([a, b])[1]) is np.bool_(same)


@given(st.text())
def test_keys_are_stable(text: str) -> None:
    assert duplicate_key(duplicate_key(text)) == duplicate_key(text)
    assert duplicate_key(text.swapcase().swapcase()) == duplicate_key(text.swapcase().swapcase())
    assert plain_key(f"  {text}\n") == plain_key(text)


def test_pieces_hash_as_a_set_of_three_characters() -> None:
    texts = ["abc", "a", "", "日本語です", "aaaaaa"]
    hashes, offsets = shingle_hashes(texts)
    own = [set(hashes[a:b].tolist()) for a, b in itertools.pairwise(offsets)]
    assert [len(mine) for mine in own] == [len(pieces(text)) for text in texts]
    assert own[0] & own[4] == set()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(alphabet="ab cé語", max_size=12), min_size=2, max_size=8))
def test_similarity_is_jaccard_of_the_pieces(texts: list[str]) -> None:
    left, right = np.triu_indices(len(texts), 1)
    expected = [jaccard(texts[a], texts[b]) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(similarities(texts, left, right), expected, rtol=1e-6)


def test_links_are_those_of_comparing_every_pair() -> None:
    """150 sentences with 0 to 3 edited copies each: banding misses none and adds none."""
    draw = random.Random(0)
    texts = sentences(150, 12, seed=0)
    for base in texts[:]:
        for _ in range(draw.randint(0, 3)):
            words = base.split()
            words[draw.randrange(12)] = draw.choice(CITIES)
            texts.append(" ".join(words))
    texts = sorted(set(texts))
    links = find_links(texts, threshold=0.8, seed=0)
    found = {(min(a, b), max(a, b)) for a, b in zip(links.left, links.right, strict=True)}
    expected = {
        (a, b)
        for a, b in itertools.combinations(range(len(texts)), 2)
        if jaccard(texts[a], texts[b]) >= 0.8
    }
    assert len(expected) > 60
    assert found == expected


def test_short_requests_from_one_template_stay_apart() -> None:
    """The words that differ are what is asked for."""
    texts = [f"show me flights from {a} to {b}" for a, b in itertools.combinations(CITIES, 2)]
    assert len(set(cluster_rows(texts).tolist())) == len(texts)
    short = [
        "cancel my order",
        "cancel my card",
        "cancel it",
        "track my order",
        "my order",
        "order",
    ]
    assert len(set(cluster_rows(short).tolist())) == len(short)


def test_small_edits_are_tied() -> None:
    texts = [
        "I want to revert a transaction I did this morning",
        "i want to revert the transaction i did this morning!",
        "what kind of activities do you enjoy",
        "what kinds of activities do you enjoy?",
    ]
    assert cluster_rows(texts).tolist() == [0, 0, 1, 1]


def test_groups_tie_whatever_the_text_and_empty_groups_do_not() -> None:
    texts = sentences(6, 8, seed=1)
    groups = ["ann", "", "bob", "ann", "", "bob"]
    assert cluster_rows(texts, groups).tolist() == [0, 1, 2, 0, 3, 2]


def test_groups_and_texts_tie_across_each_other() -> None:
    a, b, c = sentences(3, 8, seed=2)
    # Ann and Bob wrote the same text, so the rows of both stay together.
    assert cluster_rows([a, b, b, c], ["ann", "ann", "bob", "bob"]).tolist() == [0, 0, 0, 0]


def chain(length: int, seed: int = 3) -> list[str]:
    """Sentences of 16 words, each one word further from the first: neighbours look alike,
    the ends share nothing."""
    words = sentences(1, 16 + length, seed)[0].split()
    return [" ".join(words[start : start + 16]) for start in range(length)]


def test_a_chain_does_not_swallow_its_class() -> None:
    texts = chain(60)
    assert jaccard(texts[0], texts[1]) > 0.8
    assert jaccard(texts[0], texts[30]) < 0.3
    found = find_clusters(texts, labels=["a"] * 60)
    sizes = np.bincount(found.ids)
    assert sizes.max() <= 11, "ten rows tied to one"
    assert len(sizes) >= 6
    assert found.cut >= 5
    assert find_clusters(texts, max_cluster=1000).ids.max() == 0


def test_the_cap_counts_rows_of_each_class() -> None:
    texts = chain(22)
    half = [f"{'ab'[n % 2]}" for n in range(22)]
    assert cluster_rows(texts, labels=half).max() > 0
    assert np.bincount(cluster_rows(texts, labels=half)).max() <= 21
    assert cluster_rows(chain(11), labels=["a"] * 11).max() == 0, "eleven rows are never cut"


def test_a_chain_is_cut_where_it_is_weakest() -> None:
    """Two tight knots of eight (0.9 alike), tied by one weaker link: the knots stay whole."""
    first, second = sentences(2, 30, seed=4)
    knot = lambda base: [f"{base} {tail}" for tail in "abcdefgh"]  # noqa: E731
    middle = f"{first} {' '.join(second.split()[:6])}"
    found = find_clusters([*knot(first), *knot(second), middle], max_cluster=7)
    assert len(set(found.ids[:8].tolist())) == 1
    assert len(set(found.ids[8:16].tolist())) == 1


def test_groups_and_repeats_are_never_cut() -> None:
    texts = [*chain(30), *["the very same words over and over again"] * 50]
    groups = ["g"] * 20 + [""] * 60
    ids = cluster_rows(texts, groups, max_cluster=2)
    assert len(set(ids[:20].tolist())) == 1
    assert len(set(ids[30:].tolist())) == 1


def test_a_large_group_may_have_look_alikes() -> None:
    """The cap is on what is tied to the largest piece, so a text that occurs 50 times does not
    use it up."""
    text = sentences(1, 20, seed=5)[0]
    ids = cluster_rows([*[text] * 50, f"{text} x"], max_cluster=3)
    assert len(set(ids.tolist())) == 1


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_order_of_rows_does_not_matter(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from(chain(14)), min_size=1, max_size=20))
    groups = data.draw(
        st.lists(st.sampled_from(["", "g", "h"]), min_size=len(texts), max_size=len(texts))
    )
    order = np.array(data.draw(st.permutations(range(len(texts)))))
    plain = cluster_rows(texts, groups)
    moved = cluster_rows([texts[i] for i in order], [groups[i] for i in order])
    together = plain[:, None] == plain[None, :]
    np.testing.assert_array_equal(moved[:, None] == moved[None, :], together[np.ix_(order, order)])


def test_same_seed_same_clusters_and_counts() -> None:
    texts = [*chain(20), *chain(20), *sentences(50, 6, seed=6)]
    first, second = find_clusters(texts, seed=3), find_clusters(texts, seed=3)
    np.testing.assert_array_equal(first.ids, second.ids)
    assert first.repeated == 20
    assert first.links >= 19
    assert first.ids[0] == 0
    assert sorted(set(first.ids.tolist())) == list(range(first.ids.max() + 1))


def test_many_rows_from_few_templates_stay_cheap() -> None:
    """Every bucket is overfull here; all that is promised is that repeats and groups hold, and
    that pairs do not explode (5,000 rows have 12 million)."""
    draw = random.Random(0)
    texts = [
        f"dear sirs my order number {draw.randrange(10**6)} has not arrived at my home yet"
        for _ in range(5_000)
    ]
    found = find_clusters(texts)
    assert found.links < 200 * len(texts)
    assert len(set(found.ids.tolist())) < 4_000


def test_links_that_are_handed_on_tie_as_those_that_are_found() -> None:
    texts = [*chain(30), "Good day", "good  day!", *sentences(40, 6, seed=6)]
    groups = ["g", *[""] * 70, "g"]
    links = text_links(texts, seed=1)
    found, handed = (find_clusters(texts, groups, seed=1, links=known) for known in (None, links))
    np.testing.assert_array_equal(found.ids, handed.ids)
    assert (found.links, found.cut) == (handed.links, handed.cut)
    assert handed.links == len(links.left) > 20


def test_a_union_that_was_refused_once_is_refused_for_good() -> None:
    """So the links of one template, that ask for the same unions over and over, are cheap; and in
    the order of asking, since of two atoms of one size the first counts as the largest."""
    forest = _CappedForest({0: {0: 1}, 1: {1: 1}, 2: {0: 1}, 3: {0: 1}}, caps=[1, 0])
    forest.tie(0, 1)
    assert forest.root(0) != forest.root(1), "a row of a class that may not be tied"
    forest.tie(1, 0)
    assert forest.root(0) == forest.root(1), "the other way it is the piece that others are tied to"
    forest.tie(2, 3)
    for _ in range(2):
        forest.tie(1, 2)
        assert forest.root(1) != forest.root(2)


def test_nothing_and_one_row() -> None:
    assert cluster_rows([]).tolist() == []
    assert cluster_rows(["a"]).tolist() == [0]
    assert cluster_rows(["", ""]).tolist() == [0, 0]


def test_bad_settings_are_all_named() -> None:
    with pytest.raises(SettingsError) as caught:
        cluster_rows(["a"], threshold=0, max_cluster=0)
    assert len(caught.value.faults) == 2
    with pytest.raises(ShapeError, match="2 texts but 1 groups"):
        cluster_rows(["a", "b"], ["g"])
