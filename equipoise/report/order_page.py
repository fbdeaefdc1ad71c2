"""What the order of the data did to a run, as a page and as lines of text."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from equipoise.records.files import write_text
from equipoise.records.order import OrderRecord, Slope, read_order
from equipoise.report.audit_tables import Line, Table
from equipoise.report.charts import Axis, Series, axis_for, difference, line_chart
from equipoise.report.page import fill
from equipoise.report.words import (
    NONE,
    count,
    digits_for,
    gap,
    interval,
    number,
    percent,
    seconds,
    signed,
)

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


@dataclass(frozen=True)
class ClassLine:
    """One class or category; slopes are a value, and its interval or why there is none."""

    name: str
    drawing: Markup | str
    rows: str
    steps: str
    held: tuple[str, str]
    plain: tuple[str, str]
    loss: str
    base_loss: str


def write_order_report(folder: Path) -> Path:
    """Raises FolderError if the folder holds no such record, or a broken one."""
    write_text(folder / PAGE, render_order(read_order(folder)))
    return folder / PAGE


def render_order(order: OrderRecord) -> str:
    found = order.overall
    return fill(
        "order.html",
        order=order,
        headline=_says(found.held, order.unit),
        kind="category" if order.writes else "class",
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
        f"first epoch; final loss {_loss(found.loss)} {order.unit}, {_loss(found.base_loss)} "
        f"before training ({order.base})",
        "",
        _says(found.held, order.unit),
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


def _says(found: Slope, unit: str) -> str:
    """The record's own sentence, in decimals alone: beside each other, powers of ten mislead."""
    value, bounds = gap(found.value, found.low, found.high)
    if bounds == NONE:
        return f"Nothing can be said: {found.why}."
    span = f"{value} {unit} ({bounds}) over the epoch"
    if not _sure(found):
        return f"No trace of the order is shown: {span} holds 0."
    which = "lower" if (found.value or 0) < 0 else "higher"
    return f"Rows fed later end {which}: {span}, with the loss under the base held equal."


def _slope(found: Slope) -> str:
    value, bounds = gap(found.value, found.low, found.high)
    if found.value is None:
        return f"none: {found.why}"
    return f"{value}, no interval: {found.why}" if bounds == NONE else f"{value} ({bounds})"


def _loss(value: float, *beside: float) -> str:
    """Of one number of decimals with what stands beside it."""
    return number(value, digits=digits_for((value, *beside), figures=3))


def _figures(order: OrderRecord) -> list[tuple[str, str, str]]:
    found = order.overall
    return [
        ("Slope, base held equal", *_pair(found.held)),
        ("Slope as it is", *_pair(found.plain)),
        ("Final loss", _loss(found.loss), f"{order.unit}; {_loss(found.base_loss)} before"),
        ("Rows", f"{found.rows:,}", f"in {count(order.steps, 'step')} of the first epoch"),
    ]


def _pair(found: Slope) -> tuple[str, str]:
    """Value, and its interval or why there is none."""
    value, bounds = gap(found.value, found.low, found.high)
    return value, (found.why or NONE) if bounds == NONE else bounds


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
    losses = [t.loss for t in order.tenths]
    apart = [end for t in order.tenths for end in (t.excess, t.low, t.high)]
    digits = digits_for(apart)
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
                    _loss(t.loss, *losses),
                    signed(t.excess, digits=digits),
                    interval(t.low, t.high, sign=True, digits=digits),
                ),
            )
            for t in order.tenths
        ),
    )


def _classes(order: OrderRecord) -> tuple[ClassLine, ...]:
    """None of a single class, of which the whole has been told."""
    if len(order.classes) < 2:
        return ()
    ends = [abs(v) for c in order.classes for v in (c.held.value, c.held.low, c.held.high) if v]
    span = max(ends, default=1.0)
    finals, before = [c.loss for c in order.classes], [c.base_loss for c in order.classes]
    return tuple(
        ClassLine(
            c.name,
            ""
            if c.held.value is None
            else difference(c.held.value, c.held.low, c.held.high, span=span),
            f"{c.rows:,}",
            f"{c.steps:,}",
            _pair(c.held),
            _pair(c.plain),
            _loss(c.loss, *finals),
            _loss(c.base_loss, *before),
        )
        for c in order.classes
    )
