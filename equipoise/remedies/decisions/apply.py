"""From scores to probabilities to a decision, by a fitted rule. Numpy only: this is what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DivergedError, ShapeError
from equipoise.records.decision import DecisionRule, Defer, Isotonic, PriorShift, VectorScaling
from equipoise.remedies.decisions.costs import cost_optimal
from equipoise.remedies.decisions.deferral import left_first
from equipoise.remedies.decisions.estimate import PULL_ROWS, estimate_log_prior
from equipoise.remedies.decisions.several import label_posterior

Array = NDArray[np.float64]


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) log of the softmax of each row, in float64."""
    z = np.asarray(logits, dtype=np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    return np.asarray(
        shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64
    )


def log_posterior(rule: DecisionRule, logits: NDArray[Any]) -> Array:
    """(n, K) log probabilities under the rule's target prior.

    Raises ShapeError if logits do not have K columns, DivergedError if they are not finite.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] != len(rule.classes):
        raise ShapeError(
            f"logits have shape {logits.shape}; expected (rows, {len(rule.classes)}), "
            "one column per class of the decision rule"
        )
    if not np.isfinite(logits).all():
        bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        raise DivergedError(
            f"scores of {len(bad)} rows (the first is row {bad[0]}) are not finite; "
            "train again with a smaller learning rate"
        )
    z = _calibrated(rule, logits)
    if isinstance(rule.calibration, Isotonic):
        given = rule.calibration.log_given
        bent = _bent(rule.calibration, np.exp(log_softmax(z + given - rule.log_source)))
        return log_softmax(bent + rule.log_target - given)
    return log_softmax(z + rule.log_target - rule.log_source)


def posterior(rule: DecisionRule, logits: NDArray[Any]) -> Array:
    """(n, K) probabilities under the rule's target prior; rows sum to 1, unless a row may have
    several labels (`several.py`): then each label's is of its own.

    p = softmax(c(z) + log_target - log_source): calibrated scores c(z) are a posterior under the
    source prior, and changing the prior of a posterior is adding the log of the ratio
    (Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori probabilities).
    """
    if rule.kind == "labels":
        return label_posterior(rule, logits)
    return np.exp(log_posterior(rule, logits))


def with_estimated_prior(
    rule: DecisionRule, logits: NDArray[Any], *, pull_rows: float | None = None
) -> DecisionRule:
    """The rule with `log_target` estimated from these rows, whose labels nobody has seen.

    A rule without `prior_shift` starts from its own `log_target`. pull_rows: rows that the stated
    shares count for; None: as the rule says, else PULL_ROWS. No rows: the rule as it is.
    """
    before = rule.prior_shift or PriorShift(rule.log_target, PULL_ROWS)
    if len(logits) == 0:
        return rule
    stated = replace(rule, log_target=before.log_stated)
    pull = before.pull_rows if pull_rows is None else pull_rows
    found = estimate_log_prior(log_posterior(stated, logits), before.log_stated, pull)
    return replace(
        rule, log_target=found, prior_shift=PriorShift(before.log_stated, pull, len(logits))
    )


def decide(
    rule: DecisionRule,
    p: Array,
    groups: Sequence[str | None] | NDArray[Any] | None = None,
    amounts: Array | None = None,
) -> NDArray[np.int64]:
    """(n,) class numbers: the largest log p + offset, or the least expected cost; K where the row
    is left to a person.

    groups (n,) name of each row's group, None for none; only a rule with offsets per group asks.
    Rows of a group that the rule does not know are decided by the common offsets.
    amounts (n,) of the rows, in the user's unit: only a rule whose costs are times a column asks,
    and raises DataError if there are none.
    """
    decided = decide_class(rule, p, groups, amounts)
    return np.where(_left(rule, p, decided, amounts), len(rule.classes), decided)


def decide_class(
    rule: DecisionRule,
    p: Array,
    groups: Sequence[str | None] | NDArray[Any] | None = None,
    amounts: Array | None = None,
) -> NDArray[np.int64]:
    """(n,) class numbers, as in `decide` if no row could be left to a person."""
    if rule.kind == "costs":
        table = rule.cost_table
        assert table is not None  # DecisionRule checks it
        return cost_optimal(p, table.without_deferral(), amounts)
    return np.asarray(np.argmax(_log(p) + _offsets(rule, groups), axis=1), dtype=np.int64)


def decision_scores(
    rule: DecisionRule,
    logits: NDArray[Any],
    amounts: Array | None = None,
    groups: Sequence[str | None] | NDArray[Any] | None = None,
) -> Array:
    """(n, K) scores of which the largest is the class that the rule decides for, leaving aside
    persons: calibrated logits moved by constants per class (in units of the logits), or minus the
    expected cost (amounts and groups as in `decide`)."""
    if rule.kind == "costs":
        table = rule.cost_table
        assert table is not None
        return -table.without_deferral().expected(posterior(rule, logits), amounts)
    if isinstance(rule.calibration, Isotonic):
        return log_posterior(rule, logits) + _offsets(rule, groups)
    z = _calibrated(rule, np.asarray(logits, dtype=np.float64))
    shift = rule.log_target - rule.log_source + _offsets(rule, groups)
    return np.asarray(rule.temperature * (z + shift), dtype=np.float64)


def rescaled(rule: DecisionRule, logits: Array) -> Array:
    """(n, K) logits as calibrations take them."""
    if rule.rescale is None:
        return logits
    return np.asarray(logits * rule.rescale.scale + rule.rescale.bias, dtype=np.float64)


def _calibrated(rule: DecisionRule, logits: Array) -> Array:
    """(n, K) logits after rescaling and the calibrations that are affine."""
    logits = rescaled(rule, logits)
    if isinstance(rule.calibration, VectorScaling):
        centred = logits - logits.mean(axis=1, keepdims=True)
        return np.asarray(centred * rule.calibration.scale + rule.calibration.bias)
    return logits / rule.temperature


def _bent(curves: Isotonic, p: Array) -> Array:
    """(n, K) log of each class's bent probability, not yet divided by their sum."""
    bent = p.copy()
    for k, (at, share) in enumerate(curves.knots):
        if len(at) and curves.kept[k] > 0:
            curve = np.interp(p[:, k], at, share)
            bent[:, k] = curves.kept[k] * curve + (1 - curves.kept[k]) * p[:, k]
    # Every curve may say 0 of a row; a floor keeps the sum above it.
    return np.log(np.maximum(bent, np.finfo(np.float64).tiny))


def _offsets(rule: DecisionRule, groups: Sequence[str | None] | NDArray[Any] | None) -> Array:
    """(K,), or (n, K) where groups have offsets of their own."""
    if not rule.group_offsets or groups is None:
        return rule.offsets
    known, common = rule.group_offsets, rule.offsets
    # A group may be called "None", which a row of no group is not in.
    return np.array([common if g is None else known.get(str(g), common) for g in groups])


def _left(
    rule: DecisionRule, p: Array, decided: NDArray[np.int64], amounts: Array | None
) -> NDArray[np.bool_]:
    """(n,) whether the row is left to a person."""
    defer, table = rule.defer, rule.cost_table
    if defer is None:
        if rule.kind != "costs" or table is None or not table.defers:
            return np.zeros(len(p), dtype=bool)
        defer = Defer("costs", 0.0)
    if defer.kind == "threshold" and defer.on == "confidence":
        return np.asarray(p[np.arange(len(p)), decided] < defer.threshold)
    assert table is not None  # DecisionRule checks it
    priced = table if defer.kind == "costs" else table.without_deferral()
    return np.asarray(left_first(p, decided, priced, amounts) > defer.threshold)


def _log(p: Array) -> Array:
    # p may underflow to 0, whose log is -inf: such a class is out of the question, offset or not.
    with np.errstate(divide="ignore"):
        return np.log(p)
