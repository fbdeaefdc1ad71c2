"""Deciding for the class shares that the rows to be decided have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.records.decision import PriorShift
from equipoise.remedies.decisions.estimate import PULL_ROWS
from equipoise.remedies.remedy import NotNegative

Array = NDArray[np.float64]


def prior_shift(log_target: Array, *, pull_rows: NotNegative = PULL_ROWS) -> tuple[PriorShift, str]:
    """Decide for the class shares that the rows to be decided have, as their scores tell.

    The shares are estimated anew for every set of rows that is decided together, labels unseen
    (`estimate_log_prior`): validation rows from the scores of validation rows, test rows from those
    of test rows, rows given later from theirs, if asked for; else they are decided for the shares
    estimated last. Estimates start from the stated shares, which count for `pull_rows` rows.

    Shapes    log_target (K,) log of the stated shares. Returns the record and a sentence.
    Settings  pull_rows: rows, 0 or more; 0 leaves the shares to the rows alone.
    Helps     where the classes come in other shares than in training (another season, another
              channel) while each class still reads the same, and some hundred rows are decided
              together.
    Harms     where the texts of a class have changed (its score then says nothing of its share),
              where few rows are decided together, where classes overlap (one that is always the
              second choice gets no share), and where probabilities are not calibrated: fit
              `vector_scaling_calibration` before it.
    Source    Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori
              probabilities, Neural Computation 14; Alexandari et al. 2020, Maximum likelihood with
              bias-corrected calibration is hard-to-beat at label shift adaptation,
              arXiv:1901.06852.
    """
    return PriorShift(np.asarray(log_target, dtype=np.float64), pull_rows), (
        "probabilities are given for class shares estimated from the rows decided together, labels "
        f"unseen; the stated shares count for {pull_rows:g} rows"
    )
