"""Parquet files and data sets of the Hugging Face hub: Arrow tables to columns of cells."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from equipoise.data.hub import from_cache_unless, reachable
from equipoise.data.raw import RawPart
from equipoise.errors import DataError


def read_parquet(path: Path) -> RawPart:
    """Raises DataError if the file is missing or not a whole Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except OSError as error:  # pa.ArrowIOError is OSError
        reason = error.strerror or str(error).splitlines()[0]
        raise DataError(f"{path}: can't be read ({reason}); check the path") from None
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: not a whole Parquet file ({reason}); copy or write it again"
        ) from None
    return from_arrow(table, str(path), _stored_class_names(table.schema.metadata))


def read_hub(name: str) -> dict[str, RawPart]:
    """Every split of `hf:owner/name[:config]`, by the hub's split names.

    The `datasets` library finds the files, through its cache when there is no network (`hub.py`).
    Raises DataError if the name is malformed or the data set can't be had.
    """
    owner_name, _, config = name.removeprefix("hf:").partition(":")
    if not owner_name.strip("/") or owner_name.count("/") > 1 or any(c.isspace() for c in name):
        raise DataError(
            f"{name}: not a name on the hub; write hf:owner/name or hf:owner/name:config"
        )
    import datasets

    online = reachable()
    try:
        with from_cache_unless(online):
            loaded = datasets.load_dataset(owner_name, config or None)
    except Exception as error:
        # The hub client raises dozens of kinds, many of them plain; all mean: not to be had.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        what = "could not be loaded from the hub"
        if not online:
            what = "the hub is out of reach, and its cache does not hold the rows"
        raise DataError(
            f"{name}: {what} ({type(error).__name__}: {reason}); check the name, the "
            "configuration and the network (or HF_HUB_OFFLINE), or give a file or folder"
        ) from None
    parts = {}
    for split, rows in loaded.items():
        classes = {
            column: tuple(inner.names)
            for column, feature in rows.features.items()
            # Several labels a row are a Sequence (later: List) of ClassLabel.
            if isinstance(inner := getattr(feature, "feature", feature), datasets.ClassLabel)
        }
        parts[str(split)] = from_arrow(rows.with_format("arrow")[:], f"{name} ({split})", classes)
    return parts


def from_arrow(table: Any, where: str, class_names: dict[str, tuple[str, ...]]) -> RawPart:
    """Raises DataError if the table has no rows, names a column twice, or holds cells that Python
    has no value for."""
    import pyarrow as pa

    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            *(f"{where}: names the column {n!r} twice; give each its own name" for n in twice)
        )
    if table.num_rows == 0:
        raise DataError(f"{where}: holds no rows; add rows")
    cells: dict[str, list[Any]] = {}
    faults = []
    for name, column in zip(names, table.columns, strict=True):
        try:
            own = column.to_pylist()
            cells[name] = list(map(_number, own)) if pa.types.is_decimal(column.type) else own
        except (ValueError, OverflowError) as error:
            faults.append(
                f"{where}: the column {name!r} can't be read ({str(error)[:200]}); write texts as "
                "UTF-8, and dates of the years 1 to 9999"
            )
    if faults:
        raise DataError(*faults)
    return RawPart(where, cells, table.num_rows, class_names=class_names)


def _number(cell: Decimal | None) -> int | float | None:
    """A DECIMAL, as databases write ids and amounts, as the number it is.

    >>> _number(Decimal("7.00")), _number(Decimal("7.50")), _number(None)
    (7, 7.5, None)
    """
    if cell is None:
        return None
    return int(cell) if cell == int(cell) else float(cell)


def _stored_class_names(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Class names that the `datasets` library wrote into a Parquet file, per column."""
    stored = (metadata or {}).get(b"huggingface")
    if not stored:
        return {}
    try:
        features = json.loads(stored)["info"]["features"]
        return {
            column: tuple(map(str, inner["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict)
            and isinstance(inner := feature.get("feature", feature), dict)
            and inner.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # somebody else's note under the same key; the numbers then stay numbers
