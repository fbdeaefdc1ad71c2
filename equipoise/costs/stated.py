"""Costs as the expert states them: classes by name, a default for what is not named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import check
from equipoise.costs.table import CostTable
from equipoise.errors import SettingsError
from equipoise.records.predictions import DEFER

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """One cost: `fixed`, plus `factor` times the row's amount. Negative is a benefit."""

    fixed: float
    factor: float = 0.0

    def to_json(self, column: str | None) -> Any:
        """A number, or `{times, factor, plus}` as in a cost file."""
        if not self.factor:
            return self.fixed
        extra = {"factor": self.factor} if self.factor != 1 else {}
        return {"times": column} | extra | ({"plus": self.fixed} if self.fixed else {})


@dataclass(frozen=True)
class Deferral:
    """Leaving rows to a person."""

    cost: Cost
    """Of one row, whatever its class; a cell (true, "defer") overrides it."""
    capacity: float | None = None
    """Largest share of the rows, above 0 and at most 1, that people can take; None: all."""


@dataclass(frozen=True)
class Costs:
    """Cost per (true, decided) in `unit`. A right decision costs 0 and a mistake `default`, or
    what `missed` says of its true class, unless the pair is named."""

    unit: str = "mistakes"
    default: Cost | float = 1.0
    named: tuple[tuple[str, str, Cost | float], ...] = ()
    """(true class, decided class or "defer", cost)."""
    missed: tuple[tuple[str, Cost | float], ...] = ()
    """(true class, cost of any mistake about it)."""
    column: str | None = None
    """The rows' column of amounts; None where no cost has a factor."""
    deferral: Deferral | None = None
    """None: every row is decided."""

    @property
    def capacity(self) -> float | None:
        """Largest share of rows that people can take; None: no limit, or nothing goes to them."""
        return None if self.deferral is None else self.deferral.capacity

    def table(self, classes: tuple[str, ...], amounts: Floats | None = None) -> CostTable:
        """The costs as arrays in the order of `classes`, with the decision to leave a row to a
        person last if it is stated.

        amounts  (n,) of the rows at hand, 0 or more: cells are judged by them. None: cells that
                 depend on them are not judged.
        Raises SettingsError with every fault: classes that are not in the rows, a mistake that
        costs less than the right decision whatever the amount, costs that decide nothing.
        """
        faults = self.faults(classes, amounts)
        if faults:
            raise SettingsError(*faults)
        return self._filled(classes)

    def faults(self, classes: tuple[str, ...], amounts: Floats | None = None) -> list[str]:
        """What `table` raises, all at once: a cell of a class that nobody knows hides no other."""
        unknown = check.names(self._classes_named(), classes, defers=self.deferral is not None)
        if self.deferral is not None and DEFER in classes:
            return unknown  # one column would stand for two decisions
        table = self._filled(classes)
        return unknown + check.cells(table, classes, amounts, whole=not unknown)

    def matrix(self, classes: tuple[str, ...], amounts: Floats | float | None = None) -> Floats:
        """(K, K) costs, true class by decided class, without the decision to leave a row to a
        person: what losses and weights take.

        amounts  Where costs are times a column: one amount for all, or one per true class (K,),
                 such as the mean of its training rows. Cells are not judged by them: what holds at
                 a typical amount may not hold at every row's (`warnings` judges by those).
        Raises SettingsError as `table` does, and if amounts are needed and not given.
        """
        table = self.table(classes)
        if self.column is not None and amounts is None:
            raise SettingsError(
                f"costs are times the column {self.column!r}: one matrix for all rows needs the "
                "amount of each class; give amounts"
            )
        return table.without_deferral().at(0.0 if amounts is None else amounts)

    def warnings(self, classes: tuple[str, ...], amounts: Floats | None = None) -> list[str]:
        """What may be meant but hardly is: decisions that are never the cheapest, and right
        decisions dearer than a mistake for some amounts."""
        return check.doubts(self.table(classes, amounts), classes, amounts)

    def to_json(self) -> dict[str, Any]:
        """As in a cost file; `costs_from` reads it back."""
        nested: dict[str, dict[str, Any]] = {}
        for true, decided, cost in self.named:
            nested.setdefault(true, {})[decided] = _cost(cost).to_json(self.column)
        record = {"unit": self.unit, "default": _cost(self.default).to_json(self.column)}
        if self.missed:
            record["missed"] = {c: _cost(cost).to_json(self.column) for c, cost in self.missed}
        record["costs"] = nested
        if self.deferral is not None:
            record["defer"] = {"cost": self.deferral.cost.to_json(self.column)}
            if self.deferral.capacity is not None:
                record["defer"]["capacity"] = self.deferral.capacity
        return record

    def _classes_named(self) -> list[str]:
        pairs = [(t, None if d == DEFER and self.deferral else d) for t, d, _ in self.named]
        return [name for pair in pairs for name in pair if name is not None] + [
            name for name, _ in self.missed
        ]

    def _filled(self, classes: tuple[str, ...]) -> CostTable:
        """What is said of other classes is left out."""
        k = len(classes)
        place = {name: i for i, name in enumerate(classes)}
        decision = place if self.deferral is None else place | {DEFER: k}
        parts = np.zeros((2, k, len(decision)))  # fixed, factor

        def put(rows: Any, columns: Any, cost: Cost | float) -> None:
            stated = _cost(cost)
            parts[0, rows, columns], parts[1, rows, columns] = stated.fixed, stated.factor

        put(slice(None), slice(k), self.default)
        for true, cost in self.missed:
            if true in place:
                put(place[true], slice(k), cost)
        put(np.arange(k), np.arange(k), 0.0)
        if self.deferral is not None:
            put(slice(None), k, self.deferral.cost)
        for true, decided, cost in self.named:
            if true in place and decided in decision:
                put(place[true], decision[decided], cost)
        if self.column is None:
            return CostTable(parts[0], capacity=self.capacity)
        return CostTable(parts[0], parts[1], self.column, self.capacity)


def _cost(given: Cost | float) -> Cost:
    return given if isinstance(given, Cost) else Cost(float(given))
