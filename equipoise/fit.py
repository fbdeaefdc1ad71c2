"""The story of one run, in order: rows → remedies → train → decide → judge → folder."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.data.check import check_rows
from equipoise.data.read import read_rows
from equipoise.data.split import split_table
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import EquipoiseError, SettingsError
from equipoise.evaluate.deciding import DecidingMeasure, OwnFunction, check_class
from equipoise.evaluate.quick import quick_measures
from equipoise.fitting.arms import Measures, TrainedArm, train_arm
from equipoise.fitting.baselines import judge_split, run_baselines
from equipoise.fitting.clock import timed
from equipoise.fitting.decide import (
    decide_validation_and_test,
    decision_folds,
    group_column,
    names_of_groups,
)
from equipoise.fitting.folder import HISTORY, History, Opened, abandon, begin, open_run
from equipoise.fitting.measure import measure_of, with_own_measure
from equipoise.fitting.places import check_places
from equipoise.fitting.prepared import Prepared, prepare
from equipoise.fitting.prices import check_costs
from equipoise.fitting.record import run_manifest, save_order, save_rows
from equipoise.fitting.several import measure_faults, remedy_faults, setting_faults
from equipoise.models.able import check_able
from equipoise.models.load import find_base
from equipoise.models.methods import head_kind
from equipoise.models.predict import predict_logits
from equipoise.models.save import load_classifier, save_classifier
from equipoise.progress import Progress, silent
from equipoise.recipe import Recipe, write_recipe
from equipoise.records.decision import DecisionRule, write_decision
from equipoise.records.files import text_sha256
from equipoise.records.predictions import Predictions, write_predictions
from equipoise.records.run import Manifest, read_manifest, write_manifest
from equipoise.records.scores import Scores, write_scores
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
) -> Run:
    """Fit a recipe on rows and leave the run folder `out` behind.

    The same call on a folder that a killed run left goes on where it stopped; on the folder of
    the finished run it returns that run. Raises DataError, SettingsError, ModelError, FolderError
    or DivergedError; then nothing that looks like a finished run is left, and nothing at all if
    training had not begun.

    measure   A function of your own that decides in place of the recipe's measure:
              f(labels, decided) -> value, larger is better, on arrays of class names.
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
    )


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
) -> Run:
    """`fit` from where the rows have been read; they need not be checked yet.

    started   When reading began, by time.perf_counter(); None: just now.
    """
    started = time.perf_counter() if started is None else started
    recipe, own = with_own_measure(recipe, measure)
    check_asked(recipe, own, seed)
    warnings = check_rows(table)
    base = find_base(recipe.model)
    run_id = text_sha256(
        recipe.id, base.fingerprint, table.fingerprint, repr(table.columns), str(seed)
    )[:16]
    opened = open_run(out, run_id, force=force)
    seconds = {"reading": time.perf_counter() - started}
    if opened.state == "finished":
        return Run(out, read_manifest(out), resumed=True)
    with timed(seconds, "dividing rows"):
        splits = split_table(
            table,
            validation_share=recipe.split.validation_share,
            test_share=recipe.split.test_share,
            seed=seed,
            threshold=recipe.split.threshold,
            keep_crossing=recipe.split.keep_crossing,
        )
    with timed(seconds, "tokenizing"):
        prepared = prepare(splits, recipe, base, seed, own)
        warnings += _window_warnings(prepared)
    warnings += _check_settings(prepared)
    measures = quick_measures(splits.validation, prepared.classes, recipe.train.choose_by)

    if opened.state != "resumed":
        begin(opened)
    arm = _trained(prepared, opened, measures, seconds, started, progress)
    predictions, rule, scores = _judged(prepared, arm, out, seconds)
    baselines, comparisons = run_baselines(
        prepared, arm, predictions, out, opened.checkpoints, measures, seconds, progress
    )
    shutil.rmtree(opened.checkpoints, ignore_errors=True)
    manifest = run_manifest(
        table,
        prepared,
        arm,
        warnings,
        run_id,
        seconds,
        baselines,
        comparisons,
        scores.notes,
        rule,
        out,
    )
    write_manifest(out, manifest)
    return Run(out, manifest, resumed=opened.state == "resumed")


def _trained(
    prepared: Prepared,
    opened: Opened,
    measures: Measures,
    seconds: dict[str, float],
    started: float,
    progress: Progress,
) -> TrainedArm:
    """Train, and write the model; what can't be trained leaves no folder behind."""
    out = opened.folder
    history = History(out / HISTORY)
    try:
        with timed(seconds, "training"):
            arm = train_arm(
                prepared,
                prepared.recipe.specs,
                checkpoints=opened.checkpoints / "run",
                measures=measures,
                log_line=lambda line: history.append(
                    {"seconds": round(time.perf_counter() - started, 3)} | line
                ),
                progress=progress,
                title="training",
            )
    except EquipoiseError:
        abandon(opened)
        raise
    if int(os.environ.get("RANK", "0")) > 0:
        raise SystemExit(0)  # the first process of a distributed run writes the folder
    with timed(seconds, "saving"):
        history.settle()
        save_classifier(out, arm.classifier, prepared.base, prepared.recipe.model, prepared.classes)
        write_recipe(out / "recipe.yaml", prepared.recipe)
        save_order(out, arm, prepared.splits.train.ids)
    return arm


def _judged(
    prepared: Prepared, arm: TrainedArm, out: Path, seconds: dict[str, float]
) -> tuple[Predictions, DecisionRule, Scores]:
    """Predict with what was saved, decide, and judge; the scores are those of the judged split."""
    with timed(seconds, "predicting"):
        logits = _reloaded_logits(out, prepared)
    with timed(seconds, "deciding"):
        fold_ids = decision_folds(prepared.splits.validation, prepared.seed)
        predictions, rule = decide_validation_and_test(prepared, arm, logits, fold_ids)
        write_decision(out / "decision.json", rule)
        write_predictions(out / "predictions.parquet", predictions)
        save_rows(out, prepared.splits, prepared.recipe.keep_texts)
    with timed(seconds, "judging"):
        scores = {
            split: judge_split(prepared, predictions, split)
            for split in sorted({"validation", prepared.judged})
        }
        write_scores(out / "scores.json", scores[prepared.judged])
        write_scores(out / "scores_validation.json", scores["validation"])
    return predictions, rule, scores[prepared.judged]


def check_asked(recipe: Recipe, own: DecidingMeasure | None, seed: int) -> None:
    """What needs no rows to be refused."""
    measure_of(recipe, own)
    if not 0 <= seed <= _LARGEST_SEED:
        raise SettingsError(f"seed is {seed}; give a whole number from 0 to {_LARGEST_SEED}")
    check_able(recipe.train)
    check_places(recipe.model, recipe.specs)
    head = head_kind(recipe.model)
    for spec in recipe.specs:
        if "head_norms" in REMEDIES[spec.name].needs and head != "linear":
            raise SettingsError(
                f"remedy {spec.name}: needs a linear head, whose norms it takes out; this one is "
                f"{head}; add --head linear, or leave the remedy out"
            )


def _check_settings(prepared: Prepared) -> list[str]:
    """What only the rows can tell: class names in costs, prior and the choosing measure. Returns
    doubts, a line each; raises SettingsError with every fault."""
    recipe = prepared.recipe
    faults = remedy_faults(prepared) + measure_faults(prepared)
    warnings: list[str] = []
    if prepared.several:
        faults += setting_faults(prepared)
    else:
        cost_faults, warnings = check_costs(prepared)
        faults += cost_faults
    if isinstance(prepared.measure, DecidingMeasure):
        faults += check_class(prepared.measure, prepared.classes)
    if isinstance(recipe.prior, dict):
        faults += [
            f"prior: class {name!r} is not in the training rows"
            for name in sorted(set(recipe.prior) - set(prepared.classes))
        ]
        faults += [
            f"prior: states no share for class {name!r}"
            for name in sorted(set(prepared.classes) - set(recipe.prior))
        ]
    if any(spec.name == "per_group_thresholds" for spec in recipe.specs):
        column = group_column(recipe.specs)
        if names_of_groups(prepared.splits.validation, column) is None:
            where = f"no column {column!r}" if column else "no group column"
            faults.append(
                f"remedy per_group_thresholds: the rows have {where}; name one with --group, or "
                "another column with per_group_thresholds:column=NAME"
            )
    if faults:
        raise SettingsError(*faults)
    return warnings


def _reloaded_logits(out: Path, prepared: Prepared) -> dict[str, NDArray[np.float64]]:
    """Predictions come from what was saved, read back: what is judged is what is deployed."""
    loaded = load_classifier(out)
    return {
        split: predict_logits(loaded, prepared.rows(split).texts)
        for split in ("validation", "test")
        if split in prepared.tokens
    }


def _window_warnings(prepared: Prepared) -> list[str]:
    """Text that the base model's window or language does not fit."""
    warnings = []
    total = sum(len(tokens) for tokens in prepared.tokens.values())
    cut = sum(tokens.truncated for tokens in prepared.tokens.values())
    if cut:
        warnings.append(
            f"{cut} of {total} rows are longer than {prepared.base.max_tokens} tokens and were cut "
            "there; raise max_tokens if what tells the classes apart stands at the end"
        )
    unknown = prepared.tokens["train"].unknown_share
    if unknown > 0.02:
        warnings.append(
            f"{unknown:.0%} of the tokens are unknown to {prepared.base.name}'s tokenizer; "
            "it was hardly trained on this language or script, so try another base model"
        )
    return warnings
