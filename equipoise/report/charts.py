"""Charts as inline SVG: numbers in, markup out; nothing is read and nothing is kept.

Two kinds. *Marks* (`bar`, `parts`, `difference`) stand in a table cell beside the figure that they
draw, so they are hidden from screen readers: the table is their text. *Figures* (`line_chart`,
`columns`) stand alone, with a title and a description, and the page puts a table below them.

Every length across is a share of the width, in per cent, so that a chart fits a phone and a wide
screen with its letters at reading size; only heights are pixels. Colours are classes of the style
sheet, which is how charts follow the reader's light or dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from equipoise.report.words import clean

LOG_FROM = 50.0
"""Imbalance from which counts are drawn on a log scale: below it, the smallest bar still shows."""
MANY_CLASSES = 20
"""From here on a chart of all classes at a glance goes before their table."""


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: tuple[tuple[float, float], ...]
    """(x, y), x rising."""
    css: str
    """Class that colours it: "run", "plain", "reference"."""
    dots: bool = False
    """Draw a dot at each point: for few points that were measured."""
    bounds: tuple[tuple[float, float] | None, ...] = ()
    """Interval of each point's y, drawn as an upright line; empty when there are none."""


@dataclass(frozen=True)
class Axis:
    """What one direction of a chart shows, and its ends."""

    label: str
    low: float
    high: float
    digits: int | None = None
    """Decimals of the tick labels; None takes as many as the ticks need."""

    def place(self, value: float) -> float:
        """Share of the length in per cent, kept within the chart."""
        return 100 * min(max((value - self.low) / (self.high - self.low), 0), 1)

    def ticks(self, about: int = 5) -> tuple[float, ...]:
        return nice_ticks(self.low, self.high, about)

    def tick_label(self, value: float) -> str:
        reach = max(abs(self.low), abs(self.high))
        scale, prefix = next(((s, p) for least, s, p in _LONG if reach >= least), (1.0, ""))
        digits = self.digits
        if digits is None:
            steps = [b - a for a, b in zip(self.ticks(), self.ticks()[1:], strict=False)] or [1]
            digits = max(0, -math.floor(math.log10(min(steps) / scale) + 1e-9))
        return f"{value / scale:,.{digits}f}{prefix}".replace("-", "\N{MINUS SIGN}")


_LONG = ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k"))
"""From which value on tick labels are divided, by what, and the prefix that says so: beside a chart
there is room for five characters."""


def nice_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round values (1, 2 or 5 times a power of ten apart) within [low, high].

    >>> nice_ticks(0, 1), nice_ticks(0, 12, 4)
    ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0, 5.0, 10.0))
    """
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(round(k * step, 12) for k in range(first, last + 1))


def axis_for(
    label: str,
    values: Sequence[float],
    *,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Axis:
    """An axis that holds all values with a little room; none lie outside [floor, ceiling].

    >>> axis_for("loss", [0.4, 1.9], floor=0.0)
    Axis(label='loss', low=0.25, high=2.05, digits=None)
    """
    low, high = min(values), max(values)
    # The least room keeps a loss that is almost nothing on an axis that is not.
    room = max(0.1 * (high - low) or 0.1 * abs(high) or 0.5, 1e-6)
    bottom = low - room if floor is None else max(floor, low - room)
    top = high + room if ceiling is None else max(min(ceiling, high + room), bottom + room)
    return Axis(label, round(bottom, 9), round(top, 9))


def bar(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    top: float = 1.0,
    bottom: float = 0.0,
    css: str = "run",
) -> Markup:
    """A bar from 0 to `value` on a scale from `bottom`, 0 or less, to `top`, with its interval as a
    whisker; empty for None."""
    place = Axis("", bottom, top).place
    marks = [Markup('<rect class="track" width="100%" height="10" y="4" rx="2"/>')]
    if value is not None:
        ends = sorted((place(0), place(value)))
        marks.append(
            Markup('<rect class="fill {}" x="{}%" width="{}%" height="10" y="4" rx="2"/>').format(
                css, _round(ends[0]), _round(ends[1] - ends[0])
            )
        )
    if low is not None and high is not None:
        marks.append(_whisker(place(low) / 100, place(high) / 100))
    return _mark([*marks, *_zero(bottom, place)])


def parts(
    values: Sequence[float],
    top: float,
    css: Sequence[str],
    *,
    bottom: float = 0.0,
    log: bool = False,
) -> Markup:
    """Bars from 0 one below the other, on one scale from `bottom`, 0 or less, to `top`.

    On the log scale a count n is drawn as log(1 + n) / log(1 + top), so that 0 has no length.
    """
    if log:
        values, top = [math.log1p(value) for value in values], math.log1p(top)
    height = 18 / len(values)
    place = Axis("", bottom, top).place
    marks = []
    for k, (value, name) in enumerate(zip(values, css, strict=True)):
        ends = sorted((place(0), place(value)))
        marks.append(
            Markup('<rect class="fill {}" x="{}%" width="{}%" height="{}" y="{}"/>').format(
                name,
                _round(ends[0]),
                _round(ends[1] - ends[0]),
                _round(height - 1),
                _round(k * height),
            )
        )
    return _mark([*marks, *_zero(bottom, place)])


def _zero(bottom: float, place: Callable[[float], float]) -> list[Markup]:
    """The line that bars start from, where it is not the edge."""
    if bottom >= 0:
        return []
    at = _round(place(0))
    return [Markup('<line class="zero" x1="{0}%" x2="{0}%" y1="0" y2="18"/>').format(at)]


def difference(value: float, low: float | None, high: float | None, *, span: float) -> Markup:
    """A dot and its interval on a scale from -span to span, with a line at 0."""
    place = Axis("", -span, span).place
    marks = [
        Markup('<line class="axis" x1="0" x2="100%" y1="9" y2="9"/>'),
        Markup('<line class="zero" x1="50%" x2="50%" y1="0" y2="18"/>'),
    ]
    if low is not None and high is not None:
        marks.append(_whisker(place(low) / 100, place(high) / 100))
    kind = "noise" if low is None or high is None or low <= 0 <= high else "sure"
    marks.append(
        Markup('<circle class="dot {}" cx="{}%" cy="9" r="5"/>').format(kind, _round(place(value)))
    )
    return _mark(marks)


def columns(values: Sequence[float], *, label: str, title: str, description: str) -> Markup:
    """One upright bar per value on a log scale from 0.5, which shows a long tail at a glance."""
    top = max([*values, 10.0])
    low, high = math.log10(0.5), math.log10(top * 1.15)
    axis = Axis(label, low, high)
    marks = [_rule_y(axis, float(power), f"{10**power:,}") for power in range(math.floor(high) + 1)]
    width = 100 / len(values)
    for k, value in enumerate(values):
        if value <= 0:
            continue
        share = axis.place(math.log10(value))
        marks.append(
            Markup('<rect class="fill train" x="{}%" width="{}%" y="{}%" height="{}%"/>').format(
                _round(k * width + width * 0.1),
                _round(width * 0.8),
                _round(100 - share),
                _round(share),
            )
        )
    marks.append(_axis_name_y(label))
    return _figure(marks, title, description, css="columns named")


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    title: str,
    description: str,
    mark_x: float | None = None,
    square: bool = False,
) -> Markup:
    """Lines over two linear axes; `mark_x` draws an upright line, such as the kept step."""
    marks: list[Markup] = [_rule_y(y, tick, y.tick_label(tick)) for tick in y.ticks()]
    marks += [
        Markup('<text class="tick" x="{}%" y="100%" dy="20" text-anchor="middle">{}</text>').format(
            _round(x.place(tick)), x.tick_label(tick)
        )
        for tick in x.ticks()
    ]
    marks += [
        Markup('<text class="name" x="100%" y="100%" dy="40" text-anchor="end">{}</text>').format(
            clean(x.label)
        ),
        _axis_name_y(y.label),
    ]
    if mark_x is not None:
        place = _round(x.place(mark_x))
        marks.append(
            Markup('<line class="kept" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(place)
        )
    for line in series:
        marks += _line(line, x, y)
    return _figure(
        marks,
        title,
        description,
        css=("square" if square else "wide") + (" named" if y.label else ""),
    )


def heat_steps(
    values: Sequence[Sequence[float]], top: float | None = None, steps: int = 8
) -> list[list[int]]:
    """Shade of every cell of a table, 0 (nothing) to `steps` (the most), by its share of `top`, or
    of the table's greatest value; anything above 0 gets at least shade 1, so that it can be seen.

    >>> heat_steps([[0, 1], [50, 100]])
    [[0, 1], [4, 8]]
    """
    if top is None:
        top = max((value for row in values for value in row), default=0)
    return [
        [max(1, round(steps * value / top)) if value > 0 else 0 for value in row] for row in values
    ]


def thinned(points: Sequence[tuple[float, float]], most: int = 200) -> list[tuple[float, float]]:
    """Means of neighbouring points, at most `most` of them: a long run's curve in few bytes.

    >>> thinned([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], most=2)
    [(0.5, 2.0), (2.5, 6.0)]
    """
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    pieces = [points[k : k + size] for k in range(0, len(points), size)]
    return [
        (sum(p[0] for p in piece) / len(piece), sum(p[1] for p in piece) / len(piece))
        for piece in pieces
    ]


def _line(line: Series, x: Axis, y: Axis) -> list[Markup]:
    spots = [(x.place(a), 100 - y.place(b)) for a, b in line.points]
    path = " ".join(f"{_round(a)},{_round(b)}" for a, b in spots)
    # The inner drawing is stretched to the outer one; the stroke keeps its width.
    marks = [
        Markup(
            '<svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">'
            '<polyline class="line {}" points="{}" vector-effect="non-scaling-stroke">'
            "<title>{}</title></polyline></svg>"
        ).format(line.css, path, clean(line.name))
    ]
    for (across, _), bounds in zip(spots, line.bounds, strict=False):
        if bounds is not None:
            marks.append(
                Markup('<line class="whisker" x1="{0}%" x2="{0}%" y1="{1}%" y2="{2}%"/>').format(
                    _round(across), *(_round(100 - y.place(end)) for end in bounds)
                )
            )
    if line.dots:
        marks += [
            Markup('<circle class="dot {}" cx="{}%" cy="{}%" r="4"/>').format(
                line.css, _round(a), _round(b)
            )
            for a, b in spots
        ]
    return marks


def _rule_y(axis: Axis, value: float, label: str) -> Markup:
    return Markup(
        '<line class="grid" x1="0" x2="100%" y1="{0}%" y2="{0}%"/>'
        '<text class="tick" x="0" dx="-8" y="{0}%" dy="4" text-anchor="end">{1}</text>'
    ).format(_round(100 - axis.place(value)), label)


def _axis_name_y(label: str) -> Markup:
    if not label:
        return Markup("")
    return Markup('<text class="name" x="0" dx="-8" y="0" dy="-14">{}</text>').format(clean(label))


def _whisker(low: float, high: float) -> Markup:
    return Markup(
        '<line class="whisker" x1="{0}" x2="{1}" y1="9" y2="9"/>'
        '<line class="whisker" x1="{0}" x2="{0}" y1="5" y2="13"/>'
        '<line class="whisker" x1="{1}" x2="{1}" y1="5" y2="13"/>'
    ).format(_share(low), _share(high))


def _mark(marks: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="mark" width="100%" height="18" aria-hidden="true" focusable="false">{}</svg>'
    ).format(Markup("").join(marks))


def _figure(marks: Sequence[Markup], title: str, description: str, css: str) -> Markup:
    return Markup('<svg class="chart {}" role="img" aria-label="{}">{}</svg>').format(
        css, escape(clean(f"{title}. {description}")), Markup("").join(marks)
    )


def _share(value: float) -> str:
    return f"{_round(100 * min(max(value, 0), 1))}%"


def _round(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
