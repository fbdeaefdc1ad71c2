"""What a model said of every judged row: the record from which every figure is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from equipoise.errors import FolderError, ShapeError
from equipoise.records.files import replacing
from equipoise.records.rows import Column, holds_several, text_column

SCHEMA = 1
DEFER = "defer"
"""The decision to hand a row to a person."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scores and decisions for n rows and K classes."""

    classes: tuple[str, ...]
    """The K classes the model knows, sorted by name: the order of the columns below."""
    ids: Column
    """(n,) str."""
    splits: Column
    """(n,) str: "validation" or "test", or "given" for rows predicted on request."""
    folds: NDArray[np.int64]
    """(n,) the fold whose decision rule, fitted on the other folds, decided the row; -1 where the
    rule fitted on all validation rows did (test rows)."""
    groups: Column
    """(n,) str or None: the user's group."""
    clusters: NDArray[np.int64]
    """(n,) rows that are resampled together."""
    labels: Column
    """(n,) str or None: the true class; may be one that is not in `classes`. Where a row may have
    several labels: a sorted tuple of names, or None."""
    decided: Column
    """(n,) str: a class, or "defer". Where a row may have several labels: a sorted tuple."""
    logits: NDArray[np.float64]
    """(n, K) raw scores z, before calibration."""
    probabilities: NDArray[np.float64]
    """(n, K) calibrated posterior p under the target prior; rows sum to 1, unless a row may have
    several labels: then each label has a probability of its own."""
    amounts: NDArray[np.float64] | None = None
    """(n,) the rows' own number that costs are times of; None where no cost is."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name in ("splits", "folds", "groups", "clusters", "labels", "decided"):
            if len(getattr(self, name)) != n:
                raise ShapeError(f"{name} has {len(getattr(self, name))} entries, ids has {n}")
        if self.amounts is not None and len(self.amounts) != n:
            raise ShapeError(f"amounts has {len(self.amounts)} entries, ids has {n}")
        for name in ("logits", "probabilities"):
            if getattr(self, name).shape != (n, len(self.classes)):
                raise ShapeError(
                    f"{name} has shape {getattr(self, name).shape}, expected "
                    f"({n}, {len(self.classes)}): one row per id, one column per class"
                )
        if list(self.classes) != sorted(self.classes):
            raise ShapeError("classes are not sorted by name")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def several(self) -> bool:
        """Whether a row may have several labels, or none."""
        return holds_several(self.decided)

    def of_split(self, split: str) -> Predictions:
        return self.take(self.splits == split)

    def take(self, index: NDArray[Any]) -> Predictions:
        """The rows at `index` (positions or a bool mask), in that order."""
        cut: dict[str, Any] = {
            name: None if column is None else column[index] for name, column in self._by_row()
        }
        return Predictions(self.classes, **cut)

    def _by_row(self) -> list[tuple[str, Any]]:
        """Every field that has one entry per row, by name; a field may be None."""
        return [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "classes"]


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The rows of several records of one model, in order; amounts only if all have them."""
    whole: dict[str, Any] = {}
    for name, _ in parts[0]._by_row():
        columns = [getattr(part, name) for part in parts]
        whole[name] = None if any(c is None for c in columns) else np.concatenate(columns)
    return Predictions(parts[0].classes, **whole)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Columns: id, split, fold, group, label, decided, z:<class>..., p:<class>..., cluster, and
    amount where costs are times a column. Several labels a row are lists."""
    p = predictions
    columns: dict[str, pa.Array] = {
        "id": pa.array(p.ids, pa.string()),
        "split": pa.array(p.splits, pa.string()),
        "fold": pa.array(p.folds, pa.int64(), mask=p.folds < 0),
        "group": pa.array(p.groups, pa.string()),
        "label": name_array(p.labels, several=p.several),
        "decided": name_array(p.decided, several=p.several),
    }
    for k, name in enumerate(p.classes):
        columns[f"z:{name}"] = pa.array(p.logits[:, k], pa.float64())
    for k, name in enumerate(p.classes):
        columns[f"p:{name}"] = pa.array(p.probabilities[:, k], pa.float64())
    columns["cluster"] = pa.array(p.clusters, pa.int64())
    if p.amounts is not None:
        columns["amount"] = pa.array(p.amounts, pa.float64())
    table = pa.table(columns).replace_schema_metadata({"equipoise.schema": str(SCHEMA)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def name_array(column: Column, *, several: bool) -> pa.Array:
    """Names as text, or lists of names where a row may have several labels."""
    if not several:
        return pa.array(column, pa.string())
    lists = [None if cell is None else list(cell) for cell in column]
    return pa.array(lists, pa.list_(pa.string()))


def read_predictions(path: Path) -> Predictions:
    """Raises FolderError if the file is missing, broken, or not predictions."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise FolderError(
            f"{path}: missing; copy the whole folder, or make the run again"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise FolderError(f"{path}: not a parquet file ({error}); make it again") from None
    schema = (table.schema.metadata or {}).get(b"equipoise.schema", b"").decode()
    if schema != str(SCHEMA):
        raise FolderError(
            f"{path}: predictions schema is {schema or None!r}, this version reads {SCHEMA}; "
            "make them again"
        )
    classes = tuple(name[2:] for name in table.column_names if name.startswith("z:"))

    def column(name: str) -> Column:
        cells = table[name].to_pylist()
        return text_column([tuple(cell) if isinstance(cell, list) else cell for cell in cells])

    def matrix(prefix: str) -> NDArray[np.float64]:
        if not classes:
            return np.empty((table.num_rows, 0))
        return np.column_stack([table[f"{prefix}:{name}"].to_numpy() for name in classes])

    return Predictions(
        classes=classes,
        ids=column("id"),
        splits=column("split"),
        folds=table["fold"].fill_null(-1).to_numpy(),
        groups=column("group"),
        clusters=table["cluster"].to_numpy(),
        labels=column("label"),
        decided=column("decided"),
        logits=matrix("z"),
        probabilities=matrix("p"),
        amounts=table["amount"].to_numpy() if "amount" in table.column_names else None,
    )
