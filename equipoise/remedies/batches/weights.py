"""How much each class counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.errors import DataError

WeightKind = Literal["inverse", "sqrt", "effective"]
Beta = Annotated[float, Field(ge=0, lt=1)]


def class_weights(
    counts: NDArray[Any], *, kind: WeightKind = "inverse", beta: Beta = 0.999
) -> NDArray[np.float64]:
    """Weight per class: the fewer rows, the more each counts.

        inverse    1 / n: every class counts the same in total
        sqrt       1 / sqrt(n): half way, on the log scale
        effective  (1 - beta) / (1 - beta^n): inverse for n far below 1 / (1 - beta), flat above

    Shapes    counts (K,) rows per class as fed to training. Returns (K,), scaled so that the
              mean weight over those rows is 1; a class without rows gets 0.
    Settings  kind: as above. beta: 0 to below 1, used by "effective" only; 0 is no weighting.
    Raises    DataError if no class has rows.
    Helps     with moderate imbalance and enough rows in the rarest class; costs no time.
    Harms     at extreme ratios: single rows with huge weights make steps jump, and a model that
              can fit every row ends up where it would have without weights (arXiv:1812.03372).
              Probabilities are skewed towards rare classes until the decision rule mends them.
    Source    Cui et al. 2019, Class-balanced loss based on effective number of samples,
              arXiv:1901.05555 ("effective", section 3; the others are its limits or its rivals).
    """
    counts = np.asarray(counts, dtype=np.float64)
    present = counts > 0
    if not present.any():
        raise DataError("no class has training rows; give at least one row")
    n = counts[present]
    if kind == "inverse":
        raw = 1 / n
    elif kind == "sqrt":
        raw = 1 / np.sqrt(n)
    elif beta == 0:
        raw = np.ones_like(n)
    else:
        # 1 - beta^n loses all digits for small n and beta near 1; expm1 keeps them.
        raw = (1 - beta) / -np.expm1(n * np.log(beta))
    weights = np.zeros_like(counts)
    weights[present] = raw * (n.sum() / (n * raw).sum())
    return weights
