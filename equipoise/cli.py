"""The command line: one command per verb, each of which reads, calls, writes and prints.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equipoise.options import (
    Against,
    Assignments,
    Baseline,
    Category,
    Completion,
    CostColumn,
    CostsFile,
    Encoding,
    Epochs,
    EstimatePrior,
    Force,
    Group,
    GroupOfRun,
    Head,
    HumanVerdicts,
    Id,
    Json,
    JudgedBy,
    JudgeModel,
    JudgeOption,
    JudgeUrl,
    KeyVariable,
    Label,
    LabelOfRun,
    LabelSeparator,
    Measure,
    Messages,
    Method,
    Model,
    OrderOf,
    Orders,
    Parent,
    Price,
    Prior,
    Prompt,
    Quiet,
    RecipeFile,
    References,
    Remedy,
    RowsArgument,
    RowsOfRunArgument,
    RunArgument,
    Seed,
    Task,
    Text,
    TextOfRun,
    Time,
    Track,
    Weight,
    task_named,
)
from equipoise.options import columns_asked as _asked
from equipoise.options import columns_named as _columns
from equipoise.terminal import quiet_output, say
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
    seed: Seed = 0,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the main job on built-in messages, with its report; then a small one that writes."""
    from equipoise.commands import demo_runs

    say(json_, *demo_runs(out, seed=seed, force=force, quiet=quiet))


@app.command()
def audit(
    rows: RowsOfRunArgument = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the audit.")] = Path("audit"),
    order: OrderOf = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Base model whose encoder looks at the rows, or that is to write them; or `none`.",
        ),
    ] = None,
    costs: CostsFile = None,
    text: Text = "text",
    label: Label = "label",
    label_separator: LabelSeparator = None,
    prompt: Prompt = None,
    completion: Completion = None,
    messages: Messages = None,
    category: Category = None,
    references: References = None,
    task: Task = "auto",
    group: Group = [],  # noqa: B006
    weight: Weight = None,
    id_: Id = None,
    time: Time = None,
    parent: Parent = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    seed: Seed = 0,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Quote no texts; name rows by their ids alone.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is wrong with ROWS, measured, and what to try; write audit.json and a report.

    With --order RUN say what the order of the data did to RUN, and write order.json and a page.
    """
    from equipoise.audit_commands import audit_with, order_of

    asked = task_named(task)
    columns = _columns(
        *(text, label, group, weight, id_, time, cost, label_separator),
        *(prompt, completion, messages, category, references, parent),
    )
    if order is not None:
        for_rows = {
            "--model": model is not None,
            "--costs": costs is not None,
            "--no-texts": no_texts,
            "--task": task != "auto",
        }
        unused = [name for name, given in for_rows.items() if given]
        say(json_, *order_of(order, rows, out, columns, encoding, unused=unused, quiet=quiet))
        return
    answer = audit_with(
        rows,
        out,
        columns,
        model=model,
        costs=costs,
        encoding=encoding,
        task=asked,
        seed=seed,
        no_texts=no_texts,
        quiet=quiet,
    )
    say(json_, *answer)


@app.command()
def train(
    rows: RowsArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("run"),
    model: Model = None,
    method: Method = None,
    remedy: Remedy = [],  # noqa: B006
    costs: CostsFile = None,
    prior: Prior = None,
    measure: Measure = None,
    head: Head = None,
    epochs: Epochs = None,
    baseline: Baseline = [],  # noqa: B006
    recipe: RecipeFile = None,
    set_: Assignments = [],  # noqa: B006
    track: Track = [],  # noqa: B006
    orders: Orders = None,
    text: Text = "text",
    label: Label = "label",
    label_separator: LabelSeparator = None,
    prompt: Prompt = None,
    completion: Completion = None,
    messages: Messages = None,
    category: Category = None,
    references: References = None,
    task: Task = "auto",
    group: Group = [],  # noqa: B006
    weight: Weight = None,
    id_: Id = None,
    time: Time = None,
    parent: Parent = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    seed: Seed = 0,
    force: Force = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check rows and settings, and train nothing.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a model on ROWS, judge it, and write the run folder with its report.

    With --orders K fine-tune K models on the same rows in K data orders, to be merged.
    """
    from equipoise.commands import check_only, train_on
    from equipoise.settings import classes_in, train_settings

    asked = task_named(task)
    columns = _columns(
        *(text, label, group, weight, id_, time, cost, label_separator),
        *(prompt, completion, messages, category, references, parent),
    )
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
        classes=lambda: classes_in(rows, columns, encoding, asked),
    )
    how: dict[str, Any] = {"seed": seed, "force": force, "encoding": encoding, "task": asked}
    if orders is not None and not check:
        from equipoise.merge_commands import train_orders

        say(json_, *train_orders(rows, out, settings, columns, orders, quiet=quiet, **how))
        return
    if check:
        say(json_, *check_only(rows, out, settings, columns, **how))
        return
    say(json_, *train_on(rows, out, settings, columns, quiet=quiet, **how))


@app.command()
def evaluate(
    run: RunArgument,
    rows: RowsArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for scores.json and what was decided or written."),
    ] = None,
    measure: JudgedBy = None,
    estimate_prior: EstimatePrior = False,
    text: TextOfRun = None,
    label: LabelOfRun = None,
    label_separator: LabelSeparator = None,
    prompt: Prompt = None,
    completion: Completion = None,
    messages: Messages = None,
    category: Category = None,
    references: References = None,
    group: Group = [],  # noqa: B006
    id_: Id = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    json_: Json = False,
) -> None:
    """Judge a finished RUN on labelled ROWS that it has not seen."""
    from equipoise.commands import evaluate_with

    evaluate_with(
        run,
        rows,
        out,
        _asked(
            *(text, label, group, None, id_, None, cost, label_separator),
            *(prompt, completion, messages, category, references),
        ),
        measure=measure,
        estimate_prior=estimate_prior,
        encoding=encoding,
        json_=json_,
    )


@app.command()
def predict(
    run: RunArgument,
    rows: RowsArgument,
    out: Annotated[Path, typer.Option("--out", help="A .csv, .jsonl or .parquet file.")],
    estimate_prior: EstimatePrior = False,
    text: TextOfRun = None,
    prompt: Prompt = None,
    messages: Messages = None,
    category: Category = None,
    group: GroupOfRun = [],  # noqa: B006
    id_: Id = None,
    cost: CostColumn = None,
    encoding: Encoding = None,
    json_: Json = False,
) -> None:
    """Decide ROWS with a finished RUN, or answer them if it writes: a row of the file for each."""
    from equipoise.commands import predict_with

    predict_with(
        run,
        rows,
        out,
        _asked(
            *(text, None, group, None, id_, None, cost, None),
            *(prompt, None, messages, category, None),
        ),
        estimate_prior=estimate_prior,
        encoding=encoding,
        json_=json_,
    )


@app.command()
def judge(
    run: RunArgument,
    url: JudgeUrl,
    model: JudgeModel,
    key_env: KeyVariable = None,
    option: JudgeOption = [],  # noqa: B006
    against: Against = "plain",
    human: HumanVerdicts = None,
    price: Price = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a model behind an OpenAI-compatible endpoint compare what RUN and its baseline wrote.

    Each pair of texts is asked about in both orders. The verdict goes into RUN/judged.json and the
    report; answers are kept, so that the same command goes on after a break and pays nothing twice.
    """
    from equipoise.judge_commands import endpoint_asked, judge_with

    endpoint, prices = endpoint_asked(url, model, key_env, option, against, price)
    say(json_, *judge_with(run, endpoint, against, human=human, prices=prices, quiet=quiet))


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
    from equipoise.commands import cache_shown

    say(json_, *cache_shown(clear=clear))


def main() -> None:
    """Run the command; 0 done, 2 the input is at fault, 130 interrupted, 1 our own fault."""
    run_app(app)


if __name__ == "__main__":
    main()
