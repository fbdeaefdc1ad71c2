"""The few measures that training looks at after every epoch, without intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.evaluate.measures import (
    class_f1,
    class_precision,
    class_recall,
    decision_measures,
    row_log_loss,
)
from equipoise.records.rows import Rows
from equipoise.statistics.sums import sums_of

Floats = NDArray[np.float64]
_PER_CLASS = {"recall": class_recall, "precision": class_precision, "f1": class_f1}
_WHOLE = ("macro_f1", "balanced_accuracy", "accuracy", "weighted_f1", "mcc", "g_mean")


def check_measure(name: str, classes: tuple[str, ...]) -> None:
    """Raises SettingsError unless `name` is `last`, `log_loss`, a measure of decisions, or
    `recall:CLASS`, `precision:CLASS`, `f1:CLASS` with a class of training."""
    kind, colon, of = name.partition(":")
    if colon and kind in _PER_CLASS:
        if of not in classes:
            raise SettingsError(
                f"choose_by {name!r}: no class {of!r} in training; they are {', '.join(classes)}"
            )
    elif name not in (*_WHOLE, "log_loss", "last"):
        known = ", ".join((*_WHOLE, "log_loss", "last", *(f"{k}:CLASS" for k in _PER_CLASS)))
        raise SettingsError(f"choose_by {name!r}: unknown measure; known are {known}")


def quick_measures(
    rows: Rows, classes: tuple[str, ...], choose_by: str
) -> Callable[[Floats], dict[str, float]]:
    """A function from logits (rows, K) to macro_f1, balanced_accuracy, accuracy, log_loss and
    whatever `choose_by` names, deciding for the largest logit. A measure that is undefined (0/0)
    counts 0: an epoch must not be chosen for it."""
    if rows.several:
        from equipoise.evaluate.several.quick import quick_label_measures  # builds on measures

        return quick_label_measures(rows, classes, choose_by)
    check_measure(choose_by, classes)
    assert rows.labels is not None
    names = sorted(set(classes) | set(rows.labels.tolist()))
    place = {name: k for k, name in enumerate(names)}
    labels = np.array([place[label] for label in rows.labels], dtype=np.int64)
    columns = np.array([place[name] for name in classes], dtype=np.int64)

    def measure(logits: Floats) -> dict[str, float]:
        sums = sums_of(labels, columns[logits.argmax(axis=1)], len(names))
        whole = decision_measures(sums)
        values = {name: float(whole[name]) for name in _WHOLE}
        p = np.zeros((len(labels), len(names)))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        p[:, columns] = shifted / shifted.sum(axis=1, keepdims=True)
        values["log_loss"] = float(row_log_loss(p, labels).mean())
        kind, colon, of = choose_by.partition(":")
        if colon:
            values[choose_by] = float(_PER_CLASS[kind](sums)[place[of]])
        return {name: 0.0 if np.isnan(value) else value for name, value in values.items()}

    return measure
