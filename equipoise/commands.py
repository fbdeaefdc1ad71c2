"""What train, evaluate and predict do once their options are read, for both kinds of target.

Nothing here imports torch before settings, columns and rows have been looked at: most mistakes are
there, and are answered within a second.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Literal

from equipoise.data.roles import Task
from equipoise.data.table import ColumnNames, Table
from equipoise.errors import DataError, SettingsError
from equipoise.records.run import Manifest, read_manifest
from equipoise.settings import columns_of_run, written_columns_of_run
from equipoise.terminal import quiet_libraries, quiet_output, say

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
    from equipoise.data.read import read_rows
    from equipoise.progress import shown, silent
    from equipoise.recipe import make_recipe
    from equipoise.summary import run_record, run_text

    started = time.perf_counter()
    recipe = make_recipe(settings)
    columns = recipe.columns(columns)
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding, task=task)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.fit import fit_table
        from equipoise.report import write_report

        run = fit_table(
            table, out, recipe, seed=seed, force=force, progress=progress, started=started
        )
        page = write_report(run.folder)
    return run_record(run, page), run_text(run, page)


def demo_runs(out: Path, *, seed: int, force: bool, quiet: bool) -> Answer:
    """The main job on the built-in messages; then, beside it in OUT-writing, a small one on
    replies to some of them, by a tiny model with random weights."""
    from equipoise.demo import DEMO_REMEDIES, demo_folder
    from equipoise.demo.replies import texts_of, write_reply_rows

    group = ColumnNames(group=("customer",))
    how: dict[str, Any] = {"seed": seed, "force": force, "quiet": quiet}
    record, said = train_on(
        str(demo_folder()), out, {"remedies": list(DEMO_REMEDIES)}, group, **how
    )
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


def rows_to_audit(rows: str | None) -> str:
    if rows is None:
        raise SettingsError(
            "audit: give ROWS to be looked at, or --order RUN to look at the order of a run's data"
        )
    return rows


def order_of(
    run: Path,
    rows: str | None,
    out: Path,
    columns: ColumnNames,
    encoding: str | None,
    *,
    unused: list[str],
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Relate places in the first epoch to final losses; what to print.

    unused  Options that are named and have nothing to say here.
    """
    from equipoise.progress import shown, silent

    if unused:
        raise SettingsError(
            *(f"{name}: has nothing to say to --order; leave it out" for name in unused)
        )
    read_manifest(run)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.auditing import check_folder
        from equipoise.auditing.order import audit_order
        from equipoise.records.order import write_order
        from equipoise.report.order_page import order_text, write_order_report

        check_folder(out)
        record = audit_order(
            run,
            rows,
            columns=None if columns == ColumnNames() else columns,
            encoding=encoding,
            progress=progress,
        )
        write_order(out, record)
        page = write_order_report(out)
    answer = record.to_json() | {"folder": str(out), "report": str(page)}
    return answer, order_text(record, page)


def evaluate_with(
    run: Path,
    rows: str,
    out: Path | None,
    columns: ColumnNames,
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
    from equipoise.summary import check_out_folder, scores_text, written_scores_text

    if out is not None:
        check_out_folder(out)
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
            said = scores_text(scores)
            if out is not None:
                write_predictions(out / "predictions.parquet", predictions)
        else:
            written, scores = loaded.evaluate(table, kept=_kept(out, manifest))
            said = written_scores_text(scores)
            if out is not None:
                write_written(out / WRITTEN, written)
        if out is not None:
            write_scores(out / "scores.json", scores)
    say(json_, scores.to_json(), said)


def predict_with(
    run: Path,
    rows: str,
    out: Path,
    columns: ColumnNames,
    *,
    estimate_prior: bool,
    encoding: str | None,
    json_: bool,
) -> None:
    from equipoise.data.check import check_texts
    from equipoise.summary import (
        check_out_file,
        decision_counts,
        decisions_table,
        write_table,
        written_table,
    )

    check_out_file(out, rows)
    manifest = read_manifest(run)
    if manifest.writes:
        _refuse_decisions(run, measure=False, estimate_prior=estimate_prior)
    table = _rows_for(run, manifest, rows, columns, encoding, to="decide")
    check_texts(table)
    with quiet_libraries():
        from equipoise.load import LoadedRun, load

        loaded = load(run)
        if not isinstance(loaded, LoadedRun):
            found = written_table(loaded, table, kept=_kept(out, manifest))
            write_table(found, out)
            record: dict[str, Any] = {"rows": len(found), "out": str(out)}
            counts = decision_counts(found["category"])
            says = f"{len(found)} rows written, to {out}"
            record["written"] = counts
        else:
            found = decisions_table(loaded, table, estimate_prior=estimate_prior)
            write_table(found, out, manifest.rows.columns.get("label_separator", "|"))
            counts = decision_counts(found["decided"])
            says = f"{len(found)} rows decided, written to {out}"
            record = {"rows": len(found), "out": str(out), "decided": counts}
    summary = "\n".join(f"  {name}: {count}" for name, count in counts.items())
    say(json_, record, f"{says}:\n{summary}")


def _rows_for(
    run: Path,
    manifest: Manifest,
    rows: str,
    columns: ColumnNames,
    encoding: str | None,
    to: Literal["judge", "decide"],
) -> Table:
    """Rows of the kind that the run is for. Raises SettingsError or DataError, saying which kind
    that is, if they are not."""
    from equipoise.data.read import read_rows

    writes = manifest.writes
    named = (
        written_columns_of_run(run, manifest, columns)
        if writes
        else columns_of_run(run, _without_written(run, columns), to=to)
    )
    kind = (
        f"{run} writes text, so it needs what it is asked"
        if writes
        else f"{run} classifies rows, so it needs their text"
    )
    try:
        with quiet_output():
            table = read_rows(
                rows,
                columns=named,
                encoding=encoding,
                need_labels=to == "judge",
                task="write" if writes else "classify",
            )
    except DataError as error:
        raise DataError(
            *(f"{fault} ({kind})" if "has no column" in fault else fault for fault in error.faults)
        ) from None
    if writes and to == "decide" and "text" in table.columns:
        raise DataError(
            f"{rows}: holds plain texts, and nothing is asked there; name what the model should go "
            "on from with --prompt or --messages"
        )
    return table


def _without_written(run: Path, columns: ColumnNames) -> ColumnNames:
    """Raises SettingsError if columns are named that only rows to be written have."""
    faults = [
        f"--{role} {name}: is for runs that write, and {run} classifies rows; name their text with "
        "--text"
        for role, name in columns.written().items()
    ]
    if faults:
        raise SettingsError(*faults)
    return columns


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


def _kept(out: Path | None, manifest: Manifest) -> Path | None:
    """Where what is written so far is kept: the same command goes on there after a kill. The name
    holds the run's, for another run writes other texts."""
    return None if out is None else out.parent / f".{out.name}.{manifest.id}.part.jsonl"
