"""The training rows as the remedies leave them: which are fed, how often, in which order, and what
a wrong answer costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import EquipoiseError, SettingsError
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.probe import GAINS, LOSSES, SEEN, Probe
from equipoise.records.run import RemedyRecord
from equipoise.remedies.batches import (
    build_head_draws,
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
from equipoise.remedies.batches.second_stage import Start
from equipoise.remedies.losses import Loss, build_loss
from equipoise.remedies.losses.wrappers import Wrapper
from equipoise.remedies.losses.wrapping import build_wrapper
from equipoise.remedies.prior import counts_drawn_alike, drawn_counts
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.rows import RowsStep, choose_rows, synthesise
from equipoise.remedies.source import log_source
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES

PER_ROW = ("vectors", "groups", "cluster_sizes", "row_costs", LOSSES, GAINS, SEEN)
"""Needs that hold an entry per training row; remedies get them for the rows as fed."""


@dataclass(frozen=True, eq=False)
class Treatment:
    """n training rows, K classes."""

    fed: NDArray[np.int64]
    """(m,) training row of every row fed, repeats allowed; of a made vector its parent."""
    made: NDArray[np.float32]
    """(q, width) made vectors, fed as the last q rows; q is 0 where none are made."""
    steps: list[RowsStep]
    """What the remedies on rows did, in the order in which they acted."""
    weights: NDArray[np.float64]
    """(m,) what each row as fed counts by its class and by itself, mean 1; times the weights that
    the user gave with the rows."""
    draws: NDArray[np.int64]
    """(epochs, places) which row as fed stands at each place."""
    start: Start
    """Where a head starts that is trained again."""
    strata: NDArray[np.int64]
    """(m,) what every step keeps its mix of, whatever else moves within an epoch."""
    row_loss: Loss
    wrapper: Wrapper | None
    source_at: Callable[[float], NDArray[np.float64]]
    """At the last step that the weights kept have taken, the share of all steps done -> (K,) log
    class shares under which softmax(logits) is a posterior."""
    given: Mapping[str, Any]
    """What remedies on batches and in the loss needed, for the rows as fed."""
    records: list[RemedyRecord]


def treat(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    vectors: Callable[[], NDArray[np.float32]],
    probe: Callable[[], Probe],
) -> Treatment:
    """Let the remedies act, each at its moment: on rows, on batches and weights, in the loss.

    vectors  Gives (n, width) pooled vectors of the training rows; called only if a remedy needs
             them, since they cost a pass of the encoder.
    probe    Gives what asks the model for the losses of the training rows; called only if a remedy
             on rows is to be treated.
    """
    labels, classes = prepared.labels["train"], len(prepared.classes)
    rows_rng, order_rng = np.random.default_rng([prepared.seed, 0]), prepared.order_rng(1)
    # Made vectors train a head: here if it is all that is trained, else in its second training.
    makers = of_kind(specs, "synthesise") if prepared.recipe.model.method == "head" else []
    choosers = of_kind(specs, "choose")
    given = needed(prepared, [*choosers, *makers], vectors)
    if choosers:
        given |= probe().needed(choosers)
    per_row = {name: value for name, value in given.items() if name in PER_ROW}
    chosen = choose_rows(choosers, labels, classes, rows_rng, **per_row)
    fed = Fed(chosen.index, _NONE_MADE, list(chosen.steps))
    if makers:
        fed = with_made(prepared, makers[0], fed, given["vectors"][fed.rows], rows_rng)
    first = [spec for spec in specs if REMEDIES[spec.name].kind != "stage"]
    arranged = _arranged(prepared, first, fed, prepared.recipe.train.epochs, order_rng)
    return replace(arranged, records=[_record(prepared, spec, arranged) for spec in first])


def treatment_faults(prepared: Prepared, specs: Sequence[RemedySpec]) -> list[str]:
    """What remedies on batches and in the loss refuse of these rows, a line each, found before
    anything is encoded.

    Where rows are chosen by what the model says of them, or vectors are made, the counts that a
    sampler will meet are not known yet: there samplers are left to the training itself.
    """
    labels, classes = prepared.labels["train"], len(prepared.classes)
    acting = [s for s in specs if REMEDIES[s.name].moment in ("batches", "loss")]
    choosers, makers = of_kind(specs, "choose"), of_kind(specs, "synthesise")
    index = np.arange(len(labels))
    if makers or any(
        {"vectors", LOSSES, GAINS, SEEN} & {*REMEDIES[s.name].needs} for s in choosers
    ):
        acting = [s for s in acting if REMEDIES[s.name].kind != "sampler"]
    else:
        rows_rng = np.random.default_rng([prepared.seed, 0])
        try:
            given = needed(prepared, choosers, _no_vectors)
            index = choose_rows(choosers, labels, classes, rows_rng, **given).index
        except EquipoiseError as error:
            return [*error.faults]
    fed, epochs = Fed(index, _NONE_MADE, []), prepared.recipe.train.epochs

    def refused(asked: Sequence[RemedySpec]) -> list[str]:
        try:
            _arranged(prepared, asked, fed, epochs, np.random.default_rng([prepared.seed, 1]))
        except EquipoiseError as error:
            return [*error.faults]
        return []

    alone = [fault for spec in acting for fault in refused([spec])]
    together = [spec for spec in acting if REMEDIES[spec.name].kind != "stage"]
    return [*dict.fromkeys(alone)] or refused(together)


def treat_head(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    first: Treatment,
    vectors: NDArray[np.float32],
) -> Treatment:
    """What the head is trained on again, once the body is trained, and the records of the remedies
    that act only then.

    first    The treatment of the first training.
    vectors  (m, width) of the rows that were fed to it, by the body as it is now, less what was
             made for it.

    Weights and loss are those of the first training, by the class shares of this one. A sampler
    gives way to a stage, and wrappers of the loss do not act: most need the body.
    """
    making, order = np.random.default_rng([prepared.seed, 3]), prepared.order_rng(4)
    fed = Fed(first.fed, first.made, first.steps)
    makers = of_kind(specs, "synthesise")
    if makers and not any(step.spec == makers[0] for step in first.steps):
        fed = with_made(prepared, makers[0], fed, vectors, making)
    stages = of_kind(specs, "stage")
    dropped = {"wrapper", "sampler"} if stages else {"wrapper"}
    again = [spec for spec in specs if REMEDIES[spec.name].kind not in dropped]
    epochs = prepared.recipe.train.epochs
    arranged = _arranged(prepared, again, fed, epochs, order)
    acting = [*stages, *(spec for spec in makers if spec not in [s.spec for s in first.steps])]
    return replace(arranged, records=[_record(prepared, spec, arranged) for spec in acting])


@dataclass(frozen=True, eq=False)
class Fed:
    """Rows and vectors that a training is given."""

    rows: NDArray[np.int64]
    """(m,) training row of each; of a made vector, which come last, its parent."""
    made: NDArray[np.float32]
    """(q, width)"""
    steps: list[RowsStep]
    """What the remedies on rows did."""


_NONE_MADE = np.empty((0, 0), dtype=np.float32)


def with_made(
    prepared: Prepared,
    maker: RemedySpec,
    fed: Fed,
    vectors: NDArray[np.float32],
    rng: np.random.Generator,
) -> Fed:
    """The rows that stay, then the vectors made from them. vectors (m, width): of the rows fed."""
    made, step = synthesise(
        maker,
        prepared.labels["train"][fed.rows],
        len(prepared.classes),
        rng,
        vectors=vectors,
        names=prepared.classes,
    )
    rows = fed.rows[np.concatenate([made.kept, made.parents])]
    return Fed(rows, made.vectors, [*fed.steps, step])


def _arranged(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    fed: Fed,
    epochs: int,
    rng: np.random.Generator,
) -> Treatment:
    """Weights, order and loss for the rows as fed; no records yet."""
    labels, classes = prepared.labels["train"][fed.rows], len(prepared.classes)
    later = [spec for spec in specs if REMEDIES[spec.name].moment in ("batches", "loss")]
    given = _of_fed(needed(prepared, later, _no_vectors), fed.rows)
    head = build_head_draws(specs, labels, classes, epochs, rng, **given)
    row_weights = build_row_weights(specs, labels, classes, **given)
    counts: NDArray[Any] = np.bincount(labels, minlength=classes)
    if of_kind(specs, "stage"):
        # What is made up for by drawing must not be made up for by weights or the loss as well.
        counts = counts_drawn_alike(labels, head.draws, classes)
    class_weights = build_weights(specs, counts, **given)
    weights = class_weights[labels] * row_weights
    losses, wrappers = of_kind(specs, "loss"), of_kind(specs, "wrapper")
    # What the user says that rows count moves the shares that the loss sees, as a remedy does.
    counted = row_weights * prepared.weights("train")[fed.rows]

    def source_at(progress: float) -> NDArray[np.float64]:
        drawn = in_effect(specs, head.draws, progress)
        seen = drawn_counts(labels, drawn, classes, counted)
        # An early epoch may be kept, before a curriculum came to a class: half a row stands for it.
        seen = np.where(seen > 0, seen, 0.5 / len(drawn))
        return log_source(losses, counts, drawn=seen, weights=class_weights, progress=progress)

    return Treatment(
        fed=fed.rows,
        made=fed.made,
        steps=fed.steps,
        weights=weights / weights.mean(),
        draws=head.draws,
        start=head.start,
        strata=strata(specs, labels, **given),
        row_loss=build_loss(losses[0] if losses else None, counts, **given),
        wrapper=build_wrapper(wrappers[0] if wrappers else None, counts, **given),
        source_at=source_at,
        given=given,
        records=[],
    )


def _no_vectors() -> NDArray[np.float32]:
    raise AssertionError("no remedy on batches or in the loss needs vectors")


def needed(
    prepared: Prepared, specs: Sequence[RemedySpec], vectors: Callable[[], NDArray[np.float32]]
) -> dict[str, Any]:
    """What the remedies name in `needs` and only the run can give, less what a Probe does; PER_ROW
    says which of it holds an entry per training row."""
    wanted = {need for spec in specs for need in REMEDIES[spec.name].needs}
    makers: Mapping[str, Callable[[], Any]] = {
        "vectors": vectors,
        "groups": lambda: _group_numbers(prepared, specs),
        "cluster_sizes": lambda: _cluster_sizes(prepared),
        "costs": lambda: _cost_matrix(prepared),
        "row_costs": lambda: _row_costs(prepared),
        "batch_rows": lambda: prepared.recipe.train.batch_rows,
        "class_names": lambda: prepared.classes,
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def of_kind(specs: Sequence[RemedySpec], kind: str) -> list[RemedySpec]:
    return [spec for spec in specs if REMEDIES[spec.name].kind == kind]


def _group_numbers(prepared: Prepared, specs: Sequence[RemedySpec]) -> NDArray[np.int64] | None:
    """(n,) a number per group of the training rows; rows without one share a number. Groups are in
    the group column, or in the one that the remedies name in their setting `column`."""
    rows = prepared.splits.train
    named = {spec.settings["column"] for spec in specs if "column" in spec.settings}
    if len(named) > 1:
        listed = ", ".join(sorted(map(str, named)))
        raise SettingsError(f"remedies take groups from several columns ({listed}); name one")
    column = named.pop() if named else None
    if column is not None and column not in rows.columns:
        known = ", ".join(sorted(rows.columns)) or "none beside those in use"
        raise SettingsError(
            f"column: the rows have no {column!r} to take groups from; known: {known}"
        )
    groups = rows.groups if column is None else rows.columns[column]
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


def _record(prepared: Prepared, spec: RemedySpec, treated: Treatment) -> RemedyRecord:
    """What a remedy did, in numbers; nothing yet of one that acts in a later stage."""
    names, given = prepared.classes, treated.given
    labels, draws = prepared.labels["train"][treated.fed], treated.draws
    remedy, counts = REMEDIES[spec.name], np.bincount(labels, minlength=len(names))

    def by_class(numbers: NDArray[Any]) -> dict[str, int]:
        return {name: round(float(n)) for name, n in zip(names, numbers, strict=True)}

    before = after = again = None
    acted = {remedy_text(step.spec): step for step in treated.steps}
    if step := acted.get(remedy_text(spec)):
        before, after, effect = by_class(step.before), by_class(step.after), step.effect
    elif remedy.kind in ("sampler", "stage"):
        before, after = by_class(counts), by_class(drawn_counts(labels, draws, len(names)))
        again = by_class(repeats(labels, draws, len(names))[0])
        effect = sampler_effect(spec, labels, draws, names, prepared.recipe.train.batch_rows)
        if remedy.kind == "stage":
            effect = f"The head was trained again on vectors of the trained body. {effect}"
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
        effect = ""  # only the head's second training, or fitting the decision, tells
    return RemedyRecord(
        name=spec.name,
        moment=remedy.moment,
        settings=spec.settings,
        before=before,
        after=after,
        repeats=again,
        effect=effect,
    )
