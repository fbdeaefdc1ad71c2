"""The decision with the least expected cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ShapeError


def cost_optimal(p: NDArray[np.float64], costs: NDArray[Any]) -> NDArray[np.int64]:
    """The decision d with the least sum over true classes t of p[t] * costs[t, d].

    Shapes    p (n, K) probabilities under the target prior, costs (K, K) per (true, decided) in
              the user's unit; negative is a benefit. Returns (n,) int64.
    Raises    ShapeError if costs is not (K, K).
    Helps     where mistakes differ in price and somebody knows by how much.
    Harms     where probabilities are not calibrated, since the decision takes them at their word:
              use `temperature` with it. Where costs are guessed to raise a measure, fit
              `measure_offsets` instead.
    Source    Elkan 2001, The foundations of cost-sensitive learning, IJCAI (section 1.1).
    """
    costs = np.asarray(costs, dtype=np.float64)
    classes = p.shape[1]
    if costs.shape != (classes, classes):
        raise ShapeError(f"costs have shape {costs.shape}, expected ({classes}, {classes})")
    return np.asarray(np.argmin(p @ costs, axis=1), dtype=np.int64)
