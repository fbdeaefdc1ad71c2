"""Where simulation says that no interval of a macro mean keeps its promise.

Each rule is a region of class counts in which intervals that claim 95 % covered less than 93 %
in `benchmarks/coverage.py`. `worth` is independent rows per class, so copies of a row do not help.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats

LEAST_ROWS_AP = 20
LEAST_VALUE_AP = 0.6
LEAST_ROWS_AUC = 2


def why_no_macro_interval(worth: Floats, known: NDArray[np.bool_]) -> str | None:
    """For balanced accuracy, macro F1 and g-mean. Shapes (L,): 0 where a class has no rows."""
    judged = (worth > 0) & known
    if not judged.any():
        return "no class that the model knows has rows"
    return None


def why_no_macro_average_precision(
    value: float, worth: Floats, known: NDArray[np.bool_]
) -> str | None:
    few = int(((worth > 0) & known & (worth < LEAST_ROWS_AP)).sum())
    if few:
        return (
            f"{few} classes have fewer than {LEAST_ROWS_AP} independent rows: average precision "
            "reads too high there, and a mean over classes adds the errors up"
        )
    if value < LEAST_VALUE_AP:
        return (
            f"below {LEAST_VALUE_AP:g} average precision reads too high even at 50 rows a class, "
            "and a mean over classes adds the errors up"
        )
    return None


def why_no_macro_auc(worth: Floats, known: NDArray[np.bool_]) -> str | None:
    few = int(((worth > 0) & known & (worth < LEAST_ROWS_AUC)).sum())
    if few:
        return f"{few} classes have fewer than {LEAST_ROWS_AUC} independent rows"
    return None
