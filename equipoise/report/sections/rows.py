"""What the rows are like: how many of each class, how lopsided, how much repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from equipoise.report.charts import LOG_FROM, MANY_CLASSES, columns, parts
from equipoise.report.read import AnyRun
from equipoise.report.sections.choose import MOST_KINDS, rarest
from equipoise.report.words import SPLITS, count, percent, ratio


@dataclass(frozen=True)
class ClassLine:
    name: str
    counts: tuple[int, ...]
    """Rows per split."""
    share: str
    """Of the training rows."""
    bars: Markup


@dataclass(frozen=True)
class RowsSection:
    facts: tuple[tuple[str, str], ...]
    """What, how much."""
    splits: tuple[str, ...]
    """Names in words, in the order of the counts."""
    lines: tuple[ClassLine, ...]
    """Most training rows first."""
    left_out: int
    """The most frequent classes, where there are too many for a page."""
    log: bool
    chart: Markup | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def rows_section(run: AnyRun) -> RowsSection:
    record = run.manifest.rows
    splits = [name for name in SPLITS if name in record.splits]
    counts = {name: record.splits[name].counts for name in splits}
    train = counts.get("train", {})
    names = sorted({n for c in counts.values() for n in c}, key=lambda n: (-train.get(n, 0), n))
    judged = counts.get(run.manifest.judged, {})
    shown, left_out = rarest({name: (train.get(name, 0), judged.get(name, 0)) for name in names})
    top = max((n for c in counts.values() for n in c.values()), default=1)
    present = [n for n in train.values() if n > 0]
    log = bool(present) and max(present) / min(present) > LOG_FROM
    rows = record.splits["train"].rows if "train" in record.splits else 0
    lines = tuple(
        ClassLine(
            name=name,
            counts=(row := tuple(counts[split].get(name, 0) for split in splits)),
            share=percent(train.get(name, 0) / max(rows, 1)),
            bars=parts(row, top, splits, log=log),
        )
        for name in sorted(shown, key=names.index)
    )
    return RowsSection(
        facts=_facts(run, train),
        splits=tuple(SPLITS[name] for name in splits),
        lines=lines,
        left_out=left_out,
        log=log,
        chart=_chart(run, train, names) if len(names) >= MANY_CLASSES else None,
        warnings=tuple(record.warnings),
        notes=tuple(record.notes),
    )


def _facts(run: AnyRun, train: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    record = run.manifest.rows
    facts = [
        (f"{SPLITS.get(name, name).capitalize()} rows", f"{part.rows:,}")
        for name, part in record.splits.items()
    ]
    made = sum(part.made for part in record.splits.values())
    if made:
        facts.append(("Training rows made from others", f"{made:,}"))
    one, many = ("category", "categories") if run.manifest.writes else ("class", "classes")
    facts.append((many.capitalize(), f"{len(run.manifest.classes):,}"))
    present = {name: n for name, n in train.items() if n > 0}
    if present:
        most, least = max(present.values()), min(present.values())
        facts.append(("Most frequent to rarest", ratio(most / least)))
        facts.append((f"Rows of the rarest {one}", f"{least:,}"))
    facts.append(("Rows that repeat or share a group", _repeats(run)))
    facts.append(("Rows cut at the model’s window", f"{run.manifest.model.truncated_rows:,}"))
    return tuple(facts)


def _repeats(run: AnyRun) -> str:
    shared = [n for n in run.cluster_rows.values() if n > 1]
    if run.cluster_rows:
        if not shared:
            return "0"
        groups = count(len(shared), "group")
        return f"{sum(shared):,} in {groups}, the largest of {max(shared):,}"
    splits = run.manifest.rows.splits.values()
    return f"{sum(part.rows - part.clusters for part in splits):,}"


def _counts_are(kinds: int) -> str:
    return "The table below gives" if kinds <= MOST_KINDS else "run.json has"


def _chart(run: AnyRun, train: Mapping[str, int], names: list[str]) -> Markup:
    one, many = ("category", "categories") if run.manifest.writes else ("class", "classes")
    values = [train.get(name, 0) for name in names]
    half = next(k for k in range(1, len(values) + 1) if 2 * sum(values[:k]) >= sum(values))
    return columns(
        values,
        label="training rows (log scale)",
        title=f"Training rows of every {one}, most frequent first",
        description=(
            f"{count(len(values), one, many)} from {max(values):,} rows down to "
            f"{min(values):,}; the {count(half, f'most frequent {one}', f'most frequent {many}')} "
            f"hold half of all rows. {_counts_are(len(values))} every count."
        ),
    )
