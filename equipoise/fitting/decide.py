"""From logits to decisions: rules fitted on validation rows, never on the rows they decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.data.split import folds
from equipoise.fitting.measure import for_thresholds
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.several import fitted_labels, plain_label_rule
from equipoise.models.heads import LinearHead
from equipoise.records.decision import DecisionRule
from equipoise.records.predictions import DEFER, Predictions, joined
from equipoise.records.rows import Rows, text_column
from equipoise.remedies.decisions.apply import decide, posterior, with_estimated_prior
from equipoise.remedies.decisions.fit import cross_fitted
from equipoise.remedies.decisions.several import decide_labels
from equipoise.remedies.prior import log_shares, trained_correction
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.table import REMEDIES

Floats = NDArray[np.float64]
_FOLDS = 5


def decision_folds(validation: Rows, seed: int) -> NDArray[np.int64]:
    """(rows,) fold numbers of the validation rows, clusters whole and classes spread."""
    assert validation.labels is not None
    assert validation.clusters is not None
    k = min(_FOLDS, len(np.unique(validation.clusters)))
    if k < 2:
        return np.zeros(len(validation), dtype=np.int64)
    return folds(validation.labels, validation.clusters, k, seed)


def decide_validation_and_test(
    prepared: Prepared,
    logits: dict[str, Floats],
    fold_ids: NDArray[np.int64],
    *,
    log_source: Floats,
    head: torch.nn.Module | None,
) -> tuple[Predictions, DecisionRule]:
    """Decide validation rows by rules fitted on the other folds, test rows by the rule fitted on
    all of validation; that one is what the run folder keeps.

    log_source  (K,) what training has left in the logits, as `TrainedArm` says.
    head        Of the model that gave them; remedies may ask for the norms of a linear one.
    """
    if prepared.several:
        labels = fitted_labels(prepared, log_source, logits["validation"], fold_ids)
        parts = [
            _part(prepared, "validation", logits, labels.decided, labels.probabilities, fold_ids)
        ]
        if "test" in logits:
            parts.append(_by_rule(prepared, "test", logits, labels.rule))
        return joined(parts), labels.rule
    recipe = prepared.recipe
    log_train, log_target = training_log_prior(prepared), target_log_prior(prepared)
    specs = [spec for spec in recipe.specs if REMEDIES[spec.name].moment == "decision"]
    fitted = cross_fitted(
        fold_ids,
        specs,
        logits["validation"],
        prepared.labels["validation"],
        classes=prepared.classes,
        clusters=prepared.splits.validation.clusters,
        groups=names_of_groups(prepared.splits.validation, recipe.group_column or ""),
        log_source=log_source,
        log_target=log_target,
        log_train=log_train,
        start=trained_correction(log_source, log_train, log_target),
        measure=for_thresholds(
            prepared.measure, prepared.classes, len(prepared.rows(prepared.judged))
        ),
        costs=prepared.costs,
        amounts=prepared.splits.validation.amounts,
        seed=prepared.seed,
        **_norms(head, specs),
    )
    parts = [_part(prepared, "validation", logits, fitted.decided, fitted.probabilities, fold_ids)]
    rule = fitted.rule
    if "test" in logits:
        if rule.prior_shift is not None:
            # The rule that is kept decides for the shares estimated last: those of test rows.
            rule = with_estimated_prior(rule, logits["test"])
        parts.append(_by_rule(prepared, "test", logits, rule))
    return joined(parts), rule


def plain_predictions(prepared: Prepared, logits: dict[str, Floats]) -> Predictions:
    """Decisions of an arm without remedies: the largest logit, probabilities as the softmax; of
    several labels, those with a logit of 0 or more, and the sigmoid."""
    k = len(prepared.classes)
    flat = np.full(k, -np.log(k))
    rule = DecisionRule(prepared.classes, 1.0, flat, flat, "argmax", np.zeros(k))
    if prepared.several:
        rule = plain_label_rule(prepared.classes)
    return joined([_by_rule(prepared, split, logits, rule) for split in logits])


def predict_given(
    classes: tuple[str, ...],
    rule: DecisionRule,
    logits: Floats,
    ids: NDArray[np.object_],
    groups: NDArray[np.object_] | None = None,
    amounts: Floats | None = None,
) -> Predictions:
    """Decisions for rows whose labels nobody knows. groups (n,): name of each row's group, which
    only a rule with offsets per group asks for; amounts (n,), which only a rule whose costs are
    times a column asks for."""
    p = posterior(rule, logits)
    n = len(logits)
    return Predictions(
        classes=classes,
        ids=ids,
        splits=np.full(n, "given", dtype=object),
        folds=np.full(n, -1, dtype=np.int64),
        groups=text_column([None] * n),
        clusters=np.arange(n, dtype=np.int64),
        labels=text_column([None] * n),
        decided=_names(classes, _decided(rule, p, groups, amounts)),
        logits=logits,
        probabilities=p,
        amounts=amounts,
    )


def training_log_prior(prepared: Prepared) -> Floats:
    """(K,) log class shares of the training rows as given."""
    return log_shares(np.bincount(prepared.labels["train"], minlength=len(prepared.classes)))


def target_log_prior(prepared: Prepared) -> Floats:
    """(K,) log class shares that probabilities are given for."""
    prior = prepared.recipe.prior
    if prior == "train":
        return training_log_prior(prepared)
    if prior == "balanced":
        return log_shares(np.ones(len(prepared.classes)))
    assert isinstance(prior, dict)
    return log_shares(np.array([prior[name] for name in prepared.classes]))


def names_of_groups(rows: Rows, column: str) -> NDArray[np.object_] | None:
    """(n,) name of each row's group by the column, or by the rows' group columns if it is empty;
    None where there is no such column."""
    if not column:
        return rows.groups
    found = rows.columns.get(column)
    if found is None:
        return None
    return text_column([None if value is None else str(value) for value in found])


def _norms(head: torch.nn.Module | None, specs: Sequence[RemedySpec]) -> dict[str, Floats]:
    """Norms and biases of a linear head, if a remedy needs them."""
    wanted = any("head_norms" in REMEDIES[spec.name].needs for spec in specs)
    if not wanted or not isinstance(head, LinearHead):
        return {}
    weight = head.linear.weight.detach().cpu().double().numpy()
    bias = head.linear.bias.detach().cpu().double().numpy()
    return {"head_norms": np.linalg.norm(weight, axis=1), "head_bias": bias}


def _by_rule(
    prepared: Prepared, split: str, logits: dict[str, Floats], rule: DecisionRule
) -> Predictions:
    p = posterior(rule, logits[split])
    folds = np.full(len(p), -1, dtype=np.int64)
    rows = prepared.rows(split)
    decided = _decided(rule, p, names_of_groups(rows, rule.group_column), rows.amounts)
    return _part(prepared, split, logits, decided, p, folds)


def _decided(
    rule: DecisionRule,
    p: Floats,
    groups: NDArray[np.object_] | None,
    amounts: Floats | None,
) -> NDArray[np.int64]:
    """(n,) class numbers, or (n, K) 0/1 of several labels."""
    return decide_labels(rule, p) if rule.kind == "labels" else decide(rule, p, groups, amounts)


def _part(
    prepared: Prepared,
    split: str,
    logits: dict[str, Floats],
    decided: NDArray[np.int64],
    probabilities: Floats,
    folds: NDArray[np.int64],
) -> Predictions:
    rows: Rows = prepared.rows(split)
    n = len(rows)
    assert rows.labels is not None
    return Predictions(
        classes=prepared.classes,
        ids=rows.ids,
        splits=np.full(n, split, dtype=object),
        folds=folds.astype(np.int64),
        groups=text_column([None] * n) if rows.groups is None else rows.groups,
        clusters=np.arange(n, dtype=np.int64) if rows.clusters is None else rows.clusters,
        labels=rows.labels,
        decided=_names(prepared.classes, decided),
        logits=logits[split],
        probabilities=probabilities,
        amounts=rows.amounts,
    )


def _names(classes: tuple[str, ...], decided: NDArray[np.int64]) -> NDArray[np.object_]:
    """Class number K, "no class", is a row left to a person. Of several labels, (n, K) 0/1: the
    names of those that are set."""
    if decided.ndim == 2:
        names = np.array(classes, dtype=object)
        return text_column([tuple(names[row > 0]) for row in decided])
    return text_column([(*classes, DEFER)[k] for k in decided])
