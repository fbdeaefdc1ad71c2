"""Drift: named where rows change, seldom where they don't. Power: what the judged rows can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from make_given import make_given, rows_of

from equipoise.audit.drift import drift
from equipoise.audit.findings.context import drifts
from equipoise.audit.findings.judging import too_small_classes
from equipoise.audit.given import Given
from equipoise.audit.power import TOO_WIDE, power, surely_too_small, too_small
from equipoise.evaluate.estimates import share_of_rows
from equipoise.records.audit import ClassPower
from equipoise.records.rows import text_column
from equipoise.report.verdict import TOO_WIDE as REPORTED
from equipoise.statistics.power import rows_for_gain, smallest_gain

COUNTS = {"a": 300, "b": 200, "c": 60}


def timed(seed: int) -> Given:
    given = make_given(COUNTS, seed=seed)
    times = np.random.default_rng(seed + 99).permutation(len(given)).astype(float)
    return replace(given, times=times, time_column="day")


def test_rows_in_random_order_seldom_drift() -> None:
    named = [bool(list(drifts(g, drift(g)))) for g in map(timed, range(40))]
    assert np.mean(named) <= 0.05


def test_equal_vectors_and_classes_of_one_row_tell_no_time() -> None:
    """Their scores are tied, and ranks in order of time would make a perfect clock of them."""
    given = timed(0)
    assert given.vectors is not None
    found = drift(replace(given, vectors=np.ones_like(given.vectors)))
    assert found is not None
    assert found.vectors_auc == pytest.approx(0.5)
    alone = np.arange(len(given)) % 4 != 0
    labels = np.where(alone, 3 + np.arange(len(given)), given.labels)
    classes = (*given.classes, *(f"z{k:03d}" for k in range(len(given))))
    found = drift(replace(given, labels=labels, classes=classes, probe=None))
    assert found is not None
    assert found.vectors_auc == pytest.approx(0.5, abs=0.15)
    assert found.vectors_low is not None
    assert found.vectors_low < 0.6
    every = replace(given, labels=np.arange(len(given)), probe=None,
                    classes=tuple(f"z{k:03d}" for k in range(len(given))))  # fmt: skip
    found = drift(every)
    assert found is not None
    assert found.vectors_auc is None


def test_shares_words_and_vectors_that_move_are_named() -> None:
    given = timed(0)
    assert given.times is not None
    late = given.times >= len(given) / 2
    more_c = np.where(late & (np.arange(len(given)) % 2 == 0), 2, given.labels)
    (said,) = drifts(given, drift(replace(given, labels=more_c)))
    assert "class shares move by" in said.says

    last = given.times >= 5 * len(given) / 6
    texts = text_column([
        f"{text} {['qqa', 'qqb', 'qqc', 'qqd'][k % 4]}" if new else text
        for k, (text, new) in enumerate(zip(given.texts, last, strict=True))
    ])  # fmt: skip
    (said,) = drifts(given, drift(replace(given, texts=texts)))
    assert "of the last period's words are new" in said.says
    assert "AUC" not in said.says

    assert given.vectors is not None
    moved = given.vectors + np.where(late, 1.0, 0.0)[:, None] * np.eye(8)[7]
    found = drift(replace(given, vectors=moved.astype(np.float32)))
    (said,) = drifts(given, found)
    assert "can be told from early ones (AUC" in said.says
    assert found is not None
    # Two unit Gaussians one apart: AUC = Phi(1 / sqrt 2) = 0.76.
    assert found.vectors_auc == pytest.approx(0.76, abs=0.05)


def test_periods_cover_all_rows_in_order_and_count_clusters_once() -> None:
    given = timed(1)
    given = replace(given, clusters=np.arange(len(given)) // 2)
    found = drift(given)
    assert found is not None
    assert sum(period.rows for period in found.periods) == len(given) / 2
    since = [float(period.since) for period in found.periods]
    assert since == sorted(since)
    assert found.periods[0].new_words == 1.0


def test_one_moment_is_no_time() -> None:
    given = rows_of(["a b", "c d", "e f"], ["x", "y", "x"])
    assert drift(given) is None
    assert drift(replace(given, times=np.zeros(3))) is None


def test_power_by_hand() -> None:
    given = make_given({"a": 400, "b": 20}, seed=0)
    found = power(given)
    assert found is not None
    a, b = found.classes
    assert (found.split, found.given) == ("test", True)
    assert a.rows + b.rows == (given.roles == "test").sum()
    assert a.smallest_change == pytest.approx(smallest_gain(a.rows))
    assert b.more_rows == rows_for_gain(0.1) - b.rows
    assert too_small(b)
    assert not too_small(a)


@pytest.mark.parametrize(("rows", "small"), [(1, True), (9, True), (13, True), (14, False)])
def test_from_14_rows_on_a_class_can_be_judged(rows: int, small: bool) -> None:
    texts = [f"text {k}" for k in range(rows + 20)]
    labels = ["x"] * rows + ["y"] * 20
    given = rows_of(texts, labels, ["test"] * len(texts))
    found = power(given)
    assert found is not None
    assert too_small(found.classes[0]) is small


def test_copies_are_counted_once() -> None:
    given = rows_of(["same"] * 20 + [f"t{k}" for k in range(20)], ["x"] * 20 + ["y"] * 20,
                    ["test"] * 40)  # fmt: skip
    given = replace(given, clusters=np.concatenate([np.zeros(20, int), np.arange(1, 21)]))
    found = power(given)
    assert found is not None
    assert found.classes[0].worth == pytest.approx(1.0)
    (said,) = too_small_classes(given, found)
    assert said.classes == ["x"]
    assert said.says == (
        "1 of 2 classes can be judged on the test rows given only where nearly all or none of its "
        "rows come out right: 'x' (20 rows worth 1)"
    )
    assert " test rows a class, none of a group or a text that is there, to show " in said.do
    assert [c.tied for c in found.classes] == [True, False]


@pytest.mark.parametrize(("rows", "surely"), [(0, True), (4, True), (5, False)])
def test_below_five_rows_no_report_judges_a_class(rows: int, surely: bool) -> None:
    """A run's report draws the line at the interval that it measured: of five rows that are all
    right it judges a class, of four it does not."""
    assert TOO_WIDE == REPORTED
    found = ClassPower(
        name="x", rows=rows, worth=rows, low=0, high=1, smallest_change=None, more_rows=0
    )
    assert surely_too_small(found) is surely
    if rows:
        recall = share_of_rows(np.ones(rows, dtype=bool), np.arange(rows), guarantee=False)
        assert recall.low is not None
        assert (1 - recall.low > REPORTED) is surely


def test_what_is_hopeless_and_what_may_be_judged_are_told_apart() -> None:
    labels = ["x"] * 4 + ["y"] * 8 + ["z"] * 30
    given = rows_of([f"t{k}" for k in range(42)], labels, ["test"] * 42)
    (said,) = too_small_classes(given, power(given))
    assert said.says == (
        "1 of 3 classes can't be judged on the test rows given: 'x' (4 rows); 1 more can, but only "
        "where nearly all or none of its rows come out right: 'y' (8 rows)"
    )


def test_no_judged_rows_no_power() -> None:
    given = rows_of(["a", "b"], ["x", "y"])
    assert power(given) is None
    assert list(too_small_classes(given, None)) == []
