"""What the order of the data did to a run, as a page and as lines of text."""

from __future__ import annotations

import shlex
from pathlib import Path

from markupsafe import Markup

from equipoise.records.files import write_text
from equipoise.records.order import OrderRecord, OrderSlopes, Slope, read_order
from equipoise.report.audit_page import Line, Table
from equipoise.report.charts import Axis, Series, axis_for, difference, line_chart
from equipoise.report.page import fill
from equipoise.report.words import NONE, count, interval, percent, seconds, signed

PAGE = "order.html"
WHAT = (
    "A row's place is the step of the first epoch that held it, from 0 to 1; rows are put there by "
    "chance. The slope is how much higher the final loss of a row is that was fed in the last step "
    "than that of one fed in the first."
)
DO = (
    "Train again with another --seed and compare, or train for another epoch; averaging models "
    "trained in different orders evens it out (arXiv:2410.03743)."
)


def write_order_report(folder: Path) -> Path:
    """Raises FolderError if the folder holds no such record, or a broken one."""
    write_text(folder / PAGE, render_order(read_order(folder)))
    return folder / PAGE


def render_order(order: OrderRecord) -> str:
    found = order.overall
    return fill(
        "order.html",
        order=order,
        what=WHAT,
        do=DO if _sure(found.held) else None,
        tone="mixed" if _sure(found.held) else "good" if found.held.low is not None else "mixed",
        figures=_figures(order),
        chart=_chart(order),
        tenths=_tenths(order),
        classes=_classes(order),
        stages=[(name.capitalize(), seconds(value)) for name, value in order.seconds.items()],
        command=shlex.join(["equipoise", "audit", order.source, "--order", order.run]),
    )


def order_text(order: OrderRecord, page: Path) -> str:
    found = order.overall
    lines = [
        f"{order.run}: {count(found.rows, 'training row')} in {count(order.steps, 'step')} of the "
        f"first epoch; final loss {found.loss:.3g} {order.unit}, {found.base_loss:.3g} before "
        f"training ({order.base})",
        "",
        found.says,
        f"  slope as it is: {_slope(found.plain)}",
        f"  with the loss under the base held equal: {_slope(found.held)}",
    ]
    if _sure(found.held):
        lines.append(f"  {DO}")
    if len(order.classes) > 1:
        kind = "category" if order.writes else "class"
        lines += ["", f"By {kind}, the loss under the base held equal:"]
        lines += [f"  {c.name} ({count(c.rows, 'row')}): {_slope(c.held)}" for c in order.classes]
    lines += [f"left out: {count(n, 'row')} {why}" for why, n in order.left_out.items()]
    lines += [f"note: {note}" for note in order.notes]
    total = sum(order.seconds.values())
    return "\n".join([*lines, "", f"order: {page.parent} ({total:.0f} s)", f"report: {page}"])


def _sure(found: Slope) -> bool:
    return found.low is not None and found.high is not None and not found.low <= 0 <= found.high


def _slope(found: Slope) -> str:
    if found.value is None:
        return f"none: {found.why}"
    if found.low is None:
        return f"{signed(found.value)}, no interval: {found.why}"
    return f"{signed(found.value)} ({interval(found.low, found.high, sign=True)})"


def _figures(order: OrderRecord) -> list[tuple[str, str, str]]:
    found = order.overall
    return [
        ("Slope, base held equal", _value(found.held), _bounds(found.held)),
        ("Slope as it is", _value(found.plain), _bounds(found.plain)),
        ("Final loss", f"{found.loss:.3g}", f"{order.unit}; {found.base_loss:.3g} before"),
        ("Rows", f"{found.rows:,}", f"in {count(order.steps, 'step')} of the first epoch"),
    ]


def _value(found: Slope) -> str:
    return NONE if found.value is None else signed(found.value)


def _bounds(found: Slope) -> str:
    if found.low is None:
        return found.why or NONE
    return interval(found.low, found.high, sign=True)


def _chart(order: OrderRecord) -> Markup | None:
    if len(order.tenths) < 3:
        return None
    points = tuple(((t.since + t.until) / 2, t.excess) for t in order.tenths)
    bounds = tuple(
        None if t.low is None or t.high is None else (t.low, t.high) for t in order.tenths
    )
    ends = [b for pair in bounds if pair is not None for b in pair]
    return line_chart(
        [Series("excess", points, "run", dots=True, bounds=bounds)],
        Axis("place in the first epoch", 0.0, 1.0),
        axis_for(f"loss beyond expectation ({order.unit})", [*(y for _, y in points), *ends, 0.0]),
        title="Final loss by place in the first epoch",
        description="Mean final loss of the rows of each part of the first epoch, above what their "
        "class and their loss under the base would have it be. The table below gives the figures.",
    )


def _tenths(order: OrderRecord) -> Table:
    return Table(
        id="tenths",
        caption="Final loss of the rows of each part of the first epoch",
        name="Part",
        drawing=None,
        columns=("Rows", "Loss", "Beyond expectation", "95 % interval"),
        lines=tuple(
            Line(
                f"{percent(t.since)} to {percent(t.until)}",
                Markup(""),
                (
                    f"{t.rows:,}",
                    f"{t.loss:.3g}",
                    signed(t.excess),
                    NONE if t.low is None else interval(t.low, t.high, sign=True),
                ),
            )
            for t in order.tenths
        ),
    )


def _classes(order: OrderRecord) -> Table | None:
    if len(order.classes) < 2:
        return None
    ends = [abs(v) for c in order.classes for v in (c.held.value, c.held.low, c.held.high) if v]
    span = max(ends, default=1.0)
    return Table(
        id="classes",
        caption="Slope in each class or category, most rows first; the dot is the slope with the "
        "loss under the base held equal, its line the 95 % interval",
        name="Category" if order.writes else "Class",
        drawing="Slope",
        columns=("Rows", "Steps", "Base held equal", "As it is", "Final loss", "Before training"),
        lines=tuple(_class_line(c, span) for c in order.classes),
    )


def _class_line(c: OrderSlopes, span: float) -> Line:
    drawn = Markup("")
    if c.held.value is not None:
        drawn = difference(c.held.value, c.held.low, c.held.high, span=span)
    return Line(
        c.name,
        drawn,
        (
            f"{c.rows:,}",
            f"{c.steps:,}",
            _slope(c.held),
            _slope(c.plain),
            f"{c.loss:.3g}",
            f"{c.base_loss:.3g}",
        ),
    )
