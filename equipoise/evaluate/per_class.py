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
from equipoise.evaluate.outcomes import Outcomes
from equipoise.evaluate.ranking import average_precision
from equipoise.records.scores import ClassScores, Estimate
from equipoise.statistics.clusters import agreement, effective_rows, mean_cluster_size
from equipoise.statistics.intervals import f1_of_jaccard, share_interval
from equipoise.statistics.sums import Floats

_NO_ROWS = "no rows of this class in the split"
_NEVER_SEEN = "never seen in training, so it can't be decided: 0 whatever the rows are"


def class_scores(
    seen: Outcomes, trained: Mapping[str, int] | None, *, guarantee: bool = False
) -> dict[str, ClassScores]:
    """Every class, known or with rows, without its band."""
    count, sums = len(seen.classes), seen.sums
    agree = 1.0 if guarantee else class_agreement(seen)
    decided, right = sums.decided[:-1], sums.right
    either = sums.rows + decided - right
    own = seen.labels
    chosen = seen.decided < count
    # A row belongs to the "either" part of its class, and of its decision where they differ.
    both = np.concatenate([own, seen.decided[chosen & (seen.decided != own)]])
    both_clusters = np.concatenate([seen.clusters, seen.clusters[chosen & (seen.decided != own)]])
    parts = {
        "recall": (sums.rows, own, seen.clusters),
        "precision": (decided, seen.decided[chosen], seen.clusters[chosen]),
        "f1": (either, both, both_clusters),
    }
    bounds = {
        name: _shares(right, total, codes, clusters, agree, guarantee=guarantee)
        for name, (total, codes, clusters) in parts.items()
    }
    bounds["f1"] = (f1_of_jaccard(bounds["f1"][0]), f1_of_jaccard(bounds["f1"][1]))
    values = {
        "recall": measures.class_recall(sums),
        "precision": measures.class_precision(sums),
        "f1": measures.class_f1(sums),
    }
    precisions = _average_precisions(seen, independent_rows(seen, agree))
    method = "clopper-pearson" if guarantee else "mid-p"
    found = {}
    for k, name in enumerate(seen.classes):
        rows = int(sums.rows[k])
        estimates = {
            measure: _estimate(
                float(values[measure][k]),
                (float(bounds[measure][0][k]), float(bounds[measure][1][k])),
                _why_no_share(measure, rows, bool(seen.known[k]), int(decided[k])),
                method,
            )
            for measure in ("precision", "recall", "f1")
        }
        estimates["average_precision"] = precisions[k]
        found[name] = ClassScores(
            rows=rows,
            decided=int(decided[k]),
            trained=None if trained is None else int(trained.get(name, 0)),
            band=None,
            measures=estimates,
        )
    return found


def class_agreement(seen: Outcomes) -> float:
    """How much rows of one cluster agree in being right, beyond what their classes explain."""
    sums = seen.sums
    expected = ((sums.right + 0.5) / (sums.rows + 1))[seen.labels]
    return agreement(seen.labels == seen.decided, expected, seen.clusters)


def overall_agreement(seen: Outcomes, *, guarantee: bool = False) -> float:
    """How much rows of one cluster agree in being right, whatever their classes."""
    if guarantee:
        return 1.0
    right = seen.labels == seen.decided
    chance = (right.sum() + 0.5) / (len(right) + 1)
    return agreement(right, np.full(len(right), chance), seen.clusters)


def independent_rows(seen: Outcomes, agree: float | None = None) -> Floats:
    """(L,) how many independent rows each class's rows are worth."""
    size = mean_cluster_size(seen.labels, seen.clusters, len(seen.classes))
    return effective_rows(seen.sums.rows, size, class_agreement(seen) if agree is None else agree)


def _shares(
    right: Floats,
    total: Floats,
    codes: NDArray[np.int64],
    clusters: NDArray[np.int64],
    agree: float,
    *,
    guarantee: bool,
) -> tuple[Floats, Floats]:
    """(L,) bounds of right / total; an empty part gets [0, 1]."""
    size = mean_cluster_size(codes, clusters, len(total))
    worth = effective_rows(total, size, agree)
    share = right / np.maximum(total, 1)
    return share_interval(
        np.where(total > 0, share * worth, 0.0),
        np.where(total > 0, worth, 1.0),
        guarantee=guarantee,
    )


def _why_no_share(measure: str, rows: int, known: bool, decided: int) -> str | None:
    if measure == "precision":
        return None if decided else "0/0: no row is decided as this class"
    if rows == 0 and (measure == "recall" or decided == 0):
        return _NO_ROWS if measure == "recall" else f"0/0: {_NO_ROWS}, and none decided as it"
    return None if known else _NEVER_SEEN


def _estimate(value: float, bounds: tuple[float, float], why: str | None, method: str) -> Estimate:
    if np.isnan(value):
        return Estimate(None, why=why)
    if why:
        return Estimate(value, why=why)
    return Estimate(value, min(bounds[0], value), max(bounds[1], value), method=method)


def _average_precisions(seen: Outcomes, worth: Floats) -> list[Estimate]:
    """One per class. AP is the mean over the class's rows of a number in 0..1, so it varies at
    most like a share of them, and gets a share's interval."""
    rows = seen.sums.rows
    scored = np.flatnonzero(seen.known & (rows > 0))
    value = np.array(
        [average_precision(seen.probabilities[:, k], seen.labels == k) for k in scored]
    )
    low, high = share_interval(value * worth[scored], worth[scored], guarantee=False)
    found = [
        Estimate(None, why=_NO_ROWS) if rows[k] == 0 else Estimate(0.0, why=_NEVER_SEEN)
        for k in range(len(rows))
    ]
    for i, k in enumerate(scored):
        found[k] = _estimate(float(value[i]), (float(low[i]), float(high[i])), None, "mid-p")
    return found
