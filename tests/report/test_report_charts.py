"""Charts draw what the numbers say."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from equipoise.report.charts import (
    Axis,
    Series,
    axis_for,
    bar,
    columns,
    difference,
    heat_steps,
    line_chart,
    nice_ticks,
    parts,
    thinned,
)


def widths(svg: Markup, css: str) -> list[float]:
    return [float(w) for w in re.findall(rf'<rect class="fill {css}"[^>]*? width="([\d.]+)%"', svg)]


def test_a_bar_is_as_long_as_its_value():
    assert widths(bar(0.25), "run") == [25]
    assert widths(bar(3, top=12, css="plain"), "plain") == [25]
    assert widths(bar(1.7), "run") == [100]
    assert "fill" not in bar(None)


def test_what_is_below_0_is_drawn_to_the_left_of_a_line():
    (bar_below,) = re.findall(r'<rect class="fill run" x="([\d.]+)%"', bar(-1, top=3, bottom=-1))
    assert (float(bar_below), widths(bar(-1, top=3, bottom=-1), "run")) == (0, [25])
    assert 'class="zero" x1="25%"' in bar(-1, top=3, bottom=-1)
    assert 'class="zero"' not in bar(1, top=3)
    both = parts([-2, 2], 2, ("a", "b"), bottom=-2)
    assert widths(both, "a") + widths(both, "b") == [50, 50]


def test_long_tick_labels_are_shortened():
    assert Axis("", 0, 3e6).tick_label(1e6) == "1 M"
    assert Axis("", 0, 1.2e6).tick_label(5e5) == "0.5 M"
    assert Axis("", 0, 40_000).tick_label(30_000) == "30 k"
    assert Axis("", 0, 9_000).tick_label(8_000) == "8,000"


def test_a_whisker_spans_the_interval():
    spans = re.findall(r'<line class="whisker" x1="([\d.]+)%" x2="([\d.]+)%"', bar(0.5, 0.4, 0.7))
    assert spans == [("40", "70"), ("40", "40"), ("70", "70")]
    assert "whisker" not in bar(0.5)


def test_counts_on_a_linear_and_on_a_log_scale():
    linear = parts([100, 10], 100, ("a", "b"))
    assert widths(linear, "a") + widths(linear, "b") == [100, 10]
    log = parts([99, 9, 0], 99, ("a", "b", "c"), log=True)
    assert widths(log, "a") + widths(log, "b") + widths(log, "c") == [100, 50, 0]


def test_a_difference_that_holds_0_is_drawn_as_noise():
    assert 'class="dot noise"' in difference(0.1, -0.1, 0.3, span=0.5)
    assert 'class="dot noise"' in difference(0.1, None, None, span=0.5)
    assert 'class="dot sure" cx="60%"' in difference(0.1, 0.05, 0.2, span=0.5)


def test_a_line_chart_puts_points_where_they_belong():
    chart = line_chart(
        [Series("loss", ((0, 0), (5, 5), (10, 10)), "run", dots=True, bounds=(None, (4, 6)))],
        Axis("x", 0, 10),
        Axis("y", 0, 10),
        title="<T>",
        description='a "d"',
        mark_x=5,
    )
    assert 'points="0,100 50,50 100,0"' in chart
    assert '<circle class="dot run" cx="50%" cy="50%"' in chart
    assert '<line class="whisker" x1="50%" x2="50%" y1="60%" y2="40%"/>' in chart
    assert '<line class="kept" x1="50%"' in chart
    assert 'aria-label="&lt;T&gt;. a &#34;d&#34;"' in chart


def test_columns_leave_out_what_is_empty():
    chart = columns([100, 1, 0], label="rows", title="t", description="d")
    assert chart.count("<rect") == 2
    assert chart.count('class="tick"') == 3  # 1, 10, 100


def test_heat_shows_the_smallest_mistake():
    assert heat_steps([[0, 0.001], [0.5, 1.0]], top=1.0) == [[0, 1], [4, 8]]
    assert heat_steps([[0, 0]]) == [[0, 0]]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low, width):
    ticks = nice_ticks(low, low + width)
    assert 1 <= len(ticks) <= 12
    slack = 1e-6 * max(abs(low), width)
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)
    assert list(ticks) == sorted(ticks)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_an_axis_holds_its_values(values):
    axis = axis_for("y", values)
    assert axis.low < axis.high
    assert all(0 <= axis.place(value) <= 100 for value in values)
    assert all(axis.tick_label(tick) for tick in axis.ticks())


@given(st.integers(1, 3000), st.integers(1, 300))
def test_thinning_keeps_the_mean(n, most):
    points = [(float(k), math.sin(k)) for k in range(n)]
    kept = thinned(points, most)
    assert len(kept) <= most
    if n % math.ceil(n / most) == 0:
        assert sum(y for _, y in kept) / len(kept) == pytest.approx(
            sum(y for _, y in points) / n, abs=1e-9
        )
