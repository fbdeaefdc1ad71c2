"""The decision with the least expected cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable, as_table


def cost_optimal(
    p: NDArray[np.float64],
    costs: CostTable | NDArray[Any],
    amounts: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """The decision d with the least sum over true classes t of p[t] * costs[t, d].

    A person is asked only where that is cheaper than the cheapest class, not where it is as cheap.

    Shapes    p (n, K) probabilities under the target prior, costs (K, K) per (true, decided) in
              the user's unit, or (K, K + 1) with leaving the row to a person last; negative is a
              benefit; amounts (n,) in the user's unit, where costs are times them. Returns (n,)
              int64, K for a row left to a person.
    Raises    ShapeError if costs are of another shape; DataError if amounts are needed and missing.
    Helps     where mistakes differ in price and somebody knows by how much.
    Harms     where probabilities are not calibrated, since the decision takes them at their word:
              use `temperature` with it. Where costs are guessed to raise a measure, fit
              `measure_offsets` instead.
    Source    Elkan 2001, The foundations of cost-sensitive learning, IJCAI (section 1.1); Zadrozny
              and Elkan 2001, Learning and making decisions when costs and probabilities are both
              unknown, KDD (costs of each row); Chow 1970, On optimum recognition error and reject
              tradeoff, IEEE Transactions on Information Theory 16 (leaving a row).
    """
    table = as_table(costs)
    assert table is not None
    return np.asarray(np.argmin(table.expected(p, amounts), axis=1), dtype=np.int64)
