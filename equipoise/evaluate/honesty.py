"""Where simulation says that no interval of a mean over classes keeps its promise.

Each rule is a region of class counts in which intervals that claim 95 % covered less than 93 %
in `benchmarks/coverage.py`. `worth` is independent rows per class, so copies of a row do not help.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats

LEAST_ROWS_G_MEAN = 10
"""With ten classes of 3 rows the g-mean's interval covered 78–99 %, with nine of 1 row 9–99 %."""

LEAST_ROWS_AUC = 10
"""With the class counts of atis_intents, a quarter of them 1 or 2 rows, it covered 92 %."""

LEAST_ROWS_AP = 20
"""Below it average precision reads too high, by 0.02 at 50 rows and 0.06–0.2 at 1–10."""

LEAST_VALUE_AP = 0.6
"""Below it that bias is larger than the interval is wide, even at 50 rows a class."""


def why_no_macro_interval(worth: Floats, known: NDArray[np.bool_]) -> str | None:
    """For balanced accuracy, macro F1 and macro recall. Shapes (L,), 0 where a class has no rows.

    At every class count that was simulated, down to nine classes of one row, they kept 93 %.
    """
    if not ((worth > 0) & known).any():
        return "no class that the model knows has rows"
    return None


def why_no_g_mean_interval(
    worth: Floats, known: NDArray[np.bool_], names: tuple[str, ...]
) -> str | None:
    """For the geometric mean of recalls, which the smallest class alone can pull to 0."""
    # A class that neither the model knows nor the rows have comes with a model compared with it.
    never = [names[k] for k in np.flatnonzero(~known & (worth > 0))]
    if never:
        return f"0 whatever the other rows are: {', '.join(never)} never seen in training"
    few = _few(worth, known, LEAST_ROWS_G_MEAN)
    if few:
        return (
            f"{classes_have(few)} fewer than {LEAST_ROWS_G_MEAN} independent rows, and any such "
            "class can pull the geometric mean to 0"
        )
    return None


def why_no_macro_auc_interval(worth: Floats, known: NDArray[np.bool_]) -> str | None:
    nothing = why_no_macro_interval(worth, known)
    if nothing:
        return nothing
    few = _few(worth, known, LEAST_ROWS_AUC)
    if few:
        return (
            f"{classes_have(few)} fewer than {LEAST_ROWS_AUC} independent rows, too few to say how "
            "far their own areas may be off"
        )
    return None


def why_no_macro_average_precision_interval(
    value: float, worth: Floats, known: NDArray[np.bool_]
) -> str | None:
    few = _few(worth, known, LEAST_ROWS_AP)
    if few:
        return (
            f"{classes_have(few)} fewer than {LEAST_ROWS_AP} independent rows: average precision "
            "reads too high there, and a mean over classes adds the errors up"
        )
    if value < LEAST_VALUE_AP:
        return (
            f"below {LEAST_VALUE_AP:g} average precision reads too high even at 50 rows a class, "
            "and a mean over classes adds the errors up"
        )
    return None


def _few(worth: Floats, known: NDArray[np.bool_], least: int) -> int:
    return int(((worth > 0) & known & (worth < least)).sum())


def classes_have(count: int) -> str:
    return "1 class has" if count == 1 else f"{count} classes have"
