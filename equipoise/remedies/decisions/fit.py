"""Fit a decision rule on validation scores, and judge every row by a rule that has not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DivergedError, SettingsError, ShapeError
from equipoise.records.decision import DecisionRule
from equipoise.remedies.decisions.apply import decide, log_posterior, posterior
from equipoise.remedies.decisions.table import DECISIONS
from equipoise.remedies.decisions.values import Measure
from equipoise.remedies.remedy import Remedy, RemedySpec, bind, lookup

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """n validation rows, each decided by a rule fitted on the other folds."""

    decided: Ints
    """(n,) class numbers."""
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
    costs: Array | None = None,
    seed: int = 0,
    weights: Array | None = None,
    clusters: Ints | None = None,
    log_given: Array | None = None,
    start: Array | None = None,
) -> DecisionRule:
    """Compose the decision remedies in `specs`: calibrate, then set offsets, or decide by costs.

    logits (n, K), labels (n,) int, -1 where the class is unknown to the model (such rows are left
    out), weights (n,) per row (None: 1), clusters (n,) any numbers, equal for duplicates (None: no
    two rows belong together). `log_source` as `prior.log_source` gives it; `log_target` (K,) log
    shares that probabilities are given for.
    log_given  (K,) log shares of rows such as these, under which the temperature is fitted;
               None: those of the labels, half a row added to each class.
    start      (K,) offsets that the decision starts from (`prior.trained_correction`); None: 0.
    measure    what `measure_offsets` maximises. costs (K, K): needed by the remedy `costs`.
    Without `specs` the rule is the argmax of p + start. Offsets act in the order of their table,
    whatever that of `specs`. Raises SettingsError, ShapeError, DivergedError.
    """
    k = len(classes)
    chosen = _in_table_order(specs)
    rows = _known_rows(logits, labels, weights, clusters, k)
    if log_given is None:
        shares = np.bincount(rows.labels, minlength=k) + 0.5
        log_given = np.log(shares / shares.sum())
    begin = np.zeros(k) if start is None else np.asarray(start, dtype=np.float64)
    rule = DecisionRule(
        classes=tuple(classes),
        temperature=1.0,
        log_source=np.asarray(log_source, dtype=np.float64),
        log_target=np.asarray(log_target, dtype=np.float64),
        kind="offsets" if begin.any() else "argmax",
        offsets=begin,
    )
    for spec, remedy in chosen:
        given = {
            "log_target": rule.log_target,
            "log_p": log_posterior(rule, rows.logits),
            "labels": rows.labels,
            "clusters": rows.clusters,
            "measure": measure,
            "start": rule.offsets,
            "rng": np.random.default_rng(seed),
            "costs": costs,
        }
        arguments = bind(remedy, spec.settings, given)
        rule = _refine(rule, remedy, rows, log_given - rule.log_source, arguments)
    return rule


def cross_fitted(
    fold_ids: Ints, specs: Sequence[RemedySpec], logits: NDArray[Any], labels: Ints, **fit: Any
) -> CrossFitted:
    """Decide each fold's rows by the rule fitted on the other folds; fit a last rule on all.

    fold_ids (n,) any numbers; keep rows that belong together in one fold. `fit`: the keyword
    arguments of `fit_rule`. A single fold is decided by a rule that was fitted on no rows.
    """
    logits = np.asarray(logits, dtype=np.float64)
    per_row: dict[str, Any] = {name: fit.pop(name, None) for name in ("weights", "clusters")}
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
        probabilities[held] = posterior(other, logits[held])
        decided[held] = decide(other, probabilities[held])
    return CrossFitted(decided, probabilities, rule)


@dataclass(frozen=True, eq=False)
class _Rows:
    logits: Array
    labels: Ints
    weights: Array
    clusters: Ints


def _refine(
    rule: DecisionRule, remedy: Remedy, rows: _Rows, log_shift: Array, arguments: dict[str, Any]
) -> DecisionRule:
    """The rule with one more remedy in it."""
    if remedy.kind == "costs":
        return replace(
            rule,
            kind="costs",
            costs=np.asarray(arguments["costs"], dtype=np.float64),
            offsets=np.zeros_like(rule.offsets),
            notes=(*rule.notes, "decisions have the least expected cost by the stated matrix"),
        )
    if remedy.kind == "calibration":
        temperature, note = remedy.function(
            rows.logits, rows.labels, rows.weights, log_shift, **arguments
        )
        return replace(rule, temperature=temperature, notes=(*rule.notes, note))
    offsets, note = remedy.function(**arguments)
    return replace(
        rule,
        kind="offsets" if offsets.any() else "argmax",
        offsets=offsets,
        notes=(*rule.notes, note),
    )


def _in_table_order(specs: Sequence[RemedySpec]) -> list[tuple[RemedySpec, Remedy]]:
    chosen = [(spec, lookup(DECISIONS, spec, "a remedy of the decision")) for spec in specs]
    kinds = [remedy.kind for _, remedy in chosen]
    faults = [
        f"{len([k for k in kinds if k == kind])} remedies are {kind}; keep one"
        for kind in ("calibration", "costs")
        if kinds.count(kind) > 1
    ]
    if "costs" in kinds and "offsets" in kinds:
        faults.append("costs and offsets both decide; keep one of them")
    if faults:
        raise SettingsError(*faults)
    place = {name: position for position, name in enumerate(DECISIONS)}
    return sorted(chosen, key=lambda pair: place[pair[0].name])


def _known_rows(
    logits: NDArray[Any], labels: Ints, weights: Array | None, clusters: Ints | None, k: int
) -> _Rows:
    """Rows whose class the model knows. Raises ShapeError, DivergedError."""
    logits = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels, dtype=np.int64)
    n = len(labels)
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    clusters = np.arange(n) if clusters is None else np.asarray(clusters)
    if logits.shape != (n, k) or len(weights) != n or len(clusters) != n:
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
    return _Rows(logits[known], labels[known], weights[known], clusters[known])
