"""What leaving rows to a person is worth: cost against the share of rows that are left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ShapeError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DeferralCurve:
    """Cost per 1,000 rows, in the user's unit, at each share of rows left to a person."""

    shares: Floats
    """(m,) 0 to 1, rising."""
    cost: Floats
    """(m,) when rows are left in the order of the model's own scores."""
    ideal: Floats
    """(m,) when rows are left in the order of what deciding them truly cost beyond a person: no
    order of the same rows and decisions costs less at any share."""
    chance: Floats
    """(m,) when rows are left by lot, on average: a straight line."""

    @property
    def area(self) -> float:
        """Mean cost over all shares (with 0/1 costs and a person who costs nothing, the area under
        the curve of errors against shares)."""
        return float(np.trapezoid(self.cost, self.shares))

    @property
    def reached(self) -> float | None:
        """Share of the ideal order's saving over chance that the model's order reaches, averaged
        over all shares: 1 is ideal, 0 as good as by lot. None where there is nothing to gain."""
        most = float(np.trapezoid(self.chance - self.ideal, self.shares))
        got = float(np.trapezoid(self.chance - self.cost, self.shares))
        return got / most if most > 1e-12 * max(1.0, float(np.abs(self.chance).max())) else None

    def to_json(self) -> dict[str, Any]:
        return {
            "shares": self.shares.tolist(),
            "cost": self.cost.tolist(),
            "ideal": self.ideal.tolist(),
            "chance": self.chance.tolist(),
            "reached": self.reached,
        }


def deferral_curve(
    decided: Floats, person: Floats, scores: Floats, *, points: int = 101
) -> DeferralCurve:
    """The curve over n >= 1 rows, with the ideal that the same rows and decisions allow.

    Shapes  decided (n,) what each row costs where the model decides it; person (n,) what leaving
            it costs; scores (n,): rows with the largest are left first. Rows of equal score are
            left in equal parts, so that their order in the file plays no part.
    points  How many shares, evenly from 0 to 1; all n + 1 where there are fewer.
    Source  El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification,
            JMLR 11 (risk and coverage); Geifman et al. 2019, Bias-reduced uncertainty estimation
            for deep neural classifiers, arXiv:1805.08206 (against the ideal order).
    """
    n = len(decided)
    if n == 0 or decided.shape != person.shape or decided.shape != scores.shape:
        raise ShapeError(
            f"costs have shapes {decided.shape} and {person.shape}, scores {scores.shape}; "
            "expected one of each per row, and at least one row"
        )
    saved = decided - person
    whole = np.arange(n + 1)
    left = np.unique(np.linspace(0, n, min(points, n + 1)).round()).astype(np.int64)
    begin = float(decided.sum())

    def along(gain: Floats) -> Floats:
        total = np.concatenate([[0.0], np.cumsum(gain)])
        return np.asarray(1000 * (begin - np.interp(left, whole, total)) / n)

    return DeferralCurve(
        shares=left / n,
        cost=along(_by_score(saved, scores)),
        ideal=along(np.sort(saved)[::-1]),
        chance=np.asarray(1000 * (begin - saved.sum() * left / n) / n),
    )


def _by_score(saved: Floats, scores: Floats) -> Floats:
    """(n,) what each further row saves, highest score first; rows of one score save their mean."""
    _, group, size = np.unique(-scores, return_inverse=True, return_counts=True)
    mean = np.bincount(group, weights=saved) / size
    return np.asarray(np.repeat(mean, size), dtype=np.float64)
