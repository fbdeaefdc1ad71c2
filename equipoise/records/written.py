"""What a model wrote for every judged row, and how likely it held the right text: the record from
which every figure of generation is computed."""

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
from equipoise.records.rows import Column, text_column
from equipoise.records.run import WRITTEN

__all__ = ["WRITTEN", "Written", "joined", "read_written", "write_written"]

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Written:
    """n rows."""

    ids: Column
    """(n,) str."""
    splits: Column
    """(n,) str: "validation" or "test", or "given" for rows written on request."""
    categories: Column
    """(n,) str."""
    asked: Column
    """(n,) str: what the model was given, as text; "" for plain text."""
    written: Column
    """(n,) str, what the model wrote; None where it was only asked for its loss."""
    references: Column
    """(n,) tuple of str: texts any of which would be right, the row's own first; () where nobody
    knows."""
    log_probs: NDArray[np.float64]
    """(n,) nats: sum of the log-probabilities of the learned tokens; NaN where nobody knows what
    is right."""
    tokens: NDArray[np.int64]
    """(n,) learned tokens."""
    bytes: NDArray[np.int64]
    """(n,) UTF-8 bytes of the learned texts."""
    clusters: NDArray[np.int64]
    """(n,) rows that are resampled together."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        for f in fields(self):
            if len(getattr(self, f.name)) != n:
                raise ShapeError(f"{f.name} has {len(getattr(self, f.name))} entries, ids has {n}")

    def __len__(self) -> int:
        return len(self.ids)

    def of_split(self, split: str) -> Written:
        return self.take(self.splits == split)

    def take(self, index: NDArray[Any]) -> Written:
        """The rows at `index` (positions or a bool mask), in that order."""
        return Written(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def joined(parts: Sequence[Written]) -> Written:
    """The rows of several records, in order."""
    return Written(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Written)
        }
    )


_COLUMNS = {
    "id": ("ids", pa.string()),
    "split": ("splits", pa.string()),
    "category": ("categories", pa.string()),
    "asked": ("asked", pa.string()),
    "written": ("written", pa.string()),
    "references": ("references", pa.list_(pa.string())),
    "log_prob": ("log_probs", pa.float64()),
    "tokens": ("tokens", pa.int64()),
    "bytes": ("bytes", pa.int64()),
    "cluster": ("clusters", pa.int64()),
}
"""Column of the file to (field, type)."""


def write_written(path: Path, record: Written) -> None:
    columns = {}
    for name, (field, kind) in _COLUMNS.items():
        cells = getattr(record, field)
        plain = [list(cell) for cell in cells] if field == "references" else cells
        columns[name] = pa.array(plain, kind, from_pandas=True)
    table = pa.table(columns).replace_schema_metadata({"equipoise.schema": str(SCHEMA)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_written(path: Path) -> Written:
    """Raises FolderError if the file is missing, broken, or not such a record."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise FolderError(
            f"{path}: missing; copy the whole folder, or make the run again"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise FolderError(f"{path}: not a parquet file ({error}); make it again") from None
    schema = (table.schema.metadata or {}).get(b"equipoise.schema", b"").decode()
    if schema != str(SCHEMA) or set(_COLUMNS) - set(table.column_names):
        raise FolderError(
            f"{path}: written texts of schema {schema or None!r}, this version reads {SCHEMA}; "
            "make them again"
        )
    found: dict[str, Any] = {}
    for name, (field, kind) in _COLUMNS.items():
        if kind in (pa.float64(), pa.int64()):
            found[field] = table[name].to_numpy()
        else:
            cells = table[name].to_pylist()
            found[field] = text_column([tuple(c) if isinstance(c, list) else c for c in cells])
    return Written(**found)
