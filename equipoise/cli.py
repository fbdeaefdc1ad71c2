"""The command line: one command per verb, each of which reads, calls, writes and prints.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from equipoise.options import (
    CostColumn,
    Encoding,
    EstimatePrior,
    Group,
    Id,
    Json,
    JudgedBy,
    Label,
    LabelSeparator,
    Quiet,
    RowsArgument,
    RunArgument,
    Text,
    Time,
    Weight,
)
from equipoise.options import columns_named as _columns
from equipoise.terminal import quiet_libraries, quiet_output, say
from equipoise.terminal import run as run_app

app = typer.Typer(
    help="Fine-tune language models on imbalanced data, and know that it worked.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from equipoise import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", help="Fixes every random choice.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace another run in OUT.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the main job on built-in support messages: baselines, plain, treated, report."""
    from equipoise.demo import DEMO_REMEDIES, demo_folder

    _train(
        str(demo_folder()),
        out,
        {"remedies": list(DEMO_REMEDIES)},
        _columns(group=["customer"]),
        seed=seed,
        force=force,
        json_=json_,
        quiet=quiet,
    )


@app.command()
def audit(
    rows: RowsArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the audit.")] = Path("audit"),
    model: Annotated[
        str | None,
        typer.Option("--model", help="Base model whose encoder looks at the rows, or `none`."),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option("--costs", help="YAML file: what each mistake costs.")
    ] = None,
    text: Text = "text",
    label: Label = "label",
    label_separator: LabelSeparator = None,
    group: Group = [],  # noqa: B006
    weight: Weight = None,
    id_: Id = None,
    time: Time = None,
    encoding: Encoding = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes every random choice.")] = 0,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Quote no texts; name rows by their ids alone.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is wrong with ROWS, measured, and what to try; write audit.json and a report."""
    from equipoise.costs import read_costs
    from equipoise.data.read import read_rows
    from equipoise.progress import shown, silent

    stated = None if costs is None else read_costs(costs)
    columns = _columns(text, label, group, weight, id_, time, separator=label_separator)
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.auditing import audit_table, check_folder, write_audit
        from equipoise.report import write_report
        from equipoise.report.audit_text import audit_text

        check_folder(out)
        record = audit_table(
            table, model=model, costs=stated, seed=seed, keep_texts=not no_texts, progress=progress
        )
        write_audit(out, record)
        page = write_report(out)
    answer = record.to_json() | {"folder": str(out), "report": str(page)}
    say(json_, answer, audit_text(record, page))


@app.command()
def train(
    rows: RowsArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("run"),
    model: Annotated[
        str | None, typer.Option("--model", help="Base model: a hub id or a folder.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="light, full, head, lora, rslora, dora, ia3, prefix, prompt or adapter.",
        ),
    ] = None,
    remedy: Annotated[
        list[str],
        typer.Option(
            "--remedy", help="NAME[:key=value,...]; may be repeated; `none` for no remedy."
        ),
    ] = [],  # noqa: B006 (typer copies it)
    costs: Annotated[
        Path | None, typer.Option("--costs", help="YAML file: what each mistake costs.")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior", help="Class shares to decide for: train, balanced, or a YAML file."
        ),
    ] = None,
    measure: Annotated[
        str | None, typer.Option("--measure", help="What decides; macro_f1 by default.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="auto, cosine, linear, native or text.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the rows.")] = None,
    baseline: Annotated[
        list[str],
        typer.Option("--baseline", help="tfidf, vectors, plain or none; may be repeated."),
    ] = [],  # noqa: B006
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="YAML file of settings; options override it.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option("--set", help="Any other setting, as train.batch_rows=64; may be repeated."),
    ] = [],  # noqa: B006
    track: Annotated[
        list[str], typer.Option("--track", help="Tracker, such as mlflow; may be repeated.")
    ] = [],  # noqa: B006
    text: Text = "text",
    label: Label = "label",
    label_separator: LabelSeparator = None,
    group: Group = [],  # noqa: B006
    weight: Weight = None,
    id_: Id = None,
    time: Time = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes every random choice.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace another run in OUT.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a model on ROWS, judge it, and write the run folder with its report."""
    from equipoise.settings import train_settings

    settings = train_settings(
        recipe=recipe,
        model=model,
        method=method,
        head=head,
        remedies=remedy,
        costs=costs,
        prior=prior,
        measure=measure,
        epochs=epochs,
        baselines=baseline,
        track=track,
        assignments=set_,
    )
    columns = _columns(text, label, group, weight, id_, time, cost, label_separator)
    _train(
        rows,
        out,
        settings,
        columns,
        seed=seed,
        force=force,
        json_=json_,
        quiet=quiet,
        encoding=encoding,
    )


@app.command()
def evaluate(
    run: RunArgument,
    rows: RowsArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for scores.json and predictions.parquet.")
    ] = None,
    measure: JudgedBy = None,
    estimate_prior: EstimatePrior = False,
    text: Text = "text",
    label: Label = "label",
    label_separator: LabelSeparator = None,
    group: Group = [],  # noqa: B006
    id_: Id = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    json_: Json = False,
) -> None:
    """Judge a finished RUN on labelled ROWS that it has not seen."""
    from equipoise.data.read import read_rows
    from equipoise.own_function import measure_asked
    from equipoise.records.predictions import write_predictions
    from equipoise.records.scores import write_scores
    from equipoise.settings import columns_of_run
    from equipoise.summary import check_out_folder, scores_text

    if out is not None:
        check_out_folder(out)
    asked = None if measure is None else measure_asked(measure)
    columns = _columns(text, label, group, None, id_, cost=cost, separator=label_separator)
    columns = columns_of_run(run, columns)
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding)
    with quiet_libraries():
        from equipoise.load import load  # seconds of imports, so that faults of rows come first

        predictions, scores = load(run).evaluate(
            table, measure=asked, estimate_prior=estimate_prior
        )
        if out is not None:
            write_predictions(out / "predictions.parquet", predictions)
            write_scores(out / "scores.json", scores)
    say(json_, scores.to_json(), scores_text(scores))


@app.command()
def predict(
    run: RunArgument,
    rows: RowsArgument,
    out: Annotated[Path, typer.Option("--out", help="A .csv, .jsonl or .parquet file.")],
    estimate_prior: EstimatePrior = False,
    text: Text = "text",
    id_: Id = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    json_: Json = False,
) -> None:
    """Decide ROWS with a finished RUN; write id, decision and probabilities to a file."""
    from equipoise.data.check import check_texts
    from equipoise.data.read import read_rows
    from equipoise.settings import columns_of_run
    from equipoise.summary import check_out_file, decision_counts, decisions_table, write_table

    check_out_file(out, rows)
    columns = columns_of_run(run, _columns(text, "label", [], None, id_, cost=cost), to="decide")
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding, need_labels=False)
    check_texts(table)
    with quiet_libraries():
        from equipoise.load import load  # as in evaluate

        loaded = load(run)
        decided = decisions_table(loaded, table, estimate_prior=estimate_prior)
        write_table(decided, out, loaded.manifest.rows.columns.get("label_separator", "|"))
    counts = decision_counts(decided["decided"])
    summary = "\n".join(f"  {name}: {count}" for name, count in counts.items())
    say(
        json_,
        {"rows": len(decided), "out": str(out), "decided": counts},
        f"{len(decided)} rows decided, written to {out}:\n{summary}",
    )


@app.command()
def report(folder: RunArgument, json_: Json = False) -> None:
    """Write the report of a finished RUN or audit again: RUN/report.html."""
    from equipoise.report import write_report

    with quiet_output():
        path = write_report(folder)
    say(json_, {"report": str(path)}, f"report: {path}")


@app.command()
def remedies(json_: Json = False) -> None:
    """List the remedies by the moment at which they act, with what they are and their sources."""
    from equipoise.summary import remedies_record, remedies_text

    with quiet_output():
        record = remedies_record()
    say(json_, record, remedies_text(record))


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove every cached state.")] = False,
    json_: Json = False,
) -> None:
    """Show where cached states lie and how much room they take, or clear them.

    The folder is EQUIPOISE_CACHE (default ~/.cache/equipoise), its limit EQUIPOISE_CACHE_GB (8).
    """
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
    say(json_, record, said + (f", {freed / 1e6:.0f} MB freed" if clear else ""))


def _train(
    rows: str,
    out: Path,
    settings: dict[str, Any],
    columns: Any,
    *,
    seed: int,
    force: bool,
    json_: bool,
    quiet: bool,
    encoding: str | None = None,
) -> None:
    from equipoise.data.read import read_rows
    from equipoise.progress import shown, silent
    from equipoise.recipe import make_recipe
    from equipoise.summary import run_record, run_text

    started = time.perf_counter()
    # Before the imports that take seconds: most mistakes are in settings and rows.
    recipe = make_recipe(settings)
    columns = recipe.columns(columns)
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.fit import fit_table
        from equipoise.report import write_report

        run = fit_table(
            table, out, recipe, seed=seed, force=force, progress=progress, started=started
        )
        page = write_report(run.folder)
    say(json_, run_record(run, page), run_text(run, page))


def main() -> None:
    """Run the command; 0 done, 2 the input is at fault, 130 interrupted, 1 our own fault."""
    run_app(app)


if __name__ == "__main__":
    main()
