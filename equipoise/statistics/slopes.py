"""How much a value rises with another over rows, and how sure that is where rows move together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

Floats = NDArray[np.float64]
_FEWEST = 5
"""Groups below which an interval over groups says nothing."""
_FLAT = 1e-12
"""Share of a column's squares that must be left once the others are taken out of it."""


@dataclass(frozen=True)
class SlopeEstimate:
    value: float | None
    low: float | None
    high: float | None
    why: str | None = None
    """Why there is no value, or no interval."""


def slope(
    x: Floats,
    y: Floats,
    groupings: Sequence[tuple[str, NDArray[np.int64]]],
    *,
    control: Floats | None = None,
    strata: NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> SlopeEstimate:
    """Least squares of y on x, a constant (or one per stratum) and, if given, a control.

    The interval is Student's t with the jackknife that leaves out one group at a time (CV3). Where
    there are several groupings (rows that are alike, rows fed in one step) it is the widest of
    theirs: none of them may be taken for independence.

    Shapes  x, y, control (n,); each grouping (its name in the plural, (n,) group of each row);
            strata (n,).
    Returns in units of y per unit of x. No value where x does not vary; no interval below 5
            groups.
    Source  MacKinnon, Nielsen and Webb 2023, Cluster-robust inference: a guide to empirical
            practice, Journal of Econometrics 232(2).
    """
    columns = [x] if control is None else [x, control]
    if strata is None:
        design = np.column_stack([*columns, np.ones(len(x))])
        target, freedom = y, 1.0
    else:
        held = [_within(column, strata) for column in (*columns, y)]
        design, target = np.column_stack(held[:-1]), held[-1]
        # Means of strata are fitted as well, and the jackknife below does not fit them again.
        freedom = len(x) / max(len(x) - len(np.unique(strata)), 1)
    if not len(x) or not _varies(design):
        return SlopeEstimate(None, None, None, "all of these rows have one place in the order")
    squares, cross = design.T @ design, design.T @ target
    value = float((np.linalg.pinv(squares) @ cross)[0])
    errors = []
    for name, grouping in groupings:
        number = np.unique(grouping, return_inverse=True)[1]
        groups = int(number.max()) + 1
        if groups < _FEWEST:
            why = f"{groups} {name} are too few for an interval"
            return SlopeEstimate(value, None, None, why)
        left_out = _without_each(design, target, number, squares, cross)
        spread = (groups - 1) / groups * float(((left_out - value) ** 2).sum()) * freedom
        errors.append(float(student_t.ppf((1 + level) / 2, groups - 1)) * np.sqrt(spread))
    reach = max(errors)
    return SlopeEstimate(value, value - reach, value + reach)


def _without_each(
    design: Floats,
    target: Floats,
    number: NDArray[np.int64],
    squares: Floats,
    cross: Floats,
) -> Floats:
    """(groups,) the slope without each group."""
    width = design.shape[1]
    own = np.stack(
        [
            [np.bincount(number, design[:, a] * design[:, b]) for b in range(width)]
            for a in range(width)
        ]
    ).transpose(2, 0, 1)
    owned = np.stack([np.bincount(number, design[:, a] * target) for a in range(width)], axis=1)
    inverses = np.linalg.pinv(squares[None] - own, hermitian=True)
    return np.asarray(np.einsum("gk,gk->g", inverses[:, 0], cross[None] - owned))


def _within(values: Floats, strata: NDArray[np.int64]) -> Floats:
    """Less the mean of each row's stratum."""
    number = np.unique(strata, return_inverse=True)[1]
    means = np.bincount(number, values) / np.bincount(number)
    return np.asarray(values - means[number])


def _varies(design: Floats) -> bool:
    """Whether the first column is more than a mixture of the others."""
    first, others = design[:, 0], design[:, 1:]
    rest = first
    if others.shape[1]:
        rest = first - others @ np.linalg.lstsq(others, first, rcond=None)[0]
    return bool((rest**2).sum() > _FLAT * max((first**2).sum(), 1e-300))
