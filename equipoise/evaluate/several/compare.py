"""The difference between two models on the same rows, where a row may have several labels."""

from __future__ import annotations

import numpy as np

from equipoise.evaluate import ranking
from equipoise.evaluate.judge import percentile
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes, label_outcomes
from equipoise.records.predictions import Predictions
from equipoise.records.scores import Estimate
from equipoise.statistics.intervals import mean_interval
from equipoise.statistics.label_bootstrap import label_resampler

COUNTED = ("balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1")
BY_ROW = ("accuracy", "hamming_loss", "expected_cost", "log_loss", "brier")
WITHOUT_INTERVAL = ("macro_average_precision", "macro_roc_auc", "ece")
LABEL_MEASURES = (*COUNTED, *BY_ROW, *WITHOUT_INTERVAL)
"""Measures by which runs on rows with several labels can be compared."""


def compared_labels(
    a: Predictions, b: Predictions, *, measure: str, seed: int, resamples: int
) -> tuple[float, float, Estimate]:
    """Values of a and b, and b - a with its interval, for predictions of the same rows in the same
    order, with the same classes as columns.

    What counts per label is resampled by the same draws of clusters for both; means over rows have
    Student's interval over clusters, of the rows' own differences.
    """
    seen = label_outcomes(a), label_outcomes(b)
    if measure in BY_ROW:
        rows = [measures.row_measures(one)[measure] for one in seen]
        values = float(rows[0].mean()), float(rows[1].mean())
        apart, clusters = rows[1] - rows[0], seen[0].clusters
        if len(np.unique(clusters)) < 2:
            return *values, Estimate(apart.mean(), why="all rows are one cluster of look-alikes")
        low, high = mean_interval(apart, clusters)
        return *values, Estimate(float(apart.mean()), low, high, method="cluster-t")
    if measure in COUNTED:
        both = [float(measures.counted_measures(one.sums)[measure]) for one in seen]
        one, two = seen
        pair = label_resampler(
            one.labels, np.stack([one.decided, two.decided]), one.clusters, one.known
        )
        drawn = pair.draw(resamples, np.random.default_rng(seed))
        samples = [measures.counted_measures(sums)[measure] for sums in drawn]
        return both[0], both[1], percentile(both[1] - both[0], samples[1] - samples[0])
    values = _ranked(seen[0], measure), _ranked(seen[1], measure)
    return *values, Estimate(
        values[1] - values[0],
        why=f"no interval for a difference in {measure} was found to keep its promise; "
        "compare by a measure of decisions, by log loss or by Brier score",
    )


def _ranked(seen: LabelOutcomes, measure: str) -> float:
    if measure == "ece":
        return measures.label_ece(seen.probabilities[:, seen.known], seen.labels[:, seen.known])
    by_auc = measure == "macro_roc_auc"
    of_label = ranking.roc_auc if by_auc else ranking.average_precision
    held = seen.sums.held
    present = np.flatnonzero((held > 0) & ((held < len(seen.labels)) | (not by_auc)))
    return float(
        np.mean(
            [
                of_label(seen.probabilities[:, k], seen.labels[:, k]) if seen.known[k] else 0.0
                for k in present
            ]
        )
    )
