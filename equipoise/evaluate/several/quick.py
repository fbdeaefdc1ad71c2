"""The few measures that training looks at after every epoch, with several labels a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from equipoise.errors import SettingsError
from equipoise.evaluate.several import measures
from equipoise.evaluate.several.outcomes import LabelOutcomes
from equipoise.records.rows import Rows, indicators
from equipoise.statistics.sums import Floats

_PER_LABEL = {
    "recall": measures.label_recall,
    "precision": measures.label_precision,
    "f1": measures.label_f1,
}
_WHOLE = (
    *("macro_f1", "micro_f1", "weighted_f1", "balanced_accuracy"),
    *("accuracy", "hamming_loss", "log_loss", "brier"),
)


def check_label_measure(name: str, classes: tuple[str, ...]) -> None:
    """Raises SettingsError unless `name` is `last`, a measure of rows with several labels, or
    `recall:LABEL`, `precision:LABEL`, `f1:LABEL` with a label of training."""
    kind, colon, of = name.partition(":")
    if colon and kind in _PER_LABEL:
        if of not in classes:
            raise SettingsError(
                f"choose_by {name!r}: no label {of!r} in training; they are {', '.join(classes)}"
            )
    elif name not in (*_WHOLE, "last"):
        known = ", ".join((*_WHOLE, "last", *(f"{k}:LABEL" for k in _PER_LABEL)))
        raise SettingsError(
            f"choose_by {name!r}: unknown where a row may have several labels; known are {known}"
        )


def quick_label_measures(
    rows: Rows, classes: tuple[str, ...], choose_by: str
) -> Callable[[Floats], dict[str, float]]:
    """A function from logits (rows, K) to the measures, deciding for every label whose logit is
    0 or more. One that is undefined (0/0) counts 0: an epoch must not be chosen for it."""
    check_label_measure(choose_by, classes)
    assert rows.labels is not None
    names = tuple(sorted({*classes, *rows.counts()}))
    columns = np.array([names.index(name) for name in classes], dtype=np.int64)
    known = np.isin(np.arange(len(names)), columns)
    labels = indicators(rows.labels, names).astype(bool)
    clusters = np.arange(len(labels))

    def measure(logits: Floats) -> dict[str, float]:
        decided, p = np.zeros(labels.shape, dtype=bool), np.zeros(labels.shape)
        decided[:, columns] = logits >= 0
        p[:, columns] = 0.5 * (1 + np.tanh(logits / 2))
        seen = LabelOutcomes(names, known, labels, decided, clusters, p)
        found = {name: float(v) for name, v in measures.counted_measures(seen.sums).items()}
        found |= {name: float(v.mean()) for name, v in measures.row_measures(seen).items()}
        values = {name: found[name] for name in _WHOLE}
        kind, colon, of = choose_by.partition(":")
        if colon:
            values[choose_by] = float(_PER_LABEL[kind](seen.sums)[names.index(of)])
        return {name: 0.0 if np.isnan(value) else value for name, value in values.items()}

    return measure
