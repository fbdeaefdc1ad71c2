"""Costs as arrays: what every (true, decided) pair costs, for any number of rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CostTable:
    """A row of true class t that is decided as d costs fixed[t, d] + factor[t, d] * its amount.

    Shapes  (K, D) each: D is K, or K + 1 with "left to a person" as the last decision.
    Units   the user's; `factor` has none, since an amount is in the user's unit too.
    """

    fixed: Floats
    factor: Floats | None = None
    """None: no cost depends on the row."""
    column: str | None = None
    """The rows' column that holds the amounts; None as `factor`."""
    capacity: float | None = None
    """Largest share of rows, above 0 and at most 1, that people can take; None: no limit."""

    def __post_init__(self) -> None:
        k = len(self.fixed)
        if self.fixed.shape not in ((k, k), (k, k + 1)):
            raise ShapeError(
                f"costs have shape {self.fixed.shape}; expected ({k}, {k}), true class by decided "
                f"class, or ({k}, {k + 1}) with the cost of leaving a row to a person in the last "
                "column"
            )
        if self.factor is not None and self.factor.shape != self.fixed.shape:
            raise ShapeError(
                f"factors have shape {self.factor.shape}, costs {self.fixed.shape}; "
                "expected one factor per cost"
            )

    @property
    def defers(self) -> bool:
        """Whether it says what leaving a row to a person costs."""
        return bool(self.fixed.shape[1] > self.fixed.shape[0])

    def without_deferral(self) -> CostTable:
        """The same without the decision to leave a row to a person."""
        k = len(self.fixed)
        factor = None if self.factor is None else self.factor[:, :k]
        return CostTable(self.fixed[:, :k], factor, self.column)

    def at(self, amounts: Floats | float) -> Floats:
        """(K, D) costs where the amount is `amounts`: one for all, or one per true class (K,)."""
        if self.factor is None:
            return self.fixed.copy()
        per_class = np.broadcast_to(np.asarray(amounts, dtype=np.float64), len(self.fixed))
        return np.asarray(self.fixed + self.factor * per_class[:, None], dtype=np.float64)

    def of_rows(self, labels: Ints, decided: Ints, amounts: Floats | None = None) -> Floats:
        """(n,) what each row cost.

        Shapes  labels (n,) in 0..K-1, decided (n,) in 0..D-1, amounts (n,) where costs need them.
        """
        cost = self.fixed[labels, decided]
        if self.factor is None:
            return cost
        factor = self.factor[labels, decided]
        return np.asarray(cost + factor * self.amounts_for(len(labels), amounts), dtype=np.float64)

    def expected(self, p: Floats, amounts: Floats | None = None) -> Floats:
        """(n, D) what each decision costs on average where the true class is drawn from p (n, K).

        Two products of matrices: the (n, K, D) costs of the rows are never written down.
        """
        if p.ndim != 2 or p.shape[1] != len(self.fixed):
            raise ShapeError(
                f"costs have shape {self.fixed.shape}, probabilities {p.shape}; "
                f"expected (rows, {len(self.fixed)})"
            )
        cost = p @ self.fixed
        if self.factor is not None:
            cost += (p @ self.factor) * self.amounts_for(len(p), amounts)[:, None]
        return np.asarray(cost, dtype=np.float64)

    def amounts_for(self, rows: int, amounts: Floats | None) -> Floats:
        """The amounts, checked. Raises DataError if there are none, ShapeError if they do not fit.

        Only for a table with factors.
        """
        if amounts is None:
            raise DataError(
                f"costs are times the rows' column {self.column or 'of amounts'!r}, and these rows "
                "come without it; give the amount of every row"
            )
        found = np.asarray(amounts, dtype=np.float64)
        if found.shape != (rows,):
            raise ShapeError(f"{rows} rows have amounts of shape {found.shape}; give one per row")
        bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
        if len(bad):
            raise DataError(
                f"amounts should be finite numbers, 0 or more; that of row {bad[0] + 1} is "
                f"{found[bad[0]]:g}"
            )
        return found


def as_table(costs: CostTable | Floats | None) -> CostTable | None:
    """A plain matrix as a table. Raises ShapeError unless it is (K, K) or (K, K + 1)."""
    if costs is None or isinstance(costs, CostTable):
        return costs
    return CostTable(np.asarray(costs, dtype=np.float64))
