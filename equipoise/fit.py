"""The story of one run, in order: rows → remedies → train → decide → judge → folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equipoise.data.read import read_rows
from equipoise.data.split import split_table
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import DataError, EquipoiseError, ModelError, SettingsError
from equipoise.evaluate.deciding import DecidingMeasure, OwnFunction
from equipoise.fitting.clock import timed
from equipoise.fitting.folder import (
    HISTORY,
    History,
    Opened,
    abandon,
    begin,
    counted,
    open_run,
    settle,
)
from equipoise.fitting.given_rows import base_for, checked_rows, refusal
from equipoise.fitting.kinds import Arm, Kind
from equipoise.fitting.loop import Watch
from equipoise.fitting.measure import measure_of, with_own_measure
from equipoise.fitting.places import check_places
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.record import run_manifest, save_order
from equipoise.models.able import check_able
from equipoise.models.load import Base
from equipoise.models.methods import head_kind
from equipoise.models.processes import check_launch, go_on_alone, process_number, wait_for_all
from equipoise.models.quiet import own_draws
from equipoise.models.tracking import Tracking
from equipoise.models.trainer import Measure
from equipoise.progress import Progress, silent
from equipoise.recipe import Recipe, write_recipe
from equipoise.records.files import text_sha256
from equipoise.records.run import Manifest, read_manifest, write_manifest
from equipoise.remedies.table import REMEDIES

_LARGEST_SEED = 2**32 - 1
"""numpy's global generator, which libraries seed, takes no larger one."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run."""

    folder: Path
    manifest: Manifest
    resumed: bool
    """True if the folder held the run already, whole or in part."""
    was_finished: bool = False
    """True if it held the whole run, so that nothing was done."""


def fit(
    source: str | Path,
    out: Path,
    recipe: Recipe,
    *,
    columns: ColumnNames | None = None,
    encoding: str | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress = silent,
    measure: OwnFunction | None = None,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Fit a recipe on rows and leave the run folder `out` behind.

    The same call on a folder that a killed run left goes on where it stopped; on the folder of
    the finished run it returns that run. Raises DataError, SettingsError, ModelError, FolderError
    or DivergedError; then nothing that looks like a finished run is left, and nothing at all if
    training had not begun.

    measure   A function of your own that decides in place of the recipe's measure:
              f(labels, decided) -> value, larger is better, on arrays of class names.
    callbacks transformers' TrainerCallbacks, which the training of this run calls (not that of its
              baselines). They are no part of what the run is: one that changes the training is
              yours to remember.
    """
    started = time.perf_counter()
    check_asked(*with_own_measure(recipe, measure), seed)
    columns = recipe.columns(columns or ColumnNames())
    table = read_rows(source, columns=columns, encoding=encoding)
    return fit_table(
        table,
        out,
        recipe,
        seed=seed,
        force=force,
        progress=progress,
        started=started,
        measure=measure,
        callbacks=callbacks,
    )


@own_draws()  # libraries seed the global generators: whoever calls goes on with their own draws
def fit_table(
    table: Table,
    out: Path,
    recipe: Recipe,
    *,
    seed: int = 0,
    force: bool = False,
    progress: Progress = silent,
    started: float | None = None,
    measure: OwnFunction | None = None,
    callbacks: Sequence[Any] = (),
    warn: Callable[[str], None] = lambda said: None,
) -> Run:
    """`fit` from where the rows have been read; they need not be checked yet.

    started   When reading began, by time.perf_counter(); None: just now.
    warn      Hears every warning before training begins; the run keeps them too.
    """
    started = time.perf_counter() if started is None else started
    asked = _asked(table, recipe, seed, measure)
    opened = open_run(out, asked.run_id, force=force)
    seconds = {"reading": time.perf_counter() - started}
    if opened.state == "finished":
        return _finished(opened)
    prepared, warnings = _divided(asked, table, seconds)
    for said in warnings:
        warn(said)
    return _fitted(
        *(asked, prepared, warnings, opened, table, seconds, started, progress),
        callbacks=callbacks,
    )


@own_draws()
def fit_orders(
    table: Table,
    out: Path,
    recipe: Recipe,
    orders: int,
    *,
    seed: int = 0,
    force: bool = False,
    progress: Progress = silent,
    started: float | None = None,
    warn: Callable[[str], None] = lambda said: None,
) -> list[Run]:
    """The recipe fitted in data orders 0 .. orders - 1, in folders OUT/order-0 and on: models to be
    merged. All have the same rows, division and head at the start, which are made once; baselines
    are trained beside the first alone.

    Otherwise as `fit_table`.
    """
    if orders < 2:
        raise SettingsError(f"orders is {orders}; give 2 or more, or leave it out")
    started = time.perf_counter() if started is None else started
    found: list[Run] = []
    divided: tuple[Prepared, list[str]] | None = None
    for number in range(orders):
        own = recipe.in_order(number)
        asked = _asked(table, own, seed, None)
        opened = open_run(out / f"order-{number}", asked.run_id, force=force)
        seconds = {"reading": time.perf_counter() - started}
        if opened.state == "finished":
            found.append(_finished(opened))
            continue
        if divided is None:
            divided = _divided(asked, table, seconds)
            for said in divided[1]:
                warn(said)
        prepared = replace(divided[0], recipe=asked.recipe)
        found.append(
            _fitted(asked, prepared, divided[1], opened, table, seconds, started, progress)
        )
        started = time.perf_counter()
    return found


def _finished(opened: Opened) -> Run:
    settle(opened)  # what a kill at the very end has left
    manifest = read_manifest(opened.folder)
    return Run(opened.folder, manifest, resumed=True, was_finished=True)


def _fitted(
    asked: _Asked,
    prepared: Prepared,
    warnings: list[str],
    opened: Opened,
    table: Table,
    seconds: dict[str, float],
    started: float,
    progress: Progress,
    *,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Train, judge, compare, and write the manifest."""
    kind, out = asked.kind, opened.folder
    measures = kind.measures(prepared)
    if opened.state != "resumed" and process_number() == 0:
        begin(opened)
    wait_for_all()
    with counted(opened, seconds, started) as began:
        with closing(_tracking(prepared.recipe, out)) as tracking:
            arm = _trained(
                *(kind, prepared, opened, measures, seconds, began, progress),
                callbacks=callbacks,
                tracking=tracking,
            )
            judged = kind.judge(prepared, arm.log_source, out, seconds, progress)
            tracking.tell(judged.scores)
        baselines, comparisons = kind.compare(
            prepared, arm, judged, out, opened.checkpoints, seconds, progress
        )
    manifest = run_manifest(
        table,
        prepared,
        arm,
        warnings,
        asked.run_id,
        seconds,
        baselines,
        comparisons,
        judged.scores.notes,
        judged.rule,
        out,
        by_default=asked.by_default,
    )
    write_manifest(out, manifest)
    settle(opened)
    return Run(out, manifest, resumed=opened.state == "resumed")


@own_draws()
def check_run(
    table: Table,
    out: Path,
    recipe: Recipe,
    *,
    seed: int = 0,
    force: bool = False,
    measure: OwnFunction | None = None,
) -> tuple[Prepared, list[str]]:
    """All that `fit_table` does before it trains, and nothing is written: the rows as they would be
    divided, and the warnings. Raises what it raises until then."""
    asked = _asked(table, recipe, seed, measure)
    open_run(out, asked.run_id, force=force)
    return _divided(asked, table, {})


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked, of rows that have been checked."""

    kind: Kind[Any]
    recipe: Recipe
    """With the defaults that rows of this kind have."""
    by_default: bool
    """Whether nobody named the remedies."""
    own: DecidingMeasure | None
    base: Base
    seed: int
    run_id: str
    warnings: list[str]


def _asked(table: Table, recipe: Recipe, seed: int, measure: OwnFunction | None) -> _Asked:
    recipe, own = with_own_measure(recipe, measure)
    check_asked(recipe, own, seed)
    kind = _kind_of(table)
    warnings = checked_rows(table, recipe, kind)
    by_default, recipe = recipe.remedies is None, kind.resolve(recipe, table)
    base = base_for(table, recipe, kind)
    run_id = text_sha256(
        recipe.id,
        kind.beside(recipe),
        base.fingerprint,
        table.fingerprint,
        repr(table.columns),
        str(seed),
    )[:16]
    return _Asked(kind, recipe, by_default, own, base, seed, run_id, warnings)


def _divided(asked: _Asked, table: Table, seconds: dict[str, float]) -> tuple[Prepared, list[str]]:
    """The rows divided and tokenized, and all warnings."""
    recipe, base, kind = asked.recipe, asked.base, asked.kind
    split = recipe.split
    with timed(seconds, "dividing rows"):
        splits = split_table(
            table,
            validation_share=split.validation_share,
            test_share=split.test_share,
            seed=asked.seed,
            threshold=split.threshold,
            keep_crossing=split.keep_crossing,
        )
    with timed(seconds, "tokenizing"):
        try:
            prepared: Prepared = kind.prepare(splits, recipe, base, asked.seed, asked.own)
        except (DataError, ModelError) as error:
            raise refusal(error, table, recipe, base, kind) from None
    return prepared, [*asked.warnings, *splits.warnings, *kind.check(prepared)]


def _kind_of(table: Table) -> Kind[Any]:
    """As the rows are."""
    train = table.train
    if train is not None and train.written:
        from equipoise.fitting.writing.kind import WRITING

        return WRITING
    from equipoise.fitting.classifying import CLASSIFYING

    return CLASSIFYING


def _tracking(recipe: Recipe, out: Path) -> Tracking:
    return Tracking(
        recipe.train.track,
        run=out.resolve().name,
        recipe=recipe.id,
        remedies=recipe.remedies or (),
    )


def _trained(
    kind: Kind[Any],
    prepared: Prepared,
    opened: Opened,
    measures: Measure,
    seconds: dict[str, float],
    started: float,
    progress: Progress,
    *,
    callbacks: Sequence[Any],
    tracking: Tracking,
) -> Arm:
    """Train, and write the model; what can't be trained leaves no folder behind."""
    out = opened.folder
    history = History(out / HISTORY)
    watch = Watch(
        opened.checkpoints / "run",
        measures,
        "training",
        progress,
        log_line=lambda line: history.append(
            {"seconds": round(time.perf_counter() - started, 3)} | line
        ),
        callbacks=callbacks,
        tracking=tracking,
    )
    try:
        with timed(seconds, "training"):
            arm: Arm = kind.train(prepared, watch)
    except EquipoiseError:
        if process_number() == 0:
            abandon(opened)
        raise
    go_on_alone()  # the first process of a distributed run writes the folder
    with timed(seconds, "saving"):
        history.settle()
        kind.save(out, prepared, arm)
        write_recipe(out / "recipe.yaml", prepared.recipe)
        save_order(out, arm, prepared.splits.train.ids)
    return arm


def check_asked(recipe: Recipe, own: DecidingMeasure | None, seed: int) -> None:
    """What needs no rows to be refused."""
    measure_of(recipe, own)
    if not 0 <= seed <= _LARGEST_SEED:
        raise SettingsError(f"seed is {seed}; give a whole number from 0 to {_LARGEST_SEED}")
    check_launch()
    check_able(recipe.model, recipe.train)
    check_places(recipe.model, recipe.train, recipe.specs)
    head = head_kind(recipe.model)
    for spec in recipe.specs:
        if "head_norms" in REMEDIES[spec.name].needs and head != "linear":
            raise SettingsError(
                f"remedy {spec.name}: needs a linear head, whose norms it takes out; this one is "
                f"{head}; add --head linear, or leave the remedy out"
            )
