"""Fit a decision rule where a row may have several labels, by the same steps as `fit.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DivergedError, SettingsError, ShapeError
from equipoise.records.decision import DecisionRule
from equipoise.remedies.decisions.label_offsets import fit_label_offsets
from equipoise.remedies.decisions.label_temperature import fit_label_temperature
from equipoise.remedies.decisions.several import decide_labels, label_log_odds, label_posterior
from equipoise.remedies.decisions.table import DECISIONS
from equipoise.remedies.log_odds import label_worth
from equipoise.remedies.prior import shares_of_rows
from equipoise.remedies.remedy import RemedySpec, lookup

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CrossFittedLabels:
    """n validation rows, each decided by a rule fitted on the other folds."""

    decided: Ints
    """(n, K) 0/1."""
    probabilities: Array
    """(n, K) of each label by itself."""
    rule: DecisionRule
    """Fitted on all rows: for test rows and for serving."""


def fit_label_rule(
    specs: Sequence[RemedySpec],
    logits: NDArray[Any],
    labels: Ints,
    *,
    classes: Sequence[str],
    log_source: Array,
    log_target: Array,
    log_train: Array,
    start: Array,
    measure: str = "macro_f1",
    seed: int = 0,
    weights: Array | None = None,
    clusters: Ints | None = None,
) -> DecisionRule:
    """Compose the decision remedies in `specs`: calibrate, then place thresholds.

    logits, labels (n, K), labels 0/1; weights (n,) per row (None: 1), clusters (n,) equal for
    duplicates (None: no two rows belong together).
    log_source, log_target, log_train  (K,) log-odds of label shares: that the logits are meant for;
                                       that probabilities are given for; of the training rows.
    start    (K,) offsets that decisions start from (`log_odds.moved_by_training`).
    Raises SettingsError for a remedy that needs rows of one label, ShapeError, DivergedError.
    """
    z = np.asarray(logits, dtype=np.float64)
    n = len(labels)
    if z.shape != labels.shape or z.shape[1] != len(classes):
        raise ShapeError(
            f"logits have shape {z.shape}, labels {labels.shape}; expected (rows, {len(classes)})"
        )
    if not np.isfinite(z).all():
        raise DivergedError(
            "validation scores are not finite; train again with a smaller learning rate"
        )
    rule = DecisionRule(
        classes=tuple(classes),
        temperature=1.0,
        log_source=np.asarray(log_source, dtype=np.float64),
        log_target=np.asarray(log_target, dtype=np.float64),
        kind="labels",
        offsets=np.asarray(start, dtype=np.float64),
    )
    weigh = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    tied = np.arange(n) if clusters is None else np.asarray(clusters)
    of_rows = _log_odds_of_rows(labels, weigh, log_train)
    for spec in sorted(specs, key=lambda spec: list(DECISIONS).index(spec.name)):
        remedy = lookup(DECISIONS, spec, "a remedy of the decision")
        if remedy.kind == "calibration" and remedy.labels != "one":
            shift = of_rows - rule.log_source
            temperature, note = fit_label_temperature(z, labels, weigh, shift, **spec.settings)
            rule = replace(rule, temperature=temperature, notes=(*rule.notes, note))
        elif remedy.kind == "offsets" and remedy.labels != "one":
            rng = np.random.default_rng(seed)
            moved = label_log_odds(rule, z)
            worth = label_worth(rule.log_target, of_rows, log_train)
            offsets, note = fit_label_offsets(
                moved, labels, measure, rule.offsets, tied, rng, worth, **spec.settings
            )
            rule = replace(rule, offsets=offsets, notes=(*rule.notes, note))
        elif remedy.kind == "fallback":
            note = "a row that no label is set for gets the one that comes nearest"
            rule = replace(rule, at_least_one=True, notes=(*rule.notes, note))
        else:
            raise SettingsError(f"remedy {spec.name}: is for rows of one label; leave it out here")
    return rule


def _log_odds_of_rows(labels: Ints, weights: Array, log_train: Array) -> Array:
    """(K,) log-odds of the labels' shares among rows such as these (`prior.shares_of_rows`)."""
    having = weights @ labels
    counts = np.stack([having, weights.sum() - having], axis=-1)
    trained = np.stack([-np.logaddexp(0, -log_train), -np.logaddexp(0, log_train)], axis=-1)
    found = shares_of_rows(counts, trained)
    if found is trained:
        return log_train
    return np.asarray(found[:, 0] - found[:, 1])


def cross_fitted_labels(
    fold_ids: Ints, specs: Sequence[RemedySpec], logits: NDArray[Any], labels: Ints, **fit: Any
) -> CrossFittedLabels:
    """Decide each fold's rows by the rule fitted on the other folds; fit a last rule on all, as
    `fit.cross_fitted` does. `fit`: the keyword arguments of `fit_label_rule`."""
    logits = np.asarray(logits, dtype=np.float64)
    per_row: dict[str, Any] = {name: fit.pop(name, None) for name in ("weights", "clusters")}
    if len(fold_ids) != len(logits):
        raise ShapeError(f"{len(fold_ids)} fold numbers for {len(logits)} rows; give one per row")
    rule = fit_label_rule(specs, logits, labels, **per_row, **fit)
    decided, probabilities = np.empty_like(labels), np.empty(logits.shape)
    for fold in np.unique(fold_ids):
        seen, held = fold_ids != fold, fold_ids == fold
        parts: dict[str, Any] = {
            name: None if c is None else c[seen] for name, c in per_row.items()
        }
        other = fit_label_rule(specs, logits[seen], labels[seen], **parts, **fit)
        probabilities[held] = label_posterior(other, logits[held])
        decided[held] = decide_labels(other, probabilities[held])
    return CrossFittedLabels(decided, probabilities, rule)
