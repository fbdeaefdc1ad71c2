"""A first few of the 10,000 tables of `benchmarks/leaks.py`: nothing tied crosses a split."""

from __future__ import annotations

from collections import Counter

from benchmarks.leaks import WAYS, judge, look_alikes


def test_no_tie_crosses_in_forty_tables() -> None:
    total: Counter[str] = Counter()
    for seed in range(8 * len(WAYS)):
        total += judge(seed)
    assert total["firm ties that cross"] == 0
    assert total["look-alikes that cross"] == 0
    assert total["tables refused"] < 6
    assert total["pairs of copies"] > 60
    assert total["pairs of a group"] > 60
    assert total["pairs of look-alikes"] > 200


def test_the_second_opinion_on_look_alikes() -> None:
    texts = ["abcdef", "ABCDEF!", "abcdeg", "ａｂｃｄｅｆ"]
    # " ab abc bcd cde def ef " against the same with "deg" and "eg ": 4 of 8 shared.
    expected = [[(a != 2 and b != 2) or a == b for b in range(4)] for a in range(4)]
    assert look_alikes(texts).tolist() == expected
