"""The rows it gets wrong, the surest first: there wrong labels and blind spots show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from equipoise.evaluate.confusion import Mistake, mistakes
from equipoise.evaluate.several.mistakes import label_mistakes
from equipoise.records.predictions import DEFER, Predictions
from equipoise.report.charts import bar
from equipoise.report.read import RunFolder
from equipoise.report.sections.choose import SHOWN, chosen
from equipoise.report.words import NONE, percent, short

MOST = 400
"""Rows in the file in all: 400 texts of 280 characters keep it far below 2 MB."""
TEXT = 280
"""Characters of a text."""
SURE = 0.9
"""A mistake decided with at least this probability is called sure."""


@dataclass(frozen=True)
class MistakeRow:
    id: str
    text: str | None
    label: str
    decided: str
    rather: str | None
    """The most probable class, where another was decided."""
    group: str | None
    sure: str
    """Probability of the decided class."""
    about: str
    """Of several labels, which wrong one that is; "" of one."""
    own: str
    """Probability of the labelled class."""
    bar: Markup
    class_number: int
    """Which option of the filter shows it."""
    extra: bool
    """Beyond the first SHOWN: seen only through the filter."""


@dataclass(frozen=True)
class MistakesSection:
    wrong: int
    judged: int
    deferred: int
    sure: int
    swayed: str
    """Of how many the rule decided otherwise than for the most probable class, and why; "" for
    none."""
    rows: tuple[MistakeRow, ...]
    options: tuple[tuple[int, str, int, int], ...]
    """Number, class, its rows in the table, and wrong rows of it: what the filter offers."""
    has_texts: bool
    has_groups: bool
    several: bool
    """A row may have several labels."""
    shown: int


def mistakes_section(run: RunFolder) -> MistakesSection:
    p = run.predictions
    left = _left_to_a_person(p)
    listed = label_mistakes if p.several else mistakes
    found = listed(p) if len(p) else ()
    wrong = [m for m in found if m.decided != DEFER or DEFER in p.classes]
    counts = Counter(m.label for m in wrong)
    numbers = {name: k for k, name in enumerate(sorted(counts))}
    groups = dict(zip(p.ids.tolist(), p.groups.tolist(), strict=True))
    rather = _most_probable(p)
    rows = tuple(
        _row(
            m,
            text=run.texts.get(m.id),
            rather=rather.get(m.id),
            group=groups[m.id],
            known=p.several or m.label in p.classes,
            class_number=numbers[m.label],
            extra=place >= SHOWN,
        )
        for place, m in ((k, wrong[k]) for k in chosen([m.label for m in wrong], most=MOST))
    )
    held = Counter(row.class_number for row in rows)
    return MistakesSection(
        wrong=len(wrong),
        judged=len(p),
        deferred=left,
        sure=sum(m.sure >= SURE for m in wrong),
        swayed=_swayed(run, sum(m.id in rather for m in wrong)),
        rows=rows,
        options=tuple((k, name, held[k], counts[name]) for name, k in numbers.items()),
        has_texts=any(row.text is not None for row in rows),
        has_groups=any(row.group is not None for row in rows),
        several=p.several,
        shown=min(SHOWN, len(rows)),
    )


def _most_probable(p: Predictions) -> dict[str, str]:
    """The most probable class of every row by id that was decided otherwise."""
    if p.several or not len(p):
        return {}
    best = (p.classes[k] for k in p.probabilities.argmax(axis=1))
    return {
        str(row): name
        for row, name, decided in zip(p.ids, best, p.decided, strict=True)
        if name != decided
    }


def _swayed(run: RunFolder, rows: int) -> str:
    if not rows:
        return ""
    rule = {
        "costs": "the costs decided so, since being wrong the other way is dearer",
        "offsets": "the offsets of the classes decided so",
    }.get(run.decision.kind, "the rule decided so")
    what = "1 of them is" if rows == 1 else f"{rows:,} of them are"
    return f"{what} decided for another class than the most probable one: {rule}."


def _left_to_a_person(p: Predictions) -> int:
    return 0 if DEFER in p.classes else int((p.decided == DEFER).sum())


def _row(
    m: Mistake,
    *,
    text: str | None,
    rather: str | None,
    group: str | None,
    known: bool,
    class_number: int,
    extra: bool,
) -> MistakeRow:
    return MistakeRow(
        id=short(m.id),
        text=None if text is None else short(text, TEXT),
        label=m.label,
        decided=m.decided,
        rather=rather,
        group=None if group is None else short(group),
        sure=percent(m.sure),
        about="" if m.about is None else _about(m.about, missed=m.missed),
        own=percent(m.given_to_label) if known else NONE,
        bar=bar(m.sure, css="wrong"),
        class_number=class_number,
        extra=extra,
    )


def _about(name: str, *, missed: bool) -> str:
    return f"that “{short(name, 40)}” {'is not there' if missed else 'is there'}"
