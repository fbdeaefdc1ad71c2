"""Labels and decisions as numbers, for the rows of one split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError
from equipoise.records.predictions import DEFER, Predictions
from equipoise.statistics.sums import Sums, sums_of


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was true and what was decided, over L classes: those that the model knows and those
    that have rows here."""

    classes: tuple[str, ...]
    """L names, sorted."""
    known: NDArray[np.bool_]
    """(L,) the model can decide the class."""
    labels: NDArray[np.int64]
    """(n,) position in `classes`."""
    decided: NDArray[np.int64]
    """(n,) position in `classes`; L for a row left to a person."""
    clusters: NDArray[np.int64]
    """(n,)."""
    probabilities: NDArray[np.float64]
    """(n, L); the column of a class that the model does not know is 0."""
    costs: NDArray[np.float64]
    """(L, L + 1) cost per (true, decided)."""

    @cached_property
    def sums(self) -> Sums:
        return sums_of(self.labels, self.decided, len(self.classes), self.costs)


def outcomes(predictions: Predictions, costs: NDArray[np.float64] | None = None) -> Outcomes:
    """Raises DataError if rows have no label or a decision is no class of the model; ShapeError
    if costs are neither (K, K) nor (K, K + 1), the last column being "left to a person".

    0/1 costs stand in where `costs` is None; a row left to a person then counts as a mistake. A
    row whose class the model does not know costs what the dearest mistake that ends in its
    decision costs, since no cell speaks of it.
    """
    n, known = len(predictions), list(predictions.classes)
    if n == 0:
        raise DataError("there are no rows to judge; check the split's name and the file")
    blank = int(sum(label is None for label in predictions.labels))
    if blank:
        raise DataError(f"{blank} of {n} rows have no label; judge rows whose class is known")
    stray = sorted(set(predictions.decided.tolist()) - set(known) - {DEFER}, key=str)
    if stray:
        raise DataError(*(f"decided {d!r} is no class of the model; predict again" for d in stray))
    names = sorted(set(known) | set(predictions.labels.tolist()))
    place = {name: k for k, name in enumerate(names)}
    decide = place if DEFER in place and DEFER in known else place | {DEFER: len(names)}
    columns = np.array([place[name] for name in known], dtype=np.int64)
    probabilities = np.zeros((n, len(names)))
    probabilities[:, columns] = predictions.probabilities
    return Outcomes(
        classes=tuple(names),
        known=np.isin(np.arange(len(names)), columns),
        labels=np.array([place[label] for label in predictions.labels], dtype=np.int64),
        decided=np.array([decide[d] for d in predictions.decided], dtype=np.int64),
        clusters=predictions.clusters,
        probabilities=probabilities,
        costs=_costs(costs, columns, len(names)),
    )


def _costs(
    stated: NDArray[np.float64] | None, columns: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    if stated is None:
        return 1.0 - np.eye(count, count + 1)
    k = len(columns)
    if stated.shape not in ((k, k), (k, k + 1)):
        raise ShapeError(
            f"costs have shape {stated.shape}; expected ({k}, {k}), true class by decided class, "
            f"or ({k}, {k + 1}) with the cost of leaving a row to a person in the last column"
        )
    full = np.full((count, count + 1), np.nan)
    mistakes = np.where(np.eye(k, stated.shape[1], dtype=bool), -np.inf, stated)
    unknown = np.setdiff1d(np.arange(count), columns)
    decisions = np.append(columns, count)[: stated.shape[1]]
    full[np.ix_(columns, decisions)] = stated
    full[np.ix_(unknown, decisions)] = mistakes.max(axis=0)
    return full
