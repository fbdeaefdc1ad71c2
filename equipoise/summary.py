"""What commands print: the same figures for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from equipoise.data.table import Table
from equipoise.records.rows import text_column
from equipoise.records.run import Comparison, Manifest
from equipoise.records.scores import Estimate, Scores, read_scores
from equipoise.records.turns import ANY_CATEGORY
from equipoise.records.written import WRITTEN, read_written

if TYPE_CHECKING:  # both import torch, and checks of names must not wait for it
    from equipoise.fit import Run
    from equipoise.fitting.prepared import Prepared
    from equipoise.load import LoadedRun
    from equipoise.writer_run import LoadedWriterRun

_SHOWN = ("macro_f1", "balanced_accuracy", "accuracy", "g_mean", "log_loss", "expected_cost")


def run_record(run: Run, report: Path) -> dict[str, Any]:
    """What `train --json` prints."""
    general = run.manifest.general
    written = {"general": None if general is None else general.model_dump(mode="json")}
    return {
        "run": str(run.folder),
        "report": str(report),
        "id": run.manifest.id,
        "resumed": run.resumed,
        "judged": run.manifest.judged,
        "scores": read_scores(run.folder / "scores.json").to_json(),
        "comparisons": [c.model_dump(mode="json") for c in run.manifest.comparisons],
        "warnings": run.manifest.rows.warnings,
        "seconds": run.manifest.seconds,
    } | (written if run.manifest.writes else {})


def run_text(run: Run, report: Path) -> str:
    """What `train` prints: the arms side by side, then what was found, then where it lies."""
    manifest = run.manifest
    scores = read_scores(run.folder / "scores.json")
    arms = [("this run", scores)] + [
        (record.title, read_scores(run.folder / "baselines" / record.name / "scores.json"))
        for record in manifest.baselines
    ]
    unit, several = cost_unit(manifest), len(scores.classes) > 1
    lines = _side_by_side(manifest, arms)
    if manifest.writes and several:
        lines += ["", *_categories(scores)]
    titles = {record.name: record.title for record in manifest.baselines}
    lines += [
        "",
        *(
            _compared(c, titles.get(c.against, c.against), unit)
            for c in manifest.comparisons
            if several or not manifest.writes or not c.measure.startswith("macro_")
        ),
    ]
    if manifest.writes:
        lines.append(_texts_written(run.folder, manifest))
    if (general := manifest.general) is not None:
        lines.append(
            f"general texts ({general.source}): loss {general.loss_before:.3f} before training, "
            f"{general.loss_after:.3f} after"
        )
    lines += [f"warning: {warning}" for warning in manifest.rows.warnings]
    lines += [f"note: {note}" for note in manifest.notes]
    total = sum(manifest.seconds.values())
    lines += ["", f"run: {run.folder} ({total:.0f} s)", f"report: {report}"]
    return "\n".join(lines)


def orders_text(runs: list[Run]) -> str:
    """What `train --orders` prints: the runs side by side, then where they lie."""
    manifest, folder = runs[0].manifest, runs[0].folder.parent
    arms = [(run.folder.name, read_scores(run.folder / "scores.json")) for run in runs]
    total = sum(sum(run.manifest.seconds.values()) for run in runs)
    lines = _side_by_side(manifest, arms)
    lines += [f"warning: {warning}" for warning in manifest.rows.warnings]
    return "\n".join([*lines, "", f"runs: {folder} ({total:.0f} s), each with its report.html"])


def _side_by_side(manifest: Manifest, arms: list[tuple[str, Scores]]) -> list[str]:
    """What was judged, and a line for each arm by its title."""
    from equipoise.report.verdict import headline_measure

    scores, decides = arms[0][1], headline_measure(manifest)
    shown = {decides: _in_text(decides)} | _ARMS_SHOWN
    several, kinds = len(scores.classes) > 1, "classes"
    if manifest.writes:
        shown, kinds = _written_shown(scores, several), "categories" if several else "category"
    lines = [f"{scores.rows} {manifest.judged} rows, {len(scores.classes)} {kinds}; 95 % intervals"]
    if "expected_cost" in shown:
        lines[0] += f"; expected cost in {cost_unit(manifest) or PER_ROWS}, lower is better"
    return lines + _laid_out(
        [
            ["", *shown.values()],
            *([title, *(_cell(s.measures.get(m), m) for m in shown)] for title, s in arms),
        ]
    )


_ARMS_SHOWN = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
}


PER_ROWS = "mistakes per 1,000 rows"
"""Of the expected cost where nobody stated costs."""


def cost_unit(manifest: Manifest) -> str | None:
    """What the expected cost is counted in; None where no costs were stated."""
    costs = manifest.recipe.get("costs")
    return None if costs is None else f"{costs['unit']} per 1,000 rows"


def _compared(c: Comparison, title: str, unit: str | None) -> str:
    """A paired difference in a sentence, in the figures of the report."""
    from equipoise.report.verdict import finding
    from equipoise.report.words import gap, in_sentence

    them, what = in_sentence(title), _in_text(c.measure)
    if c.low is None or c.high is None:
        return f"Whether this run differs from {them} in {what} is open: {c.why}."
    value, bounds = map(_ascii, gap(c.value, c.low, c.high, c.measure))
    of = f" {unit or PER_ROWS}" if c.measure == "expected_cost" else ""
    apart = f"on {c.rows:,} rows: the difference is {value}{of} (95 % interval {bounds})."
    if (found := finding(c)) == "noise":
        return f"This run and {them} can't be told apart by {what} {apart}"
    return f"This run is {found} than {them} by {what} {apart}"


def _in_text(measure: str) -> str:
    """A measure's name, as the report has it."""
    from equipoise.report.words import in_sentence, measure_name

    return "expected cost" if measure == "expected_cost" else in_sentence(measure_name(measure))


def _texts_written(folder: Path, manifest: Manifest) -> str:
    """How many texts were written, who wanted no more, and how many are empty."""
    texts = read_written(folder / WRITTEN).of_split(manifest.judged).written
    written = [text for text in texts if text is not None]
    empty = sum(not text.strip() for text in written)
    said = f"texts were written for {len(written):,} of {len(texts):,} rows"
    if len(written) < len(texts):
        said += f", as write.decode_rows={manifest.recipe['write']['decode_rows']} has it"
    return f"{said}; {empty:,} of them {'is' if empty == 1 else 'are'} empty" if empty else said


def _laid_out(table: list[list[str]]) -> list[str]:
    """Rows of cells under each other, columns as wide as what stands in them."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _written_shown(scores: Scores, several: bool) -> dict[str, str]:
    """What is shown of texts: over categories, where there are several, and over all rows; first
    the answers that the user's pattern finds."""
    whole = {"loss": "loss (nats a token)", "bleu": "BLEU"}
    means = {"macro_loss": "macro loss", "macro_bleu": "macro BLEU"}
    answers = scores.measures.get("answer_match")
    if answers is not None and answers.value is not None:
        whole = {"answer_match": "answer match"} | whole
        means = {"macro_answer_match": "macro answer match"} | means
    return (means if several else {}) | whole


_OF_A_CATEGORY = {"loss": "loss", "bleu": "BLEU", "chrf": "chrF"}


def _categories(scores: Scores) -> list[str]:
    """Every category, the rarest in training first."""
    shown, more = _rarest(scores)
    width = max(8, *map(len, shown))
    names = "".join(f"{name:<24}" for name in _OF_A_CATEGORY.values()).rstrip()
    lines = [f"  {'category':<{width}}  {'trained':>8}  {'judged':>7}  {names}"]
    for name in shown:
        one = scores.classes[name]
        trained = "?" if one.trained is None else f"{one.trained:,}"
        cells = [_cell(one.measures[measure], measure) for measure in _OF_A_CATEGORY]
        row = "".join(f"{cell:<24}" for cell in cells).rstrip()
        lines.append(f"  {name:<{width}}  {trained:>8}  {one.rows:>7,}  {row}")
    return lines + _left_out(more, "categories")


def _rarest(scores: Scores) -> tuple[list[str], int]:
    """As many as a page holds, the rarest in training first, and how many more there are."""
    from equipoise.report.sections.choose import rarest

    return rarest({name: (one.trained or 0, one.rows) for name, one in scores.classes.items()})


def _left_out(more: int, kinds: str) -> list[str]:
    return [f"  and {more:,} more {kinds}, the most frequent; --json has them all"] if more else []


def written_scores_text(scores: Scores) -> str:
    """Measures of texts, then categories, each with its interval; those that can't be had are left
    out."""
    several = len(scores.classes) > 1
    written = sum(one.decided for one in scores.classes.values())
    lines = [f"{scores.rows:,} rows, of which {written:,} were written; 95 % intervals"]
    for name, value in scores.measures.items():
        if value.value is not None and (several or not name.startswith("macro_")):
            lines.append(f"  {name:<22}{_cell(value, name)}")
    lines += [*_categories(scores)] if several else []
    return "\n".join(lines + [f"note: {note}" for note in scores.notes])


def scores_text(scores: Scores, unit: str | None = None) -> str:
    """Measures, then classes, each with its interval.

    unit  Of the expected cost where costs were stated (`cost_unit`), which comes first then: it is
          what the run's decisions are taken by.
    """
    lines = [f"{scores.rows} rows, {len(scores.classes)} classes; 95 % intervals"]
    shown = [name for name in _SHOWN if name in scores.measures]
    if unit is not None:
        shown.sort(key=lambda name: name != "expected_cost")
    for name in shown:
        of = f" {unit or 'per 1,000 rows'}" if name == "expected_cost" else ""
        lines.append(f"  {name:<20}{_cell(scores.measures[name], name)}{of}")
    asked = [name for name in scores.measures if ":" in name]
    lines += [f"  {name}: {_cell(scores.measures[name], name)}" for name in asked]
    rarest, more = _rarest(scores)
    width = max(map(len, rarest), default=0)
    lines.append(f"  {'class':<{width}}  {'rows':>6}  {'recall':<22}F1")
    for name in sorted(rarest, key=list(scores.classes).index):
        judged = scores.classes[name]
        recall, f1 = _cell(judged.measures["recall"]), _cell(judged.measures["f1"])
        lines.append(f"  {name:<{width}}  {judged.rows:>6}  {recall:<22}{f1}")
    lines += _left_out(more, "classes")
    return "\n".join(lines + [f"note: {note}" for note in scores.notes])


def decisions_table(
    loaded: LoadedRun, table: Table, *, estimate_prior: bool = False
) -> pd.DataFrame:
    """id, part (where there are several), decided and p:<class> of every row; several labels a row
    as a list. estimate_prior: class shares are those of each part, as `LoadedRun.predict` says.

    Raises DataError if the rows lack the groups by which the run decides.
    """
    frames = []
    for part, rows in table.parts.items():
        predictions = loaded.predict(
            rows.texts.tolist(),
            ids=rows.ids,
            groups=loaded.groups_of(rows, table),
            amounts=rows.amounts,
            estimate_prior=estimate_prior,
        )
        columns: dict[str, Any] = {"id": text_column(rows.ids.tolist())}
        if len(table.parts) > 1:
            columns["split"] = part
        decided = predictions.decided
        if predictions.several:
            decided = text_column([list(names) for names in decided])
        columns["decided"] = decided
        for k, name in enumerate(predictions.classes):
            columns[f"p:{name}"] = predictions.probabilities[:, k]
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def written_table(
    loaded: LoadedWriterRun, table: Table, *, kept: Path | None
) -> tuple[pd.DataFrame, list[str]]:
    """id, part (where there are several), category and written of every row; and notes on them."""
    rows = table.joined()
    columns: dict[str, Any] = {"id": text_column(rows.ids.tolist())}
    if len(table.parts) > 1:
        columns["split"] = [part for part, own in table.parts.items() for _ in range(len(own))]
    columns["category"] = [ANY_CATEGORY] * len(rows) if rows.labels is None else rows.labels
    found = loaded.answer_rows(table, kept=kept)
    columns["written"] = text_column(found.texts)
    return pd.DataFrame(columns), found.notes


def checked_record(prepared: Prepared, warnings: list[str]) -> dict[str, Any]:
    """Rows of every class in each split, longest rows, warnings and notes."""
    splits = {name: prepared.rows(name) for name in prepared.tokens}
    return {
        "state": "checked",
        "rows": {name: len(rows) for name, rows in splits.items()},
        "classes": {name: rows.counts() for name, rows in splits.items()},
        "cut_rows": {name: tokens.truncated for name, tokens in prepared.tokens.items()},
        "recipe": prepared.recipe.model_dump(mode="json"),
        "warnings": warnings,
        "notes": list(prepared.splits.notes),
    }


def checked_text(record: Mapping[str, Any]) -> str:
    from equipoise.report.sections.choose import rarest

    counts: dict[str, dict[str, int]] = record["classes"]
    train = counts["train"]
    known = {name for own in counts.values() for name in own}
    shown, more = rarest({name: (train.get(name, 0),) for name in known})
    names = sorted(shown, key=lambda name: (-train.get(name, 0), name))
    lines = _laid_out(
        [
            ["", *counts],
            *([name, *(f"{own.get(name, 0):,}" for own in counts.values())] for name in names),
            ["rows", *(f"{rows:,}" for rows in record["rows"].values())],
        ]
    )
    lines += _left_out(more, "classes")
    lines += [f"warning: {said}" for said in record["warnings"]]
    lines += [f"note: {said}" for said in record["notes"]]
    return "\n".join([*lines, "", "rows and settings can be used; nothing was trained"])


def decision_counts(decided: pd.Series[Any]) -> dict[str, int]:
    """Rows per decision, by name; of several labels a row, rows per label, and those without."""
    lists = [cell if isinstance(cell, list) else [cell] for cell in decided]
    counts = Counter(name for names in lists for name in names)
    none = sum(not names for names in lists)
    return dict(sorted(counts.items())) | ({"no label": none} if none else {})


def _cell(estimate: Estimate | None, measure: str = "") -> str:
    from equipoise.report.words import number

    if estimate is None or estimate.value is None:
        return "n/a"
    value = _ascii(number(estimate.value, measure))
    if estimate.low is None or estimate.high is None:
        return f"{value} [no interval]"
    low, high = (_ascii(number(end, measure)) for end in (estimate.low, estimate.high))
    # Costs have commas of their own, at their thousands.
    return f"{value} [{low}{' to ' if measure == 'expected_cost' else ', '}{high}]"


def _ascii(figure: str) -> str:
    """With the hyphen for a minus, which every terminal shows and every search finds."""
    return figure.replace("\N{MINUS SIGN}", "-")


def remedies_record() -> dict[str, Any]:
    """Every remedy by moment: what it is in a sentence, its paper, settings and defaults."""
    from equipoise.remedies.table import REMEDIES  # imports torch

    by_moment: dict[str, Any] = {}
    for remedy in REMEDIES.values():
        by_moment.setdefault(remedy.moment, {})[remedy.name] = {
            "is": _first_sentence(remedy.function.__doc__ or ""),
            "source": remedy.source,
            "settings": {setting.name: setting.default for setting in remedy.settings},
        }
    return by_moment


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".")


def remedies_text(record: dict[str, Any]) -> str:
    """What `remedies` prints: a line each."""
    lines = []
    for moment, found in record.items():
        width = max(map(len, found))
        lines += ["", f"{_MOMENTS[moment]}:"]
        lines += [
            f"  {name:<{width}}  {said['is']} [{said['source']}]" for name, said in found.items()
        ]
    lines += [
        "",
        "Each has its section in docs/remedies.md: settings, when it helps, when it harms.",
    ]
    return "\n".join(lines[1:])


_MOMENTS = {
    "rows": "On rows",
    "batches": "On batches and weights",
    "loss": "In the loss",
    "decision": "On the decision",
}
