"""What the run is compared with: the same rows, splits and measures, less effort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.compare import compare
from equipoise.evaluate.judge import judge
from equipoise.fitting.arms import TrainedArm, trained_parameters
from equipoise.fitting.clock import timed
from equipoise.fitting.decide import plain_predictions
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.rivals import plain_logits, tfidf_logits, vectors_logits
from equipoise.recipe import BASELINES
from equipoise.records.predictions import Predictions, write_predictions
from equipoise.records.run import BaselineRecord, Comparison
from equipoise.records.scores import Scores, write_scores
from equipoise.remedies.table import REMEDIES

TITLES = {
    "tfidf": "TF-IDF + balanced logistic regression",
    "vectors": "Encoder vectors + balanced logistic regression",
    "plain": "The same recipe without remedies",
}


def judge_split(prepared: Prepared, predictions: Predictions, split: str) -> Scores:
    return judge(
        predictions,
        split=split,
        costs=prepared.costs,
        deciding=None if isinstance(prepared.measure, str) else prepared.measure,
        trained_counts=prepared.splits.train.counts(),
        seed=prepared.seed,
    )


def run_baselines(
    prepared: Prepared,
    arm: TrainedArm,
    predictions: Predictions,
    folder: Path,
    watch: Watch,
    seconds: dict[str, float],
) -> tuple[list[BaselineRecord], list[Comparison]]:
    """Predictions and scores of every baseline that is asked for, and what sets the run apart
    from each. Left out: vectors where no states are cached, plain where no remedy is in use.

    watch   Of a training without remedies.
    """
    records, comparisons = [], []
    for name in _asked(prepared, arm):
        with timed(seconds, stage := f"baseline {name}"):
            found = _logits(name, prepared, arm, predictions, watch)
        if found is None:
            continue
        logits, parameters = found
        theirs = plain_predictions(prepared, logits)
        place = folder / "baselines" / name
        write_predictions(place / "predictions.parquet", theirs)
        write_scores(place / "scores.json", judge_split(prepared, theirs, prepared.judged))
        records.append(
            BaselineRecord(
                name=name,
                title=TITLES[name],
                language_model=name != "tfidf",
                seconds=seconds[stage],
                trained_parameters=parameters,
            )
        )
        comparison = _compare(prepared, name, predictions, theirs)
        if comparison is not None:
            comparisons.append(comparison)
    return records, comparisons


def _asked(prepared: Prepared, arm: TrainedArm) -> list[str]:
    asked: tuple[str, ...] | None = prepared.recipe.baselines
    if asked is None:
        asked = ("tfidf", "plain") if _decisions_alone(prepared) else ("tfidf",)
        asked = asked if arm.states["train"] is None else BASELINES
    return [name for name in asked if name != "plain" or prepared.recipe.remedies]


def _decisions_alone(prepared: Prepared) -> bool:
    """Remedies on the decision leave the training alone: its logits are the plain ones."""
    return all(REMEDIES[spec.name].moment == "decision" for spec in prepared.recipe.specs)


def _logits(
    name: str,
    prepared: Prepared,
    arm: TrainedArm,
    predictions: Predictions,
    watch: Watch,
) -> tuple[dict[str, NDArray[np.float64]], int | None] | None:
    splits: list[str] = [part for part in ("validation", "test") if part in prepared.tokens]
    if name == "tfidf":
        return tfidf_logits(prepared, splits), None
    if name == "vectors":
        found = vectors_logits(prepared, splits, watch.progress)
        return None if found is None else (found, None)
    if _decisions_alone(prepared):
        own = {split: predictions.of_split(split).logits for split in splits}
        return own, trained_parameters(arm.classifier)
    return plain_logits(prepared, splits, watch)


def _compare(
    prepared: Prepared, name: str, ours: Predictions, theirs: Predictions
) -> Comparison | None:
    """This run minus the baseline on the judged rows; None where the measure is undefined."""
    judged = prepared.judged
    found = compare(
        theirs.of_split(judged),
        ours.of_split(judged),
        measure=prepared.measure if prepared.costs is None else "expected_cost",
        costs=prepared.costs,
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
