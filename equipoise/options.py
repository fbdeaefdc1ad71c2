"""The arguments and options of the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from equipoise.data.roles import Task as AskedTask
    from equipoise.data.table import ColumnNames

RowsArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROWS",
        help="A .csv, .tsv, .jsonl or .parquet file (also .gz), a folder with train, validation "
        "and test in one of these forms, or hf:owner/name[:config].",
    ),
]
RowsOfRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ROWS",
        help="As of `train`; with --order by default the rows that the run was made of.",
    ),
]
OrderOf = Annotated[
    Path | None,
    typer.Option(
        "--order",
        metavar="RUN",
        help="Folder of a finished run: say how a row's place in its first epoch relates to the "
        "row's final loss.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Text = Annotated[
    str,
    typer.Option(
        "--text",
        help="Column that holds the text, or columns: 'title + body'; with `--task write`, of "
        "texts learned whole.",
    ),
]
TextOfRun = Annotated[
    str | None,
    typer.Option("--text", help="Column that holds the text; by default as when RUN was made."),
]
LabelOfRun = Annotated[
    str | None,
    typer.Option("--label", help="Column that holds the class; by default as when RUN was made."),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        help="Column of what is asked, or columns: 'instruction + input', where the model is to "
        "write.",
    ),
]
Completion = Annotated[
    str | None, typer.Option("--completion", help="Column of what is to be written.")
]
Messages = Annotated[
    str | None,
    typer.Option(
        "--messages", help="Column of conversations, whose assistant's turns are to be written."
    ),
]
Category = Annotated[
    str | None,
    typer.Option(
        "--category", help="Column of the kind of a written row, treated and judged as a class is."
    ),
]
References = Annotated[
    str | None,
    typer.Option("--references", help="Column of further texts as right as the completion."),
]
Task = Annotated[
    str,
    typer.Option("--task", help="classify, write, or auto: as the columns say."),
]
Label = Annotated[str, typer.Option("--label", help="Column that holds the class.")]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        help="What divides several labels in one cell, as |; lists need none.",
    ),
]
Group = Annotated[
    list[str],
    typer.Option(
        "--group",
        help="Column that names a row's group, which stays on one side of every split; repeated, "
        "the columns name it together (each combination is a group).",
    ),
]
GroupOfRun = Annotated[
    list[str],
    typer.Option(
        "--group",
        help="Column that names a row's group, for a RUN that decides by group; by default as when "
        "RUN was made; repeated, the columns name it together.",
    ),
]
Weight = Annotated[str | None, typer.Option("--weight", help="Column of row weights.")]
Id = Annotated[str | None, typer.Option("--id", help="Column that names the row.")]
Time = Annotated[
    str | None, typer.Option("--time", help="Column of dates or numbers; split forward in time.")
]
Parent = Annotated[
    str | None,
    typer.Option(
        "--parent",
        help="Column of the id of the row that a row was made from; made rows only train.",
    ),
]
CostColumn = Annotated[
    str | None,
    typer.Option(
        "--cost",
        help="Column of amounts that costs are times of; by default as the costs name it.",
    ),
]
JudgedBy = Annotated[
    str | None,
    typer.Option(
        "--measure",
        help="Judge by this too: a measure of one class, or FILE.py:FUNCTION of your own.",
    ),
]
EstimatePrior = Annotated[
    bool,
    typer.Option(
        "--estimate-prior",
        help="Decide for the class shares of these rows, estimated from their texts alone.",
    ),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Encoding of text files other than UTF-8.")
]

JudgeUrl = Annotated[
    str,
    typer.Option("--url", help="Address of the endpoint, as https://host/v1."),
]
JudgeModel = Annotated[
    str, typer.Option("--model", help="The model that judges, by its name at the endpoint.")
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        "--key-env",
        metavar="NAME",
        help="Environment variable that holds the key; OPENAI_API_KEY by default, if it is set.",
    ),
]
Against = Annotated[
    str,
    typer.Option("--against", help="Baseline whose texts are compared: plain or base."),
]
HumanVerdicts = Annotated[
    Path | None,
    typer.Option(
        "--human",
        metavar="FILE",
        help="Verdicts of people, .csv or .jsonl: id of the row and verdict, a (the baseline's "
        "text is better), b (the run's) or tie.",
    ),
]
JudgeOption = Annotated[
    list[str],
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Field of each question's request, as reasoning_effort=low; may be repeated. "
        "temperature is 0 unless named; temperature=none leaves it out.",
    ),
]
Price = Annotated[
    str | None,
    typer.Option("--price", help="Of a million tokens read and a million written, as 2.5,10."),
]

Seed = Annotated[int, typer.Option("--seed", help="Fixes every random choice.")]
Force = Annotated[bool, typer.Option("--force", help="Replace another run in OUT.")]
CostsFile = Annotated[
    Path | None, typer.Option("--costs", help="YAML file: what each mistake costs.")
]
Model = Annotated[str | None, typer.Option("--model", help="Base model: a hub id or a folder.")]
Method = Annotated[
    str | None,
    typer.Option(
        "--method", help="light, full, head, lora, rslora, dora, ia3, prefix, prompt or adapter."
    ),
]
Remedy = Annotated[
    list[str],
    typer.Option("--remedy", help="NAME[:key=value,...]; may be repeated; `none` for no remedy."),
]
Prior = Annotated[
    str | None,
    typer.Option("--prior", help="Class shares to decide for: train, balanced, or a YAML file."),
]
Measure = Annotated[
    str | None, typer.Option("--measure", help="What decides; macro_f1 by default.")
]
Head = Annotated[str | None, typer.Option("--head", help="auto, cosine, linear, native or text.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the rows.")]
Baseline = Annotated[
    list[str],
    typer.Option("--baseline", help="tfidf, vectors, plain or none; may be repeated."),
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="YAML file of settings; options override it.")
]
Assignments = Annotated[
    list[str],
    typer.Option("--set", help="Any other setting, as train.batch_rows=64; may be repeated."),
]
Track = Annotated[
    list[str], typer.Option("--track", help="Tracker, such as mlflow; may be repeated.")
]

Orders = Annotated[
    int | None,
    typer.Option(
        "--orders",
        help="Train so many models in as many data orders, in OUT/order-0 and on, to be merged.",
    ),
]


def columns_asked(
    text: str | None = None,
    label: str | None = None,
    group: list[str] | None = None,
    weight: str | None = None,
    id_: str | None = None,
    time: str | None = None,
    cost: str | None = None,
    separator: str | None = None,
    prompt: str | None = None,
    completion: str | None = None,
    messages: str | None = None,
    category: str | None = None,
    references: str | None = None,
    parent: str | None = None,
) -> dict[str, Any]:
    """The columns that the options name, by their roles; those that are not named are left out."""
    named: dict[str, Any] = {
        "text": text,
        "label": label,
        "group": tuple(group or ()) or None,
        "weight": weight,
        "id": id_,
        "time": time,
        "cost": cost,
        "label_separator": separator,
        "prompt": prompt,
        "completion": completion,
        "messages": messages,
        "category": category,
        "references": references,
        "parent": parent,
    }
    return {role: name for role, name in named.items() if name is not None}


def columns_named(*names: Any, **by_role: Any) -> ColumnNames:
    """`columns_asked`, by default `text` and `label`; imported late, for `--help` must answer at
    once."""
    from equipoise.data.table import ColumnNames

    return ColumnNames(**columns_asked(*names, **by_role))


def task_named(task: str) -> AskedTask:
    """Raises SettingsError if `--task` asks for something that there is not."""
    from equipoise.errors import SettingsError

    if task == "auto":
        return "auto"
    if task == "classify":
        return "classify"
    if task == "write":
        return "write"
    raise SettingsError(f"--task {task}: give classify, write or auto")
