"""Judging written texts: worked values, laws, what can't be had, coverage, comparison."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from equipoise.errors import DataError, SettingsError
from equipoise.evaluate.texts import MEASURES, compare_texts, judge_texts
from equipoise.evaluate.texts.outcomes import (
    LIKENESS,
    NO_REFERENCE,
    NOT_WRITTEN,
    text_outcomes,
)
from equipoise.evaluate.texts.resampling import expanded, macro, plan, recentred
from equipoise.evaluate.texts.variety import varieties, variety_estimate
from equipoise.records.scores import Estimate, Scores, read_scores, write_scores
from equipoise.records.written import Written
from equipoise.statistics.bootstrap import FEWEST
from tests.evaluate.texts.make_written import drawn, garbled, made, sentence


@pytest.fixture(autouse=True)
def _wordnet(wordnet_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(wordnet_folder))


def judged(written: Written, **options: object) -> Scores:
    return judge_texts(written, split="test", **({"resamples": 200} | options))  # type: ignore[arg-type]


def values(scores: Scores) -> dict[str, float | None]:
    return {name: one.value for name, one in scores.measures.items()}


class TestJudge:
    def test_every_measure_and_its_mean(self) -> None:
        found = judged(drawn(), pattern=r"(\w+)\.$")
        assert list(found.measures) == [*MEASURES, *(f"macro_{name}" for name in MEASURES)]
        for name, one in found.measures.items():
            assert one.low is not None, (name, one.why)
            assert one.high is not None
            assert one.value is not None
            assert one.low <= one.value <= one.high
        for name in MEASURES:
            each = [c.measures[name].value for c in found.classes.values()]
            assert found.measures[f"macro_{name}"].value == pytest.approx(np.mean(each))

    def test_likelihood_by_hand(self) -> None:
        one = made(["x", "y", "z"], [["ab"], ["ab cd"], ["é"]], ["p", "p", "q"])
        found = judged(one)
        # -1 - 2 - 3 nats over 2 + 3 + 2 tokens and 2 + 5 + 2 bytes.
        assert found.measures["loss"].value == pytest.approx(6 / 7)
        assert found.measures["bits_per_byte"].value == pytest.approx(6 / math.log(2) / 9)
        assert found.measures["macro_loss"].value == pytest.approx((3 / 5 + 3 / 2) / 2)

    def test_corpus_measures_of_a_category_are_sacrebleus(self) -> None:
        one = drawn(90, categories=("x", "y", "z"))
        found = judged(one)
        for name, scores in found.classes.items():
            part = one.take(one.categories == name)
            streams = [[r[k] if k < len(r) else None for r in part.references] for k in range(3)]
            theirs = BLEU(force=True).corpus_score(part.written.tolist(), streams)
            assert scores.measures["bleu"].value == pytest.approx(theirs.score, abs=1e-9)
            assert scores.rows == scores.decided == len(part)

    def test_shares_of_right_rows(self) -> None:
        texts = ["#### 1,000", "#### 4", "5"]
        one = made(texts, [["#### 1000.0"], ["#### 4"], ["#### 5"]], ["p", "p", "q"])
        found = judged(one, pattern="gsm8k")
        assert found.measures["exact_match"].value == pytest.approx(1 / 3)
        assert found.measures["answer_match"].value == pytest.approx(2 / 3)
        assert found.measures["macro_answer_match"].value == pytest.approx(1 / 2)
        perfect = found.classes["p"].measures["answer_match"]
        assert perfect.value == 1
        assert perfect.low is not None
        assert perfect.low < 0.5

    def test_perfect_texts(self) -> None:
        rng = np.random.default_rng(0)
        texts = [sentence(rng, 8) for _ in range(20)]
        found = values(judged(made(texts, [[text] for text in texts])))
        for name in ("exact_match", "rouge_l", "length_ratio"):
            assert found[name] == found[f"macro_{name}"] == 1
        for name in ("bleu", "chrf"):
            assert found[name] == pytest.approx(100)
        assert found["meteor"] == pytest.approx(1, abs=0.001)

    def test_order_of_rows_is_irrelevant(self) -> None:
        one = drawn(40)
        order = np.random.default_rng(1).permutation(len(one))
        a, b = values(judged(one, pattern=r"\w+")), values(judged(one.take(order), pattern=r"\w+"))
        assert a == pytest.approx(b, rel=1e-12)

    def test_same_seed_same_bytes(self, tmp_path: Path) -> None:
        found = judged(drawn(), trained_counts={"x": 500, "y": 3})
        write_scores(tmp_path / "a.json", found)
        write_scores(tmp_path / "b.json", judged(drawn(), trained_counts={"x": 500, "y": 3}))
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert read_scores(tmp_path / "a.json") == found

    def test_bands_and_categories_without_rows(self) -> None:
        found = judged(drawn(), trained_counts={"x": 500, "y": 3, "z": 50})
        assert {name: one.band for name, one in found.classes.items()} == {
            "x": "head",
            "y": "tail",
            "z": "middle",
        }
        assert found.bands["tail"]["classes"] == ["y"]
        tail = found.bands["tail"]["macro_bleu"]
        assert tail.value == pytest.approx(found.classes["y"].measures["bleu"].value)
        assert all(e.value is None and e.why for e in found.classes["z"].measures.values())
        assert found.bands["middle"]["macro_bleu"].value is None
        assert any("no rows in this split: z" in note for note in found.notes)

    def test_a_category_of_one_row(self) -> None:
        one = drawn(30)
        one = replace(one, categories=one.categories.copy())
        one.categories[0] = "lone"
        found = judged(one)
        alone = found.classes["lone"].measures
        assert alone["bleu"].value is not None
        assert alone["bleu"].low is None
        assert str(FEWEST) in (alone["bleu"].why or "")
        mean = found.measures["macro_bleu"]
        assert mean.low is not None
        assert mean.value is not None
        assert mean.low < mean.value

    def test_all_categories_of_one_row(self) -> None:
        found = judged(drawn(9, categories=[*"abcdefghi"]), seed=3)
        for name in ("bleu", "macro_bleu"):
            one = found.measures[name]
            assert one.low is not None
            assert one.high is not None
            assert one.high - one.low > 1

    def test_one_row_has_no_interval(self) -> None:
        found = judged(made(["a b"], [["a c"]]))
        assert found.measures["chrf"].value is not None
        assert found.measures["chrf"].low is None
        assert found.measures["distinct_1"].why

    def test_copies_are_no_evidence(self) -> None:
        one = drawn(20)
        many = one.take(np.repeat(np.arange(20), 5))
        many = replace(many, clusters=np.repeat(np.arange(20), 5))
        apart = replace(many, clusters=np.arange(100))
        for name in ("bleu", "loss", "exact_match"):
            wide, narrow = (
                (e.high or 0) - (e.low or 0)
                for e in (judged(w).measures[name] for w in (many, apart))
            )
            assert wide > 1.5 * narrow


class TestWhatCannotBeHad:
    def test_not_written(self) -> None:
        found = judged(made([None, None], [["a"], ["b"]]))
        assert found.measures["bleu"].why == NOT_WRITTEN
        assert found.measures["macro_distinct_1"].why == NOT_WRITTEN
        assert found.measures["loss"].value is not None
        assert found.classes["all"].decided == 0

    def test_some_written(self) -> None:
        found = judged(made(["a b c d", None], [["a b c d"], ["x"]]))
        assert found.measures["bleu"].value == pytest.approx(100)
        assert found.measures["exact_match"].value == 1
        assert any("1 of 2 rows have no written text" in note for note in found.notes)

    def test_no_log_probability(self) -> None:
        nan = float("nan")
        none = judged(made(["a", "b"], [["a"], ["b"]], log_probs=[nan, nan]))
        assert none.measures["loss"].value is None
        assert "no row has" in (none.measures["bits_per_byte"].why or "")
        some = judged(made(["a", "b"], [["a"], ["b"]], log_probs=[-4, nan]))
        assert some.measures["loss"].value == pytest.approx(4 / 2)
        assert any("no log-probability" in note for note in some.notes)

    def test_infinite_loss(self) -> None:
        found = judged(made(["a", "b"], [["a"], ["b"]], log_probs=[-1, -np.inf]))
        assert found.measures["macro_loss"].why == "infinite: 1 rows have probability 0"

    def test_no_references(self) -> None:
        found = judged(made(["a b", "a c"], [(), ()]))
        assert found.measures["rouge_l"].why == NO_REFERENCE
        assert found.measures["distinct_1"].value == pytest.approx(3 / 4)

    def test_pattern_not_there(self) -> None:
        one = made(["a", "b"], [["a"], ["b"]])
        assert "no pattern" in (judged(one).measures["answer_match"].why or "")
        assert "in no reference" in (judged(one, pattern="#").measures["answer_match"].why or "")

    def test_other_scripts(self) -> None:
        found = judged(made(["中文字", "日本"], [["中文字"], ["日本語"]]), tokenize="char")
        for name in ("rouge_1", "rouge_2", "rouge_l"):
            assert "a-z" in (found.measures[name].why or "")
        said = [note for note in found.notes if "ROUGE" in note]
        assert [note.split(" out ")[0] for note in said] == [
            "ROUGE-1 and ROUGE-L leave",
            "ROUGE-2 leaves",
        ]
        assert found.measures["chrf"].value is not None
        assert found.measures["chrf"].value > 50

    def test_empty_texts(self) -> None:
        found = judged(made(["", ""], [["a b"], ["c d"]]))
        assert values(found)["bleu"] == values(found)["chrf"] == values(found)["rouge_l"] == 0
        assert values(found)["length_ratio"] == 0
        assert found.measures["distinct_1"].value is None

    def test_without_wordnet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("equipoise.evaluate.texts.meteor.find_wordnet", lambda: None)
        assert "wordnet-base" in (judged(drawn(4)).measures["meteor"].why or "")

    def test_no_rows(self) -> None:
        with pytest.raises(DataError, match="no rows"):
            judge_texts(drawn(4), split="validation")


class TestIntervals:
    def test_coverage(self) -> None:
        """Of the true value of a mean over four categories, two of them with three rows."""
        rng = np.random.default_rng(0)
        sizes, level = [40, 12, 3, 3], np.array([0.2, 0.5, 0.4, 0.7])
        category = np.repeat(np.arange(4), sizes)
        clusters, everyone = np.arange(len(category)), np.ones(4, dtype=bool)
        hits, own = 0, 0
        for _ in range(200):
            own_level = level[category]
            sums = rng.beta(4 * own_level, 4 * (1 - own_level))[:, None]
            sums = np.concatenate([sums, np.ones_like(sums)], axis=1)
            drawn_ = plan(sums, category, clusters, 4).draw(
                200, rng, lambda s: (s[..., 0] / np.maximum(s[..., 1], 1))[..., None]
            )
            each = np.array([sums[category == k, 0].mean() for k in range(4)])
            lent = recentred(drawn_.lent[..., 0], drawn_.each[..., 0], each)
            mean = expanded(each.mean(), macro(lent, everyone), len(clusters))
            hits += mean.low <= level.mean() <= mean.high
            second = expanded(each[1], drawn_.each[:, 1, 0], 12)
            own += second.low <= level[1] <= second.high
        assert hits / 200 > 0.91
        assert own / 200 > 0.9

    def test_variety_covers_what_as_many_rows_have(self) -> None:
        def estimate(seed: int) -> Estimate:
            rng = np.random.default_rng(seed)
            one = made([sentence(rng, 5) for _ in range(30)], [["a"]] * 30)
            return variety_estimate(varieties(text_outcomes(one, only="distinct_2"), 2)[0])

        found = [estimate(seed) for seed in range(60)]
        truth = np.mean([one.value for one in found])
        assert np.mean([one.low <= truth <= one.high for one in found]) > 0.9


class TestCompare:
    def test_b_minus_a(self) -> None:
        a, b = drawn(80, share=0.5), drawn(80, share=0.1)
        first, second = judged(a), judged(b)
        names = ("bleu", "macro_bleu", "chrf", "rouge_1", "macro_rouge_2", "macro_rouge_l")
        for name in (*names, "loss", "distinct_2"):
            found = compare_texts(a, b, measure=name, seed=0, resamples=200)
            assert found.overall.a == pytest.approx(first.measures[name].value)
            assert found.overall.b == pytest.approx(second.measures[name].value)
            gap = found.overall.b - found.overall.a
            assert found.overall.difference.value == pytest.approx(gap)
            plain = name.removeprefix("macro_")
            for category, one in found.categories.items():
                assert one.a == pytest.approx(first.classes[category].measures[plain].value)
        better = compare_texts(a, b, measure="macro_chrf", names=("plain", "treated"))
        assert better.overall.says.startswith("Treated is better than plain by macro_chrf on 80")
        assert better.to_json()["categories"]["x"]["rows"] == 40

    def test_right_rows(self) -> None:
        a, b = drawn(80, share=0.3), drawn(80, share=0.02)
        for name in ("exact_match", "macro_exact_match"):
            found = compare_texts(a, b, measure=name, resamples=500)
            one, two = judged(a).measures[name].value, judged(b).measures[name].value
            assert (found.overall.a, found.overall.b) == pytest.approx((one, two))
            assert found.overall.difference.low > 0

    def test_with_itself(self) -> None:
        one = drawn(40)
        order = np.random.default_rng(0).permutation(40)
        for name in ("bleu", "macro_loss", "exact_match", "macro_distinct_1", "length_ratio"):
            found = compare_texts(one, one.take(order), measure=name, resamples=50)
            assert found.overall.difference.value == 0
            assert found.overall.difference.low == found.overall.difference.high == 0
            assert "can't be told apart" in found.overall.says

    def test_pairing_is_worth_it(self) -> None:
        """What makes rows hard for both cancels out."""
        rng = np.random.default_rng(0)
        hard = rng.gamma(1, 20, 100)
        texts = [["a b"]] * 100
        a = made(["a b"] * 100, texts, log_probs=-hard)
        b = made(["a b"] * 100, texts, log_probs=-hard - 1 + rng.normal(0, 0.1, 100))
        gap = compare_texts(a, b, measure="loss").overall.difference
        alone = judged(a).measures["loss"]
        assert gap.high - gap.low < (alone.high - alone.low) / 10

    @pytest.mark.parametrize("measure", ["bleu", "macro_bleu", "distinct_2"])
    def test_measures_alike_by_texts_that_differ_are_not_known_to_be_equal(
        self, measure: str
    ) -> None:
        """A BLEU of 0 on both sides, or as many words of one kind: no resample varies, and nothing
        is known of other rows. The same texts are the same, whatever the rows."""
        references = [["never said by anybody"]] * 20
        a, b = (
            made([f"{word}{k} {word}{k}b {word}{k}c" for k in range(20)], references)
            for word in ("x", "y")
        )
        gap = compare_texts(a, b, measure=measure).overall.difference
        assert (gap.value, gap.low, gap.high) == (0, None, None)
        assert gap.why
        same = compare_texts(a, a, measure=measure).overall.difference
        assert (same.value, same.low, same.high) == (0, 0, 0)

    def test_a_lower_loss_is_better(self) -> None:
        a = drawn(30)
        b = replace(a, log_probs=a.log_probs / 2)
        assert " better " in compare_texts(a, b, measure="macro_bits_per_byte").overall.says

    def test_length_ratio_is_only_higher(self) -> None:
        a = drawn(30, share=0)
        longer = [f"{text} and more of it" for text in a.written]
        b = replace(a, written=np.array(longer, dtype=object))
        assert " is higher than " in compare_texts(a, b, measure="length_ratio").overall.says

    def test_faults(self) -> None:
        one = drawn(10)
        with pytest.raises(SettingsError, match="not known"):
            compare_texts(one, one, measure="macro_f1")
        with pytest.raises(SettingsError, match="pattern"):
            compare_texts(one, one, measure="answer_match")
        with pytest.raises(DataError, match="same rows"):
            compare_texts(one, one.take(np.arange(9)), measure="bleu")
        other = replace(one, references=one.references[::-1].copy())
        with pytest.raises(DataError, match="another references"):
            compare_texts(one, other, measure="bleu")
        silent = replace(one, written=np.array([None] * 10, dtype=object))
        with pytest.raises(DataError, match="no text was written"):
            compare_texts(one, silent, measure="bleu")

    def test_only_rows_of_both(self) -> None:
        a = drawn(20, share=0.5, categories=("x",))
        part = a.written.copy()
        part[:5] = None
        found = compare_texts(a, replace(a, written=part), measure="bleu", resamples=50)
        assert found.overall.difference.value == 0
        assert found.overall.a == pytest.approx(
            judged(a.take(np.arange(5, 20))).measures["bleu"].value
        )


def test_garbling_lowers_every_likeness() -> None:
    rng = np.random.default_rng(0)
    refs = [[sentence(rng, 9)] for _ in range(50)]
    found = [
        values(judged(made([garbled(rng, r[0], share) for r in refs], refs)))
        for share in (0.0, 0.3, 0.8)
    ]
    for name in LIKENESS[:-1]:
        assert found[0][name] > found[1][name] > found[2][name]  # type: ignore[operator]
