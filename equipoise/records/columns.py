"""Which column of the source played which role, as records keep it."""

from __future__ import annotations

from collections.abc import Mapping

Columns = dict[str, str | tuple[str, ...]]
"""Role to column name, {"text": "body", "label": "topic"}; of "group" to the names of all group
columns. Where one was given, "label_separator" to what divides labels."""


def named_columns(columns: Mapping[str, str | tuple[str, ...]]) -> list[tuple[str, str]]:
    """Role and name of every column, as a command line gives them, in order."""
    return [
        (role, name)
        for role, names in columns.items()
        for name in ((names,) if isinstance(names, str) else names)
    ]


def column_of(columns: Mapping[str, str | tuple[str, ...]], role: str) -> str | None:
    """The one column of a role, None if it has none. Of "group", ask the columns themselves."""
    name = columns.get(role)
    assert not isinstance(name, tuple)
    return name
