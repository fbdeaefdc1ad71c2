"""The difference between two models on the same rows, where a row may have several labels."""

from __future__ import annotations

import numpy as np

from equipoise.evaluate.estimates import (
    counted_difference,
    macro_average_precision,
    macro_roc_auc,
    mean_difference,
    percentile,
    without_interval,
)
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes, label_outcomes
from equipoise.evaluate.several.per_label import (
    NOT_RANKED,
    label_average_precisions,
    ranking_of_labels,
)
from equipoise.records.predictions import Predictions
from equipoise.records.scores import Estimate
from equipoise.statistics.label_bootstrap import label_resampler

COUNTED = ("balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1")
BY_ROW = ("accuracy", "hamming_loss", "expected_cost", "log_loss", "brier")
WITHOUT_INTERVAL = ("macro_average_precision", "macro_roc_auc", "ece")
LABEL_MEASURES = (*COUNTED, *BY_ROW, *WITHOUT_INTERVAL)
"""Measures by which runs on rows with several labels can be compared."""


def compared_labels(
    a: Predictions, b: Predictions, *, measure: str, seed: int, resamples: int
) -> tuple[float, float, Estimate]:
    """Values of a and b, NaN where they have none, and b - a with its interval, for predictions of
    the same rows in the same order.

    What counts per label is resampled by the same draws of clusters for both; means over rows have
    Student's interval over clusters, of the rows' own differences, widened for rows that no row
    here is like where it is labels that are counted. A label that one of the two does not know is
    never set by it; log loss is taken over the labels that both know.
    """
    seen = label_outcomes(a, classes=b.classes), label_outcomes(b, classes=a.classes)
    one, two = seen
    if measure in BY_ROW:
        both = one.known & two.known
        if measure == "log_loss" and not both.any():
            none = Estimate(None, why="there is no label that both models know")
            return float("nan"), float("nan"), none
        rows = [measures.row_measures(s, answered=both)[measure] for s in seen]
        counted = _step_and_most(measure, len(one.classes))
        if counted is None:
            return mean_difference(rows[0], rows[1], one.clusters)
        step, most = counted
        rng = np.random.default_rng(seed)
        return counted_difference(
            rows[0], rows[1], one.clusters, rng, step=step, most=most, resamples=resamples
        )
    if measure in COUNTED:
        values = [float(measures.counted_measures(s.sums)[measure]) for s in seen]
        pair = label_resampler(
            one.labels,
            np.stack([one.decided, two.decided]),
            one.clusters,
            np.stack([one.known, two.known]),
        )
        drawn = pair.draw(resamples, np.random.default_rng(seed))
        samples = [measures.counted_measures(sums)[measure] for sums in drawn]
        return values[0], values[1], percentile(values[1] - values[0], samples[1] - samples[0])
    return without_interval(measure, [_ranked(s, measure) for s in seen])


def _step_and_most(measure: str, labels: int) -> tuple[float, float] | None:
    """What one wrong label and what all of them add to a row; None for what counts no labels."""
    return {
        "accuracy": (1.0, 1.0),
        "hamming_loss": (1 / labels, 1.0),
        "expected_cost": (1000.0, 1000.0 * labels),
    }.get(measure)


def _ranked(seen: LabelOutcomes, measure: str) -> Estimate:
    if measure == "ece":
        p, y = seen.probabilities[:, seen.known], seen.labels[:, seen.known]
        return Estimate(measures.label_ece(p, y), why="description only")
    if measure == "macro_roc_auc":
        return macro_roc_auc(ranking_of_labels(seen), NOT_RANKED)
    return macro_average_precision(ranking_of_labels(seen), label_average_precisions(seen))
