"""The judgement of one split: every measure with a 95 % interval, or the reason for none.

How each interval is made was chosen by simulation; `docs/evaluate.md` gives the table and
`benchmarks/coverage.py` repeats the simulations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate import measures
from equipoise.evaluate.cost_intervals import mistakes_differ_in_price, with_unseen_mistakes
from equipoise.evaluate.deciding import DecidingMeasure
from equipoise.evaluate.deciding_intervals import deciding_estimate
from equipoise.evaluate.estimates import (
    PerClass,
    band_estimates,
    banded_class,
    macro_average_precision,
    macro_roc_auc,
    mean_estimate,
    percentile,
    share_of_rows,
)
from equipoise.evaluate.honesty import why_no_g_mean_interval, why_no_macro_interval
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.evaluate.per_class import ONE_CLASS, class_scores, independent_rows, ranking_of
from equipoise.evaluate.several.judge import judge_labels
from equipoise.records.predictions import Predictions
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.sums import Sums

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
    if mistakes_differ_in_price(seen):
        found["expected_cost"] = with_unseen_mistakes(
            seen, found["expected_cost"], seed=seed, resamples=resamples
        )
    found |= score_estimates(seen, classes)
    if deciding is not None:
        found[deciding.text] = deciding_estimate(seen, deciding, seed=seed, resamples=resamples)
    return Scores(
        split=split,
        rows=len(seen.labels),
        measures=found,
        classes=banded,
        bands=band_estimates(
            banded,
            seen.known,
            _per_class(sums),
            _per_class(drawn),
            lambda part: int(sums.rows[part].sum()),
        ),
        notes=_notes(seen, sums),
    )


def decision_estimates(
    seen: Outcomes, sums: Sums, drawn: Sums, *, guarantee: bool
) -> dict[str, Estimate]:
    """Measures of the decisions, from the sums of the rows and those of their resamples."""
    values = measures.decision_measures(sums)
    samples = measures.decision_measures(drawn)
    right = seen.labels == seen.decided
    found = {"accuracy": share_of_rows(right, seen.clusters, guarantee=guarantee)}
    worth_of_class = independent_rows(seen)
    why_macro = why_no_macro_interval(worth_of_class, seen.known)
    reasons = {
        "balanced_accuracy": why_macro,
        "macro_f1": why_macro,
        "g_mean": why_no_g_mean_interval(worth_of_class, seen.known, seen.classes),
    }
    for name in RESAMPLED:
        why = reasons.get(name)
        found[name] = percentile(
            float(values[name]), samples[name], why, measures.UNDEFINED.get(name)
        )
    return found


def score_estimates(seen: Outcomes, classes: dict[str, ClassScores]) -> dict[str, Estimate]:
    """Measures of the probabilities."""
    answered = seen.known[seen.labels]
    ranked = ranking_of(seen)
    each = [classes[name].measures["average_precision"] for name in seen.classes]
    mistake = measures.likeliest_mistake(seen.probabilities)
    answers = seen.probabilities[answered]
    return {
        "macro_average_precision": macro_average_precision(ranked, each),
        "macro_roc_auc": macro_roc_auc(ranked, ONE_CLASS),
        "log_loss": mean_estimate(
            measures.row_log_loss(answers, seen.labels[answered]),
            seen.clusters[answered],
            mistaken=measures.row_log_loss(answers, mistake[answered]),
        ),
        "brier": mean_estimate(
            measures.row_brier(seen.probabilities, seen.labels),
            seen.clusters,
            most=2.0,
            mistaken=measures.row_brier(seen.probabilities, mistake),
        ),
        "ece": Estimate(
            measures.ece(seen.probabilities, seen.labels),
            why="description only: it reads too high in small splits, most where the model is "
            "well calibrated; log loss and Brier score decide",
        ),
    }


def _per_class(sums: Sums) -> PerClass:
    return PerClass(sums.rows, measures.class_f1(sums), measures.class_recall(sums))


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
