"""Places in the first epoch and final losses: what the one has to do with the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.auditing.order_losses import Losses
from equipoise.records.order import OrderSlopes, Slope, Tenth
from equipoise.records.rows import Rows
from equipoise.statistics.intervals import mean_interval
from equipoise.statistics.slopes import slope

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ALL = "all"
_PARTS = 10
_FEWEST_STEPS = 5


@dataclass(frozen=True, eq=False)
class Places:
    """Where n training rows stood in the first epoch."""

    place: Floats
    """(n,) 0 first step, 1 the last; of a row fed several times their mean; nan: not fed then."""
    step: Ints
    """(n,) the first step that held it; -1: none."""
    steps: int
    several: int
    """Rows that stood in it more than once."""


def relate(
    places: Places, losses: Losses, train: Rows, fed: NDArray[np.bool_]
) -> tuple[OrderSlopes, list[OrderSlopes], list[Tenth]]:
    """Slopes over all rows fed and in each class, and the losses of each tenth of the epoch."""
    assert train.labels is not None
    names, number = np.unique(train.labels.astype(str), return_inverse=True)
    clusters = np.arange(len(train)) if train.clusters is None else train.clusters

    def slopes(name: str, rows: NDArray[np.bool_], strata: Ints | None) -> OrderSlopes:
        x, y, z = places.place[rows], losses.final[rows], losses.base[rows]
        groupings = (("clusters", clusters[rows]), ("steps", places.step[rows]))
        plain, held = slope(x, y, groupings), slope(x, y, groupings, control=z, strata=strata)
        of = Slope(**vars(held))
        return OrderSlopes(
            name=name,
            rows=int(rows.sum()),
            clusters=len(np.unique(clusters[rows])),
            steps=len(np.unique(places.step[rows])),
            loss=float(y.mean()) if len(y) else 0.0,
            base_loss=float(z.mean()) if len(z) else 0.0,
            plain=Slope(**vars(plain)),
            held=of,
            says=verdict(of, losses.unit),
        )

    each = [slopes(name, fed & (number == k), None) for k, name in enumerate(names)]
    each = sorted((found for found in each if found.rows), key=lambda found: -found.rows)
    tenths = _tenths(places, losses, number, fed)
    return slopes(ALL, fed, number[fed]), each, tenths


def verdict(found: Slope, unit: str) -> str:
    """One sentence.

    >>> verdict(Slope(value=-0.2, low=-0.5, high=0.1), "nats per token")
    'No trace of the order is shown: -0.2 nats per token (-0.5 to 0.1) over the epoch holds 0.'
    """
    if found.value is None or found.low is None or found.high is None:
        return f"Nothing can be said: {found.why}."
    span = f"{found.value:.3g} {unit} ({found.low:.3g} to {found.high:.3g}) over the epoch"
    if found.low <= 0 <= found.high:
        return f"No trace of the order is shown: {span} holds 0."
    which = "lower" if found.value < 0 else "higher"
    return f"Rows fed later end {which}: {span}, with the loss under the base held equal."


def _tenths(places: Places, losses: Losses, number: Ints, fed: NDArray[np.bool_]) -> list[Tenth]:
    x, y, z = places.place[fed], losses.final[fed], losses.base[fed]
    classes = np.unique(number[fed], return_inverse=True)[1]
    counts = np.bincount(classes)
    y_in, z_in = (v - (np.bincount(classes, v) / counts)[classes] for v in (y, z))
    excess = y_in - z_in * float(z_in @ y_in) / max(float(z_in @ z_in), 1e-300)
    parts = min(_PARTS, places.steps)
    part = np.minimum((x * parts).astype(np.int64), parts - 1)
    found = []
    for k in np.unique(part):
        here = part == k
        steps = places.step[fed][here]
        enough = len(np.unique(steps)) >= _FEWEST_STEPS
        low, high = mean_interval(excess[here], steps) if enough else (None, None)
        found.append(
            Tenth(
                since=k / parts,
                until=(k + 1) / parts,
                rows=int(here.sum()),
                loss=float(y[here].mean()),
                excess=float(excess[here].mean()),
                low=low,
                high=high,
            )
        )
    return found
