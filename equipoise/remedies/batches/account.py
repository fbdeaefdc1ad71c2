"""What a sampler or weights did, in numbers: what the run's record says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.batches.presence import chosen_classes
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.spec import remedy_text

_NAMED = 5
"""Classes that a sentence names before it says how many more there are."""


def repeats(
    labels: NDArray[np.int64], draws: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], float]:
    """(K,) places per epoch that hold a row which the epoch has had already, by class; and rows
    per epoch that are not drawn at all. Means over the epochs.

    Shapes  labels (n,), draws (epochs, places) row numbers.
    """
    again, waiting = np.zeros(classes), 0
    for epoch in draws:
        times = np.bincount(epoch, minlength=len(labels))
        again += np.bincount(labels, weights=np.maximum(times - 1, 0), minlength=classes)
        waiting += int(np.sum(times == 0))
    return again / len(draws), waiting / len(draws)


def sampler_effect(
    spec: RemedySpec,
    labels: NDArray[np.int64],
    draws: NDArray[np.int64],
    class_names: Sequence[str],
    batch_rows: int,
) -> str:
    """One sentence, or two: what is drawn again, what waits, and what is promised."""
    again, waiting = repeats(labels, draws, len(class_names))
    places = draws.shape[1]
    said = f"{remedy_text(spec)} laid {places} places per epoch; the counts are draws per epoch. "
    if again.sum():
        said += (
            f"{again.sum():.0f} of them hold a row again ({_largest(again, class_names)}), and "
            f"{waiting:.0f} of {len(labels)} rows wait for another epoch."
        )
    else:
        said += "No row comes twice in an epoch."
    return said + _promise(spec, labels, class_names, batch_rows)


def _promise(
    spec: RemedySpec, labels: NDArray[np.int64], class_names: Sequence[str], batch_rows: int
) -> str:
    if spec.name != "guaranteed_presence":
        return ""
    asked = {key: spec.settings[key] for key in ("classes", "below")}
    chosen = chosen_classes(labels, len(class_names), class_names=class_names, **asked)
    if not len(chosen):
        return f" No class is below {spec.settings['below']:g} of the rows, so nothing changed."
    each = "in all " if spec.settings["together"] else "of each " if len(chosen) > 1 else ""
    names = ", ".join(class_names[k] for k in chosen[:_NAMED])
    more = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
    return (
        f" Every step of {batch_rows} rows holds at least {spec.settings['at_least']} {each}"
        f"of {names}{more}."
    )


def weights_effect(spec: RemedySpec, means: NDArray[np.float64], class_names: Sequence[str]) -> str:
    """means (K,): weight of a class's row, on average; 0 for classes without rows."""
    return f"{remedy_text(spec)} let one row of {_exchange(means, class_names)}."


def row_weights_effect(
    spec: RemedySpec,
    weights: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
) -> str:
    """weights (n,) of this remedy alone, labels (n,)."""
    counts = np.bincount(labels, minlength=len(class_names))
    means = np.bincount(labels, weights, minlength=len(class_names)) / np.maximum(counts, 1)
    # Kish: as many rows of equal weight would give a mean of the same spread.
    worth = weights.sum() ** 2 / (weights**2).sum()
    return (
        f"{remedy_text(spec)} gave rows weights from {weights.min():.3g} to {weights.max():.3g}; "
        f"{len(weights)} rows are worth {worth:.0f} of equal weight. On average they let one row "
        f"of {_exchange(means, class_names)}."
    )


def _exchange(means: NDArray[np.float64], names: Sequence[str]) -> str:
    present = np.flatnonzero(means > 0)
    high, low = (int(present[f(means[present])]) for f in (np.argmax, np.argmin))
    return f"{names[high]} count as much as {means[high] / means[low]:.3g} of {names[low]}"


def _largest(numbers: NDArray[Any], names: Sequence[str]) -> str:
    order = [k for k in np.argsort(-numbers, kind="stable") if round(float(numbers[k]))]
    said = ", ".join(f"{names[k]} {numbers[k]:.0f}" for k in order[:_NAMED])
    return said + (f" and {len(order) - _NAMED} classes more" if len(order) > _NAMED else "")
