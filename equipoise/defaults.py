"""What a run does against imbalance when nothing is asked for: one recipe for all rows, no dials.

It follows from what decides and from the kind of the rows; benchmarks/defaults.py is where it was
chosen, by a rule that was stated first, and docs/decisions.md says what else was tried.
"""

from __future__ import annotations

from dataclasses import dataclass

COST_REMEDIES = ("vector_scaling_calibration", "costs")
"""Where costs are given: probabilities one can trust, and the cheapest decision. A bias of one
class, which argmax mostly forgives and a temperature can't mend, makes costs decide wrongly
(benchmarks/costs.py); where unseen folds show no gain, the temperature alone is kept."""


@dataclass(frozen=True)
class Default:
    remedies: tuple[str, ...]
    why: str
    """In a sentence, for the report."""


def default_remedies(
    measure: str, *, fits_offsets: bool = True, several: bool = False, writes: bool = False
) -> Default:
    """Of rows that may have `several` labels, that are to be written, or that have one class each.

    fits_offsets  Whether offsets can be fitted for the measure.

    All of it acts after training, which is left plain: what is fitted on validation rows is kept
    only where unseen folds show a gain.
    """
    if writes:
        return Default((), "Rows that are written are trained on as they come.")
    if not fits_offsets:
        return Default(
            ("temperature",),
            f"Probabilities are calibrated; no decision can be fitted for {measure}.",
        )
    if several:
        return Default(
            ("temperature", "measure_offsets"),
            "Labels are calibrated, and their thresholds placed where validation rows show a gain.",
        )
    return Default(
        ("temperature", "plugin_adjustment", "measure_offsets"),
        "Probabilities are calibrated; then as much of the class shares is taken out of the "
        f"decision (not out of the probabilities) as {measure} is best with, by validation rows "
        "and by what the probabilities promise; single classes are moved further only where unseen "
        "folds show a gain.",
    )
