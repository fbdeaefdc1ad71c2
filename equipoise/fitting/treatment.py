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
from equipoise.remedies.batches import (
    build_order,
    build_row_weights,
    build_weights,
    in_effect,
    strata,
)
from equipoise.remedies.batches.account import (
    repeats,
    row_weights_effect,
    sampler_effect,
    weights_effect,
)
from equipoise.remedies.losses import Loss, build_loss
from equipoise.remedies.losses.wrappers import Wrapper
from equipoise.remedies.losses.wrapping import build_wrapper
from equipoise.remedies.prior import drawn_counts, log_source
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.rows import ChosenRows, choose_rows
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES

PER_ROW = ("vectors", "groups", "cluster_sizes", "row_costs")
"""Needs that hold an entry per training row; remedies get them for the rows as fed."""


@dataclass(frozen=True, eq=False)
class Treatment:
    """n training rows, K classes."""

    fed: NDArray[np.int64]
    """(m,) training row of every row fed; repeats allowed."""
    counts: NDArray[np.int64]
    """(K,) rows per class as fed."""
    weights: NDArray[np.float64]
    """(m,) what each row as fed counts by its class and by itself, mean 1; times the weights that
    the user gave with the rows."""
    draws: NDArray[np.int64]
    """(epochs, places) which row as fed stands at each place."""
    strata: NDArray[np.int64]
    """(m,) what every step keeps its mix of, whatever else moves within an epoch."""
    row_loss: Loss
    wrapper: Wrapper | None
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
    per_row = {name: value for name, value in given.items() if name in PER_ROW}
    chosen = choose_rows(of_moment(specs, "rows"), labels, classes, rows_rng, **per_row)
    fed = chosen.index
    labels, given = labels[fed], _of_fed(given, fed)
    counts = np.bincount(labels, minlength=classes)
    class_weights = build_weights(specs, counts, **given)
    row_weights = build_row_weights(specs, labels, classes, **given)
    weights = class_weights[labels] * row_weights
    epochs = prepared.recipe.train.epochs
    draws = build_order(specs, labels, classes, epochs, order_rng, **given)
    losses, wrappers = of_kind(specs, "loss"), of_kind(specs, "wrapper")
    seen = drawn_counts(labels, in_effect(specs, draws), classes, row_weights)
    return Treatment(
        fed=fed,
        counts=counts,
        weights=weights / weights.mean(),
        draws=draws,
        strata=strata(specs, labels, **given),
        row_loss=build_loss(losses[0] if losses else None, counts, **given),
        wrapper=build_wrapper(wrappers[0] if wrappers else None, counts, **given),
        log_source=log_source(losses, counts, drawn=seen, weights=class_weights),
        records=[_record(prepared, spec, chosen, labels, draws, given) for spec in specs],
    )


def needed(
    prepared: Prepared, specs: Sequence[RemedySpec], vectors: Callable[[], NDArray[np.float32]]
) -> dict[str, Any]:
    """What the remedies name in `needs` and only the run can give; PER_ROW says which of it holds
    an entry per training row."""
    wanted = {need for spec in specs for need in REMEDIES[spec.name].needs}
    makers: Mapping[str, Callable[[], Any]] = {
        "vectors": vectors,
        "groups": lambda: _group_numbers(prepared),
        "cluster_sizes": lambda: _cluster_sizes(prepared),
        "costs": lambda: _cost_matrix(prepared),
        "row_costs": lambda: _row_costs(prepared),
        "batch_rows": lambda: prepared.recipe.train.batch_rows,
        "class_names": lambda: prepared.classes,
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def of_moment(specs: Sequence[RemedySpec], moment: str) -> list[RemedySpec]:
    return [spec for spec in specs if REMEDIES[spec.name].moment == moment]


def of_kind(specs: Sequence[RemedySpec], kind: str) -> list[RemedySpec]:
    return [spec for spec in specs if REMEDIES[spec.name].kind == kind]


def _group_numbers(prepared: Prepared) -> NDArray[np.int64] | None:
    """(n,) a number per group of the training rows; rows without one share a number."""
    groups = prepared.splits.train.groups
    if groups is None:
        return None
    return np.unique(groups.astype(str), return_inverse=True)[1].astype(np.int64)


def _cluster_sizes(prepared: Prepared) -> NDArray[np.int64] | None:
    """(n,) training rows in the cluster of each, itself included."""
    clusters = prepared.splits.train.clusters
    if clusters is None:
        return None
    _, number, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    return np.asarray(sizes[number], dtype=np.int64)


def _row_costs(prepared: Prepared) -> NDArray[np.float64] | None:
    """(n, K) what deciding each class costs for each training row."""
    costs, labels = prepared.recipe.stated_costs, prepared.labels["train"]
    if costs is None:
        return None
    table = costs.table(prepared.classes).without_deferral()
    if table.factor is None:
        return table.fixed[labels]
    amounts = table.amounts_for(len(labels), prepared.splits.train.amounts)
    return np.asarray(table.fixed[labels] + table.factor[labels] * amounts[:, None])


def _cost_matrix(prepared: Prepared) -> NDArray[np.float64] | None:
    """(K, K); costs that are times an amount are those of the mean amount of each class."""
    costs, labels = prepared.recipe.stated_costs, prepared.labels["train"]
    amounts = prepared.splits.train.amounts
    if costs is None:
        return None
    if costs.column is None or amounts is None:
        return costs.matrix(prepared.classes)
    return costs.matrix(prepared.classes, np.bincount(labels, amounts) / np.bincount(labels))


def _of_fed(given: Mapping[str, Any], fed: NDArray[np.int64]) -> dict[str, Any]:
    """`given` with what stands for each training row cut to the rows as fed."""
    return {
        name: value[fed] if name in PER_ROW and value is not None else value
        for name, value in given.items()
    }


def _record(
    prepared: Prepared,
    spec: RemedySpec,
    chosen: ChosenRows,
    labels: NDArray[np.int64],
    draws: NDArray[np.int64],
    given: Mapping[str, Any],
) -> RemedyRecord:
    """What a remedy did, in numbers. labels, draws, given: of the rows as fed."""
    names = prepared.classes
    remedy, counts = REMEDIES[spec.name], np.bincount(labels, minlength=len(names))

    def by_class(numbers: NDArray[Any]) -> dict[str, int]:
        return {name: round(float(n)) for name, n in zip(names, numbers, strict=True)}

    before = after = again = None
    acted = {remedy_text(step.spec): step for step in chosen.steps}
    if step := acted.get(remedy_text(spec)):
        before, after, effect = by_class(step.before), by_class(step.after), step.effect
    elif remedy.kind == "sampler":
        before, after = by_class(counts), by_class(drawn_counts(labels, draws, len(names)))
        again = by_class(repeats(labels, draws, len(names))[0])
        effect = sampler_effect(spec, labels, draws, names, prepared.recipe.train.batch_rows)
    elif remedy.kind == "weights":
        effect = weights_effect(spec, build_weights([spec], counts, **given), names)
    elif remedy.kind == "row_weights":
        effect = row_weights_effect(
            spec, build_row_weights([spec], labels, len(names), **given), labels, names
        )
    elif remedy.kind == "wrapper":
        effect = f"{remedy_text(spec)} acted on rows on their way through the model."
    elif remedy.moment == "loss":
        effect = f"{remedy_text(spec)} replaced plain cross-entropy."
    else:
        effect = ""  # only fitting the decision tells
    return RemedyRecord(
        name=spec.name,
        moment=remedy.moment,
        settings=spec.settings,
        before=before,
        after=after,
        repeats=again,
        effect=effect,
    )
