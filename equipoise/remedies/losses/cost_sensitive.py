"""What the model's decisions would cost, on average."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from equipoise.errors import SettingsError, ShapeError
from equipoise.remedies.losses.common import Portion, at_least_float32, cross_entropy, on_host


def expected_cost(
    logits: Tensor, labels: Tensor, costs: Any, counts: Any, *, plain: Portion = 0.5
) -> Tensor:
    """The cost of deciding by a draw from softmax(logits), beside a share of plain cross-entropy.

        (1 - plain) × scale × sum over j of softmax_j × (cost of j - least cost, for this label)
        + plain × cross-entropy

    The scale lets blank logits cost log K in the mean over the rows as fed, as under cross-entropy,
    so that neither the user's unit nor the size of the matrix changes the learning rate.

    Shapes    logits (rows, K), labels (rows,) int64, costs (K, K) true by decided, counts (K,)
              rows per class as fed to training. Returns (rows,) loss.
    Settings  plain: share of plain cross-entropy, 0 to 1. With none of it a row that is sure and
              wrong hardly pulls, and training may stand still; 1 is plain cross-entropy.
    Prior     none stated: the expected cost is least where all is put on the cheapest decision, so
              the scores are no posterior under any prior. They lean towards decisions that save
              costs; deciding by `costs` afterwards leans twice, so it is refused beside this loss.
    Raises    ShapeError if costs are not (K, K);
              SettingsError if no decision costs more than another.
    Helps     where mistakes differ in price and the largest score has to decide.
    Harms     probabilities. Where they are wanted, train plainly, calibrate, and decide by `costs`,
              which is exact and can be changed after training.
    Source    Resheff et al. 2017, Every untrue label is untrue in its own way: controlling error
              type with the log bilinear loss, arXiv:1704.06062 (the bilinear loss).
    """
    logits = at_least_float32(logits)
    classes = logits.shape[1]
    matrix, n = on_host(costs), on_host(counts)
    if matrix.shape != (classes, classes) or n.shape != (classes,):
        raise ShapeError(
            f"costs have shape {matrix.shape} and counts {n.shape}; "
            f"expected ({classes}, {classes}) and ({classes},) for {classes} classes"
        )
    regret = logits.new_tensor(_scaled_regret(matrix, n))
    probabilities = F.softmax(logits, dim=1)
    cost = (probabilities * regret[labels]).sum(1)
    return (1 - plain) * cost + plain * cross_entropy(logits, labels)


def _scaled_regret(costs: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, K) cost above the least one of the row's label; see `expected_cost` for the scale."""
    regret = np.asarray(costs - costs.min(axis=1, keepdims=True), dtype=np.float64)
    blank = (counts / counts.sum()) @ regret.mean(axis=1)
    if len(costs) == 1:
        return regret
    if blank <= 0:
        raise SettingsError(
            "costs: whatever is decided costs the same, so there is nothing to learn; "
            "name a pair that costs more"
        )
    return np.asarray(regret * (np.log(len(costs)) / blank), dtype=np.float64)
