"""The page of an audit: its record laid out, the most serious findings first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from equipoise.records.audit import AuditRecord, ClassPower, Finding, read_audit
from equipoise.records.columns import named_columns
from equipoise.records.files import write_text
from equipoise.report.audit_text import roles_in_words
from equipoise.report.charts import bar, columns, parts
from equipoise.report.page import REPORT, fill
from equipoise.report.words import SPLITS, count, listed, percent, ratio, seconds

LOG_FROM = 50.0
"""Imbalance from which counts are drawn on a log scale."""
MANY_CLASSES = 20
WEIGHTS = {"serious": "Serious", "look": "Worth a look", "note": "Good to know"}
KINDS = {
    "undivided": "Rows that can’t be divided",
    "leak": "Leak between given parts",
    "unknown_labels": "Labels without training rows",
    "conflict": "Conflicting labels",
    "alike_conflict": "Look-alikes under different labels",
    "label_errors": "Suspected label errors",
    "too_small": "Classes too small to judge",
    "inseparable": "Classes that can’t be told apart",
    "cut": "Texts that are cut",
    "language": "Language the base model hardly knows",
    "group_tells_class": "The group tells the class",
    "few_groups": "Classes that rest on few groups",
    "drift": "Change over time",
    "duplicates": "Repeats and look-alikes",
    "imbalance": "Imbalance",
}
STANCES = {"try first": "Try first", "try": "Worth trying", "not here": "Not here"}


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

    @property
    def tall(self) -> bool:
        return len(self.lines) > 24


def write_audit_report(folder: Path) -> Path:
    """Raises FolderError if the folder holds no audit, or a broken one."""
    write_text(folder / REPORT, render_audit(read_audit(folder), folder.resolve().name))
    return folder / REPORT


def render_audit(audit: AuditRecord, folder: str) -> str:
    serious = [f for f in audit.findings if f.weight == "serious"]
    return fill(
        "audit.html",
        audit=audit,
        headline=_headline(audit, serious),
        tone="bad" if serious else "mixed" if audit.findings else "good",
        figures=_figures(audit, serious),
        findings=[
            (KINDS.get(f.kind, f.kind), f.weight, WEIGHTS[f.weight], f) for f in audit.findings
        ],
        classes=_classes(audit),
        colours=_colours(audit),
        chart=_chart(audit),
        labels=_labels(audit),
        pairs=_pairs(audit),
        lengths=_lengths(audit),
        groups=_groups(audit),
        periods=_periods(audit),
        power=_power(audit),
        advice=[(STANCES[a.stance], a) for a in audit.advice],
        facts=_facts(audit),
        stages=[(name.capitalize(), seconds(value)) for name, value in audit.seconds.items()],
        command=_command(audit, folder),
    )


def _headline(audit: AuditRecord, serious: Sequence[Finding]) -> str:
    if serious:
        kinds = dict.fromkeys(KINDS.get(f.kind, f.kind).lower() for f in serious)
        things = count(len(serious), "serious finding")
        return f"{things}: {listed(kinds)}."
    if audit.findings:
        return "Nothing serious was found; some things deserve a look."
    return "Nothing was found that deserves a line."


def _figures(audit: AuditRecord, serious: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [
        ("Rows", f"{sum(audit.rows.values()):,}", listed(_roles(audit))),
        ("Classes", f"{audit.balance.classes:,}", _equal(audit)),
        (
            "Most frequent to rarest",
            ratio(audit.balance.ratio),
            f"{audit.balance.largest} to {audit.balance.smallest}",
        ),
        ("Findings", f"{len(audit.findings)}", f"{len(serious)} of them serious"),
    ]


def _roles(audit: AuditRecord) -> list[str]:
    return [f"{n:,} {what}" for what, n in roles_in_words(audit).items()]


def _equal(audit: AuditRecord) -> str:
    return f"worth {audit.balance.effective_classes:.1f} equal ones"


def _colours(audit: AuditRecord) -> list[tuple[str, str]]:
    """(colour, name) of each given part."""
    return [(name if name in SPLITS else "train", SPLITS.get(name, "rows")) for name in audit.rows]


def _classes(audit: AuditRecord) -> Table:
    given = list(audit.rows)
    css, shown = zip(*_colours(audit), strict=True)
    top = max((n for c in audit.classes for n in c.counts.values()), default=1)
    log = audit.balance.ratio > LOG_FROM
    return Table(
        id="classes",
        caption="Rows of each class in each given part, most training rows first"
        + (", bars on a log scale" if log else ""),
        name="Class",
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
        ),
    )


def _chart(audit: AuditRecord) -> Markup | None:
    if len(audit.classes) < MANY_CLASSES:
        return None
    values = [c.train for c in audit.classes]
    return columns(
        values,
        label="training rows (log scale)",
        title="Training rows of every class, most frequent first",
        description=f"{count(len(values), 'class', 'classes')} from {max(values):,} rows down to "
        f"{min(values):,}. The table below gives every count.",
    )


def _labels(audit: AuditRecord) -> Table | None:
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
            for c in audit.noise.classes
        ),
    )


def _pairs(audit: AuditRecord) -> Table | None:
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


def _lengths(audit: AuditRecord) -> Table:
    lengths, language = audit.lengths, audit.language
    words = {} if language is None else {c.name: c for c in language.classes}
    top = max((c.high for c in lengths.classes), default=1.0) or 1.0
    unit = lengths.unit.capitalize()
    return Table(
        id="lengths",
        caption=f"Length of the texts of each class in {lengths.unit}"
        + (f"; rows are cut after {lengths.limit}" if lengths.limit else ""),
        name="Class",
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
        ),
    )


def _groups(audit: AuditRecord) -> Table | None:
    if audit.groups is None:
        return None
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
            for c in sorted(audit.groups.classes, key=lambda c: c.effective)
        ),
    )


def _periods(audit: AuditRecord) -> Table | None:
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


def _power(audit: AuditRecord) -> Table | None:
    if audit.power is None:
        return None
    ordered = sorted(audit.power.classes, key=lambda c: (c.worth, c.name))
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
            f"More rows for {100 * audit.power.change:.0f} points",
        ),
        lines=tuple(_power_line(c) for c in ordered),
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


def _facts(audit: AuditRecord) -> list[tuple[str, str]]:
    r = audit.repeats
    facts = [
        ("Evenness of classes", f"{audit.balance.evenness:.2f} of 1"),
        ("Entropy of classes", f"{audit.balance.entropy:.2f} nats"),
        ("Rows that repeat a text", f"{r.repeated:,}"),
        ("Pairs of look-alikes", f"{r.alike_pairs:,}"),
        ("Texts under several labels", f"{r.conflict_texts:,}"),
        ("Look-alikes under different labels", f"{r.alike_conflicts:,}"),
    ]
    if audit.groups is not None:
        facts.append(("Group and class (Cramér’s V)", f"{audit.groups.association:.2f}"))
    return facts


def _command(audit: AuditRecord, folder: str) -> str:
    words = ["equipoise", "audit", audit.source]
    for role, name in named_columns(audit.columns):
        if (role, name) not in (("text", "text"), ("label", "label"), ("id", "id")):
            words += [f"--{role.replace('_', '-')}", name]
    if audit.model is None:
        words += ["--model", "none"]
    else:
        words += ["--model", audit.model]
    return shlex.join([*words, "--seed", str(audit.seed), "--out", folder])
