"""Which checks every kind of remedy has, and on which cases they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from equipoise.remedies.remedy import Kind

from . import batches, binary_losses, decisions, label_decisions, losses, names_of, rows, wrappers

Check = Callable[[Any, Any], None]
"""(name of the remedy, case)"""
Cases = Callable[[str], Mapping[str, Any]]
"""Name of the remedy -> what its checks run on, by a name."""
Checks = dict[Check, Cases]


def _on(cases: Cases | Mapping[str, Any], *checks: Check) -> Checks:
    return dict.fromkeys(checks, cases if callable(cases) else lambda name: cases)


_ORDERS = _on(batches.CASES, *batches.ORDER_CHECKS)
_DECISIONS = {
    **_on(decisions.cases_of, *decisions.DECISION_CHECKS),
    **_on(decisions.enough_of, decisions.it_makes_a_difference),
    **_on(decisions.extremes_of, decisions.numbers_stay_finite),
    **_on(label_decisions.cases_of, *label_decisions.LABEL_DECISION_CHECKS),
    **_on(label_decisions.enough_of, label_decisions.it_makes_a_difference_to_labels),
    **_on(label_decisions.extremes_of, label_decisions.label_numbers_stay_finite),
}

CHECKS: dict[Kind, Checks] = {
    "choose": _on(rows.CASES, *rows.ROW_CHECKS),
    "synthesise": _on(rows.CASES, *rows.SYNTHESIS_CHECKS),
    "weights": _on(batches.COUNTS, batches.weights_are_sound),
    "row_weights": _on(batches.CASES, batches.row_weights_are_sound),
    "sampler": _ORDERS,
    "stage": _ORDERS,
    "loss": _on(losses.cases_of, *losses.LOSS_CHECKS),
    "binary_loss": _on(binary_losses.cases_of, *binary_losses.BINARY_CHECKS),
    "wrapper": {
        **_on(wrappers.cases_of, *wrappers.WRAPPER_CHECKS),
        **_on(wrappers.BATCHES, wrappers.rows_count_what_they_weigh),
    },
    "rescale": _DECISIONS,
    "calibration": _DECISIONS,
    "prior": _DECISIONS,
    "offsets": _DECISIONS,
    "group_offsets": _DECISIONS,
    "costs": _DECISIONS,
    "deferral": _DECISIONS,
    "fallback": _DECISIONS,
}


def every_check() -> Iterable[tuple[str, Check, str]]:
    """Remedy, check and case, of all remedies in the tables."""
    for kind, checks in CHECKS.items():
        for name in names_of(kind):
            for check, cases in checks.items():
                for case in cases(name):
                    yield name, check, case
