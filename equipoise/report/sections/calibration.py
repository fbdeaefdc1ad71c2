"""Whether probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from equipoise.evaluate.calibration import Bin, reliability
from equipoise.evaluate.several.calibration import label_reliability
from equipoise.report.charts import Axis, Series, line_chart
from equipoise.report.read import RunFolder
from equipoise.report.words import count, interval, number, percent


@dataclass(frozen=True)
class BinLine:
    range: str
    rows: int
    stated: str
    observed: str
    interval: str


@dataclass(frozen=True)
class CalibrationSection:
    chart: Markup | None
    bins: tuple[BinLine, ...]
    says: str
    """What the curve shows, in a sentence."""
    several: bool = False
    """A row may have several labels: what is counted are pairs of a row and a label."""
    notes: tuple[str, ...] = ()
    """What to know before taking the curve at its word."""


def calibration_section(run: RunFolder) -> CalibrationSection:
    """The curve of each row's most probable class."""
    if not len(run.predictions):
        return CalibrationSection(None, (), "")
    several = run.predictions.several
    curves = label_reliability if several else reliability
    bins = curves(run.predictions)[0].bins
    says = _says(bins, several)
    chart = line_chart(
        [
            Series("calibrated", ((0.0, 0.0), (1.0, 1.0)), "reference"),
            Series(
                "this run",
                tuple((b.stated, b.observed) for b in bins),
                "run",
                dots=True,
                bounds=tuple((b.observed_low, b.observed_high) for b in bins),
            ),
        ],
        Axis("stated probability", 0.0, 1.0, digits=1),
        Axis("share that is there" if several else "share that was right", 0.0, 1.0, digits=1),
        title="How often a label is there, by how sure the model is"
        if several
        else "How often the most probable class is right, by how sure the model is",
        description=f"{says} The table below gives the figures.",
        square=True,
    )
    return CalibrationSection(chart, tuple(map(_line, bins)), says, several, _notes(run))


def _notes(run: RunFolder) -> tuple[str, ...]:
    notes = []
    p = run.predictions
    if not p.several:
        best = np.array(p.classes, dtype=object)[p.probabilities.argmax(axis=1)]
        moved = int(((best != p.decided) & np.isin(p.decided, p.classes)).sum())
        if moved:
            notes.append(
                f"{count(moved, 'row')} ({percent(moved / len(p))}) were decided otherwise than as "
                "their most probable class; the curve is of the most probable class."
            )
    if run.manifest.recipe.get("prior", "train") != "train":
        notes.append(
            "Probabilities are given for the class shares that were stated, and the judged rows "
            "have shares of their own: the curve may leave the line for that reason alone."
        )
    return tuple(notes)


def _line(b: Bin) -> BinLine:
    return BinLine(
        range=f"{b.low:.2f} to {b.high:.2f}",
        rows=b.rows,
        stated=number(b.stated),
        observed=number(b.observed),
        interval=interval(b.observed_low, b.observed_high),
    )


def _says(bins: tuple[Bin, ...], several: bool) -> str:
    """Speaks only of bins that leave the diagonal where all of them are looked at; the rest may be
    chance. A probability of a label may be far too small, so pairs have words of their own."""
    rows = sum(b.rows for b in bins)
    told = count(rows, "row")
    words = ("surer than it should be", "less sure than it could be", "rows")
    if several:
        told = count(rows, "pair of row and label", "pairs of row and label")
        words = ("stating more than is so", "stating less than is so", "pairs")
    over = sum(b.rows for b in bins if b.beyond_chance and b.observed < b.stated)
    under = sum(b.rows for b in bins if b.beyond_chance and b.observed > b.stated)
    if not over and not under:
        return (
            f"On these {told} no part of the curve is farther from the dashed line than chance "
            "explains, all its parts taken together."
        )
    told_off = zip(words, (over, under), strict=False)
    parts = [f"{word} for {percent(n / rows)}" for word, n in told_off if n]
    return f"Beyond what chance explains, the model is {' and '.join(parts)} of the {words[2]}."
