"""Fit a decision rule on validation scores, and judge every row by a rule that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable, as_table
from equipoise.errors import DivergedError, SettingsError, ShapeError
from equipoise.records.decision import DecisionRule, Defer
from equipoise.remedies.decisions.absorbed import absorbed_source
from equipoise.remedies.decisions.apply import (
    decide,
    decide_class,
    log_posterior,
    posterior,
    rescaled,
    with_estimated_prior,
)
from equipoise.remedies.decisions.deferral import fit_deferral
from equipoise.remedies.decisions.table import DECISIONS
from equipoise.remedies.decisions.values import Measure
from equipoise.remedies.prior import (
    class_worth,
    log_shares,
    shares_of_rows,
    trained_correction,
)
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """n validation rows, each decided by a rule fitted on the other folds."""

    decided: Ints
    """(n,) class numbers; K for a row left to a person."""
    probabilities: Array
    """(n, K) under the target prior."""
    rule: DecisionRule
    """Fitted on all rows: for test rows and for serving."""


def fit_rule(
    specs: Sequence[RemedySpec],
    logits: NDArray[Any],
    labels: Ints,
    *,
    classes: Sequence[str],
    log_source: Array,
    log_target: Array,
    measure: Measure = "macro_f1",
    costs: CostTable | Array | None = None,
    seed: int = 0,
    weights: Array | None = None,
    clusters: Ints | None = None,
    log_train: Array | None = None,
    start: Array | None = None,
    groups: NDArray[Any] | None = None,
    head_norms: Array | None = None,
    head_bias: Array | None = None,
    amounts: Array | None = None,
) -> DecisionRule:
    """Compose the decision remedies in `specs`: rescale, calibrate, estimate the prior, then set
    offsets or decide by costs, and leave rows to a person.

    logits (n, K), labels (n,) int, -1 where the class is unknown to the model (such rows are left
    out), weights (n,) per row (None: 1), clusters (n,) any numbers, equal for duplicates (None: no
    two rows belong together). `log_source` as `source.log_source` gives it; `log_target` (K,) log
    shares that probabilities are given for.
    log_train  (K,) log shares of the training rows. Calibrations are fitted under them as far as
               these rows agree with them, else under the rows' own (`prior.shares_of_rows`). None:
               those of the labels, half a row added to each class.
    start      (K,) offsets that the decision starts from (`prior.trained_correction`); None: 0.
    measure    what `measure_offsets` maximises. costs (K, K), or (K, K + 1) with a person's last:
               needed by the remedy `costs`; amounts (n,) where they are times a column.
    groups     (n,) name of each row's group, None or "" for none: needed by `per_group_thresholds`.
    head_norms, head_bias  (K,) of a linear head: needed by `tau_normalisation`.
    A calibration first moves the rule's log_source to the part of what was to be moved that is in
    the scores (`absorbed.py`).
    Without `specs` the rule is the argmax of p + start. Remedies act in the order of their table,
    whatever that of `specs`. Raises SettingsError, ShapeError, DivergedError.
    """
    k = len(classes)
    chosen = _in_table_order(specs)
    rows = _known_rows(logits, labels, weights, clusters, groups, amounts, log_train, k)
    start = np.zeros(k) if start is None else start
    source, target, begin = (
        np.asarray(x, dtype=np.float64) for x in (log_source, log_target, start)
    )
    plain = DecisionRule(tuple(classes), 1.0, source, target, "argmax", np.zeros(k))
    rule = _with_offsets(plain, begin)
    stated = {"measure": measure, "costs": costs, "log_given": rows.log_shares}
    stated |= {"head_norms": head_norms, "head_bias": head_bias}
    for spec, remedy in chosen:
        given = stated | _of_rows(rule, rows) | {"rng": np.random.default_rng(seed)}
        arguments = bind(remedy, spec.settings, given)
        rule = _REFINE[remedy.kind](rule, remedy, rows, arguments)
    return rule


def _of_rows(rule: DecisionRule, rows: _Rows) -> dict[str, Any]:
    """What remedies need that follows from the rows and the rule so far."""
    return {
        "worth": class_worth(rule.log_target, rows.log_shares, rows.log_train),
        "log_measured": rows.log_shares,
        "log_target": rule.log_target,
        "log_p": log_posterior(rule, rows.logits),
        "start": rule.offsets,
        "labels": rows.labels,
        "clusters": rows.clusters,
        "groups": rows.groups,
    }


def cross_fitted(
    fold_ids: Ints, specs: Sequence[RemedySpec], logits: NDArray[Any], labels: Ints, **fit: Any
) -> CrossFitted:
    """Decide each fold's rows by the rule fitted on the other folds; fit a last rule on all.

    fold_ids (n,) any numbers; keep rows that belong together in one fold. `fit`: the keyword
    arguments of `fit_rule`. A single fold is decided by a rule that was fitted on no rows.
    """
    logits = np.asarray(logits, dtype=np.float64)
    per_row: dict[str, Any] = {
        name: fit.pop(name, None) for name in ("weights", "clusters", "groups", "amounts")
    }
    if len(fold_ids) != len(logits):
        raise ShapeError(f"{len(fold_ids)} fold numbers for {len(logits)} rows; give one per row")
    rule = fit_rule(specs, logits, labels, **per_row, **fit)
    decided = np.empty(len(logits), dtype=np.int64)
    probabilities = np.empty((len(logits), len(rule.classes)))
    for fold in np.unique(fold_ids):
        seen, held = fold_ids != fold, fold_ids == fold
        parts: dict[str, Any] = {
            name: None if c is None else c[seen] for name, c in per_row.items()
        }
        other = fit_rule(specs, logits[seen], labels[seen], **parts, **fit)
        if other.prior_shift is not None:
            # Labels play no part in it, so all rows may tell the shares of the rows to be decided.
            other = with_estimated_prior(other, logits)
        probabilities[held] = posterior(other, logits[held])
        groups, amounts = (
            None if (column := per_row[name]) is None else column[held]
            for name in ("groups", "amounts")
        )
        decided[held] = decide(other, probabilities[held], groups, amounts)
    return CrossFitted(decided, probabilities, rule)


@dataclass(frozen=True, eq=False)
class _Rows:
    logits: Array
    labels: Ints
    weights: Array
    clusters: Ints
    groups: NDArray[Any] | None
    amounts: Array | None
    log_train: Array
    """(K,) log class shares of the training rows, and of rows such as these."""
    log_shares: Array


def _rescale(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    (found, log_source), note = remedy.function(
        rows.logits, rows.labels, rows.weights, rows.log_shares, rule.log_source, **arguments
    )
    notes = (*rule.notes, note)
    if np.array_equal(log_source, rule.log_source):
        return replace(rule, rescale=found, notes=notes)
    # The largest of the new logits decides, though probabilities put the shares back.
    offsets = trained_correction(log_source, rows.log_train, rule.log_target)
    moved = replace(rule, rescale=found, log_source=log_source, notes=notes)
    return _with_offsets(moved, offsets)


def _calibrate(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    rule, measured = _with_measured_source(rule, rows)
    fitted, note = remedy.function(
        rescaled(rule, rows.logits),
        rows.labels,
        rows.weights,
        rows.log_shares - rule.log_source,
        **arguments,
    )
    temperature, calibration = fitted if isinstance(fitted, tuple) else (fitted, None)
    notes = (*rule.notes, note + measured)
    return replace(rule, temperature=temperature, calibration=calibration, notes=notes)


def _with_measured_source(rule: DecisionRule, rows: _Rows) -> tuple[DecisionRule, str]:
    """The rule with as much of what training was to move the shares by as the logits show, and a
    sentence's end on it. What `_rescale` has measured stands."""
    if rule.rescale is not None and (rule.rescale.scale != 1).any():
        return rule, ""
    given = (rows.labels, rows.weights, rows.log_shares, rows.log_train, rule.log_source)
    found, part = absorbed_source(rescaled(rule, rows.logits), *given)
    if part == 1:
        return rule, ""
    before, after = (
        trained_correction(source, rows.log_train, rule.log_target)
        for source in (rule.log_source, found)
    )
    moved = replace(rule, log_source=found)
    if np.allclose(rule.offsets, before):  # what training has left, and the user has not set
        moved = _with_offsets(moved, after)
    return moved, f"; scores hold {part:.0%} of what training was to move the class shares by"


def _prior(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    record, note = remedy.function(**arguments)
    rule = replace(rule, prior_shift=record, notes=(*rule.notes, note))
    # Whoever asks for the shares of the rows wants decisions under them, not by what training or
    # the head's norms have left as offsets.
    return with_estimated_prior(_with_offsets(rule, np.zeros_like(rule.offsets)), rows.logits)


def _offsets(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    offsets, note = remedy.function(**arguments)
    return _with_offsets(replace(rule, notes=(*rule.notes, note)), offsets)


def _group_offsets(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    found, note = remedy.function(**arguments)
    kind: Any = "offsets" if found else rule.kind
    return replace(
        rule,
        kind=kind,
        group_offsets=found,
        group_column=arguments["column"],
        notes=(*rule.notes, note),
    )


def _costs(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    table = as_table(arguments["costs"])
    assert table is not None  # bind has seen to it
    by = "the stated matrix"
    if table.factor is not None:
        by = f"the stated costs and each row's {table.column or 'amount'}"
    note = f"decisions have the least expected cost by {by}"
    rule = replace(
        rule,
        kind="costs",
        costs=table.fixed,
        cost_factors=table.factor,
        cost_column=table.column,
        offsets=np.zeros_like(rule.offsets),
    )
    if table.defers:
        defer, said = _fitted_deferral(rule, table, rows, by="cost")
        rule, note = replace(rule, defer=defer), f"{note}; {said}"
    return replace(rule, notes=(*rule.notes, note))


def _deferral(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, arguments: dict[str, Any]
) -> DecisionRule:
    table = rule.cost_table
    if table is not None and rule.defer is not None:
        table = replace(table, capacity=rule.defer.review_capacity)  # as the costs have set it
    defer, note = _fitted_deferral(rule, table, rows, **arguments)
    return replace(rule, defer=defer, notes=(*rule.notes, note))


def _fitted_deferral(
    rule: DecisionRule, table: CostTable | None, rows: _Rows, **settings: Any
) -> tuple[Defer, str]:
    p = posterior(rule, rows.logits)
    decided = decide_class(rule, p, rows.groups, rows.amounts)
    return fit_deferral(p, decided, table, rows.amounts, **settings)


_REFINE: dict[str, Callable[..., DecisionRule]] = {
    "rescale": _rescale,
    "calibration": _calibrate,
    "prior": _prior,
    "offsets": _offsets,
    "group_offsets": _group_offsets,
    "costs": _costs,
    "deferral": _deferral,
}
"""By kind: (rule, remedy, rows, arguments) -> the rule with one more remedy in it."""


def _with_offsets(rule: DecisionRule, offsets: Array) -> DecisionRule:
    return replace(rule, kind="offsets" if offsets.any() else "argmax", offsets=offsets)


def _in_table_order(specs: Sequence[RemedySpec]) -> list[tuple[RemedySpec, Remedy]]:
    chosen = [(spec, lookup(DECISIONS, spec, "a remedy of the decision")) for spec in specs]
    kinds = [remedy.kind for _, remedy in chosen]
    faults = [
        f"{len([k for k in kinds if k == kind])} remedies are {kind}; keep one"
        for kind in ("calibration", "costs", "deferral")
        if kinds.count(kind) > 1
    ]
    if "costs" in kinds and {"offsets", "group_offsets"} & set(kinds):
        faults.append("costs and offsets both decide; keep one of them")
    if faults:
        raise SettingsError(*faults)
    place = {name: position for position, name in enumerate(DECISIONS)}
    return sorted(chosen, key=lambda pair: place[pair[0].name])


def _known_rows(
    logits: NDArray[Any],
    labels: Ints,
    weights: Array | None,
    clusters: Ints | None,
    groups: NDArray[Any] | None,
    amounts: Array | None,
    log_train: Array | None,
    k: int,
) -> _Rows:
    """Rows whose class the model knows, with their shares. Raises ShapeError, DivergedError."""
    logits = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels, dtype=np.int64)
    n = len(labels)
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    clusters = np.arange(n) if clusters is None else np.asarray(clusters)
    per_row = (weights, clusters, groups, amounts)
    if logits.shape != (n, k) or any(c is not None and len(c) != n for c in per_row):
        raise ShapeError(
            f"logits have shape {logits.shape}, labels {labels.shape}, weights {weights.shape}, "
            f"clusters {clusters.shape}; expected (rows, {k}) and one entry per row"
        )
    if n and (labels.max() >= k or labels.min() < -1):
        raise ShapeError(
            f"labels run from {labels.min()} to {labels.max()}; expected -1 to {k - 1}"
        )
    if not np.isfinite(logits).all():
        raise DivergedError(
            "validation scores are not finite; train again with a smaller learning rate"
        )
    known = labels >= 0
    counts = np.bincount(labels[known], weights[known], minlength=k).astype(np.float64)
    if log_train is None:
        log_train = log_shares(counts + 0.5)
    return _Rows(
        logits[known],
        labels[known],
        weights[known],
        clusters[known],
        None if groups is None else groups[known],
        None if amounts is None else amounts[known],
        log_train,
        shares_of_rows(counts, log_train),
    )
