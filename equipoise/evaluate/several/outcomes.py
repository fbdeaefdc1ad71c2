"""Labels and decisions of rows that may have several, as tables of yes and no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError
from equipoise.records.predictions import Predictions
from equipoise.records.rows import Column, indicators
from equipoise.statistics.label_bootstrap import Bools, LabelSums, label_sums


@dataclass(frozen=True, eq=False)
class LabelOutcomes:
    """What was true and what was decided, over L labels: those that the model knows and those that
    rows have here."""

    classes: tuple[str, ...]
    """L names, sorted."""
    known: Bools
    """(L,) the model can decide the label."""
    labels: Bools
    """(n, L)."""
    decided: Bools
    """(n, L)."""
    clusters: NDArray[np.int64]
    """(n,)."""
    probabilities: NDArray[np.float64]
    """(n, L); the column of a label that the model does not know is 0."""

    @cached_property
    def sums(self) -> LabelSums:
        return label_sums(self.labels, self.decided)


def label_outcomes(
    predictions: Predictions, *, classes: Sequence[str] | None = None
) -> LabelOutcomes:
    """`classes`: labels that get a column beside the model's own and those of the rows.

    Raises  DataError if there are no rows, rows whose labels nobody knows, or a decision that is
            no label of the model.
    """
    n, known = len(predictions), predictions.classes
    if n == 0:
        raise DataError("there are no rows to judge; check the split's name and the file")
    blank = int(sum(label is None for label in predictions.labels))
    if blank:
        raise DataError(f"{blank} of {n} rows have no known labels; judge rows that are labelled")
    stray = sorted(_names(predictions.decided) - set(known))
    if stray:
        raise DataError(*(f"decided {d!r} is no label of the model; predict again" for d in stray))
    names = tuple(sorted({*known, *(classes or ()), *_names(predictions.labels)}))
    columns = [names.index(name) for name in known]
    probabilities = np.zeros((n, len(names)))
    probabilities[:, columns] = predictions.probabilities
    return LabelOutcomes(
        classes=names,
        known=np.isin(np.arange(len(names)), columns),
        labels=indicators(predictions.labels, names).astype(bool),
        decided=indicators(predictions.decided, names).astype(bool),
        clusters=predictions.clusters,
        probabilities=probabilities,
    )


def _names(cells: Column) -> set[str]:
    return {name for cell in cells for name in cell}
