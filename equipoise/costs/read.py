"""From a cost file to `Costs`.

A cost file names classes, not positions, and the user's own unit:

    unit: EUR
    default: 1                     # any mistake that is not named below
    missed:
      complaint: 20                # a complaint decided as anything else
    costs:
      fraud:
        legitimate: {times: amount}             # a fraud let through costs its amount
      legitimate:
        fraud: {times: amount, factor: 0.01, plus: 5}
        legitimate: -0.1                        # a benefit is a negative cost
    defer:
      cost: 3                      # leaving a row to a person
      capacity: 5%                 # at most so many; or {rows: 50, of: 1000}

A cost is a number, or `factor` times the row's own number in the column `times`, `plus` a number.
A right decision costs 0 unless the file says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeGuard

from equipoise.costs.stated import Cost, Costs, Deferral
from equipoise.errors import SettingsError
from equipoise.records.yaml_files import read_mapping

_KEYS = ("costs", "default", "defer", "missed", "unit")
_FORM = "a finite number, or {times: COLUMN, factor: NUMBER, plus: NUMBER}"


Classes = Callable[[], tuple[str, ...]]
"""The classes of the rows; () if they can't be had. Asked for only where costs are faulty."""


def read_costs(path: Path, classes: Classes | None = None) -> Costs:
    """Read a YAML cost file. Raises SettingsError as `costs_from`, or if the file is missing."""
    return costs_from(read_mapping(path, "cost file"), str(path), classes)


def costs_from(record: Any, source: str = "costs", classes: Classes | None = None) -> Costs:
    """Build from the parsed file. Raises SettingsError naming every faulty cell.

    classes   Where there are faults, those that only the classes can tell are told with them.
              Without: the caller asks for them, by `Costs.table`, once the costs can be read.
    """
    if not isinstance(record, dict):
        raise SettingsError(f"{source}: expected keys {list(_KEYS)}, found {record!r}")
    reader = _Reader(source)
    reader.unknown(record, _KEYS, "key")
    default = reader.cost(record.get("default", 1.0), "default")
    if default.fixed < 0 or default.factor < 0:
        reader.fault(f"default is {record['default']!r}; expected a number, 0 or more")
        default = Cost(math.nan)
    missed = tuple(
        (str(true), reader.cost(cost, f"missed {str(true)!r}"))
        for true, cost in reader.mapping(record, "missed", "true class → cost").items()
    )
    named = []
    nested = reader.mapping(record, "costs", "true class → decided class → cost")
    for true, row in nested.items():
        if not isinstance(row, dict):
            reader.fault(f"costs of {str(true)!r} are {row!r}; expected decided class → cost")
            continue
        for decided, cost in row.items():
            where = f"{str(true)!r} decided as {str(decided)!r}"
            named.append((str(true), str(decided), reader.cost(cost, where)))
    deferral = reader.deferral(record)
    column = reader.column()
    unit = str(record.get("unit", "mistakes"))
    costs = Costs(unit, default, tuple(named), missed, column, deferral)
    if reader.faults:
        known = () if classes is None else classes()
        raise SettingsError(*reader.faults, *(costs.faults(known) if known else ()))
    return costs


class _Reader:
    """Reads parts of a cost file, and keeps their faults and the columns that they name."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[str] = []
        self.columns: dict[str, str] = {}
        """Column to the first place that names it."""

    def fault(self, said: str) -> None:
        self.faults.append(f"{self.source}: {said}")

    def unknown(self, record: dict[Any, Any], known: tuple[str, ...], what: str) -> None:
        for key in record:
            if key not in known:
                near = get_close_matches(str(key), known, n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}? " if near else ""
                self.fault(f"unknown {what} {key!r}; {hint}known are {', '.join(known)}")

    def mapping(self, record: dict[Any, Any], key: str, form: str) -> dict[Any, Any]:
        found = record.get(key)
        if isinstance(found, dict) or found is None:
            return found or {}
        self.fault(f"{key} is {found!r}; expected {form}")
        return {}

    def cost(self, given: Any, where: str) -> Cost:
        """One cost; NaN where it is faulty, which is told."""
        if _is_number(given):
            return Cost(float(given))
        if not isinstance(given, dict) or "times" not in given:
            verb = "is" if where == "default" else "costs"
            words = map(str, given) if isinstance(given, dict) else ()
            near = get_close_matches("times", words, n=1, cutoff=0.6)
            hint = f"{near[0]!r}: did you mean times? " if near else ""
            self.fault(f"{where} {verb} {given!r}; {hint}expected {_FORM}")
            return Cost(math.nan)
        self.unknown(given, ("times", "factor", "plus"), f"word in the cost of {where}:")
        column = given["times"]
        if isinstance(column, str) and column.strip():
            self.columns.setdefault(column, where)
        else:
            self.fault(f"{where}: times is {column!r}; expected the name of the rows' column")
        numbers = {"factor": given.get("factor", 1.0), "plus": given.get("plus", 0.0)}
        for word, value in numbers.items():
            if not _is_number(value):
                self.fault(f"{where}: {word} is {value!r}; expected a finite number")
                numbers[word] = math.nan
        return Cost(float(numbers["plus"]), float(numbers["factor"]))

    def column(self) -> str | None:
        """The one column that costs are times of."""
        if len(self.columns) > 1:
            places = ", ".join(f"{name!r} ({place})" for name, place in self.columns.items())
            self.fault(
                f"costs are times several columns: {places}; one can be read, so add a column to "
                "the rows that holds what you mean"
            )
        return next(iter(self.columns), None)

    def deferral(self, record: dict[Any, Any]) -> Deferral | None:
        given = record.get("defer")
        if given is None:
            return None
        if not isinstance(given, dict):
            given = {"cost": given}
        self.unknown(given, ("cost", "capacity"), "word in defer:")
        if "cost" not in given:
            self.fault("defer states no cost; say what leaving a row to a person costs, 0 or more")
            cost = Cost(math.nan)
        else:
            cost = self.cost(given["cost"], "defer")
        stated = given.get("capacity")
        return Deferral(cost, None if stated is None else self.capacity(stated))

    def capacity(self, given: Any) -> float | None:
        """As a share of the rows."""
        if isinstance(given, dict):
            self.unknown(given, ("rows", "of"), "word in capacity:")
            rows, of = given.get("rows"), given.get("of")
            if not (_is_number(of) and _is_number(rows) and 0 < rows <= of):
                self.fault(
                    f"capacity is {given!r}; expected {{rows: N, of: M}}, N rows out of every M "
                    "that come in, N above 0 and at most M"
                )
                return None
            return rows / of
        value = given
        if isinstance(given, str) and given.strip().endswith("%"):
            try:
                value = float(given.strip()[:-1]) / 100
            except ValueError:
                value = given
        if _is_number(value) and 0 < value <= 1:
            return float(value)
        hint = (
            f"for a number of rows say out of how many: {{rows: {given:g}, of: 1000}}"
            if _is_number(given) and given > 1
            else "leave `defer` out if no row may go to a person"
            if value == 0
            else "as 0.05 or 5%"
        )
        self.fault(f"capacity is {given!r}; expected a share above 0 and at most 1: {hint}")
        return None


def _is_number(value: Any) -> TypeGuard[int | float]:
    try:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(float(value))
        )
    except OverflowError:  # a whole number of more than 308 digits
        return False
