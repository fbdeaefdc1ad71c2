"""Every class by itself, the rarest first, since a mean over classes hides them."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.records.scores import ClassScores, Estimate
from equipoise.report.charts import bar
from equipoise.report.read import RunFolder
from equipoise.report.sections.choose import rarest
from equipoise.report.verdict import Unjudged
from equipoise.report.words import NONE, interval, measure_name, number

DRAWN = ("recall", "f1")
"""Measures that get a bar; the others are figures only."""


@dataclass(frozen=True)
class Cell:
    value: str
    interval: str
    why: str | None
    bar: Markup


@dataclass(frozen=True)
class ClassRow:
    name: str
    band: str
    trained: str
    judged: int
    decided: int
    drawn: tuple[Cell, ...]
    others: tuple[Cell, ...]


@dataclass(frozen=True)
class ClassesSection:
    drawn: tuple[str, ...]
    others: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    """Fewest training rows first."""
    left_out: int
    """The most frequent classes, where there are too many for a page."""
    unjudged: tuple[Unjudged, ...]


def classes_section(run: RunFolder, unjudged: tuple[Unjudged, ...]) -> ClassesSection:
    found = run.scores.classes
    names, left_out = rarest({name: (s.trained or 0, s.rows) for name, s in found.items()})
    measures = list(dict.fromkeys(m for scores in found.values() for m in scores.measures))
    drawn = tuple(m for m in DRAWN if m in measures)
    others = tuple(m for m in measures if m not in drawn)
    whys = {u.name: u.why for u in unjudged}
    return ClassesSection(
        drawn=tuple(map(measure_name, drawn)),
        others=tuple(map(measure_name, others)),
        rows=tuple(_row(name, found[name], drawn, others, whys.get(name)) for name in names),
        left_out=left_out,
        unjudged=unjudged,
    )


def _row(
    name: str,
    scores: ClassScores,
    drawn: tuple[str, ...],
    others: tuple[str, ...],
    unjudged: str | None,
) -> ClassRow:
    return ClassRow(
        name=name,
        band=scores.band or ("not in training" if scores.trained == 0 else NONE),
        trained=NONE if scores.trained is None else f"{scores.trained:,}",
        judged=scores.rows,
        decided=scores.decided,
        drawn=tuple(_cell(scores.measures.get(m), unjudged) for m in drawn),
        others=tuple(_cell(scores.measures.get(m), unjudged) for m in others),
    )


def _cell(value: Estimate | None, unjudged: str | None) -> Cell:
    value = value or Estimate(None, why="not measured")
    css = "unsure" if unjudged else "run"
    return Cell(
        number(value.value),
        interval(value.low, value.high),
        value.why,
        bar(value.value, value.low, value.high, css=css),
    )
