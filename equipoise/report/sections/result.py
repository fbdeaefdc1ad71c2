"""The result: this run beside its baselines, with intervals of each and of the differences."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.records.run import Comparison
from equipoise.records.scores import Estimate, Scores
from equipoise.report.charts import bar, difference
from equipoise.report.read import AnyRun
from equipoise.report.sections.price import shared
from equipoise.report.verdict import Finding, finding, with_unit
from equipoise.report.words import (
    LOWER_IS_BETTER,
    MEASURES,
    NONE,
    count,
    gap,
    interval,
    listed,
    measure_name,
    number,
    seconds,
)

FINDINGS: dict[Finding, str] = {
    "better": "this run is better",
    "worse": "this run is worse",
    "noise": "can’t be told from noise",
    "unknown": "no interval",
}


@dataclass(frozen=True)
class Arm:
    """One model in the comparison."""

    title: str
    css: str
    value: str
    interval: str
    why: str | None
    """Why there is no interval."""
    bar: Markup
    seconds: str
    shared: str
    """What its seconds leave out, since the run had it already."""


@dataclass(frozen=True)
class Gap:
    """This run minus one baseline, paired row by row."""

    against: str
    measure: str
    value: str
    interval: str
    finding: str
    tone: Finding
    chart: Markup


@dataclass(frozen=True)
class MeasureLine:
    name: str
    lower_is_better: bool
    cells: tuple[tuple[str, str, str | None], ...]
    """Per arm: value, interval, why there is none."""


@dataclass(frozen=True)
class Band:
    name: str
    classes: str
    measures: tuple[tuple[str, str, str, str | None, Markup], ...]
    """Name, value, interval, why there is none, bar."""


@dataclass(frozen=True)
class ResultSection:
    measure: str
    arms: tuple[Arm, ...]
    gaps: tuple[Gap, ...]
    columns: tuple[str, ...]
    """What the cells of `lines` belong to: every arm, and this run on the validation rows."""
    lines: tuple[MeasureLine, ...]
    bands: tuple[Band, ...]
    missing: tuple[str, ...]


def result_section(
    run: AnyRun, measure: str, in_bands: tuple[str, ...] | None = None
) -> ResultSection:
    """in_bands: the measures of head, middle and tail that are shown; None: all."""
    arms = [("This run", "run", run.scores, _own_seconds(run), "")]
    arms += [
        (b.record.title, "plain", b.scores, seconds(b.record.seconds), shared(run, b.record.name))
        for b in run.baselines
    ]
    scale = _scale(measure, [arm[2] for arm in arms])
    judged = [(arm[0], arm[2]) for arm in arms]
    if run.scores_validation is not None and run.manifest.judged != "validation":
        judged.append(("This run, validation rows", run.scores_validation))
    return ResultSection(
        measure=with_unit(run, measure),
        arms=tuple(_arm(*arm, measure=measure, scale=scale) for arm in arms),
        gaps=_gaps(run),
        columns=tuple(title for title, _ in judged),
        lines=_lines(run, [scores for _, scores in judged]),
        bands=() if in_bands == () else _bands(run.scores, in_bands),
        missing=run.missing_baselines,
    )


def _own_seconds(run: AnyRun) -> str:
    """All stages of the run itself: the baselines are priced on their own lines."""
    own = [value for stage, value in run.manifest.seconds.items() if "baseline" not in stage]
    return seconds(sum(own))


def _scale(measure: str, scores: list[Scores]) -> tuple[float, float]:
    """Ends of the bars: 0 or the lowest end of all, and 1, or for a measure without an upper bound
    the highest end of all."""
    ends = [
        end
        for s in scores
        if (e := s.measures.get(measure))
        for end in (e.value, e.low, e.high)
        if end is not None
    ]
    bottom = min([0.0, *ends])
    top = max([1.0 if measure not in LOWER_IS_BETTER else 0.0, *ends])
    return bottom, top if top > bottom else bottom + 1.0


def _arm(
    title: str,
    css: str,
    scores: Scores,
    took: str,
    shares: str,
    *,
    measure: str,
    scale: tuple[float, float],
) -> Arm:
    value = scores.measures.get(measure) or Estimate(None, why="not measured")
    return Arm(
        title,
        css,
        number(value.value, measure),
        interval(value.low, value.high, measure),
        value.why,
        bar(value.value, value.low, value.high, bottom=scale[0], top=scale[1], css=css),
        took,
        shares,
    )


def _gaps(run: AnyRun) -> tuple[Gap, ...]:
    titles = {b.name: b.title for b in run.manifest.baselines}
    spans: dict[tuple[str, str], float] = {}

    def scale(c: Comparison) -> tuple[str, str]:
        # Beside an untouched base that can't do the task all other differences look like none.
        return c.measure, c.against if run.manifest.writes else ""

    for c in run.manifest.comparisons:
        reach = max(abs(end) for end in (c.value, c.low, c.high) if end is not None)
        spans[scale(c)] = max(spans.get(scale(c), 1e-9), 1.1 * reach)
    return tuple(
        Gap(
            titles.get(c.against, c.against),
            with_unit(run, c.measure),
            *gap(c.value, c.low, c.high, c.measure),
            FINDINGS[finding(c)] + (f": {c.why}" if c.low is None and c.why else ""),
            finding(c),
            difference(c.value, c.low, c.high, span=spans[scale(c)]),
        )
        for c in run.manifest.comparisons
    )


def _lines(run: AnyRun, scores: list[Scores]) -> tuple[MeasureLine, ...]:
    known = [m for m in MEASURES if any(m in s.measures for s in scores)]
    others = [m for m in run.scores.measures if m not in known]
    return tuple(
        MeasureLine(
            with_unit(run, measure),
            measure in LOWER_IS_BETTER,
            tuple(_cell(s.measures.get(measure), measure) for s in scores),
        )
        for measure in [*known, *others]
    )


def _cell(value: Estimate | None, measure: str) -> tuple[str, str, str | None]:
    if value is None:
        return NONE, "", "not measured"
    bounds = interval(value.low, value.high, measure)
    return number(value.value, measure), "" if bounds == NONE else bounds, value.why


def _bands(scores: Scores, shown: tuple[str, ...] | None) -> tuple[Band, ...]:
    bands = []
    found = [(key, value) for record in scores.bands.values() for key, value in record.items()]
    tops = {
        key: max([1.0 if shown is None else 1e-9, *ends])
        for key in dict(found)
        if (
            ends := [
                end
                for name, value in found
                if name == key and isinstance(value, Estimate)
                for end in (value.value, value.high)
                if end is not None
            ]
        )
    }
    for name, record in scores.bands.items():
        names = record.get("classes") or []
        measures = tuple(
            (
                measure_name(key),
                number(value.value, key),
                interval(value.low, value.high, key),
                value.why,
                bar(value.value, value.low, value.high, top=tops.get(key, 1.0)),
            )
            for key, value in record.items()
            if isinstance(value, Estimate) and (shown is None or key in shown)
        )
        what = ("class", "classes") if shown is None else ("category", "categories")
        classes = f"{count(len(names), *what)}: {listed(names, 3, each=40)}" if names else ""
        bands.append(Band(name, classes or f"no {what[0]}", measures))
    return tuple(bands)
