"""Reliability curves and confusion, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from make_predictions import drawn, predictions

from equipoise.evaluate import confusion, mistakes, most_confused, reliability
from equipoise.evaluate.measures import ece

LABELS = ["a", "a", "a", "b", "b", "c"]
DECIDED = ["a", "b", "b", "b", "a", "defer"]


def test_top_label_curve_by_hand():
    p = predictions(["a", "a", "b"], ["a", "a", "a"])
    top = reliability(p)[0]
    assert top.name is None
    (only,) = top.bins
    assert (only.rows, only.stated, only.observed) == pytest.approx((3, 0.8, 2 / 3))
    assert only.low < 0.8 <= only.high
    assert only.observed_low < 2 / 3 < only.observed_high


def test_the_top_curve_adds_up_to_ece():
    p = drawn(skill=1.0)
    curves = reliability(p)
    gaps = sum(b.rows * abs(b.stated - b.observed) for b in curves[0].bins) / 300
    labels = np.array([p.classes.index(x) for x in p.labels])
    assert gaps == pytest.approx(ece(p.probabilities, labels))
    assert [c.name for c in curves[1:]] == list(p.classes)
    assert all(sum(b.rows for b in c.bins) == 300 for c in curves)


def test_confusion_in_rows_and_cost():
    costs = np.array([[0, 4, 1, 0.5], [9, 0, 1, 0.5], [1, 1, 0, 0.5]])
    table = confusion(predictions(LABELS, DECIDED), costs=costs)
    assert table.decisions == ("a", "b", "c", "defer")
    assert table.rows.tolist() == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
    assert table.cost.tolist() == [[0, 8, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0.5]]
    assert most_confused(table, limit=1)[0].decided == "b"
    dearest = most_confused(table, limit=1, by="cost")[0]
    assert (dearest.label, dearest.decided, dearest.rows, dearest.cost) == ("b", "a", 1, 9)
    assert dearest.share == 0.5


def test_deferring_without_a_stated_cost_is_null_not_free():
    table = confusion(predictions(LABELS, DECIDED), costs=1 - np.eye(3))
    assert table.to_json()["cost"][2][3] is None


def test_the_surest_mistake_comes_first():
    p = drawn(skill=1.0)
    found = mistakes(p)
    assert len(found) == int((p.labels != p.decided).sum())
    assert [m.sure for m in found] == sorted((m.sure for m in found), reverse=True)
    first = found[0]
    row = p.ids.tolist().index(first.id)
    assert first.sure == p.probabilities[row].max()
    assert first.given_to_label == p.probabilities[row, p.classes.index(first.label)]
    assert mistakes(p, limit=3) == found[:3]
