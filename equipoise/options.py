"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RowsArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROWS",
        help="A .csv, .tsv, .jsonl or .parquet file (also .gz), a folder with train, validation "
        "and test in one of these forms, or hf:owner/name[:config].",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Text = Annotated[str, typer.Option("--text", help="Column that holds the text.")]
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
        "--group", help="Column whose rows stay on one side of every split; may be repeated."
    ),
]
Weight = Annotated[str | None, typer.Option("--weight", help="Column of row weights.")]
Id = Annotated[str | None, typer.Option("--id", help="Column that names the row.")]
Time = Annotated[
    str | None, typer.Option("--time", help="Column of dates or numbers; split forward in time.")
]
CostColumn = Annotated[
    str | None,
    typer.Option(
        "--cost",
        help="Column of amounts that costs are times of; by default as the costs name it.",
    ),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Encoding of text files other than UTF-8.")
]
