"""Texts written for some of the judged rows, evenly over categories: the measures over all rows
are those of the judged rows all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from equipoise.evaluate.estimates import share_of_rows
from equipoise.evaluate.texts import compare_texts, judge_texts
from equipoise.evaluate.texts.outcomes import LIKENESS
from equipoise.fitting.writing.judge import spread
from equipoise.records.rows import text_column
from equipoise.records.scores import Estimate
from equipoise.records.written import Written
from equipoise.statistics.clusters import equal_clusters, equal_weights
from tests.evaluate.texts.make_written import drawn, garbled, made, sentence


@pytest.fixture
def _wordnet(wordnet_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(wordnet_folder))


def only(full: Written, rows: NDArray[np.int64]) -> Written:
    """With the texts of these rows alone."""
    texts = text_column([None] * len(full))
    texts[rows] = full.written[rows]
    return replace(full, written=texts)


def overall(written: Written, **options: int) -> dict[str, Estimate]:
    return judge_texts(written, split="test", **{"resamples": 200, **options}).measures


def lopsided(often: int, rare: int, right: tuple[float, float], seed: int = 0) -> Written:
    """Rows of which these shares were written as they should be."""
    rng = np.random.default_rng(seed)
    categories = np.array(["often"] * often + ["rare"] * rare)[rng.permutation(often + rare)]
    references = [sentence(rng, 6) for _ in categories]
    chance = np.where(categories == "often", *right)
    texts = [
        text if rng.random() < p else garbled(rng, text, 0.6)
        for text, p in zip(references, chance, strict=True)
    ]
    return made(texts, [[text] for text in references], categories.tolist())


def test_a_category_counts_by_its_judged_rows() -> None:
    """900 rows "often", all wrong, and 100 "rare", all right: one in ten is right."""
    full = made(["no"] * 900 + ["yes"] * 100, [["yes"]] * 1000, ["often"] * 900 + ["rare"] * 100)
    some = only(full, spread(full.categories, 200, seed=0))
    scores = judge_texts(some, split="test", resamples=200)
    assert [scores.classes[name].decided for name in ("often", "rare")] == [100, 100]
    found = scores.measures["exact_match"]
    assert found.value == pytest.approx(0.1)
    assert found.low is not None
    assert found.high is not None
    assert 0.03 < found.low < 0.1 < found.high < 0.2
    assert scores.measures["macro_exact_match"].value == 0.5
    note = next(note for note in scores.notes if "spread evenly" in note)
    assert "(1 of 'rare', 9 of 'often')" in note


@pytest.mark.usefixtures("_wordnet")
def test_what_is_like_the_rest_stands_for_it_in_every_measure() -> None:
    """Where a category's unwritten rows repeat the written ones nothing is estimated at all."""
    one, other = drawn(24, categories=("x", "y")), drawn(24, share=0.6, categories=("x", "y"))
    rows = np.concatenate([np.arange(24), *[np.arange(0, 24, 2)] * 4])  # x five times
    fulls = [replace(w.take(rows), ids=text_column(range(len(rows)))) for w in (one, other)]
    some = [only(full, np.arange(24)) for full in fulls]
    whole, part = overall(fulls[0]), overall(some[0])
    for name in (*LIKENESS, "exact_match", "loss"):
        assert part[name].value == pytest.approx(whole[name].value), name
        balanced = overall(one)[name].value
        assert name in ("exact_match", "loss") or part[name].value != pytest.approx(balanced)
    for name in ("bleu", "rouge_l", "exact_match", "macro_bleu"):
        gaps = [compare_texts(*p, measure=name, resamples=200).overall for p in (fulls, some)]
        assert gaps[1].difference.value == pytest.approx(gaps[0].difference.value), name
        assert (gaps[1].a, gaps[1].b) == pytest.approx((gaps[0].a, gaps[0].b)), name


def test_texts_of_all_rows_are_weighed_as_they_are() -> None:
    scores = judge_texts(drawn(40, categories=("x", "x", "x", "y")), split="test", resamples=50)
    assert not any("spread evenly" in note for note in scores.notes)


def test_a_category_of_which_nothing_was_written_is_named() -> None:
    full = drawn(40, categories=("x", "y"))
    scores = judge_texts(only(full, np.arange(0, 40, 2)), split="test", resamples=50)
    assert any(note.startswith("no row of y was written") for note in scores.notes)
    assert scores.measures["bleu"].value == scores.classes["x"].measures["bleu"].value


def test_intervals_cover_what_all_texts_would_say() -> None:
    """60 samples of 60 rows of one split of 900 and 100 rows. Few are missed by an interval of
    95 %; their values lie around that of all texts, and not around the balanced one."""
    full = lopsided(900, 100, (0.8, 0.2))
    wanted = overall(full, resamples=50)
    names = ("exact_match", "bleu", "chrf", "rouge_l")
    held, values = dict.fromkeys(names, 0), {name: [] for name in names}  # type: ignore[var-annotated]
    for seed in range(60):
        found = overall(only(full, spread(full.categories, 60, seed=seed)), seed=seed)
        for name in names:
            e, truth = found[name], wanted[name].value
            assert None not in (e.value, e.low, e.high, truth)
            held[name] += e.low <= truth <= e.high  # type: ignore[operator]
            values[name].append(e.value)
    for name in names:
        assert held[name] >= 52, (name, held[name])
        error = np.std(values[name]) / np.sqrt(60)
        assert abs(np.mean(values[name]) - wanted[name].value) < 4 * error, name
        assert abs(np.mean(values[name]) - wanted[f"macro_{name}"].value) > 8 * error, name


def test_a_difference_is_covered_too() -> None:
    a, b = lopsided(450, 50, (0.2, 0.9)), lopsided(450, 50, (0.5, 0.3))
    for name in ("bleu", "exact_match"):
        held, truth = 0, compare_texts(a, b, measure=name, resamples=50).overall.difference.value
        assert truth is not None
        for seed in range(30):
            rows = spread(a.categories, 60, seed=seed)
            pair = only(a, rows), only(b, rows)
            e = compare_texts(*pair, measure=name, seed=seed, resamples=200).overall.difference
            assert e.low is not None
            assert e.high is not None
            held += e.low <= truth <= e.high
        assert held >= 26, (name, held)


class TestSpread:
    CATEGORIES = np.array(["usual"] * 90 + ["rare"] * 5 + ["lone"], dtype=object)

    def test_evenly_over_categories(self) -> None:
        chosen = spread(self.CATEGORIES, 12, seed=0)
        _, counts = np.unique(self.CATEGORIES[chosen], return_counts=True)
        assert counts.tolist() == [1, 5, 6]
        assert chosen.tolist() == sorted(set(chosen.tolist()))
        assert spread(self.CATEGORIES, 1000, seed=0).tolist() == list(range(96))
        assert spread(self.CATEGORIES, 0, seed=0).tolist() == []

    def test_drawn_by_the_seed_and_no_row_before_another(self) -> None:
        draws = [spread(self.CATEGORIES, 12, seed=seed) for seed in range(400)]
        assert draws[0].tolist() == spread(self.CATEGORIES, 12, seed=0).tolist()
        usual = np.bincount(np.concatenate(draws), minlength=96)[:90]
        # Each is drawn 400 × 6 / 90 = 26.7 times, give or take 5.
        assert usual.min() > 8
        assert usual.max() < 50
        assert abs(usual[:45].sum() - usual[45:].sum()) < 200


class TestWeights:
    def test_unequal_weights_are_worth_fewer_rows(self) -> None:
        assert equal_weights(np.full(7, 3.0)) == pytest.approx(7)
        assert equal_weights(np.array([9.0] * 100 + [1.0] * 100)) == pytest.approx(1000**2 / 8200)
        clusters = np.array([0, 0, 0, 1, 2])
        assert equal_clusters(clusters, np.ones(5)) == 3
        assert equal_clusters(clusters, np.array([1.0, 1, 1, 1, 4])) == pytest.approx(36 / 18)

    def test_equal_weights_change_no_share(self) -> None:
        right, clusters = np.arange(30) % 3 > 0, np.arange(30) // 2
        plain = share_of_rows(right, clusters, guarantee=False)
        same = share_of_rows(right, clusters, guarantee=False, weights=np.full(30, 4.0))
        for side in ("value", "low", "high"):
            assert getattr(same, side) == pytest.approx(getattr(plain, side))
