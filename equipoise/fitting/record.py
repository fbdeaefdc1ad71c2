"""What is written of a run beside its model and scores: rows, order, and the manifest."""

from __future__ import annotations

import datetime
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from equipoise.data.table import Table
from equipoise.defaults import default_remedies
from equipoise.fitting.arms import trained_parameters
from equipoise.fitting.folder import fingerprints
from equipoise.fitting.kinds import Arm
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.seen import MARK, text_marks
from equipoise.models.cut import find_layers
from equipoise.models.methods import head_kind
from equipoise.models.train import resolved_precision
from equipoise.records.decision import DecisionRule
from equipoise.records.files import write_with
from equipoise.records.predictions import name_array
from equipoise.records.rows import Rows, Splits
from equipoise.records.run import (
    BaselineRecord,
    Comparison,
    Manifest,
    ModelRecord,
    RemedyRecord,
    RowsRecord,
    SplitRecord,
    TrainingRecord,
)
from equipoise.remedies.decisions.table import DECISIONS

_PACKAGES = ("torch", "transformers", "peft", "scikit-learn", "numpy")


def save_order(out: Path, arm: Arm, ids: NDArray[Any]) -> None:
    """order.npy and fed_rows.parquet: which row stood at which place of the training; of a second
    training of the head, head_order.npy and head_rows.parquet. ids (n,): of the training rows."""

    def save(name: str, order: NDArray[np.int64]) -> None:
        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, order)

        write_with(out / name, write)

    save("order.npy", arm.plan.order)
    _save_fed(out / "fed_rows.parquet", ids[arm.fed], arm.made)
    if arm.head is not None:
        save("head_order.npy", arm.head.plan.order)
        _save_fed(out / "head_rows.parquet", ids[arm.head.fed], arm.head.made)


def _save_fed(path: Path, ids: NDArray[Any], made: int) -> None:
    """id: of the row, or of the row that a vector was made from; made: whether it was."""
    origin = np.arange(len(ids)) >= len(ids) - made
    table = pa.table({"id": pa.array(ids, pa.string()), "made": pa.array(origin)})
    write_with(path, lambda part: pq.write_table(table, part))


def save_rows(out: Path, splits: Splits, keep_texts: bool) -> None:
    """splits.parquet: which row went where, what it was made from, and a mark of its text;
    judged_rows.parquet: the texts that the report quotes."""
    named = (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
    parts = [(name, rows) for name, rows in named if rows is not None]

    def column(read: Any) -> Any:
        return np.concatenate([read(name, rows) for name, rows in parts])

    table = pa.table(
        {
            "id": pa.array(column(lambda _, rows: rows.ids), pa.string()),
            "split": pa.array(column(lambda name, rows: np.full(len(rows), name, dtype=object))),
            "cluster": pa.array(column(lambda _, rows: _clusters(rows)), pa.int64()),
            "label": name_array(column(lambda _, rows: rows.labels), several=splits.train.several),
            "parent": pa.array(column(lambda _, rows: _parents(rows)), pa.string()),
            MARK: pa.array(column(lambda _, rows: text_marks(rows)), pa.string()),
        }
    )
    write_with(out / "splits.parquet", lambda path: pq.write_table(table, path))
    if keep_texts:
        judged = parts[1:]
        texts = pa.table(
            {
                "id": pa.array(np.concatenate([rows.ids for _, rows in judged]), pa.string()),
                "split": pa.array(
                    np.concatenate([np.full(len(r), name, dtype=object) for name, r in judged])
                ),
                "text": pa.array(np.concatenate([rows.texts for _, rows in judged]), pa.string()),
            }
        )
        write_with(out / "judged_rows.parquet", lambda path: pq.write_table(texts, path))


def _clusters(rows: Rows) -> NDArray[np.int64]:
    return rows.clusters if rows.clusters is not None else np.arange(len(rows))


def _parents(rows: Rows) -> NDArray[Any]:
    return rows.parents if rows.parents is not None else np.full(len(rows), None)


def run_manifest(
    table: Table,
    prepared: Prepared,
    arm: Arm,
    warnings: list[str],
    run_id: str,
    seconds: dict[str, float],
    baselines: list[BaselineRecord],
    comparisons: list[Comparison],
    notes: tuple[str, ...],
    rule: DecisionRule | None,
    out: Path,
    *,
    by_default: bool,
) -> Manifest:
    """by_default  Whether nobody named the remedies."""
    recipe = prepared.recipe
    on_gpu = torch.cuda.is_available()
    return Manifest(
        id=run_id,
        recipe_id=recipe.id,
        recipe=recipe.model_dump(mode="json"),
        seed=prepared.seed,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        device=torch.cuda.get_device_name() if on_gpu else platform.machine() + " CPU",
        rows=_rows_record(table, prepared, warnings),
        classes=list(prepared.classes),
        remedies=_with_notes(arm.remedies, rule),
        default=_why_default(prepared) if by_default else None,
        model=_model_record(prepared, arm),
        training=_training_record(prepared, arm),
        judged=prepared.judged,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
        peak_memory_bytes=_peak_memory(),
        device_bytes=torch.cuda.max_memory_allocated() if on_gpu else None,
        general=arm.general,
        baselines=baselines,
        comparisons=comparisons,
        notes=[*arm.notes, *notes],
        files=fingerprints(out),
    )


def _rows_record(table: Table, prepared: Prepared, warnings: list[str]) -> RowsRecord:
    return RowsRecord(
        source=table.source,
        fingerprint=table.fingerprint,
        columns=table.columns,
        splits={
            name: SplitRecord(
                rows=len(rows),
                clusters=len(np.unique(_clusters(rows))),
                counts=rows.counts(),
                made=int(rows.made.sum()),
            )
            for name in prepared.tokens
            for rows in (prepared.rows(name),)
        },
        warnings=warnings,
        notes=list(prepared.splits.notes),
        encoding=table.encoding,
    )


def _training_record(prepared: Prepared, arm: Arm) -> TrainingRecord:
    recipe, trained = prepared.recipe, arm.trained
    return TrainingRecord(
        epochs_planned=recipe.train.epochs,
        epochs_run=trained.epochs_run,
        steps=trained.steps,
        best_step=trained.best_step,
        chosen_by=None if trained.best_step is None else recipe.train.choose_by,
        stopped=trained.stopped,
        precision=resolved_precision(recipe.train.precision),
        head_epochs=0 if arm.head is None else arm.head.trained.epochs_run,
        head_steps=0 if arm.head is None else arm.head.trained.steps,
    )


def _why_default(prepared: Prepared) -> str:
    recipe, rows = prepared.recipe, prepared.splits.train
    return default_remedies(
        recipe.measure,
        fits_offsets=recipe.fits_offsets,
        several=rows.several,
        writes=rows.written,
    ).why


def _with_notes(remedies: list[RemedyRecord], rule: DecisionRule | None) -> list[RemedyRecord]:
    """What the decision's remedies found out: the rule holds a note for each, in their table's
    order."""
    if rule is None:
        return remedies
    places = [i for i, record in enumerate(remedies) if record.moment == "decision"]
    places.sort(key=lambda i: list(DECISIONS).index(remedies[i].name))
    noted = dict(zip(places, rule.notes, strict=True))
    return [
        record.model_copy(update={"effect": noted[i]}) if i in noted else record
        for i, record in enumerate(remedies)
    ]


def _model_record(prepared: Prepared, arm: Arm) -> ModelRecord:
    layers = find_layers(arm.classifier.body)
    base = prepared.base
    return ModelRecord(
        name=base.name,
        fingerprint=base.fingerprint,
        architecture=type(arm.classifier.body).__name__,
        parameters=sum(p.numel() for p in arm.classifier.parameters()),
        trained_parameters=trained_parameters(arm.classifier),
        method=prepared.recipe.model.method,
        layers=None if layers is None else len(layers),
        cut=None if arm.classifier.cut is None else arm.classifier.cut.number,
        pooling=base.pooling,
        head=head_kind(prepared.recipe.model),
        max_tokens=base.max_tokens,
        truncated_rows=sum(tokens.truncated for tokens in prepared.tokens.values()),
    )


def _versions() -> dict[str, str]:
    from equipoise import __version__

    return {"equipoise": __version__, "python": platform.python_version()} | {
        package: version(package) for package in _PACKAGES
    }


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
