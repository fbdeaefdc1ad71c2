"""The record of a decision rule: whole after writing and reading, and strict about its shape."""

import json
from dataclasses import replace

import numpy as np
import pytest

from equipoise.errors import FolderError, ShapeError
from equipoise.records.decision import (
    DecisionRule,
    Defer,
    Isotonic,
    PriorShift,
    Rescale,
    VectorScaling,
    read_decision,
    write_decision,
)
from equipoise.remedies.decisions.apply import decide, decision_scores, posterior

from .scored import FLAT, NAMES, SHARES

PLAIN = DecisionRule(NAMES, 2.0, SHARES, FLAT, "argmax", np.zeros(3), notes=("one", "two"))
COSTS = np.array([[0, 5, 1], [500, 0, 1], [3, 3, 0.0]])
PERSON = np.column_stack([COSTS, [2, 2, 2]])
CURVE = (np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.4, 0.9]))
NONE = (np.zeros(0), np.zeros(0))
RULES = {
    "plain": PLAIN,
    "offsets": replace(PLAIN, kind="offsets", offsets=np.array([0, 1.5, -2])),
    "costs": replace(PLAIN, kind="costs", costs=COSTS),
    "person has a price": replace(PLAIN, kind="costs", costs=PERSON),
    "capacity": replace(
        PLAIN, kind="costs", costs=PERSON, defer=Defer("costs", 1.5, review_capacity=0.1)
    ),
    "unsure": replace(PLAIN, defer=Defer("threshold", 0.7)),
    "dear": replace(PLAIN, costs=COSTS, defer=Defer("threshold", 0.7, "cost")),
    "rescale": replace(PLAIN, rescale=Rescale(np.array([1, 0.5, 2]), np.array([0, 0.1, -1]))),
    "vector": replace(
        PLAIN,
        temperature=1.0,
        calibration=VectorScaling(np.array([1, 0.5, 2]), np.array([0, 0.1, -1])),
    ),
    "isotonic": replace(
        PLAIN, calibration=Isotonic(SHARES, (CURVE, NONE, CURVE), np.array([0.9, 0.0, 0.5]))
    ),
    "prior": replace(PLAIN, prior_shift=PriorShift(SHARES, 10.0, 312)),
    "groups": replace(PLAIN, kind="offsets", group_offsets={"g": np.array([0, 9.0, 0])}),
}
Z = np.random.default_rng(0).normal(size=(40, 3)) * 3
GROUPS = np.array(["g", None, "h", "g"] * 10, dtype=object)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_reads_back_whole(name, tmp_path):
    rule = RULES[name]
    write_decision(tmp_path / "a.json", rule)
    back = read_decision(tmp_path / "a.json")
    write_decision(tmp_path / "b.json", back)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    p = posterior(rule, Z)
    np.testing.assert_array_equal(posterior(back, Z), p)
    np.testing.assert_array_equal(decide(back, p, GROUPS), decide(rule, p, GROUPS))
    np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("name", [n for n in RULES if n not in ("person has a price", "capacity")])
def test_the_largest_score_is_what_is_decided(name):
    rule = replace(RULES[name], defer=None, costs=COSTS if name == "costs" else None)
    decided = decide(rule, posterior(rule, Z))
    np.testing.assert_array_equal(decision_scores(rule, Z).argmax(axis=1), decided)
    groups = np.array(["g", "h", None], dtype=object)[np.arange(len(Z)) % 3]
    by_group = decide(rule, posterior(rule, Z), groups)
    scores = decision_scores(rule, Z, groups=groups)
    np.testing.assert_array_equal(scores.argmax(axis=1), by_group)


def test_the_first_schema_is_read_and_others_are_refused(tmp_path):
    path = tmp_path / "decision.json"
    write_decision(path, RULES["costs"])
    record = json.loads(path.read_text())
    newer = ("rescale", "calibration", "prior_shift", "group_offsets", "group_column", "defer")
    old = {key: value for key, value in record.items() if key not in newer} | {"schema": 1}
    path.write_text(json.dumps(old))
    np.testing.assert_array_equal(posterior(read_decision(path), Z), posterior(RULES["costs"], Z))
    path.write_text(json.dumps(record | {"schema": 99}))
    with pytest.raises(FolderError, match="schema is 99, this version of equipoise reads 2"):
        read_decision(path)
    path.write_text(json.dumps(record | {"calibration": {"kind": "Spline"}}))
    with pytest.raises(FolderError, match="calibration 'Spline' is not known"):
        read_decision(path)
    del record["defer"]
    path.write_text(json.dumps(record))
    with pytest.raises(FolderError, match="not a decision rule"):
        read_decision(path)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"offsets": np.zeros(2)}, "offsets has shape"),
        ({"kind": "costs"}, "costs are None"),
        ({"costs": COSTS}, "kind is 'argmax', costs are"),
        ({"kind": "costs", "costs": COSTS[:2]}, "expected \\(3, 3\\) or \\(3, 4\\)"),
        ({"kind": "costs", "costs": COSTS, "defer": Defer("costs", 0)}, "cost of leaving a row"),
        ({"rescale": Rescale(np.array([1, 0, 1.0]), np.zeros(3))}, "above 0"),
        ({"calibration": VectorScaling(np.ones(2), np.zeros(3))}, "scale has shape"),
        ({"calibration": Isotonic(FLAT, (CURVE,), np.zeros(3))}, "1 curves, expected 3"),
        ({"group_offsets": {"g": np.zeros(4)}}, r"group_offsets\['g'\] has shape"),
        ({"prior_shift": PriorShift(np.zeros(1), 1.0)}, "log_stated has shape"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, says):
    with pytest.raises(ShapeError, match=says):
        replace(PLAIN, **parts)
    with pytest.raises(ShapeError, match="no share of rows"):
        Defer("threshold", 0.5, review_capacity=2.0)
    with pytest.raises(ShapeError, match="not a finite number"):
        Defer("threshold", float("nan"))


def test_rows_left_to_a_person_by_hand():
    """By costs: deciding best costs 5 x 0.2 = 1 in the first row, 2 to ask; 5 x 0.48 = 2.4 in the
    second."""
    table = np.array([[0, 5.0, 2], [5, 0, 2]])
    rule = DecisionRule(("a", "b"), 1.0, np.zeros(2), np.zeros(2), "costs", np.zeros(2), table)
    p = np.array([[0.8, 0.2], [0.48, 0.52]])
    assert decide(rule, p).tolist() == [0, 2]
    assert decide(replace(rule, defer=Defer("costs", 0.5)), p).tolist() == [0, 1]
    unsure = replace(rule, kind="argmax", costs=None, defer=Defer("threshold", 0.6))
    assert decide(unsure, p).tolist() == [0, 2]
    dear = replace(rule, costs=table[:, :2], defer=Defer("threshold", 0.9, "cost"))
    assert decide(dear, p).tolist() == [2, 2]


def test_groups_have_offsets_of_their_own_and_unknown_ones_the_common():
    rule = replace(
        PLAIN, kind="offsets", offsets=np.array([9.0, 0, 0]), group_offsets={"g": np.eye(3)[1] * 9}
    )
    p = np.full((4, 3), 1 / 3)
    assert decide(rule, p, np.array(["g", "h", None, "g"], dtype=object)).tolist() == [1, 0, 0, 1]
    assert decide(rule, p).tolist() == [0] * 4
