"""The time column is read wherever it stands, whatever else its cells are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.auditing.gather import gather
from equipoise.data import ColumnNames, read_rows, split_table

OTHER_ROLES: dict[str, Any] = {"group": ("when",), "id": "when", "weight": "when", "cost": "when"}


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_a_time_may_have_another_role_too(role: str, tmp_path: Path) -> None:
    words = ["parcel", "money", "lamp", "hello", "tea", "rain", "snow", "wind", "sun", "moon"]
    lines = [f"{words[n % 10]} {words[n // 10]},{'ab'[n % 2]},{n + 1}" for n in range(40)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label,when", *lines]))
    table = read_rows(path, columns=ColumnNames(time="when", **{role: OTHER_ROLES[role]}))
    assert list(table.parts["all"].columns) == ["when"]
    splits = split_table(table)
    assert splits.test is not None
    assert splits.test.columns["when"].tolist() == [str(n) for n in range(35, 41)]
    given, _ = gather(table, costs=None, seed=0, keep_texts=True)
    assert given.times is not None
    np.testing.assert_array_equal(given.times, np.arange(1, 41))
