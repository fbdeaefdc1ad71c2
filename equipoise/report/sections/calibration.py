"""Whether probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass

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


def calibration_section(run: RunFolder) -> CalibrationSection:
    """The curve of each row's most probable class."""
    if not len(run.predictions):
        return CalibrationSection(None, (), "")
    several = run.predictions.several
    curves = label_reliability if several else reliability
    bins = curves(run.predictions)[0].bins
    says = _says(bins, "pair of row and label" if several else "row")
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
        Axis("share that was right", 0.0, 1.0, digits=1),
        title="How often a label is there, by how sure the model is"
        if several
        else "How often the most probable class is right, by how sure the model is",
        description=f"{says} The table below gives the figures.",
        square=True,
    )
    return CalibrationSection(chart, tuple(map(_line, bins)), says, several)


def _line(b: Bin) -> BinLine:
    return BinLine(
        range=f"{b.low:.2f} to {b.high:.2f}",
        rows=b.rows,
        stated=number(b.stated),
        observed=number(b.observed),
        interval=interval(b.observed_low, b.observed_high),
    )


def _says(bins: tuple[Bin, ...], what: str) -> str:
    """Speaks only of bins whose interval leaves the diagonal; the rest may be chance."""
    many = "pairs of row and label" if what != "row" else "rows"
    rows = sum(b.rows for b in bins)
    over = sum(b.rows for b in bins if b.observed_high < b.stated)
    under = sum(b.rows for b in bins if b.observed_low > b.stated)
    if not over and not under:
        return (
            f"On these {count(rows, what, many)} no part of the curve is farther from the dashed "
            "line than chance explains."
        )
    parts = []
    if over:
        parts.append(f"surer than it should be for {percent(over / rows)}")
    if under:
        parts.append(f"less sure than it could be for {percent(under / rows)}")
    return f"Beyond what chance explains, the model is {' and '.join(parts)} of the {many}."
