"""The training rows as the remedies leave them: which are fed, how often, in which order, and what
a wrong answer costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.fitting.prepared import Prepared
from equipoise.records.run import RemedyRecord
from equipoise.remedies.batches import build_order, build_weights
from equipoise.remedies.losses import Loss, build_loss
from equipoise.remedies.prior import drawn_counts, log_source
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.rows import ChosenRows, choose_rows
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES


@dataclass(frozen=True, eq=False)
class Treatment:
    """n training rows, K classes."""

    fed: NDArray[np.int64]
    """(m,) training row of every row fed; repeats allowed."""
    counts: NDArray[np.int64]
    """(K,) rows per class as fed."""
    weights: NDArray[np.float64]
    """(K,) class weights, mean 1 over the rows as fed."""
    draws: NDArray[np.int64]
    """(epochs, places) which row as fed stands at each place."""
    row_loss: Loss
    log_source: NDArray[np.float64]
    """(K,) log class shares under which softmax(logits) is a posterior."""
    records: list[RemedyRecord]


def treat(
    prepared: Prepared, specs: Sequence[RemedySpec], vectors: Callable[[], NDArray[np.float32]]
) -> Treatment:
    """Let the remedies act, each at its moment: on rows, on batches and weights, in the loss.

    vectors  Gives (n, width) pooled vectors of the training rows; called only if a remedy needs
             them, since they cost a pass of the encoder.
    """
    labels, classes = prepared.labels["train"], len(prepared.classes)
    rows_rng, order_rng = (np.random.default_rng([prepared.seed, stream]) for stream in range(2))
    given = needed(prepared, specs, vectors)
    chosen = choose_rows(of_moment(specs, "rows"), labels, classes, rows_rng, **given)
    fed = chosen.index
    counts = np.bincount(labels[fed], minlength=classes)
    weights = build_weights(specs, counts, **given)
    draws = build_order(
        of_moment(specs, "batches"),
        labels[fed],
        classes,
        prepared.recipe.train.epochs,
        order_rng,
        **_of_fed(given, fed),
    )
    losses = of_moment(specs, "loss")
    drawn = drawn_counts(labels[fed], draws, classes)
    return Treatment(
        fed=fed,
        counts=counts,
        weights=weights,
        draws=draws,
        row_loss=build_loss(losses[0] if losses else None, counts, **given),
        log_source=log_source(losses, counts, drawn=drawn, weights=weights),
        records=_records(prepared.classes, specs, chosen, weights, counts, drawn),
    )


def needed(
    prepared: Prepared, specs: Sequence[RemedySpec], vectors: Callable[[], NDArray[np.float32]]
) -> dict[str, Any]:
    """What the remedies name in `needs` and only the run can give: vectors and groups of the
    training rows, and the cost matrix."""
    wanted = {need for spec in specs for need in REMEDIES[spec.name].needs}
    makers: Mapping[str, Callable[[], Any]] = {
        "vectors": vectors,
        "groups": lambda: _group_numbers(prepared),
        "costs": lambda: _cost_matrix(prepared),
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def of_moment(specs: Sequence[RemedySpec], moment: str) -> list[RemedySpec]:
    return [spec for spec in specs if REMEDIES[spec.name].moment == moment]


def _group_numbers(prepared: Prepared) -> NDArray[np.int64] | None:
    """(n,) a number per group of the training rows; rows without one share a number."""
    groups = prepared.splits.train.groups
    if groups is None:
        return None
    return np.unique(groups.astype(str), return_inverse=True)[1].astype(np.int64)


def _cost_matrix(prepared: Prepared) -> NDArray[np.float64] | None:
    costs = prepared.recipe.stated_costs
    return None if costs is None else costs.matrix(prepared.classes)


def _of_fed(given: Mapping[str, Any], fed: NDArray[np.int64]) -> dict[str, Any]:
    """`given` with what stands for each training row cut to the rows as fed."""
    per_row = ("vectors", "groups")
    return {
        name: value[fed] if name in per_row and value is not None else value
        for name, value in given.items()
    }


def _records(
    classes: tuple[str, ...],
    specs: Sequence[RemedySpec],
    chosen: ChosenRows,
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
    drawn: NDArray[np.float64],
) -> list[RemedyRecord]:
    """What each remedy did, in numbers."""

    def by_class(numbers: NDArray[Any]) -> dict[str, int]:
        return {name: round(float(n)) for name, n in zip(classes, numbers, strict=True)}

    acted = {remedy_text(step.spec): step for step in chosen.steps}
    records = []
    for spec in specs:
        remedy = REMEDIES[spec.name]
        text = remedy_text(spec)
        before = after = None
        if text in acted:
            step = acted[text]
            before, after, effect = by_class(step.before), by_class(step.after), step.effect
        elif remedy.kind == "sampler":
            before, after = by_class(counts), by_class(drawn)
            effect = f"{text} drew every epoch's rows anew; the counts are draws per epoch."
        elif remedy.kind == "weights":
            effect = (
                f"{text} let one row of {classes[int(weights.argmax())]} count as much as "
                f"{weights.max() / weights.min():.3g} of {classes[int(weights.argmin())]}."
            )
        elif remedy.moment == "loss":
            effect = f"{text} replaced plain cross-entropy."
        else:
            effect = ""  # only fitting the decision tells
        records.append(
            RemedyRecord(
                name=spec.name,
                moment=remedy.moment,
                settings=spec.settings,
                before=before,
                after=after,
                effect=effect,
            )
        )
    return records
