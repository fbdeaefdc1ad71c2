"""What the run is compared with: the same rows, splits and measures, less effort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.compare import compare
from equipoise.evaluate.judge import judge
from equipoise.fitting.arms import Prepared, TrainedArm, cheap_logits, plain_logits
from equipoise.fitting.clock import timed
from equipoise.fitting.decide import plain_predictions
from equipoise.progress import Progress
from equipoise.recipe import BASELINES
from equipoise.records.predictions import Predictions, write_predictions
from equipoise.records.run import BaselineRecord, Comparison
from equipoise.records.scores import Scores, write_scores

TITLES = {
    "tfidf": "TF-IDF + balanced logistic regression",
    "vectors": "Encoder vectors + balanced logistic regression",
    "plain": "The same recipe without remedies",
}


def judge_split(prepared: Prepared, predictions: Predictions, split: str) -> Scores:
    costs = prepared.recipe.stated_costs
    return judge(
        predictions,
        split=split,
        costs=None if costs is None else costs.matrix(prepared.classes),
        trained_counts=prepared.splits.train.counts(),
        seed=prepared.seed,
    )


def run_baselines(
    prepared: Prepared,
    arm: TrainedArm,
    predictions: Predictions,
    folder: Path,
    checkpoints: Path,
    measures: Callable[[NDArray[np.float64]], dict[str, float]],
    seconds: dict[str, float],
    progress: Progress,
) -> tuple[list[BaselineRecord], list[Comparison]]:
    recipe = prepared.recipe
    cached = arm.states["train"] is not None
    usual = BASELINES if cached else ("tfidf",)
    asked: tuple[str, ...] = usual if recipe.baselines is None else recipe.baselines
    splits = [split for split in ("validation", "test") if split in prepared.tokens]
    records, comparisons = [], []
    for name in asked:
        if name == "plain" and not recipe.remedies:
            continue
        before = dict(seconds)
        parameters = None
        with timed(seconds, f"baseline {name}"):
            logits: dict[str, NDArray[np.float64]] | None
            if name == "plain":
                logits, parameters = plain_logits(
                    prepared,
                    splits,
                    checkpoints=checkpoints / "plain",
                    measures=measures,
                    progress=progress,
                )
            else:
                logits = cheap_logits(name, prepared, splits, arm.states)
        stage = f"baseline {name}"
        if logits is None:
            continue
        theirs = plain_predictions(prepared, logits)
        place = folder / "baselines" / name
        write_predictions(place / "predictions.parquet", theirs)
        write_scores(place / "scores.json", judge_split(prepared, theirs, prepared.judged))
        records.append(
            BaselineRecord(
                name=name,
                title=TITLES[name],
                language_model=name == "plain",
                seconds=seconds[stage] - before.get(stage, 0.0),
                trained_parameters=parameters,
            )
        )
        comparison = _compare(prepared, name, predictions, theirs)
        if comparison is not None:
            comparisons.append(comparison)
    return records, comparisons


def _compare(
    prepared: Prepared, name: str, ours: Predictions, theirs: Predictions
) -> Comparison | None:
    """This run minus the baseline on the judged rows; None where the measure is undefined."""
    costs = prepared.recipe.stated_costs
    judged = prepared.judged
    found = compare(
        theirs.of_split(judged),
        ours.of_split(judged),
        measure=prepared.recipe.deciding_measure,
        costs=None if costs is None else costs.matrix(prepared.classes),
        seed=prepared.seed,
        names=(TITLES[name], "This run"),
    )
    estimate = found.difference
    if estimate.value is None:
        return None
    return Comparison(
        against=name,
        measure=found.measure,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        why=estimate.why,
        rows=found.rows,
        says=found.says,
    )
