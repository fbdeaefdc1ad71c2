"""The table of remedies of the decision."""

from __future__ import annotations

from equipoise.remedies.decisions.adjustment import posthoc_logit_adjustment
from equipoise.remedies.decisions.costs import cost_optimal
from equipoise.remedies.decisions.offsets import fit_measure_offsets
from equipoise.remedies.decisions.temperature import fit_temperature
from equipoise.remedies.remedy import Remedy

DECISIONS: dict[str, Remedy] = {
    "temperature": Remedy(
        "temperature", "decision", "calibration", fit_temperature, "arXiv:1706.04599"
    ),
    "posthoc_logit_adjustment": Remedy(
        "posthoc_logit_adjustment",
        "decision",
        "offsets",
        posthoc_logit_adjustment,
        "arXiv:2007.07314",
        True,
        ("log_target",),
    ),
    "measure_offsets": Remedy(
        "measure_offsets",
        "decision",
        "offsets",
        fit_measure_offsets,
        "Narasimhan et al. 2015",
        True,
        ("log_p", "labels", "measure", "start", "clusters", "rng"),
    ),
    "costs": Remedy("costs", "decision", "costs", cost_optimal, "Elkan 2001", False, ("costs",)),
}
"""Offsets act in this order: `measure_offsets` starts from what `posthoc_logit_adjustment` set."""
