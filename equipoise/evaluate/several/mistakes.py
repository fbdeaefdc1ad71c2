"""Which rows have wrong labels, how surely, and which labels go wrong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.confusion import Mistake
from equipoise.evaluate.several.outcomes import label_outcomes
from equipoise.records.predictions import Predictions
from equipoise.records.rows import label_text


@dataclass(frozen=True, eq=False)
class LabelTables:
    """Counts of L labels: known to the model, or on rows here."""

    classes: tuple[str, ...]
    known: NDArray[np.bool_]
    right: NDArray[np.int64]
    """(L,) rows that have the label and are decided so."""
    missed: NDArray[np.int64]
    """(L,) rows that have it and are not decided so."""
    wrongly_set: NDArray[np.int64]
    """(L,) rows decided as having it that don't."""
    together: NDArray[np.int64]
    """(L, L) rows that have both; on the diagonal rows that have the label."""
    traded: NDArray[np.int64]
    """(L, L) rows on which the first is missed and the second wrongly set."""
    rows: int
    bare: int
    """Rows without labels."""


def label_tables(predictions: Predictions) -> LabelTables:
    """Raises DataError if there are no rows or rows whose labels nobody knows."""
    seen = label_outcomes(predictions)
    has, set_ = seen.labels, seen.decided
    missed, wrong = (has & ~set_).astype(np.int64), (set_ & ~has).astype(np.int64)
    held = has.astype(np.int64)
    return LabelTables(
        classes=seen.classes,
        known=seen.known,
        right=(has & set_).sum(axis=0),
        missed=missed.sum(axis=0),
        wrongly_set=wrong.sum(axis=0),
        together=held.T @ held,
        traded=missed.T @ wrong,
        rows=len(has),
        bare=int((~has.any(axis=1)).sum()),
    )


def label_mistakes(predictions: Predictions) -> tuple[Mistake, ...]:
    """The rows with a wrong label, the surest first. How sure: the probability stated for the
    surest of the row's wrong answers; what that leaves for the right one is `given_to_label`."""
    seen = label_outcomes(predictions)
    wrong = seen.labels != seen.decided
    stated = np.where(seen.decided, seen.probabilities, 1 - seen.probabilities)
    surest = np.where(wrong, stated, -1.0).argmax(axis=1)
    sure = stated[np.arange(len(stated)), surest]
    rows = np.flatnonzero(wrong.any(axis=1))
    rows = rows[np.argsort(-sure[rows], kind="stable")]
    return tuple(
        Mistake(
            id=str(predictions.ids[i]),
            label=label_text(predictions.labels[i]),
            decided=label_text(predictions.decided[i]),
            sure=float(sure[i]),
            given_to_label=float(1 - sure[i]),
            cost=None,
            about=seen.classes[surest[i]],
            missed=bool(seen.labels[i, surest[i]]),
        )
        for i in rows
    )
