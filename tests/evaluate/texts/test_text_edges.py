"""Texts of which there are few, or that do not differ: no interval, and a reason that says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equipoise.evaluate.texts import compare_texts
from equipoise.evaluate.texts.of_sums import BOUNDED
from equipoise.evaluate.texts.outcomes import LIKELIHOOD, LIKENESS, VARIETY
from equipoise.evaluate.texts.resampling import ALIKE, FEW_ROWS, ONE_CLUSTER, expanded
from equipoise.evaluate.texts.variety import NO_MOVE
from equipoise.statistics.bootstrap import FEWEST
from tests.evaluate.texts.make_written import drawn, made
from tests.evaluate.texts.test_judge_texts import _wordnet, judged  # noqa: F401

RESAMPLED = (*LIKELIHOOD, *LIKENESS)


class TestFewRows:
    @pytest.mark.parametrize("rows", [2, 3, FEWEST - 1])
    def test_the_whole_the_mean_and_the_bands_have_no_interval(self, rows):
        found = judged(drawn(rows), trained_counts={"x": 500, "y": 3})
        whole = [found.measures[f"{mean}{name}"] for name in RESAMPLED for mean in ("", "macro_")]
        bands = [found.bands["tail"][f"macro_{name}"] for name in RESAMPLED]
        assert all(one.value is not None for one in (*whole, *bands))
        assert {one.why for one in whole} == {FEW_ROWS}
        assert {one.why for one in bands} <= {FEW_ROWS, ONE_CLUSTER}

    def test_a_band_of_few_rows_has_none_among_many(self):
        found = judged(drawn(40, categories=["x"] * 9 + ["y"]), trained_counts={"x": 500, "y": 3})
        assert found.measures["macro_bleu"].low is not None
        assert found.bands["head"]["macro_bleu"].low is not None
        tail = found.bands["tail"]
        assert {tail[f"macro_{name}"].why for name in (*RESAMPLED, "exact_match")} == {FEW_ROWS}

    def test_copies_are_not_more_rows(self):
        copied = drawn(FEWEST - 1).take(np.repeat(np.arange(FEWEST - 1), 4))
        copied = replace(copied, clusters=np.repeat(np.arange(FEWEST - 1), 4))
        assert judged(copied).measures["macro_chrf"].why == FEW_ROWS

    @pytest.mark.parametrize("rows", [2, 4, FEWEST - 1])
    def test_two_that_do_not_differ_are_not_called_better(self, rows):
        """Of two rows every second comparison had a winner, of seven one in ten."""
        for trial in range(20):
            rng = np.random.default_rng(trial)
            texts = [["a b"]] * rows
            a, b = (
                made(
                    ["a b"] * rows,
                    texts,
                    [*"xy" * rows][:rows],
                    log_probs=-8 * np.exp(rng.normal(size=rows) / 2),
                )
                for _ in range(2)
            )
            for measure in ("loss", "macro_loss"):
                found = compare_texts(a, b, measure=measure, resamples=50).overall
                assert found.difference.value is not None
                assert found.difference.low is None
                assert found.says.endswith(f"is open: {FEW_ROWS}.")


class TestNoWidth:
    def alike(self, text="yes it is so", n=10):
        return made([text] * n, [["yes it is so"]] * n, log_probs=[-3.0] * n)

    @pytest.mark.parametrize("text", ["yes it is so", "no"])
    def test_rows_that_do_not_differ_tell_nothing_of_the_next(self, text):
        found = judged(self.alike(text), trained_counts={"all": 500})
        for each in (found.measures, found.classes["all"].measures):
            for name in ("bleu", "chrf", "length_ratio", *LIKELIHOOD):
                assert each[name].value is not None
                assert (each[name].low, each[name].why) == (None, ALIKE)
        assert found.measures["macro_chrf"].why == ALIKE
        assert found.bands["head"]["macro_chrf"].why == ALIKE

    @pytest.mark.parametrize("texts", [["the same"] * 10, [f"one{k} two{k}" for k in range(10)]])
    def test_variety_at_its_edges(self, texts):
        found = judged(made(texts, [["a b"]] * 10))
        for name in VARIETY:
            for one in (found.measures[name], found.measures[f"macro_{name}"]):
                assert one.value in (pytest.approx(1.0), pytest.approx(0.1))
                assert (one.low, one.why) == (None, NO_MOVE)

    @pytest.mark.parametrize("name", BOUNDED)
    def test_a_bounded_mean_has_an_interval_there(self, name):
        """Ten rows of 1, or nearly (METEOR of a perfect text of 4 words is 1 - 0.5 / 64)."""
        found = judged(self.alike(), trained_counts={"all": 500}, resamples=4000)
        band = found.bands["head"][f"macro_{name}"]
        whole = found.measures[name]
        for one in (whole, found.classes["all"].measures[name], band):
            assert one.low == pytest.approx(0.025 ** (1 / 10) * one.value, abs=0.03)
        none = judged(self.alike("no")).measures[name]
        assert none.low == 0
        assert none.high == pytest.approx(1 - 0.025 ** (1 / 10), abs=0.04)

    def test_a_mean_over_categories_that_are_all_perfect(self):
        """Four categories of ten rows: each 0.69 to 1, squared and added."""
        texts = ["yes it is so"] * 40
        one = made(texts, [[text] for text in texts], [*"wxyz" * 10])
        found = judged(one, resamples=4000).measures["macro_rouge_l"]
        assert found.low == pytest.approx(1 - (1 - 0.025 ** (1 / 10)) / 2, abs=0.02)

    def test_shares_of_perfect_rows_are_held_as_often_as_said(self):
        """ROUGE-L of rows that are right or share no word is a share; 0.9 of them right. The
        resamples alone held 0.72."""
        held = 0
        for trial in range(60):
            right = np.random.default_rng(trial).random(10) < 0.9
            texts = ["yes it is" if ok else "bad" for ok in right]
            one = judged(made(texts, [["yes it is"]] * 10)).measures["rouge_l"]
            held += one.low <= 0.9 <= one.high
        assert held / 60 >= 0.93

    def test_two_that_differ_alike_in_every_row_are_open_and_the_same_ones_are_not(self):
        a, b = self.alike(), self.alike("yes it was so")
        found = compare_texts(a, b, measure="chrf", resamples=50).overall
        assert found.difference.value < 0
        assert found.says.endswith(f"is open: {ALIKE}.")
        for measure in ("macro_chrf", "distinct_2", "loss"):
            same = compare_texts(a, a, measure=measure, resamples=50).overall
            assert (same.difference.low, same.difference.high) == (0, 0)
            assert "can't be told apart" in same.says

    def test_by_hand(self):
        rng = np.random.default_rng(0)
        samples = rng.normal(5, 1, 2000)
        assert expanded(5.0, samples, FEWEST).low < 3.04
        assert expanded(5.0, samples, FEWEST - 1).why == FEW_ROWS
        assert expanded(5.0, samples, 1).why == ONE_CLUSTER
        assert expanded(5.0, samples, 1, few="few").why == "few"
        assert expanded(5.0, np.full(2000, 5 + 1e-15), 100).why == ALIKE
        wide = expanded(5.0, np.full(2000, 5.0), 100, least=(4.0, 6.0))
        assert (wide.low, wide.high) == (4.0, 6.0)
