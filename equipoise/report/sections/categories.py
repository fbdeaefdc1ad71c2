"""Every category of a run that writes, the rarest first, and what the remedies did to each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from equipoise.errors import EquipoiseError
from equipoise.evaluate.compare import Difference
from equipoise.evaluate.texts import compare_texts
from equipoise.recipe import Recipe
from equipoise.records.scores import ClassScores, Estimate
from equipoise.report.charts import bar, difference
from equipoise.report.read import WrittenFolder
from equipoise.report.sections.choose import rarest
from equipoise.report.verdict import Unjudged
from equipoise.report.words import LOWER_IS_BETTER, NONE, gap, interval, measure_name, number

PAIRS = (
    ("loss", "bleu"),
    ("chrf", "rouge_l"),
    ("rouge_1", "rouge_2"),
    ("exact_match", "answer_match"),
    ("meteor", "bits_per_byte"),
    ("distinct_2", "length_ratio"),
)
"""Measures that share a table; those that no category has are left out."""


@dataclass(frozen=True)
class Cell:
    value: str
    interval: str
    mark: int | None
    """Which note below the table says why there is no interval, or no value."""
    bar: Markup


@dataclass(frozen=True)
class CategoryRow:
    name: str
    band: str
    trained: str
    judged: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class CategoryTable:
    measures: tuple[str, ...]
    rows: tuple[CategoryRow, ...]
    """Fewest training rows first."""
    notes: tuple[str, ...]
    """What the marks 1, 2, ... of its cells stand for."""


@dataclass(frozen=True)
class GapRow:
    name: str
    trained: str
    cells: tuple[Cell, ...]
    """This run minus plain fine-tuning, or minus the base."""


@dataclass(frozen=True)
class CategoriesSection:
    tables: tuple[CategoryTable, ...]
    missing: tuple[tuple[str, str], ...]
    """Measures that can't be had, and why."""
    unjudged: tuple[Unjudged, ...]
    left_out: int
    """The most frequent categories, where there are too many for a page."""
    against: str
    """What `gaps` are against, in words."""
    gap_measures: tuple[str, ...]
    gaps: tuple[GapRow, ...]
    gap_notes: tuple[str, ...]


def categories_section(run: WrittenFolder, unjudged: tuple[Unjudged, ...]) -> CategoriesSection:
    found = run.scores.classes
    shown, left_out = rarest({name: (s.trained or 0, s.rows) for name, s in found.items()})
    held = {
        m: any(m in s.measures and s.measures[m].value is not None for s in found.values())
        for pair in PAIRS
        for m in pair
    }
    unsure = {u.name for u in unjudged}
    tables = tuple(
        _table({name: found[name] for name in shown}, pair, found, unsure)
        for each in PAIRS
        if (pair := tuple(m for m in each if held[m]))
    )
    against, measures, gaps, gap_notes = _gaps(run, shown)
    return CategoriesSection(
        tables=tables,
        missing=tuple(
            (measure_name(m), value.why)
            for m, here in held.items()
            if not here and (value := run.scores.measures.get(m)) is not None and value.why
        ),
        unjudged=unjudged,
        left_out=left_out,
        against=against,
        gap_measures=measures,
        gaps=gaps,
        gap_notes=gap_notes,
    )


def _marks(values: Iterable[Estimate | None]) -> dict[str, int]:
    """The number of every reason, in the order of the cells. One reason is often that of nearly all
    cells, and in each of them it would be a column of single words."""
    whys = [value.why for value in values if value is not None and value.low is None]
    return {why: k for k, why in enumerate(dict.fromkeys(filter(None, whys)), start=1)}


def _table(
    shown: dict[str, ClassScores],
    measures: tuple[str, ...],
    every: dict[str, ClassScores],
    unsure: set[str],
) -> CategoryTable:
    marks = _marks(scores.measures.get(m) for scores in shown.values() for m in measures)
    return CategoryTable(
        tuple(map(measure_name, measures)),
        tuple(
            _row(name, scores, measures, every, name in unsure, marks)
            for name, scores in shown.items()
        ),
        tuple(marks),
    )


def _row(
    name: str,
    scores: ClassScores,
    measures: tuple[str, ...],
    every: dict[str, ClassScores],
    unsure: bool,
    marks: dict[str, int],
) -> CategoryRow:
    return CategoryRow(
        name=name,
        band=scores.band or ("not in training" if scores.trained == 0 else NONE),
        trained=NONE if scores.trained is None else f"{scores.trained:,}",
        judged=scores.rows,
        cells=tuple(
            _cell(scores.measures.get(m), m, _top(m, every), unsure, marks) for m in measures
        ),
    )


def _top(measure: str, every: dict[str, ClassScores]) -> float:
    """End of the bars: the highest value or end of all categories, so that they can be compared."""
    ends = [
        end
        for scores in every.values()
        if (e := scores.measures.get(measure))
        for end in (e.value, e.high)
        if end is not None
    ]
    return max(ends, default=1.0) or 1.0


def _cell(
    value: Estimate | None, measure: str, top: float, unsure: bool, marks: dict[str, int]
) -> Cell:
    value = value or Estimate(None, why="not measured")
    return Cell(
        number(value.value, measure),
        interval(value.low, value.high, measure),
        marks.get(value.why or ""),
        bar(value.value, value.low, value.high, top=top, css="unsure" if unsure else "run"),
    )


# ── what became of each category ──────────────────────────────────────────────────────────────


def _gaps(
    run: WrittenFolder, names: list[str]
) -> tuple[str, tuple[str, ...], tuple[GapRow, ...], tuple[str, ...]]:
    """Category by category against plain fine-tuning, or the base where there is no such arm: what
    that is, the measures, the rows of the table and their notes."""
    name = next((n for n in ("plain", "base") if n in run.theirs), None)
    if name is None or len(run.scores.classes) < 2:
        return "", (), (), ()
    tokenize = Recipe.model_validate(run.manifest.recipe).write.tokenize
    apart: dict[str, dict[str, Difference]] = {}
    for measure in ("loss", "bleu"):
        try:
            found = compare_texts(
                run.theirs[name],
                run.written,
                measure=measure,
                tokenize=tokenize,
                seed=run.manifest.seed,
            )
        except EquipoiseError:
            continue  # nothing was written, or what BLEU needs is not installed here
        apart[measure] = found.categories
    spans = {m: _span(list(found.values())) for m, found in apart.items()}
    marks = _marks(apart[m][name].difference for name in names for m in apart if name in apart[m])
    rows = tuple(
        GapRow(
            category,
            NONE if (n := run.scores.classes[category].trained) is None else f"{n:,}",
            tuple(_gap(apart[m].get(category), m, spans[m], marks) for m in apart),
        )
        for category in names
    )
    said = {"plain": "plain fine-tuning", "base": "the base as it came"}[name]
    return said, tuple(map(_with_direction, apart)), rows if apart else (), tuple(marks)


def _with_direction(measure: str) -> str:
    better = "below" if measure in LOWER_IS_BETTER else "above"
    return f"{measure_name(measure)}: better {better} 0"


def _span(found: list[Difference]) -> float:
    ends = [
        abs(end)
        for one in found
        for end in (one.difference.value, one.difference.low, one.difference.high)
        if end is not None
    ]
    return 1.1 * max(ends, default=0) or 1.0


def _gap(found: Difference | None, measure: str, span: float, marks: dict[str, int]) -> Cell:
    if found is None or (value := found.difference).value is None:
        why = "" if found is None else found.difference.why
        return Cell(NONE, NONE, marks.get(why or ""), Markup(""))
    return Cell(
        *gap(value.value, value.low, value.high, measure),
        marks.get(value.why or ""),
        difference(value.value, value.low, value.high, span=span),
    )
