"""Repeats, conflicts and leaks: counting, so every number is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from make_given import rows_of

from equipoise.audit.findings import labels
from equipoise.audit.findings.judging import leaks, unknown_labels
from equipoise.audit.findings.texts import duplicates
from equipoise.audit.repeats import find_alike, repeats
from equipoise.records.rows import text_column

LONG = "the parcel that you sent on monday has not arrived at my house in the village yet"


def test_repeats_conflicts_and_look_alikes_by_hand() -> None:
    given = rows_of(
        ["Where is it?", "where is it", "Where is it!", LONG, LONG + "s", "Refund me"],
        ["order", "order", "refund", "order", "refund", "refund"],
    )
    found = repeats(given, find_alike(given, seed=0))
    r = found.record
    assert (r.repeated, r.texts) == (2, 1)
    assert (r.conflict_texts, r.conflict_rows) == (1, 3)
    assert (r.alike_pairs, r.alike_conflicts) == (1, 1)
    assert r.leaks == []
    assert found.conflict_classes == ["order", "refund"]
    assert [e.note for e in found.duplicates] == ["this text occurs 3 times"]
    assert found.conflicts[0].note == "the same text is 'refund' in row 3"
    assert LONG in found.conflicts[1].note or found.conflicts[1].text == LONG
    (conflict,) = labels.conflicts(given, found)
    assert conflict.weight == "serious"
    assert "1 text occurs under different labels, 3 rows in all (50 %)" in conflict.says
    (repeat,) = duplicates(given, found)
    assert repeat.says.startswith("2 rows (33 %) repeat an earlier text")


def test_leaks_say_how() -> None:
    given = rows_of(
        ["good morning to you", "GOOD MORNING to you!", LONG, LONG + "s", "one of ten", "last one"],
        ["a", "a", "b", "b", "a", "b"],
        ["train", "test", "train", "test", "train", "test"],
    )
    given = replace(given, groups=text_column(["", "", "", "", "g", "g"]))
    found = repeats(given, find_alike(given, seed=0))
    (leak,) = found.record.leaks
    assert (leak.judged, leak.of, leak.rows) == ("test", "train", 3)
    assert (leak.same, leak.alike, leak.group) == (1, 1, 1)
    (said,) = leaks(given, found)
    assert (
        "3 of 3 test rows repeat, resemble or share a group with train rows (1 with the same"
        in said.says
    )
    assert said.do.startswith("leave out the train rows that they are tied to, as equipoise train")
    assert [e.id for e in said.examples] == ["2", "4", "6"]
    assert said.examples[0].note == "the same text is in row train 1"


def test_look_alikes_that_are_apart_are_not_said_to_be_kept_together() -> None:
    """A chain that is cut behind its second row: the third looks like it, and stays elsewhere."""
    chain = [LONG, LONG + "s", LONG + "st", "something else altogether"]
    given = rows_of(chain, ["a"] * 4, ["train", "train", "test", "test"])
    together, cut = (
        replace(given, clusters=np.array(clusters)) for clusters in ([0, 0, 0, 1], [0, 0, 1, 2])
    )
    found = repeats(together, find_alike(together, seed=0))
    (repeat,), (leak,) = duplicates(together, found), leaks(together, found)
    assert "; every split keeps them on one side, and intervals count them once" in repeat.do
    assert "tied to, as equipoise train does; scores" in leak.do
    found = repeats(cut, find_alike(cut, seed=0))
    pairs = found.record.alike_pairs - 1  # of the three all but the first two
    (repeat,), (leak,) = duplicates(cut, found), leaks(cut, found)
    assert f"equal texts on one side, and look-alikes but for {pairs} pair" in repeat.do
    assert "does (but 1 test row also looks like train rows that it keeps, where" in leak.do


def test_nothing_repeats_nothing_is_said() -> None:
    given = rows_of(["alpha beta", "gamma delta", "epsilon zeta"], ["a", "b", "a"])
    found = repeats(given, find_alike(given, seed=0))
    assert list(duplicates(given, found)) == []
    assert list(labels.conflicts(given, found)) == []
    assert list(leaks(given, found)) == []


def test_labels_without_a_training_row() -> None:
    given = rows_of(["a", "b", "c", "d"], ["x", "y", "z", "z"], ["train", "train", "test", "test"])
    (said,) = unknown_labels(given)
    assert said.says == "2 rows of test have a label without a training row: 'z'"
    assert said.classes == ["z"]
    assert said.rows == 2


def test_texts_are_left_out_where_asked() -> None:
    given = replace(rows_of([LONG, LONG, "other"], ["x", "y", "x"]), keep_texts=False)
    found = repeats(given, find_alike(given, seed=0))
    assert all(e.text is None for e in found.conflicts + found.duplicates)
    assert not any("parcel" in e.note for e in found.conflicts)
