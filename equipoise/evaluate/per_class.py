"""Precision, recall, F1 and average precision of each class, with intervals.

Recall, precision and F1 are shares of rows: of the rows of the class, of the rows decided as it,
and (F1, by way of Jaccard's J) of the rows that are either. Rows that move together are counted
for what they are worth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate import measures
from equipoise.evaluate.estimates import Ranking
from equipoise.evaluate.outcomes import Outcomes
from equipoise.evaluate.ranking import average_precision
from equipoise.records.scores import ClassScores, Estimate
from equipoise.statistics.clusters import agreement, effective_rows, mean_cluster_size
from equipoise.statistics.intervals import f1_of_jaccard, share_interval
from equipoise.statistics.sums import Floats

Part = tuple[Floats, NDArray[np.int64], NDArray[np.int64]]
"""(L,) rows of each class's part, and for each row in any part its class and its cluster."""

NO_ROWS = "no rows of this class in the split"
ONE_CLASS = "0/0: only one class has rows"
NEVER_SEEN = "never seen in training, so it can't be decided: 0 whatever the rows are"


def class_scores(
    seen: Outcomes, trained: Mapping[str, int] | None, *, guarantee: bool = False
) -> dict[str, ClassScores]:
    """Every class, known or with rows, without its band."""
    shares = share_estimates(seen, guarantee=guarantee)
    shares["average_precision"] = average_precision_estimates(seen, guarantee=guarantee)
    return {
        name: ClassScores(
            rows=int(seen.sums.rows[k]),
            decided=int(seen.sums.decided[k]),
            trained=None if trained is None else int(trained.get(name, 0)),
            band=None,
            measures={measure: estimates[k] for measure, estimates in shares.items()},
        )
        for k, name in enumerate(seen.classes)
    }


def share_estimates(seen: Outcomes, *, guarantee: bool) -> dict[str, list[Estimate]]:
    """precision, recall and f1, each with one estimate per class."""
    count, sums = len(seen.classes), seen.sums
    decided, right = sums.decided[:-1], sums.right
    chosen = seen.decided < count
    # A row belongs to the "either" part of its class, and of its decision where they differ.
    strays = chosen & (seen.decided != seen.labels)
    either = np.concatenate([seen.labels, seen.decided[strays]])
    parts = {
        "precision": (decided, seen.decided[chosen], seen.clusters[chosen]),
        "recall": (sums.rows, seen.labels, seen.clusters),
        "f1": (
            sums.rows + decided - right,
            either,
            np.concatenate([seen.clusters, seen.clusters[strays]]),
        ),
    }
    agree = 1.0 if guarantee else class_agreement(seen)
    bounds = share_bounds(right, parts, agree, guarantee=guarantee)
    values = {
        "precision": measures.class_precision(sums),
        "recall": measures.class_recall(sums),
        "f1": measures.class_f1(sums),
    }
    method = "clopper-pearson" if guarantee else "mid-p"
    return {
        measure: [
            bounded(
                float(values[measure][k]),
                (float(bounds[measure][0][k]), float(bounds[measure][1][k])),
                why_no_share(measure, int(sums.rows[k]), bool(seen.known[k]), int(decided[k])),
                method,
            )
            for k in range(count)
        ]
        for measure in parts
    }


def class_agreement(seen: Outcomes) -> float:
    """How much rows of one cluster agree in being right, beyond what their classes explain."""
    sums = seen.sums
    expected = ((sums.right + 0.5) / (sums.rows + 1))[seen.labels]
    return agreement(seen.labels == seen.decided, expected, seen.clusters)


def independent_rows(seen: Outcomes, agree: float | None = None) -> Floats:
    """(L,) how many independent rows each class's rows are worth."""
    size = mean_cluster_size(seen.labels, seen.clusters, len(seen.classes))
    return effective_rows(seen.sums.rows, size, class_agreement(seen) if agree is None else agree)


def ranking_of(seen: Outcomes) -> Ranking:
    worth = independent_rows(seen)
    return Ranking(
        known=seen.known,
        truth=seen.labels[:, None] == np.arange(len(seen.classes)),
        probabilities=seen.probabilities,
        worth=worth,
        others=worth.sum() - worth,
    )


def share_bounds(
    right: Floats, parts: Mapping[str, Part], agree: float, *, guarantee: bool
) -> dict[str, tuple[Floats, Floats]]:
    """(L,) bounds of right / total in each part; [0, 1] where a part of a class is empty."""
    total = np.stack([part[0] for part in parts.values()])
    size = np.stack(
        [mean_cluster_size(codes, clusters, len(right)) for _, codes, clusters in parts.values()]
    )
    worth = np.where(total > 0, effective_rows(total, size, agree), 1.0)
    share = right / np.maximum(total, 1)
    low, high = share_interval(share * worth, worth, guarantee=guarantee)
    low, high = np.where(total > 0, low, 0.0), np.where(total > 0, high, 1.0)
    found = {name: (low[i], high[i]) for i, name in enumerate(parts)}
    found["f1"] = (f1_of_jaccard(found["f1"][0]), f1_of_jaccard(found["f1"][1]))
    return found


def why_no_share(measure: str, rows: int, known: bool, decided: int) -> str | None:
    if measure == "precision":
        return None if decided else "0/0: no row is decided as this class"
    if rows == 0 and (measure == "recall" or decided == 0):
        return NO_ROWS if measure == "recall" else f"0/0: {NO_ROWS}, and none decided as it"
    return None if known else NEVER_SEEN


def bounded(value: float, bounds: tuple[float, float], why: str | None, method: str) -> Estimate:
    if np.isnan(value):
        return Estimate(None, why=why)
    if why:
        return Estimate(value, why=why)
    return Estimate(value, min(bounds[0], value), max(bounds[1], value), method=method)


def average_precision_estimates(seen: Outcomes, *, guarantee: bool = False) -> list[Estimate]:
    """One per class. AP is the mean over the class's rows of a number in 0..1, so it varies at
    most like a share of them, and gets a share's interval."""
    rows = seen.sums.rows
    worth = independent_rows(seen, 1.0 if guarantee else None)
    scored = np.flatnonzero(seen.known & (rows > 0))
    value = np.array(
        [average_precision(seen.probabilities[:, k], seen.labels == k) for k in scored]
    )
    low, high = share_interval(value * worth[scored], worth[scored], guarantee=False)
    found = [
        Estimate(None, why=NO_ROWS) if rows[k] == 0 else Estimate(0.0, why=NEVER_SEEN)
        for k in range(len(rows))
    ]
    for i, k in enumerate(scored):
        found[k] = bounded(float(value[i]), (float(low[i]), float(high[i])), None, "mid-p")
    return found
