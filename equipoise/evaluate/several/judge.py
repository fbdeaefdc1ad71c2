"""The judgement of one split of rows that may have several labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate import ranking
from equipoise.evaluate.honesty import (
    why_no_macro_auc_interval,
    why_no_macro_average_precision_interval,
    why_no_macro_interval,
)
from equipoise.evaluate.judge import banded_class, mean_estimate, percentile
from equipoise.evaluate.measures import macro
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes, label_outcomes
from equipoise.evaluate.several.per_label import independent_rows, label_scores
from equipoise.records.predictions import Predictions
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.statistics.intervals import auc_interval, mean_of_shares
from equipoise.statistics.label_bootstrap import Bools, LabelSums, label_resampler
from equipoise.statistics.sums import Floats

_UNDEFINED = {
    "mcc": "not defined where a row may have several labels",
    "g_mean": "not defined where a row may have several labels",
}


def judge_labels(
    predictions: Predictions,
    *,
    split: str,
    trained_counts: Mapping[str, int] | None,
    seed: int,
    resamples: int,
    guarantee: bool,
) -> Scores:
    """Judge the rows of a split; see `judge`. accuracy is that of whole rows (all labels right),
    expected_cost counts wrong labels per 1,000 rows."""
    seen = label_outcomes(predictions)
    whole = label_resampler(seen.labels, seen.decided[None], seen.clusters, seen.known)
    drawn = whole.draw(resamples, np.random.default_rng(seed))[0]
    classes = label_scores(seen, trained_counts, guarantee=guarantee)
    banded = {name: banded_class(scores) for name, scores in classes.items()}
    return Scores(
        split=split,
        rows=len(seen.labels),
        measures=_counted(seen, drawn) | _by_row(seen) | _ranked(seen, classes),
        classes=banded,
        bands=_bands(seen, banded, drawn),
        notes=_notes(seen),
    )


def _counted(seen: LabelOutcomes, drawn: LabelSums) -> dict[str, Estimate]:
    values, samples = measures.counted_measures(seen.sums), measures.counted_measures(drawn)
    why = why_no_macro_interval(seen.sums.held, seen.known)
    found = {name: percentile(float(value), samples[name], why) for name, value in values.items()}
    return found | {name: Estimate(None, why=reason) for name, reason in _UNDEFINED.items()}


def _by_row(seen: LabelOutcomes) -> dict[str, Estimate]:
    found = {}
    for name, values in measures.row_measures(seen).items():
        estimate = mean_estimate(values, seen.clusters)
        if name == "accuracy" and estimate.high is not None and estimate.high > 1:
            estimate = Estimate(estimate.value, estimate.low, 1.0, method=estimate.method)
        found[name] = estimate
    return found


def _ranked(seen: LabelOutcomes, classes: dict[str, ClassScores]) -> dict[str, Estimate]:
    p, y = seen.probabilities[:, seen.known], seen.labels[:, seen.known]
    return {
        "macro_average_precision": _macro_average_precision(seen, classes),
        "macro_roc_auc": _macro_auc(seen),
        "ece": Estimate(
            measures.label_ece(p, y),
            why="description only, over all pairs of row and label, most of which are sure noes; "
            "log loss and Brier score decide",
        ),
    }


def _macro_average_precision(seen: LabelOutcomes, classes: dict[str, ClassScores]) -> Estimate:
    worth = independent_rows(seen)
    present = np.flatnonzero(worth > 0)
    if not len(present):
        return Estimate(None, why="0/0: no row has a label")
    estimates = [classes[seen.classes[k]].measures["average_precision"] for k in present]
    values = np.array([e.value for e in estimates], dtype=np.float64)
    value = float(values.mean())
    why = why_no_macro_average_precision_interval(value, worth, seen.known)
    if why:
        return Estimate(value, why=why)
    low, high = (
        np.array([e.value if b is None else b for e, b in zip(estimates, side, strict=True)], float)
        for side in ([e.low for e in estimates], [e.high for e in estimates])
    )
    factor = _shared(seen, present, ranking.average_precision_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def _macro_auc(seen: LabelOutcomes) -> Estimate:
    worth, rows = independent_rows(seen), len(seen.labels)
    present = np.flatnonzero((worth > 0) & (seen.sums.held < rows))
    if not len(present):
        return Estimate(None, why="0/0: no label that some rows have and others lack")
    values = np.array(
        [
            ranking.roc_auc(seen.probabilities[:, k], seen.labels[:, k]) if seen.known[k] else 0.0
            for k in present
        ]
    )
    value = float(values.mean())
    why = why_no_macro_auc_interval(worth, seen.known)
    if why:
        return Estimate(value, why=why)
    # Rows without the label shrink by as much as those with it do.
    negatives = (rows - seen.sums.held[present]) * worth[present] / seen.sums.held[present]
    low, high = auc_interval(values, worth[present], negatives)
    known = seen.known[present]
    low, high = np.where(known, low, values), np.where(known, high, values)
    factor = _shared(seen, present, ranking.roc_auc_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def _shared(
    seen: LabelOutcomes, present: NDArray[np.int64], influence: Callable[[Floats, Bools], Floats]
) -> float:
    """How much the labels' values move together, since each row is a row of all labels."""
    told = (seen.sums.held > 0) & (seen.sums.held < len(seen.labels)) & seen.known
    members = [k for k in present if told[k]]
    if len(members) < 2:
        return 1.0
    return ranking.shared_rows_factor(
        np.stack([influence(seen.probabilities[:, k], seen.labels[:, k]) for k in members], axis=1)
    )


def _bands(
    seen: LabelOutcomes, classes: dict[str, ClassScores], drawn: LabelSums
) -> dict[str, dict[str, Any]]:
    """Macro F1 and recall over the labels of each band that have rows."""
    found: dict[str, dict[str, Any]] = {}
    for band in ("head", "middle", "tail"):
        members = [name for name in seen.classes if classes[name].band == band]
        if not members:
            continue
        part = np.isin(seen.classes, members)
        rows, resampled = np.where(part, seen.sums.held, 0.0), np.where(part, drawn.held, 0.0)
        why = why_no_macro_interval(rows, seen.known)
        empty = "no label of the band has rows in the split"
        found[band] = {
            "classes": members,
            "rows": int(seen.labels[:, part].any(axis=1).sum()),
            "macro_f1": percentile(
                float(macro(measures.label_f1(seen.sums), rows)),
                macro(measures.label_f1(drawn), resampled),
                why,
                empty,
            ),
            "macro_recall": percentile(
                float(macro(measures.label_recall(seen.sums), rows)),
                macro(measures.label_recall(drawn), resampled),
                why,
                empty,
            ),
        }
    return found


def _notes(seen: LabelOutcomes) -> tuple[str, ...]:
    held = seen.sums.held
    never = np.flatnonzero(~seen.known)
    empty = np.flatnonzero(seen.known & (held == 0))
    per_row = held.sum() / len(seen.labels)
    notes = [
        f"a row may have several labels; here it has {per_row:.2f} on average. Accuracy is that of "
        "whole rows; expected cost is the number of wrong labels per 1,000 rows; log loss and "
        "Brier score are means over labels"
    ]
    if len(never):
        notes.append(
            f"never seen in training: {', '.join(seen.classes[k] for k in never)}. They count 0 "
            "in macro means and as never set elsewhere; log loss leaves them out"
        )
    if len(empty):
        notes.append(
            f"no rows in this split: {', '.join(seen.classes[k] for k in empty)}. "
            "They are left out of macro means"
        )
    repeated = len(seen.labels) - len(np.unique(seen.clusters))
    if repeated:
        notes.append(
            f"{repeated} of {len(seen.labels)} rows repeat or share a group with another one; "
            "intervals are widened, since such rows move together"
        )
    return tuple(notes)
