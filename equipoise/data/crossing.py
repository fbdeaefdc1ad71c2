"""Rows that would carry what is judged into training: left out and counted, or kept as asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.data.forward import part_times
from equipoise.data.raw import LISTED
from equipoise.data.table import TEST, TRAIN, VALIDATION
from equipoise.data.told import Told
from equipoise.errors import DataError
from equipoise.records.rows import Rows

Parts = dict[str, Rows]

_MANY = 0.1
"""Share of a part's rows above which leaving them out is a warning, and half of them an error."""


@dataclass(frozen=True)
class Guard:
    """What is done with rows that a part nearer to judging forbids."""

    source: str
    keep: bool
    """Keep them, with a warning."""
    told: Told

    def drop_crossing(self, parts: Parts) -> Parts:
        """Without the rows whose cluster is also in a part nearer to judging. Raises DataError if
        that is more than half of a part."""
        for name, nearer in ((VALIDATION, [TEST]), (TRAIN, [VALIDATION, TEST])):
            judged = [part for part in nearer if part in parts]
            if name not in parts or not judged:
                continue
            rows = parts[name]
            clusters = np.concatenate([_clusters(parts[part]) for part in judged])
            where = " or ".join(judged)
            tied = "share a conversation or a group" if rows.written else "share a group"
            parts = self._drop(
                parts,
                name,
                np.isin(_clusters(rows), clusters),
                f"repeat, resemble or {tied} with rows of {where}",
                "name only group columns that should stay on one side, mend the files",
            )
        return parts

    def drop_late(self, parts: Parts, column: str) -> Parts:
        """Without the training rows that are as late as the first row that was given to judge, or
        later. Raises DataError if that is more than half of them, or for times that can't be
        read."""
        judged = [part for part in (VALIDATION, TEST) if part in parts]
        times = part_times(parts, column, self.source)
        first = min(judged, key=lambda part: times[part].min())
        border = times[first].min()
        cell = parts[first].columns[column][int(times[first].argmin())]
        if VALIDATION in judged and TEST in judged:
            late = int((times[VALIDATION] >= times[TEST].min()).sum())
            if late:
                self.told.notes.append(
                    f"{late:,} of {len(times[VALIDATION]):,} validation rows are as late as the "
                    "first test row, or later; they choose the model all the same"
                )
        return self._drop(
            parts,
            TRAIN,
            times[TRAIN] >= border,
            f"are as late as the first row of {first} ({column!r} {cell}), or later",
            "give judged rows that are later than those that train, leave --time out if the files "
            "were not divided by time",
        )

    def _drop(
        self,
        parts: Parts,
        name: str,
        gone: NDArray[np.bool_],
        why: str,
        then: str,
    ) -> Parts:
        rows, count = parts[name], int(gone.sum())
        of = f"{count:,} of {len(rows):,} {name} rows"
        if not count:
            return parts
        if self.keep:
            self.told.warnings.append(
                f"{of} {why}, and were kept as asked; the scores flatter the model"
            )
            return parts
        then = f"{then}, or keep such rows (equipoise train --set split.keep_crossing=true)"
        if count > len(rows) / 2:
            raise DataError(f"{self.source}: {of} {why}; {then}")
        if count > _MANY * len(rows):
            self.told.warnings.append(f"left out {of} that {why}; {then}")
        else:
            self.told.notes.append(f"left out {of} that {why}")
        self.told.warnings.extend(_emptied(rows, gone, name))
        return parts | {name: rows.take(~gone)}


def listed_classes(labels: list[str], rows: Rows) -> str:
    """ "classes 'a', 'b' and 3 more"; categories, where rows are written."""
    more = f" and {len(labels) - LISTED:,} more" if len(labels) > LISTED else ""
    shown = ", ".join(map(repr, labels[:LISTED]))
    one, many = ("category", "categories") if rows.written else ("class", "classes")
    return f"{one if len(labels) == 1 else many} {shown}{more}"


def _emptied(rows: Rows, gone: NDArray[np.bool_], name: str) -> list[str]:
    lost = sorted(rows.take(gone).counts().keys() - rows.take(~gone).counts().keys())
    return [f"that leaves no {name} row of {listed_classes(lost, rows)}"] if lost else []


def _clusters(rows: Rows) -> NDArray[Any]:
    assert rows.clusters is not None, "split_table set them"
    return rows.clusters
