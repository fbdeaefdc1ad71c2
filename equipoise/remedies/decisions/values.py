"""Measures that the threshold finder knows by their parts, and so can move along quickly.

Each is a sum over classes of scale_k * g(right_k, decided_k, rows_k), where right_k counts the rows
of class k decided as k. Only two of its parts change when one row changes its decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError

Array = NDArray[np.float64]
MeasureFunction = Callable[[NDArray[np.int64], NDArray[np.int64], int], float]
"""(labels (n,), decided (n,), K) -> value; larger is better."""


@dataclass(frozen=True)
class AlertLimit:
    """Decide as many rows as possible for one class, and no more than a limit allows: what places
    a threshold where recall at a budget or at a false-positive rate is what counts."""

    name: str
    of: int
    """Number of the class."""
    share: float
    """Share of the rows that count, above 0, at most 1."""
    counts_all: bool
    """Whether every row decided for the class counts, or only those that are not of it."""


@dataclass(frozen=True)
class ClassValue:
    per_class: Callable[[Array, Array, Array], Array]
    """(right, decided, rows) -> value of each class, before scale; elementwise."""
    scale: Callable[[Array], Array]
    """rows (K,) -> (K,) factor of each class; 0 for a class without rows."""
    name: str = ""


Measure = str | ClassValue | MeasureFunction | AlertLimit
"""A name out of `VALUES` or a sum over classes, both of which are fast, a function, or a limit to
keep within."""


def _of_present(rows: Array) -> Array:
    return np.asarray((rows > 0) / np.count_nonzero(rows), dtype=np.float64)


def over(part: Array, whole: Array) -> Array:
    """0/0 is 0. Rows that are expected, not counted, may be fewer than one."""
    return np.asarray(part / np.where(whole > 0, whole, 1), dtype=np.float64)


VALUES: dict[str, ClassValue] = {
    "macro_f1": ClassValue(lambda r, d, n: over(2 * r, d + n), _of_present),
    "balanced_accuracy": ClassValue(lambda r, d, n: over(r, n), _of_present),
    "weighted_f1": ClassValue(lambda r, d, n: over(2 * r, d + n), lambda rows: rows / rows.sum()),
    "accuracy": ClassValue(lambda r, d, n: r, lambda rows: (rows > 0) / rows.sum()),
}
"""Macro means run over the classes that have rows."""


def evaluate(
    measure: Measure,
    labels: NDArray[np.int64],
    decided: NDArray[np.int64],
    classes: int,
    weights: Array | None = None,
) -> float:
    """The measure's value where each row counts for its entry of weights (n,); None: for 1. A
    function knows no weights. Raises SettingsError for an unknown name."""
    assert not isinstance(measure, AlertLimit), "a limit is kept, not maximised"
    if callable(measure):
        return float(measure(labels, decided, classes))
    each = np.ones(len(labels)) if weights is None else weights
    value, hit = class_value(measure), labels == decided
    rows, taken = summed(labels, each, classes), summed(decided, each, classes)
    right = summed(labels[hit], each[hit], classes)
    return float(np.dot(value.scale(rows), value.per_class(right, taken, rows)))


def summed(labels: NDArray[np.int64], weights: Array, classes: int) -> Array:
    """(K,) what the rows of each class count together."""
    return np.bincount(labels, weights, minlength=classes).astype(np.float64)


def net_benefit(of: int, threshold: float, name: str) -> ClassValue:
    """Rows rightly decided for the class less rows wrongly so, at threshold / (1 - threshold) each,
    per row (Vickers and Elkin 2006, Decision curve analysis)."""
    odds = threshold / (1 - threshold)

    def scale(rows: Array) -> Array:
        return np.asarray((np.arange(len(rows)) == of) / rows.sum(), dtype=np.float64)

    return ClassValue(lambda right, decided, _: right - odds * (decided - right), scale, name)


def counted_by(weights: Array) -> str:
    """What a note adds to its figures where rows do not count 1 each."""
    return "" if (weights == 1).all() else ", rows counted by the shares that are stated"


def class_value(name: str | ClassValue) -> ClassValue:
    if isinstance(name, ClassValue):
        return name
    if name not in VALUES:
        raise SettingsError(
            f"measure {name!r} is not known to the threshold finder; give one of "
            f"{', '.join(sorted(VALUES))}, or a function (labels, decided, classes) -> value"
        )
    return VALUES[name]


def name_of(measure: Measure) -> str:
    if isinstance(measure, AlertLimit | ClassValue):
        return measure.name
    name: Any = measure if isinstance(measure, str) else getattr(measure, "__name__", "measure")
    return str(name)
