"""Measures of texts: sacrebleu, rouge-score and nltk as references, worked values, laws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import MissingExtraError, SettingsError
from equipoise.evaluate.texts import overlap
from equipoise.evaluate.texts.answers import (
    answer_in,
    answer_match,
    answer_pattern,
    exact_match,
    same_answer,
)
from equipoise.evaluate.texts.meteor import NO_NLTK, NO_WORDNET, meteor_scorer, why_no_meteor
from equipoise.evaluate.texts.rouge import longest_common_subsequence, rouge_l, rouge_n
from equipoise.evaluate.texts.wordnet import find_wordnet, read_wordnet
from tests.evaluate.texts.make_written import drawn

TEXTS = st.text(alphabet="ab c.,é中\U0001f600\n3", max_size=25)
ROWS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=8)


def streams(references: list[list[str]]) -> list[list[str | None]]:
    most = max(map(len, references))
    return [[refs[k] if k < len(refs) else None for refs in references] for k in range(most)]


class TestOverlap:
    def test_values_are_sacrebleus(self) -> None:
        from sacrebleu.metrics import BLEU, CHRF

        one = drawn(200)
        texts = one.written.tolist()
        references = [list(refs) for refs in one.references]
        theirs = BLEU(force=True).corpus_score(texts, streams(references))
        sums = overlap.bleu_sums(texts, references).sum(axis=0)
        assert overlap.bleu(sums) == pytest.approx(theirs.score, abs=1e-9)
        assert overlap.length_ratio(sums) == pytest.approx(theirs.ratio, abs=1e-12)
        chrf = CHRF().corpus_score(texts, streams(references)).score
        mine = overlap.chrf(overlap.chrf_sums(texts, references).sum(axis=0))
        assert mine == pytest.approx(chrf, abs=1e-9)

    @settings(max_examples=40, deadline=None)
    @given(ROWS, st.sampled_from(["13a", "char", "intl", "zh"]))
    def test_any_texts_are_sacrebleus(
        self, rows: list[tuple[str, list[str]]], tokenize: str
    ) -> None:
        from sacrebleu.metrics import BLEU, CHRF

        texts, references = [row[0] for row in rows], [row[1] for row in rows]
        theirs = BLEU(force=True, tokenize=tokenize).corpus_score(texts, streams(references))
        sums = overlap.bleu_sums(texts, references, tokenize=tokenize).sum(axis=0)
        assert overlap.bleu(sums) == pytest.approx(theirs.score, abs=1e-9)
        assert sums.tolist() == [theirs.sys_len, theirs.ref_len, *theirs.counts, *theirs.totals]
        chrf = CHRF().corpus_score(texts, streams(references)).score
        mine = overlap.chrf(overlap.chrf_sums(texts, references).sum(axis=0))
        assert mine == pytest.approx(chrf, abs=1e-9)

    def test_many_kinds_of_character_do_not_run_over(self) -> None:
        """At 4,000 kinds of character six of them together are more than a whole number holds."""
        from sacrebleu.metrics import CHRF

        texts = ["".join(map(chr, range(0x4E00 + k, 0x4E00 + 4000, 3))) for k in range(3)]
        references = [[text[5:] + text[:7]] for text in texts]
        mine = overlap.chrf(overlap.chrf_sums(texts, references).sum(axis=0))
        theirs = CHRF().corpus_score(texts, streams(references)).score
        assert mine == pytest.approx(theirs, abs=1e-9)

    def test_bleu_by_hand(self) -> None:
        # 4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 fours; one word short of the reference.
        sums = overlap.bleu_sums(["a b c d x"], [["a b c d y z"]])[0]
        assert sums.tolist() == [5, 6, 4, 3, 2, 1, 5, 4, 3, 2]
        expected = 100 * math.exp(1 - 6 / 5) * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
        assert overlap.bleu(sums) == pytest.approx(expected)

    def test_perfect_texts(self) -> None:
        texts = ["A good long text here.", "Et encore une autre, là !"]
        sums = overlap.bleu_sums(texts, [[text] for text in texts])
        assert overlap.bleu(sums) == pytest.approx([100, 100])
        assert overlap.chrf(overlap.chrf_sums(texts, [[t] for t in texts])) == pytest.approx(100)

    def test_unknown_tokenizer(self) -> None:
        with pytest.raises(SettingsError, match="13a"):
            overlap.bleu_sums(["a"], [["a"]], tokenize="words")

    def test_without_sacrebleu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
        with pytest.raises(MissingExtraError, match=r"equipoise\[texts\]"):
            overlap.check_sacrebleu()


class TestRouge:
    def test_values_are_rouge_scores(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
        one = drawn(100, share=0.5)
        ours = [rouge_n(one.written.tolist(), one.references.tolist(), n) for n in (1, 2)]
        for k, (text, refs) in enumerate(zip(one.written, one.references, strict=True)):
            theirs = scorer.score_multi(list(refs), text)
            assert rouge_l(text, refs) == pytest.approx(theirs["rougeL"].fmeasure, abs=1e-12)
            for n in (1, 2):
                wanted = pytest.approx(theirs[f"rouge{n}"].fmeasure, abs=1e-12)
                assert ours[n - 1][k] == wanted, (n, text, refs)

    def test_n_grams_by_hand(self) -> None:
        """2 of "the" are in both of 3 and 2: words 2 × 3 / (4 + 3), pairs 2 × 2 / (3 + 2)."""
        row = ["the the the cat"], [["the the cat"]]
        assert rouge_n(*row, 1).tolist() == pytest.approx([6 / 7])
        assert rouge_n(*row, 2).tolist() == pytest.approx([4 / 5])
        # The best of a row's references, not what they have together.
        several = ["a b", "", "x"], [["a c", "d b", "a b e f"], ["a b"], ["x"]]
        assert rouge_n(*several, 1).tolist() == pytest.approx([4 / 6, 0, 1])
        found = rouge_n(*several, 2)
        assert found[:2].tolist() == pytest.approx([2 / 4, 0])
        assert np.isnan(found[2]), "a reference of one word says nothing of pairs"
        assert np.isnan(rouge_n(["中文"], [["中文"]], 1)).all()

    @settings(max_examples=60, deadline=None)
    @given(st.text("abc", max_size=12), st.text("abc", max_size=12))
    def test_subsequence_is_the_tables(self, one: str, two: str) -> None:
        table = np.zeros((len(one) + 1, len(two) + 1), dtype=int)
        for i, x in enumerate(one):
            for j, y in enumerate(two):
                best = max(table[i, j + 1], table[i + 1, j])
                table[i + 1, j + 1] = table[i, j] + 1 if x == y else best
        assert longest_common_subsequence(one, two) == table[-1, -1]

    def test_edges(self) -> None:
        assert rouge_l("", ["a b"]) == 0
        assert rouge_l("same words", ["other", "Same words!"]) == 1
        assert rouge_l("中文", ["中文"]) is None


class TestAnswers:
    @pytest.mark.parametrize(
        ("one", "two", "same"),
        [
            ("1,000", "1000.0", True),
            ("$1,000", "1000", True),
            ("-$5", "\N{MINUS SIGN}5.00", True),
            ("1,00", "100", False),
            ("0.1", ".10", True),
            ("1e3", "1000", True),
            ("18.", "18", True),
            ("10000000000000000000000001", "10000000000000000000000000", False),
            ("50%", "50", True),
            ("Paris", "Paris.", True),
            ("paris", "Paris", False),
            ("é", "e\u0301", True),
            ("", "", True),
            (".", "0", False),
        ],
    )
    def test_same(self, one: str, two: str, same: bool) -> None:
        assert same_answer(one, two) is same
        assert same_answer(two, one) is same

    def test_last_match_first_group(self) -> None:
        gsm8k = answer_pattern("gsm8k")
        assert answer_in("so #### 3\nno\n#### 1,234 \n", gsm8k) == "1,234"
        assert answer_in("####", gsm8k) is None
        assert answer_in("a1 b22", answer_pattern(r"\d+")) == "22"
        assert answer_in("x", answer_pattern(r"x|(y)")) is None
        assert answer_match("#### 1000.0", ["work\n#### 1,000"], gsm8k) is True
        assert answer_match("1000", ["work\n#### 1,000"], gsm8k) is False
        assert answer_match("#### 2", ["no mark", "#### 2"], gsm8k) is True
        assert answer_match("#### 2", ["no mark"], gsm8k) is None

    def test_a_match_of_nothing_is_no_answer(self) -> None:
        digits = answer_pattern(r"\d*")
        assert answer_in("it is 12, or so", digits) == "12"
        assert answer_in("nobody knows", digits) is None
        assert answer_match("it is 12", ["it is 13"], digits) is False
        assert answer_match("it is 12", ["nobody knows"], digits) is None
        assert answer_in("Answer: 5\nAnswer: ", answer_pattern(r"Answer:(.*)")) == " 5"
        assert answer_in("y, then x", answer_pattern(r"x|(y)")) == "y"

    def test_exact(self) -> None:
        assert exact_match(" Yes\n", ["No", "Yes"])
        assert not exact_match("", ["Yes"])
        assert exact_match("é", ["e\u0301"])

    def test_bad_pattern(self) -> None:
        with pytest.raises(SettingsError, match="no regular expression"):
            answer_pattern("(")


class TestMeteor:
    def test_words_by_hand(self, wordnet_folder: Path) -> None:
        score = meteor_scorer(wordnet_folder)
        assert score("a b c", ["a b c"]) == pytest.approx(1 - 0.5 / 27)
        assert score("x", ["a b c"]) == 0
        assert score("", ["a"]) == 0
        # "auto" is a synonym of "cars", "running" has the stem of "runs"; two chunks of two words.
        value = score("running cars", ["auto runs"])
        assert value == pytest.approx(1 - 0.5 * (2 / 2) ** 3)
        assert score("running cars", ["nothing", "auto runs"]) == value

    def test_synonyms(self, wordnet_folder: Path) -> None:
        words = {
            word: sorted(
                lemma.name()
                for s in read_wordnet(wordnet_folder).synsets(word)
                for lemma in s.lemmas()
            )
            for word in ("Cars", "geese", "larger", "men", "running", "nothing")
        }
        assert words == {
            "Cars": ["auto", "car"],
            "geese": ["goose"],
            "larger": ["big", "large"],
            "men": ["man"],
            "running": [],
            "nothing": [],
        }

    def test_where_it_is(
        self, wordnet_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WNSEARCHDIR", str(wordnet_folder))
        assert find_wordnet() == wordnet_folder
        assert why_no_meteor() is None
        monkeypatch.setattr("equipoise.evaluate.texts.meteor.find_wordnet", lambda: None)
        assert why_no_meteor() == NO_WORDNET
        monkeypatch.setattr("equipoise.evaluate.texts.meteor.find_spec", lambda name: None)
        assert why_no_meteor() == NO_NLTK
