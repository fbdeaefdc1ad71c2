"""A run whose target is a class, or several labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.data.cell_faults import faulty_rows, has_half_surrogate
from equipoise.data.raw import LISTED
from equipoise.data.table import Table
from equipoise.errors import SettingsError
from equipoise.evaluate.deciding import DecidingMeasure, check_class
from equipoise.evaluate.quick import quick_measures
from equipoise.fitting.arms import TrainedArm, train_arm
from equipoise.fitting.baselines import judge_split, run_baselines
from equipoise.fitting.clock import timed
from equipoise.fitting.decide import decide_validation_and_test, decision_folds, names_of_groups
from equipoise.fitting.given_rows import table_marks
from equipoise.fitting.kinds import Judged
from equipoise.fitting.language import language_warnings
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared, prepare
from equipoise.fitting.prices import check_costs
from equipoise.fitting.probe import probe_faults
from equipoise.fitting.record import save_rows
from equipoise.fitting.several import measure_faults, remedy_faults, setting_faults
from equipoise.fitting.treatment import treatment_faults
from equipoise.models.load import Base
from equipoise.models.predict import predict_logits
from equipoise.models.save import LoadedClassifier, load_classifier, save_classifier
from equipoise.models.trainer import Measure
from equipoise.progress import Progress
from equipoise.recipe import Recipe
from equipoise.records.decision import write_decision
from equipoise.records.predictions import write_predictions
from equipoise.records.rows import Rows, Splits
from equipoise.records.run import BaselineRecord, Comparison
from equipoise.records.scores import write_scores


class Classifying:
    """See `kinds.Kind`."""

    writes = False

    def resolve(self, recipe: Recipe, table: Table) -> Recipe:
        train = table.train
        return recipe.resolved(several=train is not None and train.several)

    def row_faults(self, table: Table, recipe: Recipe, base: Base) -> list[str]:
        return table_marks(table, recipe, base)

    def beside(self, recipe: Recipe) -> str:
        return ""

    def prepare(
        self,
        splits: Splits,
        recipe: Recipe,
        base: Base,
        seed: int,
        own: DecidingMeasure | None,
    ) -> Prepared:
        return prepare(splits, recipe, base, seed, own)

    def check(self, prepared: Prepared) -> list[str]:
        return window_warnings(prepared) + language_warnings(prepared) + _check_settings(prepared)

    def measures(self, prepared: Prepared) -> Measure:
        recipe = prepared.recipe
        return quick_measures(prepared.splits.validation, prepared.classes, recipe.train.choose_by)

    def train(self, prepared: Prepared, watch: Watch) -> TrainedArm:
        return train_arm(prepared, prepared.recipe.specs, watch)

    def save(self, out: Path, prepared: Prepared, arm: TrainedArm) -> None:
        model = prepared.recipe.model
        save_classifier(
            *(out, arm.classifier, prepared.base, model, prepared.classes),
            several=prepared.several,
        )

    def judge(
        self,
        prepared: Prepared,
        log_source: NDArray[np.float64] | None,
        out: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> Judged:
        """Predict with what was saved, decide, and judge."""
        assert log_source is not None
        with timed(seconds, "predicting"):
            loaded = load_classifier(out)
            logits = _logits(loaded, prepared)
        with timed(seconds, "deciding"):
            fold_ids = decision_folds(prepared.splits.validation, prepared.seed)
            predictions, rule = decide_validation_and_test(
                *(prepared, logits, fold_ids),
                log_source=log_source,
                head=loaded.module.head,
            )
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
        return Judged(predictions, rule, scores[prepared.judged])

    def compare(
        self,
        prepared: Prepared,
        arm: TrainedArm,
        judged: Judged,
        out: Path,
        checkpoints: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> tuple[list[BaselineRecord], list[Comparison]]:
        title = "training the plain baseline"
        watch = Watch(checkpoints / "plain", self.measures(prepared), title, progress)
        return run_baselines(prepared, arm, judged.record, out, watch, seconds)


CLASSIFYING = Classifying()


def _check_settings(prepared: Prepared) -> list[str]:
    """What only the rows can tell: class names in costs, prior and the choosing measure. Returns
    doubts, a line each; raises SettingsError with every fault."""
    recipe = prepared.recipe
    faults = remedy_faults(prepared) + measure_faults(prepared)
    if not prepared.several:
        faults += probe_faults(prepared)
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
    if recipe.group_column is not None:
        faults += _group_faults(prepared.splits.validation, recipe.group_column)
    if not faults and not prepared.several:
        faults = treatment_faults(prepared, recipe.specs)
    if faults:
        raise SettingsError(*faults)
    return warnings


def _group_faults(rows: Rows, column: str) -> list[str]:
    """What keeps the remedy from deciding by the groups of these rows, by which it is fitted."""
    names = names_of_groups(rows, column)
    if names is None:
        where = f"no column {column!r}" if column else "no group column"
        return [
            f"remedy per_group_thresholds: the rows have {where}; name one with --group, or "
            "another column with per_group_thresholds:column=NAME"
        ]
    halves = faulty_rows(names.tolist(), has_half_surrogate)  # decision.json could not hold them
    if halves:
        ids = ", ".join(rows.ids[np.array(halves[:LISTED]) - 1])
        return [
            f"remedy per_group_thresholds: names in column {column!r} hold half a surrogate pair, "
            f"such as those of rows {ids}; write the pair, or the character itself"
        ]
    return []


def _logits(loaded: LoadedClassifier, prepared: Prepared) -> dict[str, NDArray[np.float64]]:
    """Predictions come from what was saved, read back: what is judged is what is deployed."""
    return {
        split: predict_logits(loaded, prepared.rows(split).texts)
        for split in ("validation", "test")
        if split in prepared.tokens
    }


def window_warnings(prepared: Prepared) -> list[str]:
    """Rows that the base model's window does not hold."""
    warnings = []
    total = sum(len(tokens) for tokens in prepared.tokens.values())
    cut = sum(tokens.truncated for tokens in prepared.tokens.values())
    if cut:
        where = ("there", "at the end")
        if prepared.recipe.model.head == "text":
            where = ("at the start of their text, prompt and label included", "there")
        warnings.append(
            f"{cut} of {total} rows are longer than {prepared.base.max_tokens} tokens and were cut "
            f"{where[0]}; raise max_tokens if what tells the classes apart stands {where[1]}"
        )
    return warnings
