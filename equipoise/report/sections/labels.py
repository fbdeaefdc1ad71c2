"""Where a row may have several labels: which are missed, which are set wrongly, and which come
together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equipoise.evaluate.several.mistakes import LabelTables, label_tables
from equipoise.remedies.decisions.several import label_thresholds
from equipoise.report.charts import heat_steps
from equipoise.report.read import RunFolder
from equipoise.report.sections.choose import MOST_KINDS
from equipoise.report.sections.confusion import LEVEL_NAME, MATRIX_UP_TO, PAIRS, HeatCell, Matrix
from equipoise.report.words import NONE, count, number, percent


@dataclass(frozen=True)
class LabelLine:
    name: str
    rows: int
    right: int
    missed: int
    wrongly_set: int
    threshold: str
    """Probability from which on the label is decided."""


@dataclass(frozen=True)
class TradeLine:
    missed: str
    wrongly_set: str
    rows: int
    share: str
    """Of the rows on which the first is missed."""


@dataclass(frozen=True)
class LabelsSection:
    lines: tuple[LabelLine, ...]
    """Most mistakes first."""
    left_out: int
    """Those with the fewest, where there are too many for a page."""
    together: Matrix | None
    trades: tuple[TradeLine, ...]
    trades_in_all: int
    notes: tuple[str, ...]


def labels_section(run: RunFolder) -> LabelsSection | None:
    """None where a row has one label: then `confusion.py` says it."""
    if run.decision.kind != "labels":
        return None
    if not len(run.predictions):
        return LabelsSection((), 0, None, (), 0, ())
    table = label_tables(run.predictions)
    places = label_thresholds(run.decision)
    stated = dict(zip(run.decision.classes, places.tolist(), strict=True))
    wrong = table.missed + table.wrongly_set
    order = sorted(range(len(wrong)), key=lambda k: (-wrong[k], table.classes[k]))
    return LabelsSection(
        lines=tuple(
            LabelLine(
                name=(name := table.classes[k]),
                rows=int(table.right[k] + table.missed[k]),
                right=int(table.right[k]),
                missed=int(table.missed[k]),
                wrongly_set=int(table.wrongly_set[k]),
                threshold=number(stated[name]) if name in stated else NONE,
            )
            for k in order[:MOST_KINDS]
        ),
        left_out=max(0, len(order) - MOST_KINDS),
        together=_together(table) if len(table.classes) <= MATRIX_UP_TO else None,
        trades=_trades(table),
        trades_in_all=int(np.count_nonzero(table.traded)),
        notes=_notes(table),
    )


def _together(table: LabelTables) -> Matrix:
    own = np.maximum(np.diag(table.together), 1)
    apart = table.together * (1 - np.eye(len(own), dtype=np.int64))
    steps = heat_steps((apart / own[:, None]).tolist(), top=1.0)
    lines = tuple(
        (
            name,
            tuple(
                HeatCell(
                    f"{n:,}",
                    "none" if d == k or not steps[k][d] else f"r{steps[k][d]}",
                )
                for d, n in enumerate(table.together[k].tolist())
            ),
        )
        for k, name in enumerate(table.classes)
    )
    caption = (
        "Rows that have the label of the line and that of the column; on the diagonal, all rows "
        "that have it"
    )
    turned = max(map(len, table.classes), default=0) > LEVEL_NAME
    return Matrix(caption, table.classes, lines, turned=turned, corner="Label")


def _trades(table: LabelTables) -> tuple[TradeLine, ...]:
    found = [
        (int(table.traded[a, b]), table.classes[a], table.classes[b], int(table.missed[a]))
        for a, b in zip(*np.nonzero(table.traded), strict=True)
    ]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return tuple(
        TradeLine(missed, set_, rows, percent(rows / of))
        for rows, missed, set_, of in found[: PAIRS // 2]
    )


def _notes(table: LabelTables) -> tuple[str, ...]:
    notes = [
        f"{count(table.bare, 'row has', 'rows have')} no label; a label set there is set wrongly."
        if table.bare
        else ""
    ]
    if len(table.classes) > MATRIX_UP_TO:
        notes.append(
            f"A table of {len(table.classes)} by {len(table.classes)} labels can’t be read, so "
            "which of them come together is left out here."
        )
    return tuple(note for note in notes if note)
