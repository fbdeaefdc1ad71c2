"""The judgement of one split of rows that may have several labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from equipoise.evaluate.estimates import (
    PerClass,
    band_estimates,
    banded_class,
    bounded_mean_estimate,
    macro_average_precision,
    macro_roc_auc,
    mean_estimate,
    percentile,
    share_of_rows,
)
from equipoise.evaluate.honesty import why_no_macro_interval
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes, label_outcomes
from equipoise.evaluate.several.per_label import NOT_RANKED, label_scores, ranking_of_labels
from equipoise.records.predictions import Predictions
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.statistics.label_bootstrap import LabelSums, label_resampler

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
        measures=_counted(seen, drawn)
        | _by_row(seen, seed=seed, resamples=resamples, guarantee=guarantee)
        | _ranked(seen, classes),
        classes=banded,
        bands=band_estimates(
            banded,
            seen.known,
            _per_label(seen.sums),
            _per_label(drawn),
            lambda part: int(seen.labels[:, part].any(axis=1).sum()),
        ),
        notes=_notes(seen),
    )


def _counted(seen: LabelOutcomes, drawn: LabelSums) -> dict[str, Estimate]:
    values, samples = measures.counted_measures(seen.sums), measures.counted_measures(drawn)
    why = why_no_macro_interval(seen.sums.held, seen.known)
    found = {name: percentile(float(value), samples[name], why) for name, value in values.items()}
    return found | {name: Estimate(None, why=reason) for name, reason in _UNDEFINED.items()}


def _per_label(sums: LabelSums) -> PerClass:
    return PerClass(sums.held, measures.label_f1(sums), measures.label_recall(sums))


def _by_row(
    seen: LabelOutcomes, *, seed: int, resamples: int, guarantee: bool
) -> dict[str, Estimate]:
    rows = measures.row_measures(seen)
    labels = measures.likeliest_mistake(seen.probabilities)
    mistaken = measures.row_measures(replace(seen, labels=labels))
    found = {
        "accuracy": share_of_rows(rows["accuracy"] > 0, seen.clusters, guarantee=guarantee),
        "log_loss": mean_estimate(rows["log_loss"], seen.clusters, mistaken=mistaken["log_loss"]),
        "brier": mean_estimate(rows["brier"], seen.clusters, most=1.0, mistaken=mistaken["brier"]),
    }
    # All labels of all rows may be right, and the next one wrong. One seed, since the cost is the
    # loss in another unit.
    for name, most in (("hamming_loss", 1.0), ("expected_cost", 1000.0 * len(seen.classes))):
        found[name] = bounded_mean_estimate(
            rows[name],
            seen.clusters,
            np.random.default_rng(seed),
            most=most,
            resamples=resamples,
        )
    return {name: found[name] for name in rows}


def _ranked(seen: LabelOutcomes, classes: dict[str, ClassScores]) -> dict[str, Estimate]:
    p, y = seen.probabilities[:, seen.known], seen.labels[:, seen.known]
    ranked = ranking_of_labels(seen)
    each = [classes[name].measures["average_precision"] for name in seen.classes]
    return {
        "macro_average_precision": macro_average_precision(ranked, each),
        "macro_roc_auc": macro_roc_auc(ranked, NOT_RANKED),
        "ece": Estimate(
            measures.label_ece(p, y),
            why="description only, over all pairs of row and label, most of which are sure noes; "
            "log loss and Brier score decide",
        ),
    }


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
