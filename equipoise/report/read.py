"""A run folder as the report needs it: what must be there, and what may be missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from equipoise.costs import Costs, CostTable, costs_from
from equipoise.errors import FolderError, SettingsError
from equipoise.records.decision import DecisionRule, read_decision
from equipoise.records.judged import JUDGED, JudgedRun, read_judged
from equipoise.records.predictions import Predictions, read_predictions
from equipoise.records.run import BaselineRecord, Manifest, read_manifest
from equipoise.records.scores import Scores, read_scores
from equipoise.records.written import WRITTEN, Written, read_written

TEXTS = "judged_rows.parquet"
"""id, split, text of the judged rows; absent when a run keeps no texts."""


@dataclass(frozen=True)
class HistoryLine:
    """One line of history.jsonl: a logged training step, or an evaluation."""

    step: int
    epoch: float
    loss: float | None
    measures: dict[str, float]
    """Of the validation split; empty on lines logged by training."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline whose scores were found in the folder."""

    record: BaselineRecord
    scores: Scores


@dataclass(frozen=True, eq=False)
class AnyRun:
    """What the folder of every finished run holds, whatever its target."""

    folder: Path
    manifest: Manifest
    scores: Scores
    """Of the judged split."""
    scores_validation: Scores | None
    baselines: tuple[Baseline, ...]
    missing_baselines: tuple[str, ...]
    """Titles of baselines that the manifest names and the folder lacks."""
    history: tuple[HistoryLine, ...]
    texts: dict[str, str]
    """Text per id of the judged split; empty when the run kept none."""
    cluster_rows: dict[int, int]
    """Rows per cluster, over all splits; empty when splits.parquet is not there."""
    costs: Costs | None
    """What the user said that mistakes cost; None when nothing was said."""
    recipe_text: str | None
    """recipe.yaml as written."""


@dataclass(frozen=True, eq=False)
class RunFolder(AnyRun):
    """One finished run that classifies, read whole."""

    decision: DecisionRule
    predictions: Predictions
    """Rows of the judged split that have a label, in the file's order."""


@dataclass(frozen=True, eq=False)
class WrittenFolder(AnyRun):
    """One finished run that writes, read whole."""

    written: Written
    """Rows of the judged split, in the file's order."""
    theirs: dict[str, Written]
    """The same rows of every baseline whose texts are there."""
    judged: JudgedRun | None
    """What a judge model said of them; None where none was asked about this run."""

    @property
    def asked(self) -> int:
        """Rows for which a text was to be written."""
        return sum(text is not None for text in self.written.written)

    @property
    def empty(self) -> int:
        """Those of them for which nothing but blanks came."""
        return sum(text is not None and not text.strip() for text in self.written.written)


def read_run(folder: Path) -> RunFolder:
    """Raises FolderError if the folder holds no whole run, or a file it needs is broken."""
    manifest = read_manifest(folder)
    predictions = read_predictions(folder / "predictions.parquet").of_split(manifest.judged)
    labelled = [label is not None for label in predictions.labels]
    return RunFolder(
        **_common(folder, manifest),
        decision=read_decision(folder / "decision.json"),
        predictions=predictions.take(np.array(labelled, dtype=bool)),
    )


def read_written_run(folder: Path) -> WrittenFolder:
    """As `read_run`, of a run that writes."""
    manifest = read_manifest(folder)
    places = {b.name: folder / "baselines" / b.name / WRITTEN for b in manifest.baselines}
    return WrittenFolder(
        **_common(folder, manifest),
        written=read_written(folder / WRITTEN).of_split(manifest.judged),
        theirs={
            name: read_written(path).of_split(manifest.judged)
            for name, path in places.items()
            if path.exists()
        },
        judged=_judged(folder / JUDGED, manifest),
    )


def _judged(path: Path, manifest: Manifest) -> JudgedRun | None:
    """A folder copied together may hold what was said of another run."""
    found = read_judged(path) if path.exists() else None
    return found if found is not None and found.run == manifest.id else None


def _common(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The fields of AnyRun."""
    baselines, missing = _baselines(folder, manifest)
    validation = folder / "scores_validation.json"
    recipe = folder / "recipe.yaml"
    return {
        "folder": folder,
        "manifest": manifest,
        "scores": read_scores(folder / "scores.json"),
        "scores_validation": read_scores(validation) if validation.exists() else None,
        "baselines": baselines,
        "missing_baselines": missing,
        "history": tuple(_history(folder / "history.jsonl")),
        "texts": _texts(folder / TEXTS, manifest.judged),
        "cluster_rows": _cluster_rows(folder / "splits.parquet"),
        "costs": _costs(manifest, folder),
        # Shown, never read: a byte that is no text must not keep the report away.
        "recipe_text": recipe.read_text("utf-8", errors="replace") if recipe.exists() else None,
    }


def _baselines(folder: Path, manifest: Manifest) -> tuple[tuple[Baseline, ...], tuple[str, ...]]:
    found: list[Baseline] = []
    missing: list[str] = []
    for record in manifest.baselines:
        path = folder / "baselines" / record.name / "scores.json"
        if path.exists():
            found.append(Baseline(record, read_scores(path)))
        else:
            missing.append(record.title)
    return tuple(found), tuple(missing)


def _history(path: Path) -> Iterator[HistoryLine]:
    """Lines in the order of their steps. A run that was resumed may hold a last line that was cut
    short; a broken line in the middle is a broken file."""
    if not path.exists():
        return
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            yield HistoryLine(
                step=int(record["step"]),
                epoch=float(record["epoch"]),
                loss=_number(record.get("loss")),
                measures={
                    name: value
                    for name, raw in (record.get("measures") or {}).items()
                    if (value := _number(raw)) is not None
                },
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            if number == len(lines):
                return
            raise FolderError(
                f"{path}: line {number} is not a history line ({error}); delete the file"
            ) from None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None


def _texts(path: Path, split: str) -> dict[str, str]:
    if not path.exists():
        return {}
    table = _table(path, ["id", "split", "text"])
    return {
        key: text
        for key, of, text in zip(
            *(table[name].to_pylist() for name in ("id", "split", "text")), strict=True
        )
        if of == split and text is not None
    }


def _cluster_rows(path: Path) -> dict[int, int]:
    if not path.exists():
        return {}
    counts: dict[int, int] = {}
    for cluster in _table(path, ["cluster"])["cluster"].to_pylist():
        if cluster is not None:
            counts[cluster] = counts.get(cluster, 0) + 1
    return counts


def _table(path: Path, columns: list[str]) -> Any:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise FolderError(f"{path}: can't be read ({error}); make the run again") from None


def stated_table(run: RunFolder) -> CostTable | None:
    """The user's costs over the classes of the run; None when nothing was said."""
    if run.costs is not None:
        return run.costs.table(run.predictions.classes)
    return run.decision.cost_table


def _costs(manifest: Manifest, folder: Path) -> Costs | None:
    """The recipe keeps the costs as the user's file gave them, so that the unit is known."""
    record = manifest.recipe.get("costs")
    if not isinstance(record, dict):
        return None
    try:
        return costs_from(record, f"{folder}/run.json: recipe")
    except SettingsError as error:
        raise FolderError(*error.faults) from None
