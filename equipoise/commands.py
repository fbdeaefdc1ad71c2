"""What commands do once their options are read, for both kinds of target.

Nothing here imports torch before settings, columns and rows have been looked at: most mistakes are
there, and are answered within a second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from equipoise.data.roles import Task
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import DataError, SettingsError
from equipoise.records.columns import column_of
from equipoise.records.folders import SCORES, check_scores_folder
from equipoise.records.run import Manifest, read_manifest
from equipoise.settings import columns_of_run, written_columns_of_run
from equipoise.terminal import quiet_libraries, quiet_output, say, warn

if TYPE_CHECKING:  # imports torch
    from equipoise.fit import Run
    from equipoise.recipe import Recipe

Answer = tuple[dict[str, Any], str]
"""What a command says: as JSON, and for people."""


def train_on(
    rows: str,
    out: Path,
    settings: dict[str, Any],
    columns: ColumnNames,
    *,
    seed: int,
    force: bool,
    quiet: bool,
    encoding: str | None = None,
    task: Task = "auto",
) -> Answer:
    from equipoise.progress import shown, silent
    from equipoise.summary import run_record, run_text

    started = time.perf_counter()
    recipe, table = asked_rows(rows, settings, columns, encoding, task)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.fit import fit_table
        from equipoise.report import write_report

        run = fit_table(
            table,
            out,
            recipe,
            seed=seed,
            force=force,
            progress=progress,
            started=started,
            warn=(lambda said: None) if quiet else warn,
        )
        page = write_report(run.folder)
    state, said = _state(run)
    return run_record(run, page) | {"state": state}, said + run_text(run, page)


def check_only(
    rows: str,
    out: Path,
    settings: dict[str, Any],
    columns: ColumnNames,
    *,
    seed: int,
    force: bool,
    encoding: str | None,
    task: Task,
) -> Answer:
    """What `train_on` does before it trains."""
    from equipoise.summary import checked_record, checked_text

    recipe, table = asked_rows(rows, settings, columns, encoding, task)
    with quiet_libraries():
        from equipoise.fit import check_run

        prepared, warnings = check_run(table, out, recipe, seed=seed, force=force)
    record = checked_record(prepared, warnings)
    return record, checked_text(record)


def asked_rows(
    rows: str,
    settings: dict[str, Any],
    columns: ColumnNames,
    encoding: str | None,
    task: Task,
) -> tuple[Recipe, Table]:
    """The recipe that settings make, and the rows as read."""
    from equipoise.data.read import read_rows
    from equipoise.recipe import make_recipe

    recipe = make_recipe(settings)
    with quiet_output():
        return recipe, read_rows(
            rows, columns=recipe.columns(columns), encoding=encoding, task=task
        )


def _state(run: Run) -> tuple[str, str]:
    """What was done, in a word for programs and in words for people."""
    if run.was_finished:
        made = run.manifest.created.replace("T", " ")[:16]
        return "was finished", f"this run was finished before ({made} UTC); nothing was trained\n\n"
    if run.resumed:
        return "went on", "this run was begun before, and went on where it stopped\n\n"
    return "made", ""


def demo_runs(out: Path, *, seed: int, force: bool, quiet: bool) -> Answer:
    """The main job on the built-in messages; then, beside it in OUT-writing, a small one on
    replies to some of them, by a tiny model with random weights."""
    from equipoise.demo import DEMO_SETTINGS, demo_folder
    from equipoise.demo.replies import texts_of, write_reply_rows

    group = ColumnNames(group=("customer",))
    how: dict[str, Any] = {"seed": seed, "force": force, "quiet": quiet}
    record, said = train_on(str(demo_folder()), out, DEMO_SETTINGS, group, **how)
    beside = out.parent / f"{out.name}-writing"
    rows = write_reply_rows(beside / "rows")
    with quiet_libraries():
        from equipoise.models.writing.random_base import save_random_base

        base = save_random_base(beside / "base", texts_of(rows))
    model = {**WRITING_DEMO["model"], "name": str(base)}
    settings = {**WRITING_DEMO, "model": model}
    written, tells = train_on(str(rows), beside / "run", settings, group, **how)
    title = "A model that writes replies (tiny, with random weights: it shows the path, no more)"
    return record | {"writing": written}, f"{said}\n\n{title}\n{tells}"


WRITING_DEMO: dict[str, Any] = {
    "model": {"method": "full", "max_tokens": 96},
    "train": {"epochs": 6, "learning_rate": 3e-3},
    "remedies": ["sqrt_sampler"],
    "write": {"decode": {"new_tokens": 28, "batch_rows": 64}},
}
"""What the demo trains its tiny writer with."""


def evaluate_with(
    run: Path,
    rows: str,
    out: Path | None,
    columns: Mapping[str, Any],
    *,
    measure: str | None,
    estimate_prior: bool,
    encoding: str | None,
    json_: bool,
) -> None:
    from equipoise.own_function import measure_asked
    from equipoise.records.predictions import write_predictions
    from equipoise.records.scores import write_scores
    from equipoise.records.written import WRITTEN, write_written
    from equipoise.summary import cost_unit, scores_text, written_scores_text

    if out is not None:
        check_scores_folder(out)
    with quiet_output():  # a file of the user's own may print
        asked = None if measure is None else measure_asked(measure)
    manifest = read_manifest(run)
    if manifest.writes:
        _refuse_decisions(run, measure=measure is not None, estimate_prior=estimate_prior)
    table = _rows_for(run, manifest, rows, columns, encoding, to="judge")
    with quiet_libraries():
        from equipoise.load import LoadedRun, load  # seconds: faults of rows come first

        loaded = load(run)
        if isinstance(loaded, LoadedRun):
            predictions, scores = loaded.evaluate(
                table, measure=asked, estimate_prior=estimate_prior
            )
            said = scores_text(scores, cost_unit(manifest))
            if out is not None:
                write_predictions(out / "predictions.parquet", predictions)
        else:
            written, scores = loaded.evaluate(table, kept=_kept(out, manifest))
            said = written_scores_text(scores)
            if out is not None:
                write_written(out / WRITTEN, written)
        if out is not None:
            write_scores(out / SCORES, scores)
    lines = [*(f"warning: {warning}" for warning in scores.warnings), said]
    record = scores.to_json()
    if out is not None:
        record["out"] = str(out)
        lines.append(f"scores: {out / SCORES}")
    say(json_, record, "\n".join(lines))


def predict_with(
    run: Path,
    rows: str,
    out: Path,
    columns: Mapping[str, Any],
    *,
    estimate_prior: bool,
    encoding: str | None,
    json_: bool,
) -> None:
    from equipoise.data.check import check_texts
    from equipoise.out_file import check_out_file, write_table
    from equipoise.summary import decision_counts, decisions_table, written_table

    check_out_file(out, rows)
    manifest = read_manifest(run)
    if manifest.writes:
        _refuse_decisions(run, measure=False, estimate_prior=estimate_prior)
    table = _rows_for(run, manifest, rows, columns, encoding, to="decide")
    check_texts(table)
    with quiet_libraries():
        from equipoise.load import LoadedRun, load

        loaded = load(run)
        notes: list[str] = []
        if not isinstance(loaded, LoadedRun):
            found, notes = written_table(loaded, table, kept=_kept(out, manifest))
            write_table(found, out)
            record: dict[str, Any] = {"rows": len(found), "out": str(out)}
            counts = decision_counts(found["category"])
            says = f"{len(found)} rows written, to {out}"
            record |= {"written": counts, "notes": notes}
        else:
            found = decisions_table(loaded, table, estimate_prior=estimate_prior)
            write_table(found, out, column_of(manifest.rows.columns, "label_separator") or "|")
            counts = decision_counts(found["decided"])
            says = f"{len(found)} rows decided, written to {out}"
            record = {"rows": len(found), "out": str(out), "decided": counts}
    summary = "\n".join(f"  {name}: {count}" for name, count in counts.items())
    told = "".join(f"\nnote: {note}" for note in notes)
    say(json_, record, f"{says}:\n{summary}{told}")


def _rows_for(
    run: Path,
    manifest: Manifest,
    rows: str,
    asked: Mapping[str, Any],
    encoding: str | None,
    to: Literal["judge", "decide"],
) -> Table:
    """Rows of the kind that the run is for. Raises SettingsError or DataError, saying what they
    are needed for, if they are not."""
    writes = manifest.writes
    if writes:
        columns, spare = written_columns_of_run(run, manifest, asked, to)
    else:
        columns, spare = columns_of_run(run, manifest, asked, to)
    try:
        table = _read(rows, columns, encoding, to, writes=writes, spare=spare)
    except DataError as error:
        raise DataError(*(_explained(fault, run, writes) for fault in error.faults)) from None
    if writes and to == "decide" and "text" in table.columns:
        raise DataError(
            f"{rows}: holds plain texts, and nothing is asked there; name what the model should go "
            "on from with --prompt or --messages"
        )
    return table


def _read(
    rows: str,
    columns: ColumnNames,
    encoding: str | None,
    to: Literal["judge", "decide"],
    *,
    writes: bool,
    spare: tuple[str, ...],
) -> Table:
    """spare  Roles whose columns the rows may lack."""
    from equipoise.data.read import read_rows

    how: dict[str, Any] = {"need_labels": to == "judge", "task": "write" if writes else "classify"}
    with quiet_output():
        try:
            return read_rows(rows, columns=columns, encoding=encoding, **how)
        except DataError as error:
            lacking = [r for r in spare if any(_lacks(fault, r) for fault in error.faults)]
            if not lacking:
                raise
        none: dict[str, Any] = {"id": None, "group": (), "references": None}
        fewer = replace(columns, **{role: none[role] for role in lacking})
        table = read_rows(rows, columns=fewer, encoding=encoding, **how)
    if to == "judge" and "references" in lacking:
        said = (
            f"{rows}: has no column {columns.references!r} of further right texts, as the rows of "
            "the run had; each row is judged by its completion alone"
        )
        return replace(table, warnings=(*table.warnings, said))
    return table


def _lacks(fault: str, role: str) -> bool:
    return "has no column" in fault and f" for the {role};" in fault


def _explained(fault: str, run: Path, writes: bool) -> str:
    """With what the column is needed for."""
    roles = _WRITTEN_NEEDS if writes else _NEEDS
    why = next((why for role, why in roles.items() if _lacks(fault, role)), None)
    return fault if why is None else f"{fault} ({run} {why})"


_ASKED = "writes text, so it needs what it is asked"
_NEEDS = {
    "text": "classifies rows, so it needs their text",
    "label": "is judged by the right classes; to decide without them take `equipoise predict`",
    "cost": "has costs that are times this column",
}
_WRITTEN_NEEDS = {
    **dict.fromkeys(("prompt", "messages", "text"), _ASKED),
    "completion": "is judged by the right texts; to write without them take `equipoise predict`",
}
"""What a run does with a column, by its role."""


def _refuse_decisions(run: Path, *, measure: bool, estimate_prior: bool) -> None:
    faults = []
    if measure:
        faults.append(
            f"--measure: {run} writes text, which is judged by all measures of texts; leave it out"
        )
    if estimate_prior:
        faults.append(
            f"--estimate-prior: is for decisions between classes, and {run} writes text; leave it "
            "out"
        )
    if faults:
        raise SettingsError(*faults)


def cache_shown(*, clear: bool) -> Answer:
    """Where cached states lie and how much room they take; cleared first if so wished."""
    from equipoise.models.cache import cache_settings, cache_size, clear_cache

    settings = cache_settings()
    freed = clear_cache(settings) if clear else 0
    size = cache_size(settings)
    record = {
        "folder": str(settings.folder),
        "bytes": size,
        "limit_bytes": settings.limit_bytes,
        "freed_bytes": freed,
    }
    said = f"{settings.folder}: {size / 1e6:.0f} MB of at most {settings.limit_bytes / 1e6:.0f} MB"
    return record, said + (f", {freed / 1e6:.0f} MB freed" if clear else "")


def _kept(out: Path | None, manifest: Manifest) -> Path | None:
    """Where what is written so far is kept: the same command goes on there after a kill. The name
    holds the run's, for another run writes other texts."""
    return None if out is None else out.parent / f".{out.name}.{manifest.id}.part.jsonl"
