"""How commands speak and how they end: answers on standard output, all else on standard error, and
an exit code that says whose fault it was."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import typer

from equipoise.errors import EquipoiseError


@contextlib.contextmanager
def quiet_output() -> Iterator[None]:
    """Keep standard output for the answer: what libraries print goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """The same, and transformers' own bars, which say nothing of the job, are off."""
    from equipoise.models.quiet import quiet_libraries

    with quiet_libraries(), quiet_output():
        yield


def say(json_: bool, record: dict[str, Any], text: str) -> None:
    """The answer: for people, or as one JSON object."""
    typer.echo(json.dumps(record) if json_ else text)


def warn(said: str) -> None:
    typer.echo(f"warning: {said}", err=True)


_OF_THE_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""A full or forbidden disk can be met at any write; it is the user's to mend, not ours."""


def run(app: typer.Typer) -> None:
    """Run the command that was typed and end the process with its exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A class name that the terminal can't show must not end a run of an hour.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="equipoise", standalone_mode=False)
    except EquipoiseError as error:
        _fail(error.faults)
    except (KeyboardInterrupt, typer.Abort):
        _interrupted()
    except Exception as error:
        # Usage errors: typer keeps their class to itself, but all can say what is wrong.
        if hasattr(error, "format_message"):
            _fail((_usage(error),))
        if isinstance(error, OSError) and error.errno in _OF_THE_PLACE:
            where = f"{error.filename}: " if error.filename else ""
            _fail((f"{where}{error.strerror}; make room or give leave, then run it again",))
        traceback.print_exc()
        typer.echo("this is a fault of equipoise; please report it with the lines above", err=True)
        raise SystemExit(1) from None
    if code == 130:  # what typer makes of Ctrl-C within a command
        _interrupted()
    raise SystemExit(code or 0)


_NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"


def _usage(error: Any) -> str:
    """What typer has to say, with the page of help that says more."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "equipoise"
    said = " ".join(str(error.format_message()).split()).rstrip(".")
    said = said.replace(_NO_INTEGER, "it should be a whole number")
    return f"{said}; see {command} --help"


def _fail(faults: tuple[str, ...]) -> None:
    # A fault may quote a name that holds a line break; each stays one line.
    lines = [" ".join(fault.splitlines()) for fault in faults]
    for line in lines:
        typer.echo(f"error: {line}", err=True)
    if "--json" in sys.argv[1:]:
        typer.echo(json.dumps({"errors": lines}))
    raise SystemExit(2)


def _interrupted() -> None:
    goes_on = "the same command goes on where this one stopped"
    typer.echo(f"interrupted; {goes_on}", err=True)
    if "--json" in sys.argv[1:]:
        typer.echo(json.dumps({"errors": [f"interrupted: {goes_on}"]}))
    raise SystemExit(130)
