"""The section on costs: what it says of savings, changes, classes and rows left to a person."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from make_run import make_run

from equipoise.costs import costs_from
from equipoise.records.decision import Defer
from equipoise.records.predictions import Predictions
from equipoise.records.rows import text_column
from equipoise.report.page import render
from equipoise.report.read import read_run
from equipoise.report.sections.costs import costs_section

COSTS = {
    "unit": "EUR",
    "default": 1,
    "missed": {"c": 20},
    "costs": {"b": {"a": {"times": "amount", "factor": 2, "plus": 5}}},
    "defer": {"cost": 0.4, "capacity": 0.3},
}
PLAIN = {"unit": "EUR", "default": 1, "costs": {"b": {"a": 100}}}


def priced(run, costs, p, labels, amounts=None, decided=None, defer=None):
    """The run with three classes decided by `costs` from probabilities p (n, 3)."""
    stated = costs_from(costs)
    table = stated.table(("a", "b", "c"))
    rule = dataclasses.replace(
        run.decision,
        kind="costs",
        offsets=np.zeros(3),
        costs=table.fixed,
        cost_factors=table.factor,
        cost_column=table.column,
        defer=defer,
    )
    if decided is None:
        found = table.expected(p, amounts).argmin(axis=1)
        decided = [("a", "b", "c", "defer")[k] for k in found]
    n = len(p)
    predictions = Predictions(
        ("a", "b", "c"),
        text_column([f"row {k}" for k in range(n)]),
        text_column(["test"] * n),
        np.full(n, -1),
        text_column([None] * n),
        np.arange(n),
        text_column(list(labels)),
        text_column(list(decided)),
        np.log(p),
        p,
        amounts,
    )
    return dataclasses.replace(run, costs=stated, decision=rule, predictions=predictions)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(make_run(tmp_path_factory.mktemp("run"), names=("a", "b", "c"), judged_rows=40))


def wary(n=40):
    """Rows that are a with 0.8, in truth b every fifth time: at 100 a miss, b is the cheaper."""
    p = np.tile([0.8, 0.2 - 1e-6, 1e-6], (n, 1))
    return p, ["b" if k % 5 == 0 else "a" for k in range(n)]


def test_what_is_saved_and_changed(run):
    section = costs_section(priced(run, PLAIN, *wary()))
    assert section.says.startswith("Against deciding for the most probable class, the costs save")
    # 8 of 40 rows cost 100 each before, 32 cost 1 each after.
    assert [arm.cost for arm in section.arms] == ["20,000", "800"]
    assert "19,200 EUR per 1,000 rows" in section.says
    assert [(m.before, m.after, m.rows, m.saved) for m in section.moves] == [
        ("a", "b", "40", "768")
    ]
    assert section.moved == "40 rows (100 %) are decided otherwise."
    lines = {line.name: (line.rows, line.before, line.after) for line in section.classes}
    assert lines == {"b": (8, "800", "0"), "a": (32, "0", "32")}
    assert section.deferral is None


def test_costs_that_change_nothing_say_so(run):
    p = np.tile([0.998, 0.001, 0.001], (10, 1))
    section = costs_section(priced(run, {"unit": "EUR", "default": 1}, p, "a" * 9 + "b"))
    assert section.moves == ()
    assert "changed no decision" in section.says
    assert section.moved == "Every row is decided as its most probable class."


def test_costs_that_only_price_claim_no_saving(run):
    one = priced(run, PLAIN, *wary())
    rule = dataclasses.replace(one.decision, kind="argmax", costs=None)
    section = costs_section(dataclasses.replace(one, decision=rule))
    assert "which only price them" in section.says
    assert "save" not in section.says


def test_rows_left_to_a_person_are_counted_by_class_and_held_against_the_limit(run):
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5, 0.4, 0.1], 60)
    labels = [("a", "b", "c")[rng.choice(3, p=q)] for q in p]
    amounts = rng.exponential(5, 60)
    one = priced(run, COSTS, p, labels, amounts, defer=Defer("costs", 0.0, review_capacity=0.3))
    left = int((one.predictions.decided == "defer").sum())
    part = costs_section(one).deferral
    arms = [arm.title for arm in costs_section(one).arms]
    assert arms == ["The most probable class", "This run, if nobody were asked", "This run"]
    assert f"60 test rows, {left}" in part.says
    assert "above the limit of 30 %, by more than chance" in part.says
    assert part.lines[0][0] == "0 %"
    assert sum("this run" in line[0] for line in part.lines) == 1
    assert "ideal" in part.reached
    by_class = {line.name: line.left for line in costs_section(one).classes}
    counts = [int(x.split(" ")[0]) for x in by_class.values() if x]
    assert sum(counts) == left
    wide = dataclasses.replace(
        one,
        decision=dataclasses.replace(one.decision, defer=Defer("costs", 0, review_capacity=0.99)),
    )
    assert "within the 99 %" in costs_section(wide).deferral.says


def test_the_stated_costs_are_told_as_they_were_stated(run):
    p = np.tile([0.8, 0.1, 0.1], (10, 1))
    section = costs_section(priced(run, COSTS, p, "a" * 10, np.ones(10)))
    assert section.stated == (
        ("b", "a", "2 × amount + 5"),
        ("c", "any other class", "20"),
        ("any class", "any other class not named", "1"),
        ("any class", "left to a person", "0.4"),
    )


def test_deferral_without_costs_counts_mistakes(run):
    one = dataclasses.replace(
        run, decision=dataclasses.replace(run.decision, defer=Defer("threshold", 0.5))
    )
    section = costs_section(one)
    assert section.says == ""
    assert section.stated == ()
    assert section.deferral.axis.startswith("mistakes per 1,000 rows")


def test_a_person_without_a_price_is_no_saving(run):
    p = np.tile([0.5, 0.3, 0.2], (6, 1))
    one = priced(run, PLAIN, p, "aaabbb", decided=["defer"] * 3 + ["a"] * 3)
    section = costs_section(one)
    assert "can’t be said" in section.says
    assert section.arms == ()
    assert "is not known" in " ".join(section.notes)


def test_nothing_is_said_where_nothing_was_stated(run):
    assert costs_section(run) is None
    assert 'id="costs"' not in render(run)


def test_the_page_holds_the_section(run):
    page = render(priced(run, COSTS, *wary(), np.ones(40)))
    assert 'id="costs"' in page
    assert "Left to a person" in page
    assert "2 × amount + 5" in page


def test_an_order_that_saves_nothing_is_not_said_to_save(run):
    """A person who costs more than any mistake: the less is left, the better."""
    dear = {**PLAIN, "defer": {"cost": 1000}}
    part = costs_section(priced(run, dear, *wary(), defer=Defer("costs", 0.0))).deferral
    assert part.reached == "No order of leaving rows to a person saves anything here."
