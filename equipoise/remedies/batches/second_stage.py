"""A second training of the head alone, on features that the first has made good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.batches.order import balanced_order
from equipoise.remedies.remedy import AtLeastOne

Start = Literal["class_means", "trained"]


@dataclass(frozen=True, eq=False)
class HeadDraws:
    """What the head is trained on again, and from where."""

    draws: NDArray[np.int64]
    """(epochs, places) the row at each place."""
    start: Start = "class_means"


def retrained_head(
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    head_epochs: AtLeastOne | None = None,
    epoch_rows: AtLeastOne | None = None,
    start: Start = "class_means",
) -> HeadDraws:
    """cRT: after training the body is frozen, and the head is trained again with every class drawn
    equally often.

    Places are filled as by `balanced_sampler`. The loss is the run's, with the class shares as
    drawn here, so that nothing is made up for twice; class weights come out as 1, and weights of
    groups have mean 1 within each class.

    Shapes    labels (n,) in 0..classes-1. Returns draws (epochs, places) and where the head starts.
    Settings  head_epochs: of this second training; none: as many as the first had. epoch_rows:
              places per epoch; none: as many as there are rows. start: "class_means" starts afresh
              from the means of the classes' vectors, "trained" from where the first training ended.
    Raises    ShapeError for labels out of range, DataError without rows.
    Helps     where natural draws give the best features but a head that favours large classes: the
              body keeps the one, and the head loses the other, in seconds.
    Harms     where a rare class has few rows: the body may have learned them by heart, and then
              their vectors lie better than those of rows it has never seen.
    Source    Kang et al. 2020, Decoupling representation and classifier for long-tailed
              recognition, arXiv:1910.09217 (classifier re-training).
    """
    draws = balanced_order(labels, classes, head_epochs or epochs, rng, epoch_rows=epoch_rows)
    return HeadDraws(draws, start)
