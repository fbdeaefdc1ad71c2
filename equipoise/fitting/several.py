"""What the rooms of a run do otherwise where a row may have several labels, or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.data.memberships import NO_LABEL, rarest_labels
from equipoise.evaluate.compare import MEASURES
from equipoise.evaluate.deciding import LIMITED
from equipoise.evaluate.several.compare import LABEL_MEASURES
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.treatment import Treatment, of_kind
from equipoise.records.decision import DecisionRule
from equipoise.records.run import RemedyRecord
from equipoise.remedies.batches.order import natural_order
from equipoise.remedies.decisions.fit_several import CrossFittedLabels, cross_fitted_labels
from equipoise.remedies.decisions.groups import no_limit_by_group
from equipoise.remedies.decisions.label_values import LABEL_VALUES
from equipoise.remedies.decisions.values import VALUES
from equipoise.remedies.log_odds import log_odds, moved_by_training
from equipoise.remedies.losses.binary_table import build_binary_loss
from equipoise.remedies.losses.wrapping import build_wrapper
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.source import source_log_odds
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES, needs

Floats = NDArray[np.float64]

_INSTEAD = {
    "weighted_cross_entropy": "binary_weighted",
    "class_weights": "binary_weighted",
    "focal": "binary_focal",
    "asymmetric": "binary_asymmetric",
    "class_balanced_focal": "distribution_balanced",
}
"""What to ask for in place of a remedy for one label a row."""


def remedy_faults(prepared: Prepared) -> list[str]:
    """One line for every remedy that can't act on rows with as many labels as these."""
    faults = []
    for spec in prepared.recipe.specs:
        fit = REMEDIES[spec.name].labels
        if prepared.several and fit == "one":
            instead = _INSTEAD.get(spec.name)
            what = f"use {instead}, or leave it out" if instead else "leave it out"
            faults.append(
                f"remedy {spec.name}: is for rows of one label, and these may have several; {what}"
            )
        elif not prepared.several and fit == "several":
            faults.append(
                f"remedy {spec.name}: is for rows that may have several labels, and these have one "
                "each; leave it out, or say with --label-separator what divides labels"
            )
        elif prepared.several and spec.settings.get("remix") is not None:
            faults.append(
                f"remedy {spec.name}: remix asks which of two classes is rarer, and a row with "
                "several labels has no one class; leave remix out"
            )
    return faults


def setting_faults(prepared: Prepared) -> list[str]:
    """What a recipe asks of rows with several labels that can't be had."""
    recipe = prepared.recipe
    faults = []
    if recipe.model.head == "text":
        faults.append(
            "model.head: text writes one label a row, and these rows may have several; use linear "
            "or cosine"
        )
    if recipe.costs is not None:
        faults.append(
            "costs: are per true and decided class, and these rows may have several labels; leave "
            "costs out, and weigh labels with binary_weighted"
        )
    if isinstance(recipe.prior, dict):
        faults += [
            f"prior: label {name!r} has share {share}; the share of the rows that have a label is "
            "above 0 and below 1"
            for name, share in recipe.prior.items()
            if not 0 < share < 1
        ]
    return faults


def measure_faults(prepared: Prepared) -> list[str]:
    """A measure that is not one of rows with as many labels as these, or that nothing is fitted
    for."""
    recipe, measure = prepared.recipe, prepared.measure
    if not isinstance(measure, str):
        several = "a measure by which users decide is of one class, and "
        if prepared.several:
            return [f"measure: {several}these rows may have several labels"]
        by_group = recipe.group_column is not None and measure.kind in LIMITED
        return [no_limit_by_group(measure.kind)] if by_group else []
    known, fitted = (LABEL_MEASURES, LABEL_VALUES) if prepared.several else (MEASURES, VALUES)
    rows = "may have several labels" if prepared.several else "have one label each"
    if measure not in known:
        return [
            f"measure: {measure!r} is not known where rows {rows}; known are {', '.join(known)}"
        ]
    if measure not in fitted and any(needs(spec, "measure") for spec in recipe.specs):
        return [
            f"measure: offsets can't be fitted for {measure} where rows {rows}, only for "
            f"{', '.join(fitted)}; give one of these, or --remedy temperature alone"
        ]
    return []


def treat_labels(prepared: Prepared, specs: Sequence[RemedySpec]) -> Treatment:
    """All rows are fed once an epoch, in random order; remedies act in the loss and around it."""
    labels = prepared.labels["train"]
    n = len(labels)
    losses, wrappers = (of_kind(specs, kind) for kind in ("binary_loss", "wrapper"))
    order_rng = prepared.order_rng(1)
    return Treatment(
        fed=np.arange(n),
        made=np.empty((0, 0), dtype=np.float32),
        steps=[],
        weights=np.ones(n),
        draws=natural_order(n, prepared.recipe.train.epochs, order_rng),
        start="class_means",
        strata=_rarest(prepared),
        row_loss=build_binary_loss(losses[0] if losses else None, labels),
        wrapper=build_wrapper(wrappers[0] if wrappers else None, labels.sum(axis=0)),
        source_at=lambda progress: source_log_odds(losses, labels, prepared.weights("train")),
        given={},
        records=[_record(spec) for spec in specs],
    )


def _rarest(prepared: Prepared) -> NDArray[np.int64]:
    """(n,) number of each training row's rarest label: every step keeps its mix of them, so that
    sorting by length brings no step more of a rare label than chance has."""
    labels = prepared.splits.train.labels
    assert labels is not None
    place = {name: k for k, name in enumerate((*prepared.classes, NO_LABEL))}
    return np.array([place[name] for name in rarest_labels(labels.tolist())], dtype=np.int64)


def _record(spec: RemedySpec) -> RemedyRecord:
    remedy = REMEDIES[spec.name]
    effects = {
        "binary_loss": f"{remedy_text(spec)} replaced plain binary cross-entropy.",
        "wrapper": f"{remedy_text(spec)} acted on rows on their way through the model.",
    }
    return RemedyRecord(
        name=spec.name,
        moment=remedy.moment,
        settings=spec.settings,
        effect=effects.get(remedy.kind, ""),  # of the decision only fitting it tells
    )


def fitted_labels(
    prepared: Prepared, log_source: Floats, logits: Floats, fold_ids: NDArray[np.int64]
) -> CrossFittedLabels:
    """Rules fitted on validation rows; see `decide.py`."""
    recipe = prepared.recipe
    given, target = _log_odds_of(prepared)
    return cross_fitted_labels(
        fold_ids,
        [spec for spec in recipe.specs if REMEDIES[spec.name].moment == "decision"],
        logits,
        prepared.labels["validation"],
        classes=prepared.classes,
        clusters=prepared.splits.validation.clusters,
        log_source=log_source,
        log_target=target,
        log_train=given,
        start=moved_by_training(log_source, given, target),
        measure=recipe.measure,
        seed=prepared.seed,
    )


def plain_label_rule(classes: tuple[str, ...]) -> DecisionRule:
    """Probabilities as the sigmoid of the logits, labels from a half on."""
    zeros = np.zeros(len(classes))
    return DecisionRule(classes, 1.0, zeros, zeros, "labels", zeros)


def _log_odds_of(prepared: Prepared) -> tuple[Floats, Floats]:
    """(K,) log-odds of the label shares of the training rows as given, and of those that
    probabilities are given for; "balanced": every label on half of the rows."""
    labels, prior = prepared.labels["train"], prepared.recipe.prior
    given = log_odds(labels.sum(axis=0), len(labels))
    if prior == "train":
        return given, given
    if prior == "balanced":
        return given, np.zeros_like(given)
    assert isinstance(prior, dict)
    shares = np.array([prior[name] for name in prepared.classes])
    return given, np.log(shares) - np.log1p(-shares)
