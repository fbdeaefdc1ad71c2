"""Measures of several labels a row that the threshold finder knows by their parts.

Each is a mean over labels of g(both, decided, held): rows that have a label and are decided so,
rows decided so, rows that have it. So each label's threshold can be sought by itself, except for
micro F1, which counts all labels in one: there one threshold serves all (Lipton et al. 2014).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.decisions.values import over

Array = NDArray[np.float64]
Value = Callable[[Array, Array, Array, Array | float], Array]
"""(both, decided, held, rows) -> value of each label, elementwise; larger is better."""


def _f1(both: Array, decided: Array, held: Array, rows: Array | float) -> Array:
    return over(2 * both, decided + held)


def _balanced(both: Array, decided: Array, held: Array, rows: Array | float) -> Array:
    recall = over(both, held)
    left_out = 1 - over(decided - both, rows - held)
    return np.asarray((recall + left_out) / 2)


def _right(both: Array, decided: Array, held: Array, rows: Array | float) -> Array:
    return np.asarray(1 - (held + decided - 2 * both) / rows)


LABEL_VALUES: dict[str, Value] = {
    "macro_f1": _f1,
    "micro_f1": _f1,
    "weighted_f1": _f1,
    "balanced_accuracy": _balanced,
    "hamming_loss": _right,
}
SHARED = ("micro_f1",)
"""Measures of all labels in one."""


def label_value(name: str) -> Value:
    """Raises SettingsError for a measure that thresholds can't be fitted for."""
    if name not in LABEL_VALUES:
        raise SettingsError(
            f"measure {name!r}: thresholds of labels can't be fitted for it, only for "
            f"{', '.join(LABEL_VALUES)}; give one of these, or --remedy temperature alone"
        )
    return LABEL_VALUES[name]


def label_weights_of(name: str, held: Array) -> Array:
    """(..., L) what each label counts in the mean, sum 1; 0 for a label that no row has."""
    if name == "hamming_loss":
        return np.full(held.shape, 1 / held.shape[-1])
    raw = held if name == "weighted_f1" else (held > 0).astype(np.float64)
    return np.asarray(raw / np.maximum(raw.sum(axis=-1, keepdims=True), 1e-300))


def label_measure(
    name: str, both: Array, decided: Array, held: Array, rows: Array | float
) -> Array:
    """(...) the measure, from counts (..., L); larger is better."""
    value = label_value(name)
    if name in SHARED:
        return value(both.sum(axis=-1), decided.sum(axis=-1), held.sum(axis=-1), rows)
    return np.asarray(
        (label_weights_of(name, held) * value(both, decided, held, rows)).sum(axis=-1)
    )
