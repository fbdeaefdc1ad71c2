"""The tables of an audit's page, out of its record."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.audit.say import Noun
from equipoise.records.audit import AuditRecord, ClassPower
from equipoise.report.charts import LOG_FROM, bar, parts
from equipoise.report.sections.choose import MOST_KINDS, rarest
from equipoise.report.words import SPLITS, listed, percent


@dataclass(frozen=True)
class Line:
    """A line of a table: a name, a drawing, and figures."""

    name: str
    bars: Markup
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """What a template lays out without knowing what it is about."""

    id: str
    caption: str
    name: str
    drawing: str | None
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    left_out: int = 0
    """Classes that are not among the lines."""
    noun: Noun = "class"
    """What the lines are of."""
    which: str = "the most frequent"

    @property
    def tall(self) -> bool:
        return len(self.lines) > 24


def _shown(audit: AuditRecord) -> tuple[set[str], int]:
    """The classes that tables hold, the rarest to train on, and how many they leave out."""
    shown, left_out = rarest({c.name: (c.train, c.independent) for c in audit.classes})
    return set(shown), left_out


def part_colours(audit: AuditRecord) -> list[tuple[str, str]]:
    """(colour, name) of each given part."""
    return [(name if name in SPLITS else "train", SPLITS.get(name, "rows")) for name in audit.rows]


def classes_table(audit: AuditRecord) -> Table:
    given = list(audit.rows)
    css, shown = zip(*part_colours(audit), strict=True)
    top = max((n for c in audit.classes for n in c.counts.values()), default=1)
    log = audit.balance.ratio > LOG_FROM
    names, left_out = _shown(audit)
    return Table(
        id="classes",
        caption=f"Rows of each {audit.noun} in each given part, most training rows first"
        + (", bars on a log scale" if log else ""),
        name=audit.noun.capitalize(),
        drawing="Bars",
        columns=(
            *(name.capitalize() for name in shown),
            "Would train",
            "Share",
            "Independent",
            "Effective number",
        ),
        lines=tuple(
            Line(
                c.name,
                parts([c.counts.get(name, 0) for name in given], max(top, 1), css, log=log),
                (
                    *(f"{c.counts.get(name, 0):,}" for name in given),
                    f"{c.train:,}",
                    percent(c.share),
                    f"{c.independent:,}",
                    f"{c.effective:,.0f}",
                ),
            )
            for c in audit.classes
            if c.name in names
        ),
        left_out=left_out,
        noun=audit.noun,
    )


def labels_table(audit: AuditRecord) -> Table | None:
    if audit.noise is None or not audit.noise.classes or not audit.noise.named:
        return None
    return Table(
        id="suspects",
        caption="Suspected label errors of each class, most first",
        name="Class",
        drawing="Share",
        columns=("Suspects", "Of rows checked", "Share", "They look like"),
        lines=tuple(
            Line(
                c.name,
                bar(c.share, css="wrong"),
                (
                    f"{c.suspects:,}",
                    f"{c.rows:,}",
                    percent(c.share),
                    listed([f"{name} {n:,}" for name, n in c.likely.items()], 3),
                ),
            )
            for c in audit.noise.classes[:MOST_KINDS]
        ),
        left_out=max(0, len(audit.noise.classes) - MOST_KINDS),
        which="those with the fewest",
    )


def pairs_table(audit: AuditRecord) -> Table | None:
    if audit.overlap is None or not audit.overlap.pairs:
        return None
    return Table(
        id="pairs",
        caption="The most confused pairs of classes, both classes weighing the same; at 50 % a "
        "coin would do as well",
        name="Classes",
        drawing="Confused",
        columns=("By the probe", "By neighbours", "At least", "Can’t be told apart"),
        lines=tuple(
            Line(
                f"{pair.one} / {pair.other}",
                bar(2 * min(pair.by_probe, pair.by_neighbours), css="wrong"),
                (
                    percent(pair.by_probe),
                    percent(pair.by_neighbours),
                    percent(pair.low),
                    "yes" if pair.inseparable else "not shown",
                ),
            )
            for pair in audit.overlap.pairs
        ),
    )


def lengths_table(audit: AuditRecord) -> Table:
    lengths, language = audit.lengths, audit.language
    words = {} if language is None else {c.name: c for c in language.classes}
    top = max((c.high for c in lengths.classes), default=1.0) or 1.0
    unit = lengths.unit.capitalize()
    names, left_out = _shown(audit)
    return Table(
        id="lengths",
        caption=f"Length of the texts of each {audit.noun} in {lengths.unit}"
        + (", what is asked and answered together" if audit.answers else "")
        + (f"; rows are cut after {lengths.limit:,}" if lengths.limit else ""),
        name=audit.noun.capitalize(),
        drawing="Median",
        columns=(
            f"{unit}, median",
            "95th percentile",
            *(("Cut",) if lengths.limit else ()),
            *(("Unknown tokens", "Broken words") if words else ()),
        ),
        lines=tuple(
            Line(
                c.name,
                bar(c.median, top=top),
                (
                    f"{c.median:,.0f}",
                    f"{c.high:,.0f}",
                    *((f"{c.cut:,} ({percent(c.cut / c.rows)})",) if lengths.limit else ()),
                    *(
                        (percent(words[c.name].unknown), percent(words[c.name].broken))
                        if words
                        else ()
                    ),
                ),
            )
            for c in lengths.classes
            if c.name in names
        ),
        left_out=left_out,
        noun=audit.noun,
    )


def answers_table(audit: AuditRecord) -> Table | None:
    found = audit.answers
    if found is None:
        return None
    names, left_out = _shown(audit)
    unit = found.unit.capitalize()
    return Table(
        id="answers",
        caption=f"What is learned of each {audit.noun}, in {found.unit}",
        name=audit.noun.capitalize(),
        drawing="Share of what is learned",
        columns=(
            "Share of rows",
            f"Share of {found.unit}",
            f"{unit} a row, median",
            "95th percentile",
            "Different questions",
            "Different answers",
            "With the commonest",
        ),
        lines=tuple(
            Line(
                c.name,
                bar(c.learned),
                (
                    percent(c.share),
                    percent(c.learned),
                    f"{c.median:,.0f}",
                    f"{c.high:,.0f}",
                    f"{c.questions:,}",
                    f"{c.different:,}",
                    f"{c.commonest:,}",
                ),
            )
            for c in found.categories
            if c.name in names
        ),
        left_out=left_out,
        noun=audit.noun,
    )


def groups_table(audit: AuditRecord) -> Table | None:
    if audit.groups is None:
        return None
    names, _ = _shown(audit)
    found = [c for c in audit.groups.classes if c.name in names]
    return Table(
        id="groups",
        caption="Groups that hold rows of each class",
        name="Class",
        drawing="Share of the largest group",
        columns=("Groups", "As many equal ones", "Largest group", "Its share"),
        lines=tuple(
            Line(
                c.name,
                bar(c.largest_share, css="plain"),
                (
                    f"{c.groups:,}",
                    f"{c.effective:,.1f}",
                    c.largest,
                    percent(c.largest_share),
                ),
            )
            for c in sorted(found, key=lambda c: c.effective)
        ),
        left_out=len(audit.groups.classes) - len(found),
    )


def periods_table(audit: AuditRecord) -> Table | None:
    if audit.drift is None:
        return None
    shown = [c.name for c in audit.classes[:8]]
    return Table(
        id="periods",
        caption=f"Periods of about as many rows each, by “{audit.drift.column}”, repeats and rows "
        "of one group counted once: share of the most frequent classes, and of words that no "
        "earlier period holds",
        name="From",
        drawing=None,
        columns=("Until", "Rows", "New words", *shown),
        lines=tuple(
            Line(
                period.since,
                Markup(""),
                (
                    period.until,
                    f"{period.rows:,}",
                    percent(period.new_words),
                    *(percent(period.counts.get(name, 0) / period.rows) for name in shown),
                ),
            )
            for period in audit.drift.periods
        ),
    )


def power_table(audit: AuditRecord) -> Table | None:
    if audit.power is None:
        return None
    names, _ = _shown(audit)
    ordered = sorted(
        (c for c in audit.power.classes if c.name in names), key=lambda c: (c.worth, c.name)
    )
    tied = any(c.tied for c in ordered)
    return Table(
        id="power",
        caption=f"What the {audit.power.split} rows of each class can show, fewest first",
        name="Class",
        drawing="Interval of a recall of one half",
        columns=(
            "Rows",
            "Independent",
            "Interval",
            "Smallest change shown",
            f"More {'independent ' if tied else ''}rows for {100 * audit.power.change:.0f} points",
        ),
        lines=tuple(_power_line(c) for c in ordered),
        left_out=len(audit.power.classes) - len(ordered),
    )


def _power_line(c: ClassPower) -> Line:
    wide = c.low is None or c.high is None
    return Line(
        c.name,
        bar(None if wide else 0.5, c.low, c.high, css="unsure"),
        (
            f"{c.rows:,}",
            f"{c.worth:,.1f}".removesuffix(".0"),
            "none" if c.low is None or c.high is None else f"{c.low:.2f} to {c.high:.2f}",
            "none" if c.smallest_change is None else f"{100 * c.smallest_change:.0f} points",
            f"{c.more_rows:,}",
        ),
    )
