"""Leave out rows by what the model says of them before training: their loss, and what a short
training takes off it."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from equipoise.errors import SettingsError
from equipoise.remedies.labels import rows_by_class
from equipoise.remedies.remedy import AtLeastOne, Share

PartShare = Annotated[float, Field(ge=0, lt=1)]
"""A setting from 0 to below 1."""
_ROUNDING = 1e-9
"""As in `resample`: 0.29 * 100 is a little less than 29 in binary."""


def learnable_rows(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    row_gains: NDArray[np.float64],
    row_seen: NDArray[np.bool_],
    share: Share = 0.7,
    probe_rows: AtLeastOne = 2000,
) -> NDArray[np.int64]:
    """Of every class the rows whose loss falls most in a short training.

    A row that the base knows already has nothing to gain, and one that stays as dear as it was is
    noise or out of the base's reach; both take steps from the rows that the base can learn. A row
    that stood in the short training gains more than its like by being learned by heart, so rows
    are ranked among those that stood in it, and among those that did not.

    Shapes    labels (n,) in 0..classes-1; row_gains (n,) nats per learned token (of a classifier
              nats per row), loss before less loss after; row_seen (n,) whether the row stood in
              the short training. Returns (m,) index, ascending, no repeats, m <= n.
    Settings  share: of the rows of each class that stay, above 0 to 1, rounded up. probe_rows: how
              many rows the short training takes at most, one epoch over them, for the caller.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where rows are plentiful and uneven: the same steps go to rows that teach something,
              and no class pays for another, since each keeps its share.
    Harms     where rows are few, or hard rows are what matters: rare ways of saying a thing gain
              little in a short training and go first. Costs the short training and two passes
              over all rows.
    Source    Zhou et al. 2023, LoBaSS: gauging learnability in supervised fine-tuning data,
              arXiv:2310.13008 (there over all rows at once; here within each class, so that none
              vanishes).
    """
    kept = [
        _highest(rows[row_seen[rows] == seen], row_gains, share)
        for rows in rows_by_class(labels, classes)
        for seen in (True, False)
    ]
    return np.sort(np.concatenate(kept))


def plain_loss_rows(
    labels: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    *,
    row_losses: NDArray[np.float64],
    drop_lowest: PartShare = 0.1,
    drop_highest: PartShare = 0.1,
) -> NDArray[np.int64]:
    """Of every class the rows whose loss under the base is neither the lowest nor the highest.

    Shapes    labels (n,) in 0..classes-1; row_losses (n,) nats per learned token (of a classifier
              nats per row) under the base. Returns (m,) index, ascending, no repeats, m <= n.
    Settings  drop_lowest, drop_highest: share of each class's rows that goes at either end, 0 to
              below 1, together below 1, rounded down. 0 at one end keeps that end whole.
    Raises    SettingsError if nothing would be left; ShapeError for labels out of range, DataError
              without rows.
    Helps     where some rows are broken (high loss: wrong language, mangled text, wrong labels) and
              some are boilerplate (low loss): the middle teaches most. One pass over the rows.
    Harms     where the hard rows are right: what the base knows least goes first. A high loss alone
              does not tell noise from what is new; `learnable_rows` does, at the price of a short
              training.
    Source    Marion et al. 2023, When less is more: investigating data pruning for pretraining LLMs
              at scale, arXiv:2309.04564 (the middle of the range by perplexity; there over all
              rows at once).
    """
    if drop_lowest + drop_highest >= 1:
        raise SettingsError(
            f"remedy plain_loss_rows: drop_lowest {drop_lowest} and drop_highest {drop_highest} "
            "leave no row; together they must be below 1"
        )
    kept = []
    for rows in rows_by_class(labels, classes):
        low, high = (int(part * len(rows) + _ROUNDING) for part in (drop_lowest, drop_highest))
        kept.append(_by(rows, row_losses)[low : len(rows) - high])
    return np.sort(np.concatenate(kept))


def _highest(
    rows: NDArray[np.int64], values: NDArray[np.float64], share: float
) -> NDArray[np.int64]:
    return _by(rows, -values)[: math.ceil(share * len(rows) - _ROUNDING)]


def _by(rows: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows, lowest value first; equal ones in the order of the rows."""
    return rows[np.argsort(values[rows], kind="stable")]
