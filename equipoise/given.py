"""What the estimator is given, as rows and settings: texts, labels, weights, groups and costs in
the many forms that scikit-learn's users hold them in. Faults are ValueErrors, as they expect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from equipoise.costs import Costs, read_costs
from equipoise.data.cells import whole
from equipoise.data.raw import listing
from equipoise.data.table import IN_MEMORY, WHOLE, Table, fingerprint
from equipoise.records.columns import Columns
from equipoise.records.rows import Rows, text_column


def text_values(X: Any, name: str) -> NDArray[np.object_]:
    """(n,) str objects. Raises ValueError if X is not one column of at least one text."""
    try:
        cells = np.asarray(X, dtype=object)
    except ValueError:
        raise ValueError("X should be one text per row; its rows differ in length") from None
    if cells.ndim == 2 and cells.shape[1] == 1:
        cells = cells[:, 0]
    if cells.ndim == 2:
        raise ValueError(
            f"X has {cells.shape[1]} features, but {name} is expecting 1 features as input: "
            "give the column of texts, as X['text']"
        )
    if cells.ndim != 1:
        raise ValueError(
            f"X should be one text per row (list, array, Series or a single column), not "
            f"{type(X).__name__} of {cells.ndim} dimensions; a lone text goes into a list"
        )
    if not len(cells):
        raise ValueError(f"X holds 0 sample(s), while {name} requires at least 1")
    wrong = [n for n, cell in enumerate(cells, start=1) if not isinstance(cell, str)]
    if wrong:
        raise ValueError(
            f"X should hold text; {listing(wrong)} hold{'s' if len(wrong) == 1 else ''} "
            f"{type(cells[wrong[0] - 1]).__name__} or the like"
        )
    return text_column([str(cell) for cell in cells])


def column_names(X: Any) -> list[str]:
    """[the column's name] of a data frame that has one, else []."""
    column = getattr(X, "columns", ())
    return [name for name in column if isinstance(name, str)]


def label_values(y: Any, rows: int, name: str) -> NDArray[Any]:
    """(n,) labels as scikit-learn knows them. Raises ValueError."""
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    shape: Any = getattr(y, "shape", ())
    if isinstance(y, list | tuple) and len(y) and isinstance(y[0], list | tuple | np.ndarray):
        shape = (len(y), len(y[0]))
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape}; {name} decides one label a "
            "row: rows with several labels are trained by `equipoise train` or equipoise.fit"
        )
    labels = column_or_1d(y, warn=True)
    if labels.dtype == object:
        missing = [n for n, cell in enumerate(labels, start=1) if _is_missing(cell)]
        if missing:
            raise ValueError(f"Input y contains NaN or None in {listing(missing)}")
        if not any(isinstance(cell, str) for cell in labels):
            labels = np.asarray(labels.tolist())  # numbers and truth values without wrapping
        elif not all(isinstance(cell, str) for cell in labels):
            raise ValueError("y holds text beside other labels; write them alike")
    if labels.dtype.kind in "fc":
        assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    _check_rows("y", len(labels), rows)
    return np.asarray(labels)


def weight_values(given: Any, rows: int) -> NDArray[np.float64] | None:
    if given is None:
        return None
    weights = np.asarray(given, dtype=np.float64)
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array")
    _check_rows("sample_weight", len(weights), rows)
    assert_all_finite(weights, input_name="sample_weight")
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number")
    return weights


def amount_values(given: Any, rows: int) -> NDArray[np.float64] | None:
    """(n,) each row's own number that costs are times of. Raises ValueError."""
    if given is None:
        return None
    amounts = np.asarray(given, dtype=np.float64)
    if amounts.ndim != 1:
        raise ValueError(f"amounts must be one number per row, not {amounts.ndim}D")
    _check_rows("amounts", len(amounts), rows)
    assert_all_finite(amounts, input_name="amounts")
    if (amounts < 0).any():
        raise ValueError(
            "Negative values in data passed to `amounts`; a benefit is a negative cost"
        )
    return amounts


def group_names(given: Any, rows: int) -> NDArray[np.object_] | None:
    """Names of groups; "" for rows without one."""
    if given is None:
        return None
    groups = column_or_1d(np.asarray(given, dtype=object))
    _check_rows("groups", len(groups), rows)
    return text_column(["" if _is_missing(group) else name_of(group) for group in groups])


def _check_rows(what: str, found: int, rows: int) -> None:
    if found != rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X holds {rows}, "
            f"{what} {found}"
        )


def _is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or cell != cell


def name_of(label: Any) -> str:
    """A label's name in the run's files: 7, 7.0, True and 'rare' as "7", "7", "True" and "rare"."""
    return str(whole(label.item() if isinstance(label, np.generic) else label))


def in_memory(
    texts: NDArray[np.object_],
    names: list[str],
    kept: NDArray[np.int64],
    groups: NDArray[np.object_] | None,
    weights: NDArray[np.float64] | None,
    amounts: NDArray[np.float64] | None = None,
) -> Table:
    """The rows at `kept`, with the names of their classes, as a table that was read; ids are row
    numbers in X, from 1."""
    rows = Rows(
        ids=text_column([str(row + 1) for row in kept]),
        texts=texts[kept],
        labels=text_column(names),
        groups=None if groups is None else groups[kept],
        weights=None if weights is None else weights[kept],
        amounts=None if amounts is None else amounts[kept],
    )
    columns: Columns = {"text": IN_MEMORY, "label": "y"}
    columns |= {} if groups is None else {"group": ("groups",)}
    columns |= {} if weights is None else {"weight": "sample_weight"}
    columns |= {} if amounts is None else {"cost": "amounts"}
    return Table(IN_MEMORY, {WHOLE: rows}, columns, fingerprint({WHOLE: rows}))


def cost_settings(given: Any, names: Mapping[Any, str]) -> Any:
    """Costs as a recipe keeps them, labels as their names."""
    if given is None:
        return None
    if isinstance(given, Costs):
        return given.to_json()
    if isinstance(given, str | Path):
        return read_costs(Path(given)).to_json()
    if isinstance(given, Mapping):
        levels = {"costs": 2, "missed": 1}
        return {key: _by_name(value, names, levels.get(key, 0)) for key, value in given.items()}
    matrix = np.asarray(given, dtype=np.float64)
    order = list(names.values())
    if matrix.shape != (len(order), len(order)):
        raise ValueError(
            f"costs have shape {matrix.shape}; expected ({len(order)}, {len(order)}), one row per "
            f"true and one column per decided class, in the order {', '.join(order)}; a person's "
            "cost is said in a dict, as {'costs': ..., 'defer': {'cost': 3}}"
        )
    return {
        "costs": {
            n: dict(zip(order, row, strict=True))
            for n, row in zip(order, matrix.tolist(), strict=True)
        }
    }


def _by_name(nested: Any, names: Mapping[Any, str], levels: int) -> Any:
    """Labels that are keys, so many levels deep, as their names."""
    if not levels or not isinstance(nested, Mapping):
        return nested
    return {
        names.get(key, str(key)): _by_name(value, names, levels - 1)
        for key, value in nested.items()
    }


def plain(value: Any) -> Any:
    """numpy's numbers, which a parameter grid is full of, as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
