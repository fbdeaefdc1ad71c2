"""The parts of docs/cli.md that are made from the code: options of commands, and settings.

python -m tests.make_docs    writes them into the page; tests/test_docs.py keeps them true.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from equipoise.cli import app
from equipoise.recipe import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
_BOUNDS = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}
_TYPES = {bool: "true, false", int: "whole number", float: "number", str: "text"}


def parts() -> dict[str, str]:
    """Marker to the Markdown that stands between <!-- marker --> and <!-- /marker -->."""
    options = {f"options {name}": options_table(command) for name, command in COMMANDS.items()}
    return options | {"settings": settings_tables()}


def options_table(command: Any) -> str:
    lines = ["| option | default | what it does |", "| --- | --- | --- |"]
    for option in command.params:
        name = option.opts[0]
        if not name.startswith("--"):
            continue
        given = option.default
        default = "" if given is None or given is False or given in ([], ()) else f"`{given}`"
        if option.required:
            default = "required"
        lines.append(f"| `{name}` | {default} | {_cell(option.help or '')} |")
    return "\n".join(lines)


def settings_tables() -> str:
    """One table per group of settings, those of the recipe itself last."""
    groups = list(_groups("", Recipe))
    inner = {prefix.rstrip(".") for prefix, _ in groups}
    made = []
    for prefix, model in [*groups, ("", Recipe)]:
        lines = ["| setting | default | values | what it does |", "| --- | --- | --- | --- |"]
        for name, field in model.model_fields.items():
            if f"{prefix}{name}" in inner:
                continue
            values = _values(field.annotation, field.metadata)
            said = _cell(field.description or "")
            lines.append(f"| `{prefix}{name}` | {_default(field.default)} | {values} | {said} |")
        made.append("\n".join(lines))
    return "\n\n".join(made)


def _groups(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Groups of settings within a model, and those within them, each behind its own."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"{prefix}{name}.", field.annotation
            yield from _groups(f"{prefix}{name}.", field.annotation)


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    said = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{said.encode('unicode_escape').decode()}`" if "\n" in said else f"`{said}`"


def _values(annotation: Any, metadata: list[Any]) -> str:
    """ "whole number, above 0" or "`a`, `b`" from a type and its bounds."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return ", or ".join(_values(arg, metadata) for arg in args if arg is not type(None))
    if origin is Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    if origin is tuple:
        return f"list of {_values(args[0], [])}"
    if origin is dict:
        return "names with values"
    if args and hasattr(annotation, "__metadata__"):
        return _values(args[0], [*annotation.__metadata__, *metadata])
    bounds = [
        words.format(f"{getattr(bound, key):g}")
        for bound in _flat(metadata)
        for key, words in _BOUNDS.items()
        if isinstance(getattr(bound, key, None), int | float)
    ]
    return ", ".join([_TYPES[annotation], *bounds])


def _flat(metadata: list[Any]) -> list[Any]:
    """Bounds, taken out of pydantic's Field(...) where they stand in one."""
    return [part for one in metadata for part in getattr(one, "metadata", None) or [one]]


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def filled(page: str) -> str:
    """The page with every part as the code has it. A missing marker is an error."""
    for marker, made in parts().items():
        begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"docs/cli.md has no {begin} ... {end}")
        page = f"{before}{begin}\n{made}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
