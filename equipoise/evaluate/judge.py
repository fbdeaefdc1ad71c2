"""The judgement of one split: every measure with a 95 % interval, or the reason for none.

How each interval is made was chosen by simulation; `docs/evaluate.md` gives the table and
`benchmarks/coverage.py` repeats the simulations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate import measures, ranking
from equipoise.evaluate.deciding import DecidingMeasure
from equipoise.evaluate.deciding_intervals import deciding_estimate
from equipoise.evaluate.honesty import (
    why_no_g_mean_interval,
    why_no_macro_auc_interval,
    why_no_macro_average_precision_interval,
    why_no_macro_interval,
)
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.evaluate.per_class import class_scores, independent_rows, overall_agreement
from equipoise.records.predictions import Predictions
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.clusters import effective_rows, mean_cluster_size
from equipoise.statistics.intervals import (
    auc_interval,
    mean_interval,
    mean_of_shares,
    share_interval,
)
from equipoise.statistics.sums import Floats, Sums

HEAD_ABOVE = 100
"""A class with more training rows is of the head."""

TAIL_BELOW = 20
"""A class with fewer training rows is of the tail; the rest are the middle."""

RESAMPLED = ("balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "g_mean", "expected_cost")


def judge(
    predictions: Predictions,
    *,
    split: str,
    costs: CostTable | NDArray[np.float64] | None = None,
    trained_counts: Mapping[str, int] | None = None,
    seed: int = 0,
    resamples: int = 2000,
    guarantee: bool = False,
    deciding: DecidingMeasure | None = None,
) -> Scores:
    """Judge the rows of `split`.

    Shapes  costs (K, K) per (true, decided) in the order of `predictions.classes`, or (K, K + 1)
            with the cost of leaving a row to a person last; None is 0/1. A `CostTable` may also
            be times the amounts of the rows.
    `trained_counts` are rows per class as given for training, before any remedy; without them
    there are no bands. `guarantee` makes the intervals of shares (accuracy, recall, precision,
    F1 of a class) cover 95 % or more at every true value, not only on average; they are wider.
    `deciding`: a further measure, by which the user decides.
    A row left to a person ("defer") is decided as no class: it lowers recall and accuracy.
    Where a row may have several labels, `several/judge.py` judges each by itself, without costs.

    Raises  DataError if the split has no rows, or rows without a label; ShapeError if costs do not
            fit.
    """
    if predictions.several:
        from equipoise.evaluate.several.judge import judge_labels  # which builds on this file

        return judge_labels(
            predictions.of_split(split),
            split=split,
            trained_counts=trained_counts,
            seed=seed,
            resamples=resamples,
            guarantee=guarantee,
        )
    seen = outcomes(predictions.of_split(split), costs)
    sums = seen.sums
    whole = resampler(
        seen.labels, seen.decided[None], seen.clusters, seen.known, seen.costs, seen.amounts
    )
    drawn = whole.draw(resamples, np.random.default_rng(seed))[0]
    classes = class_scores(seen, trained_counts, guarantee=guarantee)
    banded = {name: banded_class(scores) for name, scores in classes.items()}
    found = decision_estimates(seen, sums, drawn, guarantee=guarantee)
    found |= score_estimates(seen, classes)
    if deciding is not None:
        found[deciding.text] = deciding_estimate(seen, deciding, seed=seed, resamples=resamples)
    return Scores(
        split=split,
        rows=len(seen.labels),
        measures=found,
        classes=banded,
        bands=_bands(seen, banded, sums, drawn),
        notes=_notes(seen, sums),
    )


def band_of(trained: int) -> str:
    """ "head" above 100 training rows, "tail" below 20, else "middle".

    Source  Liu et al. 2019, Large-scale long-tailed recognition in an open world,
            arXiv:1904.05160 (many-, medium- and few-shot classes).
    """
    return "head" if trained > HEAD_ABOVE else "tail" if trained < TAIL_BELOW else "middle"


def decision_estimates(
    seen: Outcomes, sums: Sums, drawn: Sums, *, guarantee: bool
) -> dict[str, Estimate]:
    """Measures of the decisions, from the sums of the rows and those of their resamples."""
    values = measures.decision_measures(sums)
    samples = measures.decision_measures(drawn)
    n = len(seen.labels)
    size = mean_cluster_size(np.zeros(n, dtype=np.int64), seen.clusters, 1)
    worth = effective_rows(np.array([float(n)]), size, overall_agreement(seen, guarantee=guarantee))
    share = float(values["accuracy"])
    low, high = share_interval(share * worth, worth, guarantee=guarantee)
    method = "clopper-pearson" if guarantee else "mid-p"
    found = {"accuracy": Estimate(share, float(low[0]), float(high[0]), method=method)}
    worth_of_class = independent_rows(seen)
    why_macro = why_no_macro_interval(worth_of_class, seen.known)
    reasons = {
        "balanced_accuracy": why_macro,
        "macro_f1": why_macro,
        "g_mean": why_no_g_mean_interval(worth_of_class, seen.known, seen.classes),
    }
    for name in RESAMPLED:
        why = reasons.get(name)
        found[name] = percentile(float(values[name]), samples[name], why, _UNDEFINED.get(name))
    return found


_UNDEFINED = {
    "mcc": "0/0: every row is of one class, or decided as one",
    "expected_cost": "rows are left to a person, and the costs do not say what that costs",
}


def percentile(
    value: float, samples: Floats, why: str | None = None, undefined: str | None = None
) -> Estimate:
    """The middle 95 % of resampled values, stretched to hold the value itself."""
    if np.isnan(value):
        return Estimate(None, why=undefined or "0/0")
    if why:
        return Estimate(value, why=why)
    usable = samples[~np.isnan(samples)]
    if len(usable) < len(samples) / 2:
        return Estimate(value, why="undefined (0/0) in most resamples")
    low, high = np.quantile(usable, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value), method="bootstrap")


def score_estimates(seen: Outcomes, classes: dict[str, ClassScores]) -> dict[str, Estimate]:
    """Measures of the probabilities."""
    answered = seen.known[seen.labels]
    return {
        "macro_average_precision": _macro_average_precision(seen, classes),
        "macro_roc_auc": _macro_auc(seen),
        "log_loss": mean_estimate(
            measures.row_log_loss(seen.probabilities[answered], seen.labels[answered]),
            seen.clusters[answered],
        ),
        "brier": mean_estimate(measures.row_brier(seen.probabilities, seen.labels), seen.clusters),
        "ece": Estimate(
            measures.ece(seen.probabilities, seen.labels),
            why="description only: it reads too high in small splits, most where the model is "
            "well calibrated; log loss and Brier score decide",
        ),
    }


def _macro_average_precision(seen: Outcomes, classes: dict[str, ClassScores]) -> Estimate:
    worth = independent_rows(seen)
    present = np.flatnonzero(worth > 0)
    estimates = [classes[seen.classes[k]].measures["average_precision"] for k in present]
    values = np.array([e.value for e in estimates], dtype=np.float64)
    value = float(values.mean())
    why = why_no_macro_average_precision_interval(value, worth, seen.known)
    if why:
        return Estimate(value, why=why)
    # A class that the model never saw is 0 for certain: its value is its interval.
    low, high = (
        np.array([e.value if b is None else b for e, b in zip(estimates, side, strict=True)], float)
        for side in ([e.low for e in estimates], [e.high for e in estimates])
    )
    factor = _shared(seen, present, ranking.average_precision_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def _macro_auc(seen: Outcomes) -> Estimate:
    worth = independent_rows(seen)
    present = np.flatnonzero(worth > 0)
    if len(present) < 2:
        return Estimate(None, why="0/0: only one class has rows")
    values = np.array(
        [
            ranking.roc_auc(seen.probabilities[:, k], seen.labels == k) if seen.known[k] else 0.0
            for k in present
        ]
    )
    value = float(values.mean())
    why = why_no_macro_auc_interval(worth, seen.known)
    if why:
        return Estimate(value, why=why)
    low, high = auc_interval(values, worth[present], worth.sum() - worth[present])
    known = seen.known[present]
    low, high = np.where(known, low, values), np.where(known, high, values)
    factor = _shared(seen, present, ranking.roc_auc_influence)
    return Estimate(value, *mean_of_shares(values, low, high, factor=factor), method="mover")


def _shared(
    seen: Outcomes,
    present: NDArray[np.int64],
    influence: Callable[[Floats, NDArray[np.bool_]], Floats],
) -> float:
    """How much the classes' values move together, since each row is a negative of all others."""
    if len(present) < 2:
        return 1.0
    members = [k for k in present if seen.known[k]]
    return ranking.shared_rows_factor(
        np.stack([influence(seen.probabilities[:, k], seen.labels == k) for k in members], axis=1)
    )


def mean_estimate(values: Floats, clusters: NDArray[np.int64]) -> Estimate:
    if len(values) == 0:
        return Estimate(None, why="no row is of a class that the model knows")
    if len(np.unique(clusters)) < 2:
        return Estimate(float(values.mean()), why="all rows are one cluster of look-alikes")
    low, high = mean_interval(values, clusters)
    return Estimate(float(values.mean()), max(low, 0.0), high, method="cluster-t")


def banded_class(scores: ClassScores) -> ClassScores:
    if scores.trained is None:
        return scores
    return ClassScores(
        scores.rows, scores.decided, scores.trained, band_of(scores.trained), scores.measures
    )


def _bands(
    seen: Outcomes, classes: dict[str, ClassScores], sums: Sums, drawn: Sums
) -> dict[str, dict[str, object]]:
    """Macro F1 and recall over the classes of each band that have rows."""
    worth = independent_rows(seen)
    found: dict[str, dict[str, object]] = {}
    for band in ("head", "middle", "tail"):
        members = [name for name in seen.classes if classes[name].band == band]
        part = np.isin(seen.classes, members)
        if not members:
            continue
        rows = np.where(part, sums.rows, 0.0)
        resampled = np.where(part, drawn.rows, 0.0)
        why = why_no_macro_interval(np.where(part, worth, 0.0), seen.known)
        empty = "no class of the band has rows in the split"
        found[band] = {
            "classes": members,
            "rows": int(rows.sum()),
            "macro_f1": percentile(
                float(measures.macro(measures.class_f1(sums), rows)),
                measures.macro(measures.class_f1(drawn), resampled),
                why,
                empty,
            ),
            "macro_recall": percentile(
                float(measures.macro(measures.class_recall(sums), rows)),
                measures.macro(measures.class_recall(drawn), resampled),
                why,
                empty,
            ),
        }
    return found


def _notes(seen: Outcomes, sums: Sums) -> tuple[str, ...]:
    never = np.flatnonzero(~seen.known)
    empty = np.flatnonzero(seen.known & (sums.rows == 0))
    notes = []
    if len(never):
        rows = int(sums.rows[never].sum())
        notes.append(
            f"never seen in training: {', '.join(seen.classes[k] for k in never)}. They count 0 "
            f"in macro means; log loss leaves out their rows, {rows} in all; their Brier score is "
            "Σ p² + 1; a row costs what the dearest mistake that ends in its decision costs"
        )
    if len(empty):
        notes.append(
            f"no rows in this split: {', '.join(seen.classes[k] for k in empty)}. "
            "They are left out of macro means"
        )
    if sums.decided[-1]:
        notes.append(
            f"{int(sums.decided[-1])} rows are left to a person: they are decided as no class, "
            "which lowers recall and accuracy"
        )
    repeated = len(seen.labels) - len(np.unique(seen.clusters))
    if repeated:
        notes.append(
            f"{repeated} of {len(seen.labels)} rows repeat or share a group with another one; "
            "intervals are widened, since such rows move together"
        )
    return tuple(notes)
