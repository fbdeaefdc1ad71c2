"""What only the rows can tell of costs, and of leaving rows to a person."""

from __future__ import annotations

from equipoise.errors import SettingsError
from equipoise.fitting.prepared import Prepared
from equipoise.records.predictions import DEFER


def check_costs(prepared: Prepared) -> tuple[list[str], list[str]]:
    """(faults, doubts), a line each."""
    costs, amounts = prepared.recipe.stated_costs, prepared.splits.train.amounts
    faults: list[str] = []
    doubts: list[str] = []
    defers = any(spec.name == "deferral" for spec in prepared.recipe.specs)
    if defers and DEFER in prepared.classes:
        faults.append(
            f"remedy deferral: a class of the rows is called {DEFER!r}, as is leaving a row to a "
            "person; rename the class"
        )
    if costs is None:
        return faults, doubts
    if costs.column is not None and amounts is None:
        faults.append(
            f"costs are times the column {costs.column!r}, and the rows come without its amounts; "
            "give them, or state costs that are no multiples"
        )
    try:
        doubts = costs.warnings(prepared.classes, amounts)
    except SettingsError as error:
        faults += error.faults
    return faults, doubts
