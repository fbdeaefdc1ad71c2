"""How much each row counts: by its group, by its copies, or by what a mistake on it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.batches.groups import By, cells, numbered
from equipoise.remedies.batches.shares import Power
from equipoise.remedies.labels import check_labels

Errors = Literal["even", "frequent", "worst"]


def group_weights(
    labels: NDArray[np.int64],
    classes: int,
    *,
    groups: NDArray[np.int64],
    by: By = "cell",
    column: str | None = None,
    power: Power = 1.0,
) -> NDArray[np.float64]:
    """Weight per row: the fewer rows its cell (group within class) has, the more each counts.

        weight of a row = 1 / (rows of its cell)^power

    Shapes    labels (n,) in 0..classes-1, groups (n,) a number per group. Returns (n,), mean 1.
    Settings  by: cell, or group. column: which column holds the groups, for the caller; none: the
              group column, whose groups also stay on one side of every split. power: 1: every
              cell counts the same in total; 0: no weighting.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     as group_balanced_sampler does, where cells have some dozens of rows at least;
              all rows are still seen every epoch.
    Harms     where a cell has a handful of rows: single rows with huge weights make steps jump.
    Source    Idrissi et al. 2022, Simple data balancing achieves competitive worst-group-accuracy,
              arXiv:2110.14503 (RWG).
    """
    check_labels(labels, classes)
    strata = cells(labels, groups) if by == "cell" else numbered(groups)
    return _mean_one(np.bincount(strata)[strata].astype(np.float64) ** -power)


def cluster_weights(
    labels: NDArray[np.int64],
    classes: int,
    *,
    cluster_sizes: NDArray[np.int64],
    power: Power = 1.0,
) -> NDArray[np.float64]:
    """Weight per row: rows that say the same share one vote.

        weight of a row = 1 / (rows of its cluster)^power

    Clusters are duplicates and look-alikes and, if a group column is named, rows of one group.
    Sizes are those before any remedy on rows: an oversampled row is no duplicate.

    Shapes    labels (n,) in 0..classes-1, cluster_sizes (n,) from 1. Returns (n,), mean 1.
    Settings  power: 1: every cluster counts the same in total; 0: no weighting.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where templates or repeated messages flood a class, and the model learns these
              instead of the class.
    Harms     where a message is frequent for a reason, and will be as frequent in use.
    Source    Lee et al. 2022, Deduplicating training data makes language models better,
              arXiv:2107.06499 (there all but one of the copies are dropped; power = 1 gives their
              cluster the same total weight).
    """
    check_labels(labels, classes)
    return _mean_one(cluster_sizes.astype(np.float64) ** -power)


def cost_weights(
    labels: NDArray[np.int64],
    classes: int,
    *,
    row_costs: NDArray[np.float64],
    class_names: Sequence[str],
    errors: Errors = "even",
) -> NDArray[np.float64]:
    """Weight per row: what a mistake on it is expected to cost.

        weight of a row = mean over the wrong decisions j of (cost of j - cost of the right one)

    It leaves class shares alone: whoever minimises it minimises cost, not mistakes.

    Shapes    labels (n,) in 0..classes-1; row_costs (n, classes): what deciding each class costs
              for the row. Returns (n,), mean 1.
    Settings  errors: even: all wrong decisions alike; frequent: by the shares of the decided
              classes as fed; worst: the dearest alone.
    Raises    SettingsError if mistakes on all rows of a class cost nothing; ShapeError for labels
              out of range, DataError without rows.
    Helps     where classes or rows differ in price, and hardly in which wrong class is decided.
    Harms     where the price hangs on the wrong class decided: weights can't say so, the decision
              `costs` can. Beyond 1 : 100 few rows make the steps. Beside the decision `costs` it
              gains little, for that knows the prices already.
    Source    Zadrozny et al. 2003, Cost-sensitive learning by cost-proportionate example
              weighting, ICDM (a row's weight is its cost); Ting 2002, An instance-weighting
              method to induce cost-sensitive trees (errors joined over the wrong classes).
    """
    check_labels(labels, classes)
    right = np.arange(classes) == labels[:, None]
    excess = row_costs - row_costs[right][:, None]
    counts = np.bincount(labels, minlength=classes)
    if (counts > 0).sum() == 1:
        return np.ones(len(labels))  # there is no other class to be taken for
    if errors == "worst":
        raw = np.where(right, -np.inf, excess).max(axis=1)
    else:
        # Classes without rows are never decided.
        chance = ~right * (counts if errors == "frequent" else (counts > 0).astype(np.float64))
        raw = (chance * excess).sum(axis=1) / chance.sum(axis=1)
    raw = np.maximum(raw, 0.0)
    per_class = np.bincount(labels, weights=raw, minlength=classes)
    free = np.flatnonzero((counts > 0) & ~(per_class > 0))
    if len(free):
        raise SettingsError(
            *(
                f"remedy cost_weights: mistakes on class {class_names[k]!r} cost nothing, so its "
                "rows would have no weight; state a cost, or leave costs to the decision: "
                "--remedy costs"
                for k in free.tolist()
            )
        )
    return _mean_one(raw)


def _mean_one(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weights / weights.mean(), dtype=np.float64)
