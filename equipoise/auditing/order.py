"""What the order of the data did to a run: places in the first epoch, and final losses.

Ju et al. 2024 (arXiv:2410.03743) saw that rows fed early in the first epoch end with another loss
than rows fed late, however many epochs follow. Rows are put in their places by chance, so a slope
of the final loss over the place is the order's own doing, and a loss under the base that is held
equal only takes out noise (and what little a sampler ties to it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from equipoise.auditing.order_losses import class_run_losses, written_losses
from equipoise.auditing.order_slopes import Places, relate
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import DataError, FolderError, ModelError
from equipoise.fitting.clock import timed
from equipoise.fitting.prepared import Prepared, prepare
from equipoise.fitting.rows_of_run import rows_of_run
from equipoise.models.load import Base, find_base
from equipoise.progress import Progress, silent
from equipoise.recipe import Recipe
from equipoise.records.order import OrderRecord, OrderSlopes
from equipoise.records.rows import Rows, Splits
from equipoise.records.run import Manifest, read_manifest


def audit_order(
    run: Path,
    rows: str | None = None,
    *,
    columns: ColumnNames | None = None,
    encoding: str | None = None,
    progress: Progress = silent,
) -> OrderRecord:
    """Relate places in the first epoch to final losses, over all rows and in each class.

    rows     The run's rows, if they lie elsewhere than when it was made.
    columns  Their columns, if they are called otherwise than then.
    Raises   FolderError if the folder holds no whole run or no order; DataError if the rows are
             not the run's, or may have several labels; ModelError if the base can't be had.
    """
    seconds: dict[str, float] = {}
    manifest = read_manifest(run)
    with timed(seconds, "reading"):
        again = f"give the rows of {run}: equipoise audit ROWS --order {run}"
        table = rows_of_run(run, manifest, rows, columns, encoding, again=again)
        if table.train is not None and table.train.several:
            raise DataError(
                f"{table.source}: rows may have several labels, and their order is not looked at"
            )
        train = _training_rows(run, table)
        places = places_of(run, manifest, train)
    recipe = Recipe.model_validate(manifest.recipe)
    base = find_base(recipe.model, writes=manifest.writes)
    if base.fingerprint != manifest.model.fingerprint:
        raise ModelError(
            f"{base.name}: holds other weights than when {run} was trained, so its losses before "
            "training can't be had; put the old base back"
        )
    losses = (written_losses if manifest.writes else class_run_losses)(
        run, _prepared(manifest, recipe, base, train), seconds, progress
    )
    with timed(seconds, "measuring"):
        fed = places.step >= 0
        overall, classes, tenths = relate(places, losses, train, fed)
    return OrderRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=str(run),
        run_id=manifest.id,
        source=table.source,
        writes=manifest.writes,
        unit=losses.unit,
        base=losses.says,
        epochs=manifest.training.epochs_run,
        steps=places.steps,
        overall=overall,
        classes=classes,
        tenths=tenths,
        left_out={"not fed in the first epoch": int((~fed).sum())} if (~fed).any() else {},
        notes=_notes(manifest, places, classes),
        seconds={name: round(value, 3) for name, value in seconds.items()},
        versions=manifest.versions,
    )


# ── the run's rows and their places ───────────────────────────────────────────────────────────


def _training_rows(run: Path, table: Table) -> Rows:
    """Those that trained, with their clusters. Raises FolderError, DataError."""
    found = _read(run, "splits.parquet", lambda path: pq.read_table(path).to_pydict())
    trained = [k for k, split in enumerate(found["split"]) if split == "train"]
    given = table.train
    assert given is not None
    at = {name: k for k, name in enumerate(given.ids.tolist())}
    missing = [found["id"][k] for k in trained if found["id"][k] not in at]
    if missing:
        raise DataError(
            f"{table.source}: lacks {len(missing)} training rows of {run}, such as id "
            f"{missing[0]}; give the rows of the run"
        )
    rows = given.take(np.array([at[found["id"][k]] for k in trained], dtype=np.int64))
    clusters = np.array([found["cluster"][k] for k in trained], dtype=np.int64)
    return replace(rows, clusters=clusters)


def places_of(run: Path, manifest: Manifest, train: Rows) -> Places:
    """Read off order.npy and fed_rows.parquet. Raises FolderError."""
    order = _read(run, "order.npy", np.load)
    fed = _read(run, "fed_rows.parquet", lambda path: pq.read_table(path).to_pydict())
    at = {name: k for k, name in enumerate(train.ids.tolist())}
    owner = np.array(
        [-1 if made else at[i] for i, made in zip(fed["id"], fed["made"], strict=True)]
    )
    # Rows numbered from there on are general ones that were replayed beside the run's own.
    first = order[0][order[0] < len(owner)]
    step = np.arange(len(first)) // int(manifest.recipe["train"]["batch_rows"])
    steps = int(step.max(initial=0)) + 1
    rows, step = owner[first][owner[first] >= 0], step[owner[first] >= 0]
    times = np.bincount(rows, minlength=len(train))
    with np.errstate(invalid="ignore"):
        mean = np.bincount(rows, step, minlength=len(train)) / times
    earliest = np.full(len(train), steps)
    np.minimum.at(earliest, rows, step)
    return Places(
        place=mean / max(steps - 1, 1),
        step=np.where(times > 0, earliest, -1),
        steps=steps,
        several=int((times > 1).sum()),
    )


def _read(run: Path, name: str, read: Callable[[Path], Any]) -> Any:
    try:
        return read(run / name)
    except (OSError, ValueError) as error:
        raise FolderError(
            f"{run / name}: missing or broken ({type(error).__name__}), so the order of the run is "
            "not known; copy the whole folder, or make the run again"
        ) from None


# ── what is asked about them ───────────────────────────────────────────────────────────────────


def _prepared(manifest: Manifest, recipe: Recipe, base: Base, train: Rows) -> Prepared:
    """The training rows as the run had them; nothing else is asked about."""
    splits = Splits(train, train.take(np.arange(1)), None)
    if manifest.writes:
        from equipoise.fitting.writing.prepare import prepare_written

        return prepare_written(splits, recipe, base, manifest.seed)
    return prepare(splits, recipe, base, manifest.seed)


def _notes(manifest: Manifest, places: Places, classes: list[OrderSlopes]) -> list[str]:
    notes = []
    if places.several:
        notes.append(
            f"{places.several} rows stood in the first epoch more than once; the mean of their "
            "places counts"
        )
    if manifest.training.head_epochs:
        notes.append("the head was trained again in an order of its own, which is not looked at")
    judged = [found for found in classes if found.held.low is not None]
    if len(judged) > 1:
        notes.append(
            f"of {len(judged)} intervals of classes one in twenty misses the truth by chance: a "
            "class alone, without the rest, is a weak sign"
        )
    return notes
