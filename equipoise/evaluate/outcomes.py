"""Labels and decisions as numbers, for the rows of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable, as_table
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
    costs: CostTable
    """(L, L + 1) cost per (true, decided); NaN where nobody stated it."""
    amounts: NDArray[np.float64] | None = None
    """(n,) where costs are times a column."""

    @cached_property
    def sums(self) -> Sums:
        return sums_of(self.labels, self.decided, len(self.classes), self.costs, self.amounts)

    @cached_property
    def price(self) -> NDArray[np.float64]:
        """(n,) what each row cost; NaN where its decision has no stated cost."""
        return self.costs.of_rows(self.labels, self.decided, self.amounts)


def outcomes(
    predictions: Predictions,
    costs: CostTable | NDArray[np.float64] | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> Outcomes:
    """`classes`: those that costs are stated of and that get a column, the model's own and more,
    where models are compared that know different ones; without it the model's own.

    Raises  DataError if rows have no label, or no amount where costs are times a column, or a
            decision is no class of the model; ShapeError if costs are not of `classes`.

    0/1 costs stand in where `costs` is None; a row left to a person then counts as a mistake. A
    row whose class is not among `classes` costs what the dearest mistake that ends in its decision
    costs (at the mean amount), since no cell speaks of it.
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
    stated = sorted({*known, *(classes or ())})
    names = sorted(set(stated) | set(predictions.labels.tolist()))
    place = {name: k for k, name in enumerate(names)}
    decide = place if DEFER in place and DEFER in known else place | {DEFER: len(names)}
    columns, priced = (
        np.array([place[name] for name in part], dtype=np.int64) for part in (known, stated)
    )
    probabilities = np.zeros((n, len(names)))
    probabilities[:, columns] = predictions.probabilities
    table = as_table(costs)
    amounts = None
    if table is not None and table.factor is not None:
        amounts = table.amounts_for(n, predictions.amounts)
    return Outcomes(
        classes=tuple(names),
        known=np.isin(np.arange(len(names)), columns),
        labels=np.array([place[label] for label in predictions.labels], dtype=np.int64),
        decided=np.array([decide[d] for d in predictions.decided], dtype=np.int64),
        clusters=predictions.clusters,
        probabilities=probabilities,
        costs=_costs(table, priced, len(names), amounts),
        amounts=amounts,
    )


def _costs(
    stated: CostTable | None,
    columns: NDArray[np.int64],
    count: int,
    amounts: NDArray[np.float64] | None,
) -> CostTable:
    """The stated costs, of the classes at `columns`, laid out over those and the rows' classes."""
    if stated is None:
        return CostTable(1.0 - np.eye(count, count + 1))
    width, k = stated.fixed.shape[1], len(columns)
    if len(stated.fixed) != k:
        raise ShapeError(
            f"costs have shape {stated.fixed.shape}; expected ({k}, {k}), true class by decided "
            f"class, or ({k}, {k + 1}) with the cost of leaving a row to a person last"
        )
    unknown = np.setdiff1d(np.arange(count), columns)
    decisions = np.append(columns, count)[:width]
    mean = 0.0 if amounts is None else float(amounts.mean())
    mistakes = np.where(np.eye(k, width, dtype=bool), -np.inf, stated.at(mean))
    dearest = mistakes.argmax(axis=0), np.arange(width)

    def laid_out(part: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
        full = np.full((count, count + 1), gap)
        full[np.ix_(columns, decisions)] = part
        full[np.ix_(unknown, decisions)] = part[dearest]
        return full

    factor = None if stated.factor is None else laid_out(stated.factor, 0.0)
    return CostTable(laid_out(stated.fixed, np.nan), factor, stated.column)
