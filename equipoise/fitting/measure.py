"""The measure by which a run decides: its name, the function behind it, and what the threshold
finder is to do for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.evaluate.deciding import (
    LIMITED,
    DecidingMeasure,
    OwnFunction,
    call_own,
    is_deciding,
    own_measure,
    parse_measure,
)
from equipoise.recipe import Recipe
from equipoise.remedies.decisions.values import AlertLimit, Measure, net_benefit
from equipoise.remedies.table import needs


def with_own_measure(
    recipe: Recipe, function: OwnFunction | None
) -> tuple[Recipe, DecidingMeasure | None]:
    """The recipe, deciding by the function if there is one: its place and a hash of its source are
    part of the recipe's identity. Raises SettingsError if the function can't be known by them, or
    asks for probabilities and offsets are to be fitted for it."""
    if function is None:
        return recipe, None
    own = own_measure(function)
    if own.wants_probabilities and any(needs(spec, "measure") for spec in recipe.specs):
        raise SettingsError(
            f"measure: offsets can't be fitted for {function.__name__}, which asks for "
            "probabilities; leave them out of it, or give --remedy temperature alone"
        )
    return recipe.model_copy(update={"measure": own.text}), own


def measure_of(recipe: Recipe, own: DecidingMeasure | None) -> str | DecidingMeasure:
    """What decides between rules and arms. Raises SettingsError if the recipe names a function and
    another one, or none, is at hand."""
    if own is not None and own.text == recipe.measure:
        return own
    return parse_measure(recipe.measure) if is_deciding(recipe.measure) else recipe.measure


def for_thresholds(
    measure: str | DecidingMeasure, classes: tuple[str, ...], judged_rows: int
) -> Measure:
    """What `measure_offsets` fits: a budget or false-positive rate is kept on validation rows, all
    else is maximised. judged_rows: how many rows share a budget that is stated in rows."""
    if isinstance(measure, str):
        return measure
    if measure.function is not None:
        names = np.array(classes, dtype=object).astype(str)

        def own(labels: NDArray[np.int64], decided: NDArray[np.int64], _: int) -> float:
            value = call_own(measure, names[labels], names[decided])
            return value if np.isfinite(value) else -np.inf

        own.__name__ = measure.function.__name__
        return own
    of, limit = classes.index(measure.of), measure.limit
    if measure.kind == "net_benefit":
        return net_benefit(of, limit, measure.text)
    if measure.kind == "recall_at_budget" and limit >= 1:
        limit = min(1.0, limit / judged_rows)
    if measure.kind in LIMITED:
        return AlertLimit(measure.text, of, limit, measure.kind == "recall_at_budget")
    return measure.text
