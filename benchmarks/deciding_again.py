"""Remedies of the decision on logits that stand in a run folder: nothing is trained."""

from __future__ import annotations

from pathlib import Path

from equipoise.data.table import Table
from equipoise.fit import check_run
from equipoise.fitting.decide import decide_validation_and_test, decision_folds
from equipoise.models.save import load_classifier
from equipoise.recipe import Recipe
from equipoise.records.decision import read_decision, write_decision
from equipoise.records.predictions import read_predictions, write_predictions


def decide_again(trained: Path, out: Path, table: Table, recipe: Recipe, *, seed: int) -> None:
    """Leave in `out` the predictions and the rule that the recipe makes of the logits of `trained`:
    those that its own run would leave, for what acts on the decision leaves the training alone.

    trained  A run on the same rows with the same seed, whose remedies are a calibration at most.
             Raises RuntimeError where its rows are others.
    """
    prepared, _ = check_run(table, out, recipe, seed=seed)
    stands = read_predictions(trained / "predictions.parquet")
    logits = {}
    for split in ("validation", "test"):
        said = stands.of_split(split)
        if said.ids.tolist() != prepared.rows(split).ids.tolist():
            raise RuntimeError(f"{trained.name}: its {split} rows are not those of the table")
        logits[split] = said.logits
    predictions, found = decide_validation_and_test(
        *(prepared, logits, decision_folds(prepared.splits.validation, seed)),
        log_source=read_decision(trained / "decision.json").log_source,
        head=load_classifier(trained).module.head,
    )
    out.mkdir()
    write_predictions(out / "predictions.parquet", predictions)
    write_decision(out / "decision.json", found)
