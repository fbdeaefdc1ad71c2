"""What each mistake costs, stated once by the person who knows.

A cost file names classes, not positions, and the user's own unit:

    unit: EUR
    default: 1            # any mistake that is not named below
    costs:
      fraud:
        legitimate: 500   # a fraud decided as legitimate
      legitimate:
        fraud: 5

A right decision costs 0 unless the file says otherwise (a benefit is a negative cost).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.records.yaml_files import read_mapping

_KEYS = {"unit", "default", "costs"}


@dataclass(frozen=True)
class Costs:
    """Cost per (true, decided) in `unit`; pairs that are not named cost `default`."""

    unit: str = "mistakes"
    default: float = 1.0
    named: tuple[tuple[str, str, float], ...] = ()
    """(true class, decided class, cost)."""

    def matrix(self, classes: tuple[str, ...]) -> NDArray[np.float64]:
        """Costs of shape (K, K), true class by decided class, in the order of `classes`.

        Raises SettingsError if a named class is not in `classes`, or if some decision costs less
        than the right one for its row (then nobody would ever want the right one).
        """
        place = {name: k for k, name in enumerate(classes)}
        unknown = sorted({c for t, d, _ in self.named for c in (t, d) if c not in place})
        if unknown:
            raise SettingsError(
                *(
                    f"costs: class {name!r} is not in the rows; they hold {', '.join(classes)}"
                    for name in unknown
                )
            )
        matrix = np.full((len(classes), len(classes)), self.default)
        np.fill_diagonal(matrix, 0.0)
        for true, decided, cost in self.named:
            matrix[place[true], place[decided]] = cost
        faults = [
            f"costs: {classes[t]} decided as {classes[d]} costs {matrix[t, d]:g}, less than the "
            f"right decision ({matrix[t, t]:g}); check the cell"
            for t in range(len(classes))
            for d in range(len(classes))
            if matrix[t, d] < matrix[t, t]
        ]
        if faults:
            raise SettingsError(*faults)
        return matrix

    def to_json(self) -> dict[str, Any]:
        nested: dict[str, dict[str, float]] = {}
        for true, decided, cost in self.named:
            nested.setdefault(true, {})[decided] = cost
        return {"unit": self.unit, "default": self.default, "costs": nested}


def costs_from(record: Any, source: str = "costs") -> Costs:
    """Build from the parsed file. Raises SettingsError naming every faulty cell."""
    if not isinstance(record, dict):
        raise SettingsError(f"{source}: expected keys {sorted(_KEYS)}, found {record!r}")
    faults = [
        f"{source}: unknown key {key!r}; known are {', '.join(sorted(_KEYS))}"
        for key in record
        if key not in _KEYS
    ]
    default = record.get("default", 1.0)
    if not _is_number(default) or default < 0:
        faults.append(f"{source}: default is {default!r}; expected a number, 0 or more")
    nested = record.get("costs") or {}
    named: list[tuple[str, str, float]] = []
    if not isinstance(nested, dict):
        faults.append(f"{source}: costs is {nested!r}; expected true class → decided class → cost")
        nested = {}
    for true, row in nested.items():
        if not isinstance(row, dict):
            faults.append(f"{source}: costs of {true!r} are {row!r}; expected decided class → cost")
            continue
        for decided, cost in row.items():
            if _is_number(cost):
                named.append((str(true), str(decided), float(cost)))
            else:
                faults.append(
                    f"{source}: {true!r} decided as {decided!r} costs {cost!r}; "
                    "expected a finite number"
                )
    if faults:
        raise SettingsError(*faults)
    return Costs(str(record.get("unit", "mistakes")), float(default), tuple(named))


def read_costs(path: Path) -> Costs:
    """Read a YAML cost file. Raises SettingsError if it is missing or faulty."""
    return costs_from(read_mapping(path, "cost file"), str(path))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
