"""Settings, costs and shares as people write them: YAML, read without its surprises.

YAML 1.1 turns a class called `no` into false, `1e3` into text and `010` into 8, and keeps silent
about a key that is written twice. Names stay here as they were written, and a second one is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from equipoise.errors import SettingsError


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The names and values in a YAML file; `what` says in errors which kind of file it is.

    Raises SettingsError if the file is missing, can't be read, or holds anything but names with
    values.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such {what}; check the name") from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: not a {what}, byte {error.start + 1} is not UTF-8; save it as UTF-8 text"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: can't be read as a {what} ({error.strerror})") from None
    try:
        record = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not a readable YAML file, {_where(error)}") from None
    except (RecursionError, ValueError, OverflowError):
        raise SettingsError(
            f"{path}: not a readable YAML file; write plain names and values"
        ) from None
    if not isinstance(record, dict):
        shown = "nothing" if record is None else repr(record)[:60]
        raise SettingsError(f"{path}: expected names with values (name: value), found {shown}")
    return record


def parse_value(text: str) -> Any:
    """One value as YAML reads it: 64, 1e-4, true, [a, b], or text. Raises SettingsError."""
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        raise SettingsError(f"can't read the value {text!r}; quote it if it is text") from None
    return value


class _Loader(yaml.SafeLoader):
    """The safe loader, with names as written and none twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a name must be plain text", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is written twice; keep one", key.start_mark
                )
            seen.add(key.value)
        self.flatten_mapping(node)  # takes in what `<<` names; a name of the mapping's own wins
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


# YAML 1.1 wants a point in 1e-4 and takes it for text otherwise.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
