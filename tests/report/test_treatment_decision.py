"""What the report says of a decision rule is what the rule does."""

from dataclasses import replace

import numpy as np

from equipoise.records.decision import (
    DecisionRule,
    Isotonic,
    PriorShift,
    Rescale,
    VectorScaling,
)
from equipoise.report.sections.treatment import _beside, _calibration

FLAT = np.log(np.full(2, 0.5))
RULE = DecisionRule(("a", "b"), 1.0, FLAT, FLAT, "argmax", np.zeros(2))
ONES = np.ones(2)
NO_CURVE = (np.zeros(0), np.zeros(0))


def test_each_calibration_is_named_and_no_other():
    assert _calibration(RULE) == ("Scores are used as they come (temperature 1).",)
    assert _calibration(replace(RULE, temperature=1.5)) == (
        "Scores are divided by a temperature of 1.50 to calibrate them.",
    )
    vector = replace(RULE, calibration=VectorScaling(ONES, FLAT), rescale=Rescale(ONES, FLAT))
    assert _calibration(vector) == (
        "Scores are first rescaled, class by class.",
        "The scores of each class have a scale and a bias of their own.",
    )
    curves = replace(
        RULE, temperature=2.0, calibration=Isotonic(FLAT, (NO_CURVE, NO_CURVE), np.zeros(2))
    )
    assert (
        _calibration(curves)[1] == "The probability of each class is then bent by a rising curve."
    )


def test_estimated_shares_and_groups_are_told():
    assert _beside(RULE) == ()
    told = _beside(
        replace(
            RULE,
            kind="offsets",
            log_target=np.log([0.9, 0.1]),
            prior_shift=PriorShift(FLAT, 10.0, 312),
            group_offsets={"south": np.zeros(2), "north": np.zeros(2)},
        )
    )
    assert told == (
        "Class shares were estimated from 312 rows, labels unseen: a 90 % and b 10 %.",
        "Groups decided by offsets of their own: north and south.",
    )
    # Stated shares that nothing was estimated from are no estimate.
    assert _beside(replace(RULE, prior_shift=PriorShift(FLAT, 10.0))) == ()
