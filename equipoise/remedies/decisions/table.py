"""The table of remedies of the decision."""

from __future__ import annotations

from equipoise.remedies.decisions.adjustment import plugin_adjustment, posthoc_logit_adjustment
from equipoise.remedies.decisions.costs import cost_optimal
from equipoise.remedies.decisions.deferral import fit_deferral
from equipoise.remedies.decisions.groups import per_group_thresholds
from equipoise.remedies.decisions.isotonic import isotonic_calibration
from equipoise.remedies.decisions.offsets import fit_measure_offsets
from equipoise.remedies.decisions.several import likeliest_label
from equipoise.remedies.decisions.shift import prior_shift
from equipoise.remedies.decisions.tau import tau_normalisation
from equipoise.remedies.decisions.temperature import fit_temperature
from equipoise.remedies.decisions.vector import vector_scaling_calibration
from equipoise.remedies.remedy import Remedy

_FOR_OFFSETS = ("log_p", "labels", "measure", "start", "clusters", "rng", "worth")

_LINES = (
    Remedy(
        "tau_normalisation",
        "decision",
        "rescale",
        tau_normalisation,
        "arXiv:1910.09217",
        True,
        ("head_norms", "head_bias"),
    ),
    Remedy(
        "temperature",
        "decision",
        "calibration",
        fit_temperature,
        "arXiv:1706.04599",
        labels="both",
    ),
    Remedy(
        "vector_scaling_calibration",
        "decision",
        "calibration",
        vector_scaling_calibration,
        "arXiv:1706.04599",
        needs=("clusters", "rng"),
    ),
    Remedy(
        "isotonic_calibration",
        "decision",
        "calibration",
        isotonic_calibration,
        "Zadrozny and Elkan 2002",
        needs=("log_given", "clusters", "rng"),
    ),
    Remedy(
        "prior_shift",
        "decision",
        "prior",
        prior_shift,
        "Saerens et al. 2002",
        needs=("log_target",),
    ),
    Remedy(
        "posthoc_logit_adjustment",
        "decision",
        "offsets",
        posthoc_logit_adjustment,
        "arXiv:2007.07314",
        True,
        ("log_target",),
    ),
    Remedy(
        "plugin_adjustment",
        "decision",
        "offsets",
        plugin_adjustment,
        "Narasimhan et al. 2015",
        True,
        ("log_p", "labels", "measure", "start", "log_target", "log_measured", "worth"),
    ),
    Remedy(
        "measure_offsets",
        "decision",
        "offsets",
        fit_measure_offsets,
        "Narasimhan et al. 2015",
        True,
        _FOR_OFFSETS,
        labels="both",
    ),
    Remedy(
        "per_group_thresholds",
        "decision",
        "group_offsets",
        per_group_thresholds,
        "arXiv:1610.02413",
        needs=(*_FOR_OFFSETS, "groups"),
    ),
    Remedy("costs", "decision", "costs", cost_optimal, "Elkan 2001", False, ("costs",)),
    Remedy("deferral", "decision", "deferral", fit_deferral, "arXiv:1705.08500"),
    Remedy(
        "at_least_one_label",
        "decision",
        "fallback",
        likeliest_label,
        "Tsoumakas and Katakis 2007",
        labels="several",
    ),
)

DECISIONS: dict[str, Remedy] = {remedy.name: remedy for remedy in _LINES}
"""They act in this order: logits are rescaled, then calibrated, then given for a prior, then moved
by offsets, each of which starts from what the one before has set, or decided by costs; what is left
to a person is left last."""
