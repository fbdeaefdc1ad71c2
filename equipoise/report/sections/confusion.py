"""What is taken for what: in rows, and in cost where the user said what mistakes cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.report.charts import heat_steps
from equipoise.report.read import RunFolder
from equipoise.report.words import count, number, percent

MATRIX_UP_TO = 20
"""Classes up to which the whole matrix is shown; beyond, nobody reads it."""
PAIRS = 20
"""Pairs of classes listed where there is no matrix; half as many below one."""
SHORT_NAME = 3
"""Characters up to which column names stay level."""


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


@dataclass(frozen=True)
class Pair:
    true: str
    decided: str
    rows: int
    share: str
    cost: str


@dataclass(frozen=True)
class ConfusionSection:
    matrix: Matrix | None
    cost_matrix: Matrix | None
    pairs: tuple[Pair, ...]
    unit: str | None
    notes: tuple[str, ...]


def confusion_section(run: RunFolder) -> ConfusionSection:
    if not len(run.predictions):
        return ConfusionSection(None, None, (), None, ())
    stated = stated_costs(run)
    out = outcomes(run.predictions, stated)
    size = len(out.classes)
    rows = np.zeros((size, size + 1), dtype=np.int64)
    np.add.at(rows, (out.labels, out.decided), 1)
    cost = None if stated is None else rows.astype(np.float64) * np.nan_to_num(out.costs)
    decisions = _decisions(out.classes, out.known, rows)
    shown = size <= MATRIX_UP_TO
    unit = None if stated is None else (run.costs.unit if run.costs else "cost")
    matrix = cost_matrix = None
    if shown:
        matrix = _rows_matrix(out.classes, decisions, rows)
    if shown and cost is not None:
        priced = [(d, name) for d, name in decisions if not np.isnan(out.costs[:, d]).any()]
        cost_matrix = _cost_matrix(out.classes, priced, cost, unit or "")
    return ConfusionSection(
        matrix,
        cost_matrix,
        _pairs(out.classes, rows, cost)[: PAIRS // 2 if shown else PAIRS],
        unit,
        _notes(out, rows, stated is not None),
    )


def _notes(out: Outcomes, rows: NDArray[np.int64], costs: bool) -> tuple[str, ...]:
    notes = []
    left = int(rows[:, -1].sum())
    if costs and left and np.isnan(out.costs[:, -1]).any():
        notes.append(
            f"No cost was stated for handing a row to a person, so {count(left, 'such row')} "
            "can’t be priced."
        )
    if costs and not out.known.all():
        notes.append(
            "A class that training never saw has no costs of its own: each of its rows is priced "
            "as the dearest mistake that ends in the same decision."
        )
    if len(out.classes) > MATRIX_UP_TO:
        notes.append(
            f"A matrix of {len(out.classes)} classes can’t be read; these are its largest cells "
            "off the diagonal."
        )
    return tuple(notes)


def stated_costs(run: RunFolder) -> NDArray[np.float64] | None:
    """(K, K) costs of the user, true by decided; None when nothing was said."""
    if run.decision.costs is not None:
        return run.decision.costs
    return None if run.costs is None else run.costs.matrix(run.predictions.classes)


def _decisions(
    classes: tuple[str, ...], known: NDArray[np.bool_], rows: NDArray[np.int64]
) -> list[tuple[int, str]]:
    """Column and name of every decision: a class that can't be decided has no column, and
    "left to a person" has one only if that happened."""
    found = [(k, name) for k, name in enumerate(classes) if known[k]]
    return [*found, (len(classes), "left to a person")] if rows[:, -1].any() else found


def _rows_matrix(
    classes: tuple[str, ...], decisions: list[tuple[int, str]], rows: NDArray[np.int64]
) -> Matrix:
    totals = np.maximum(rows.sum(axis=1, keepdims=True), 1)
    steps = heat_steps((rows / totals).tolist(), top=1.0)
    return _matrix(
        "Rows of each true class (lines) by what they were decided as (columns)",
        classes,
        decisions,
        [[f"{int(n):,}" for n in line] for line in rows],
        steps,
    )


def _cost_matrix(
    classes: tuple[str, ...],
    decisions: list[tuple[int, str]],
    cost: NDArray[np.float64],
    unit: str,
) -> Matrix:
    steps = heat_steps(np.maximum(cost, 0).tolist())
    texts = [[number(float(v), "expected_cost") if v else "0" for v in line] for line in cost]
    caption = f"Cost in {unit} of each true class (lines) by what its rows were decided as"
    return _matrix(caption, classes, decisions, texts, steps)


def _matrix(
    caption: str,
    classes: tuple[str, ...],
    decisions: list[tuple[int, str]],
    texts: list[list[str]],
    steps: list[list[int]],
) -> Matrix:
    lines = tuple(
        (
            name,
            tuple(
                HeatCell(
                    texts[k][d],
                    f"{'r' if k == d else 'w'}{steps[k][d]}" if steps[k][d] else "none",
                )
                for d, _ in decisions
            ),
        )
        for k, name in enumerate(classes)
    )
    names = tuple(name for _, name in decisions)
    return Matrix(caption, names, lines, turned=max(map(len, names), default=0) > SHORT_NAME)


def _pairs(
    classes: tuple[str, ...], rows: NDArray[np.int64], cost: NDArray[np.float64] | None
) -> tuple[Pair, ...]:
    """The most frequent mistakes, or the dearest; ties by the order of the classes."""
    mistakes = rows[:, :-1].copy()
    np.fill_diagonal(mistakes, 0)
    weight = mistakes if cost is None else np.where(mistakes > 0, cost[:, :-1], -np.inf)
    order = np.argsort(-weight.astype(float), axis=None, kind="stable")[:PAIRS]
    found = []
    for true, decided in zip(*np.unravel_index(order, mistakes.shape), strict=True):
        n = int(mistakes[true, decided])
        if n:
            price = "" if cost is None else number(float(cost[true, decided]), "expected_cost")
            share = percent(n / int(rows[true].sum()))
            found.append(Pair(classes[true], classes[decided], n, share, price))
    return tuple(found)
