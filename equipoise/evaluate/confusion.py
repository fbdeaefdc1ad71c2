"""What is taken for what, and which rows, how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.records.predictions import DEFER, Predictions


@dataclass(frozen=True, eq=False)
class Confusion:
    """Rows and cost per (true, decided)."""

    classes: tuple[str, ...]
    """L true classes: known to the model or present in the rows, sorted."""
    decisions: tuple[str, ...]
    """The same, and "defer" last if rows were left to a person."""
    rows: NDArray[np.int64]
    """(L, decisions)."""
    cost: NDArray[np.float64]
    """(L, decisions) summed cost in the user's unit; NaN where rows have a cost nobody stated."""

    def to_json(self) -> dict[str, Any]:
        return {
            "classes": list(self.classes),
            "decisions": list(self.decisions),
            "rows": self.rows.tolist(),
            "cost": [[None if np.isnan(c) else c for c in line] for line in self.cost.tolist()],
        }


@dataclass(frozen=True)
class Pair:
    """One kind of mistake."""

    label: str
    decided: str
    rows: int
    share: float
    """Of the rows of the true class."""
    cost: float | None


@dataclass(frozen=True)
class Mistake:
    """One row that was decided wrongly."""

    id: str
    label: str
    decided: str
    sure: float
    """Probability stated for the decision; for a row left to a person, of its likeliest class."""
    given_to_label: float
    """Probability stated for the true class; 0 if the model does not know it."""
    cost: float | None
    about: str | None = None
    """Of several labels, the wrong one that `sure` speaks of."""
    missed: bool = False
    """Whether that one is missing from the decision; else it should not be there."""


def confusion(
    predictions: Predictions, *, costs: CostTable | NDArray[np.float64] | None = None
) -> Confusion:
    """Count and price every (true, decided) pair.

    Shapes  costs as in `judge`.
    Raises  DataError if there are no rows or rows without a label; ShapeError if costs do not fit.
    """
    seen = outcomes(predictions, costs)
    count = len(seen.classes)
    cell = seen.labels * (count + 1) + seen.decided
    rows = np.bincount(cell, minlength=count * (count + 1)).reshape(count, count + 1)
    deferred = bool(rows[:, count].any())
    width = count + int(deferred)
    cost = np.zeros((count, count + 1))
    np.add.at(cost, (seen.labels, seen.decided), seen.price)
    return Confusion(
        seen.classes,
        seen.classes + ((DEFER,) if deferred else ()),
        rows[:, :width],
        cost[:, :width],
    )


def most_confused(
    table: Confusion, *, limit: int = 10, by: Literal["rows", "cost"] = "rows"
) -> tuple[Pair, ...]:
    """The kinds of mistake with most rows, or (by="cost") of the highest cost; ties by name."""
    found = [
        Pair(
            label=table.classes[t],
            decided=table.decisions[d],
            rows=int(table.rows[t, d]),
            share=float(table.rows[t, d] / table.rows[t].sum()),
            cost=None if np.isnan(table.cost[t, d]) else float(table.cost[t, d]),
        )
        for t, d in zip(*np.nonzero(table.rows), strict=True)
        if t != d
    ]

    def size(pair: Pair) -> float:
        return float(pair.rows) if by == "rows" else pair.cost or 0.0

    return tuple(sorted(found, key=lambda p: (-size(p), p.label, p.decided))[:limit])


def mistakes(
    predictions: Predictions,
    *,
    costs: CostTable | NDArray[np.float64] | None = None,
    limit: int | None = None,
) -> tuple[Mistake, ...]:
    """The rows decided wrongly, the surest first: they are the likeliest label errors, and the
    mistakes that no threshold catches. Ties keep the order of the rows."""
    seen = outcomes(predictions, costs)
    sure = _sureness(seen)
    wrong = np.flatnonzero(seen.labels != seen.decided)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:limit]
    price = seen.price
    return tuple(
        Mistake(
            id=str(predictions.ids[i]),
            label=str(predictions.labels[i]),
            decided=str(predictions.decided[i]),
            sure=float(sure[i]),
            given_to_label=float(seen.probabilities[i, seen.labels[i]]),
            cost=None if np.isnan(price[i]) else float(price[i]),
        )
        for i in wrong
    )


def _sureness(seen: Outcomes) -> NDArray[np.float64]:
    count = len(seen.classes)
    chosen = np.where(seen.decided < count, seen.decided, seen.probabilities.argmax(axis=1))
    sure: NDArray[np.float64] = seen.probabilities[np.arange(len(chosen)), chosen]
    return sure
