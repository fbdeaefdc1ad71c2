"""Every malformed input ends in clear lines, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from equipoise.data import ColumnNames, check_rows, read_rows, split_table
from equipoise.errors import DataError, SettingsError
from tests.data.malformed import MALFORMED, Malformed


def prepare(source: str, options: dict[str, str]) -> None:
    """What every door does with rows before it trains."""
    encoding = options.pop("encoding", None)
    group = (options.pop("group"),) if "group" in options else ()
    table = read_rows(source, columns=ColumnNames(group=group, **options), encoding=encoding)
    check_rows(table)
    split_table(table)


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_refused_with_clear_lines(case: Malformed, tmp_path: Path) -> None:
    source = case.build(tmp_path)
    with pytest.raises((DataError, SettingsError)) as caught:
        prepare(source, dict(case.options))
    lines = caught.value.faults
    for word in case.words:
        assert any(word in line for line in lines), f"{word!r} is not in\n{caught.value}"
    for line in lines:
        assert "\n" not in line
        assert len(line) < 600
        assert any(mark in line for mark in (";", ":")), "what is wrong, and what to do next"
    assert len(lines) <= 12, "faults of one kind are listed together"


def test_names_are_unique_and_many() -> None:
    assert len({case.name for case in MALFORMED}) == len(MALFORMED) >= 60
