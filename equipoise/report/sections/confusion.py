"""What is taken for what: in rows, and in cost where the user said what mistakes cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equipoise.evaluate.confusion import Confusion, Pair, confusion, most_confused
from equipoise.records.predictions import DEFER
from equipoise.report.charts import heat_steps
from equipoise.report.read import RunFolder, stated_table
from equipoise.report.words import NONE, count, number, percent

MATRIX_UP_TO = 20
"""Classes up to which the whole matrix is shown; beyond, nobody reads it."""
PAIRS = 20
"""Pairs of classes listed where there is no matrix; half as many below one."""
LEVEL_NAME = 3
"""Characters up to which column names stay level."""
LEFT = "left to a person"


@dataclass(frozen=True)
class HeatCell:
    text: str
    css: str
    """"r" for right or "w" for wrong and a shade 1 to 8; "none" for nothing."""


@dataclass(frozen=True)
class Matrix:
    caption: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    """True class and its cells."""
    turned: bool
    """Column names are too long to stay level."""
    corner: str = "True class"
    """What the lines are."""


@dataclass(frozen=True)
class PairLine:
    true: str
    decided: str
    rows: int
    share: str
    cost: str


@dataclass(frozen=True)
class ConfusionSection:
    matrix: Matrix | None
    cost_matrix: Matrix | None
    pairs: tuple[PairLine, ...]
    pairs_in_all: int
    unit: str | None
    notes: tuple[str, ...]


def confusion_section(run: RunFolder) -> ConfusionSection:
    if not len(run.predictions):
        return ConfusionSection(None, None, (), 0, None, ())
    stated = stated_table(run)
    table = confusion(run.predictions, costs=stated)
    shown = len(table.classes) <= MATRIX_UP_TO
    unit = None if stated is None else (run.costs.unit if run.costs else "cost")
    pairs = most_confused(table, limit=10**6, by="rows" if stated is None else "cost")
    mistakes = [p for p in pairs if not _is_left(run, p)]
    known = run.predictions.classes
    return ConfusionSection(
        matrix=_rows_matrix(table, known) if shown else None,
        cost_matrix=_cost_matrix(table, known, unit) if shown and unit is not None else None,
        pairs=tuple(map(_line, mistakes[: PAIRS // 2 if shown else PAIRS])),
        pairs_in_all=len(mistakes),
        unit=unit,
        notes=_notes(table, known, costs=stated is not None),
    )


def _is_left(run: RunFolder, pair: Pair) -> bool:
    return pair.decided == DEFER and DEFER not in run.predictions.classes


def _line(pair: Pair) -> PairLine:
    cost = NONE if pair.cost is None else number(pair.cost, "expected_cost")
    return PairLine(pair.label, pair.decided, pair.rows, percent(pair.share), cost)


def _notes(table: Confusion, known: tuple[str, ...], *, costs: bool) -> tuple[str, ...]:
    notes = []
    if costs and np.isnan(table.cost).any():
        rows = int(table.rows[np.isnan(table.cost)].sum())
        notes.append(
            f"No cost was stated for handing a row to a person, so {count(rows, 'such row')} "
            "can’t be priced."
        )
    if costs and set(table.classes) - set(known):
        notes.append(
            "A class that training never saw has no costs of its own: each of its rows is priced "
            "as the dearest mistake that ends in the same decision."
        )
    if len(table.classes) > MATRIX_UP_TO:
        notes.append(
            f"A matrix of {len(table.classes)} classes can’t be read; these are its largest cells "
            "off the diagonal."
        )
    return tuple(notes)


def _rows_matrix(table: Confusion, known: tuple[str, ...]) -> Matrix:
    totals = np.maximum(table.rows.sum(axis=1, keepdims=True), 1)
    return _matrix(
        "Rows of each true class (lines) by what they were decided as (columns)",
        table,
        known,
        [[f"{n:,}" for n in line] for line in table.rows.tolist()],
        heat_steps((table.rows / totals).tolist(), top=1.0),
    )


def _cost_matrix(table: Confusion, known: tuple[str, ...], unit: str) -> Matrix:
    # A right decision that pays is a cost below 0: it is printed, and has no shade.
    steps = heat_steps(np.maximum(np.nan_to_num(table.cost), 0).tolist())
    texts = [
        [NONE if np.isnan(v) else number(v, "expected_cost") if v else "0" for v in line]
        for line in table.cost.tolist()
    ]
    caption = f"Cost in {unit} of each true class (lines) by what its rows were decided as"
    return _matrix(caption, table, known, texts, steps)


def _matrix(
    caption: str,
    table: Confusion,
    known: tuple[str, ...],
    texts: list[list[str]],
    steps: list[list[int]],
) -> Matrix:
    """A class that the model can't decide has a line and no column."""
    size = len(table.classes)
    at = [d for d, name in enumerate(table.decisions) if d == size or name in set(known)]
    lines = tuple(
        (
            name,
            tuple(
                HeatCell(
                    texts[k][d],
                    f"{'r' if k == d else 'w'}{steps[k][d]}" if steps[k][d] else "none",
                )
                for d in at
            ),
        )
        for k, name in enumerate(table.classes)
    )
    names = tuple(LEFT if d == size else table.decisions[d] for d in at)
    return Matrix(caption, names, lines, turned=max(map(len, names), default=0) > LEVEL_NAME)
