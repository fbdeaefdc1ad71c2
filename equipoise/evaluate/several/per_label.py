"""Precision, recall, F1 and average precision of each label, with intervals.

A label is a 2 × 2 table of rows: right, missed, wrongly set, rightly left out. Precision, recall
and (by way of Jaccard's J) F1 are shares of rows, and get the intervals that those of a class get.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.estimates import Ranking
from equipoise.evaluate.per_class import (
    NEVER_SEEN,
    NO_ROWS,
    Part,
    bounded,
    share_bounds,
    why_no_share,
)
from equipoise.evaluate.ranking import average_precision
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes
from equipoise.records.scores import ClassScores, Estimate
from equipoise.statistics.clusters import agreement, effective_rows, mean_cluster_size
from equipoise.statistics.intervals import share_interval
from equipoise.statistics.label_bootstrap import Bools
from equipoise.statistics.sums import Floats

NOT_RANKED = "0/0: no label that some rows have and others lack"


def label_scores(
    seen: LabelOutcomes, trained: Mapping[str, int] | None, *, guarantee: bool = False
) -> dict[str, ClassScores]:
    """Every label, known or with rows, without its band."""
    shares = _shares(seen, guarantee=guarantee)
    shares["average_precision"] = label_average_precisions(seen, guarantee=guarantee)
    return {
        name: ClassScores(
            rows=int(seen.sums.held[k]),
            decided=int(seen.sums.decided[k]),
            trained=None if trained is None else int(trained.get(name, 0)),
            band=None,
            measures={measure: estimates[k] for measure, estimates in shares.items()},
        )
        for k, name in enumerate(seen.classes)
    }


def independent_rows(seen: LabelOutcomes, agree: float | None = None) -> Floats:
    """(L,) how many independent rows the rows of each label are worth."""
    _, label, clusters = _part(seen, seen.labels)
    size = mean_cluster_size(label, clusters, len(seen.classes))
    return effective_rows(seen.sums.held, size, label_agreement(seen) if agree is None else agree)


def ranking_of_labels(seen: LabelOutcomes) -> Ranking:
    worth, held = independent_rows(seen), seen.sums.held
    # Rows without the label shrink by as much as those with it do.
    each = np.divide(worth, held, out=np.zeros(len(held)), where=held > 0)
    return Ranking(
        known=seen.known,
        truth=seen.labels,
        probabilities=seen.probabilities,
        worth=worth,
        others=(len(seen.labels) - held) * each,
    )


def label_agreement(seen: LabelOutcomes) -> float:
    """How much rows of one cluster agree in being right about a label that they have, or were
    decided as having, beyond what the label explains."""
    either = seen.labels | seen.decided
    total, label, clusters = _part(seen, either)
    right = (seen.labels & seen.decided)[either]
    expected = ((seen.sums.both + 0.5) / (total + 1))[label]
    # What rows of a cluster have in common is looked for label by label.
    return agreement(right, expected, clusters * len(seen.classes) + label) if len(right) else 1.0


def _part(seen: LabelOutcomes, where: Bools) -> Part:
    row, label = np.nonzero(where)
    return where.sum(axis=0).astype(np.float64), label, seen.clusters[row]


def _shares(seen: LabelOutcomes, *, guarantee: bool) -> dict[str, list[Estimate]]:
    """precision, recall and f1, each with one estimate per label."""
    sums = seen.sums
    parts = {
        "precision": _part(seen, seen.decided),
        "recall": _part(seen, seen.labels),
        "f1": _part(seen, seen.labels | seen.decided),
    }
    agree = 1.0 if guarantee else label_agreement(seen)
    bounds = share_bounds(sums.both, parts, agree, guarantee=guarantee)
    values = {
        "precision": measures.label_precision(sums),
        "recall": measures.label_recall(sums),
        "f1": measures.label_f1(sums),
    }
    method = "clopper-pearson" if guarantee else "mid-p"
    return {
        measure: [
            bounded(
                float(values[measure][k]),
                (float(low[k]), float(high[k])),
                why_no_share(measure, int(sums.held[k]), bool(seen.known[k]), int(sums.decided[k])),
                method,
            )
            for k in range(len(seen.classes))
        ]
        for measure, (low, high) in bounds.items()
    }


def label_average_precisions(seen: LabelOutcomes, *, guarantee: bool = False) -> list[Estimate]:
    rows = seen.sums.held
    worth = independent_rows(seen, 1.0 if guarantee else None)
    scored: NDArray[np.int64] = np.flatnonzero(seen.known & (rows > 0))
    value = np.array(
        [average_precision(seen.probabilities[:, k], seen.labels[:, k]) for k in scored]
    )
    low, high = share_interval(value * worth[scored], worth[scored], guarantee=False)
    found = [
        Estimate(None, why=NO_ROWS) if rows[k] == 0 else Estimate(0.0, why=NEVER_SEEN)
        for k in range(len(rows))
    ]
    for i, k in enumerate(scored):
        found[k] = bounded(float(value[i]), (float(low[i]), float(high[i])), None, "mid-p")
    return found
