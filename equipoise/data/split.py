"""Who trains, who chooses, who judges: rows divided so that nothing leaks between them.

One file (or only a train file): 70 % training, 15 % validation, 15 % test. Train and test: 15 % of
train becomes validation. Train and validation: they stay, and there is no test. All three: they
stay. Whatever was given to judge is never touched; where a duplicate, a look-alike or a group runs
through two given parts, the one further from judging gives way: training to validation and test,
validation to test. So do, forward in time, training rows as late as what was given to judge. Rows
that were made from others are divided last: they train where those do, and are nowhere else. The
notes say how many rows that took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.data.allot import allot
from equipoise.data.crossing import Guard, Parts, listed_classes
from equipoise.data.duplicates import Clusters, codes, find_clusters
from equipoise.data.forward import hold_out_latest
from equipoise.data.made import Places, given_rows, origins, with_made
from equipoise.data.memberships import memberships, rarest_labels
from equipoise.data.table import TEST, TRAIN, VALIDATION, WHOLE, Table
from equipoise.data.told import Told
from equipoise.errors import DataError, SettingsError, ShapeError
from equipoise.records.columns import column_of
from equipoise.records.rows import Rows, Splits, all_turns


def split_table(
    table: Table,
    *,
    validation_share: float = 0.15,
    test_share: float = 0.15,
    seed: int = 0,
    time_column: str | None = None,
    threshold: float = 0.8,
    max_cluster: int | None = None,
    keep_crossing: bool = False,
    clusters: Clusters | None = None,
) -> Splits:
    """Divide the rows of a checked table; every part's rows carry their cluster numbers. Shares and
    classes are of the given rows; a row that was made from one of them trains if that does.

    validation_share, test_share
                   Share of the rows that are divided, 0 to 1; used only for parts that were not
                   given. test_share 0 makes no test part.
    time_column    Split forward in time by this column; None: the table's own time column, if any.
                   No row trains that is as late as the first judged row.
    threshold, max_cluster
                   What counts as look-alike and how much it may tie; see `find_clusters`.
    keep_crossing  Keep training rows whose duplicate, look-alike, conversation or group is also in
                   a judged part, or that are as late as rows that were given to judge, with a
                   warning, rather than leaving them out.
    clusters       Of the rows of all parts, in order, as `find_clusters` gives them; None: they are
                   looked for. Given, threshold and max_cluster have no say.
    Raises         SettingsError for bad shares; DataError if there are no training rows or
                   labels, if a part would be empty, if times can't be read, or if more than half
                   of the training rows would have to be left out.
    """
    _check_shares(validation_share, test_share)
    whole, origin, clusters = _grouped(table, threshold, max_cluster, seed, clusters)
    told = Told(_cluster_notes(clusters))
    parts = given_rows(whole, told)
    time_column = time_column or column_of(table.columns, "time")
    shares = {VALIDATION: validation_share, TEST: test_share}
    missing = [part for part in (VALIDATION, TEST) if part not in parts]
    if TEST in missing and (VALIDATION in parts or test_share == 0):
        missing.remove(TEST)
        told.warnings.append("no test part: the model is judged on the rows that also chose it")
    guard = Guard(table.source, keep_crossing, told)
    if len(parts) > 1:
        parts = guard.drop_crossing(parts)
        if time_column is not None:
            parts = guard.drop_late(parts, time_column)
    if missing:
        taken = {part: shares[part] for part in missing}
        if time_column is None:
            held = _hold_out(parts[TRAIN], taken, seed)
            kind = "category" if table.written else "class"
            told.notes.append(_share_note(held, f"stratified by {kind}, seed {seed}"))
            parts = parts | held
        else:
            held, borders = hold_out_latest(parts[TRAIN], taken, time_column, table.source)
            told.notes.append(_share_note(held, f"by {time_column!r}: {borders}"))
            parts = guard.drop_crossing(parts | held)
    parts[TRAIN] = with_made(parts[TRAIN], whole, origin, told)
    _check_parts(parts, table.source, clusters)
    _tell_of_classes(parts, told)
    return Splits(
        *(parts[TRAIN], parts[VALIDATION], parts.get(TEST)),
        notes=tuple(told.notes),
        warnings=tuple(told.warnings),
    )


def folds(
    labels: Sequence[Any] | NDArray[Any], clusters: NDArray[np.int64], k: int, seed: int
) -> NDArray[np.int64]:
    """(rows,) fold of every row, 0 to k - 1: rows of one cluster in one fold, every class spread
    as evenly as its clusters allow. A label may be a tuple of several; each is spread.

    Raises SettingsError if k is below 2 or above the number of clusters.
    """
    if len(labels) != len(clusters):
        raise ShapeError(f"{len(labels)} labels but {len(clusters)} clusters; give one per row")
    cluster = codes(clusters.tolist())
    held = int(cluster.max(initial=-1)) + 1
    if not 2 <= k <= held:
        raise SettingsError(
            f"{k} folds of {len(labels)} rows in {held} groups that stay together; "
            f"ask for 2 to {max(held, 2)} folds, or give more rows"
        )
    rows, names = memberships(labels)
    part = allot(
        codes(names),
        cluster[rows],
        np.full(k, 1 / k),
        np.random.default_rng(seed),
        first_trains=False,
    )
    return part[cluster]


def _check_shares(validation_share: float, test_share: float) -> None:
    faults = []
    if not 0 < validation_share < 1:
        faults.append(f"validation_share is {validation_share}; give a share between 0 and 1")
    if not 0 <= test_share < 1:
        faults.append(f"test_share is {test_share}; give a share from 0 to below 1")
    if not faults and validation_share + test_share >= 1:
        faults.append(
            f"validation_share {validation_share} and test_share {test_share} leave nothing to "
            "train on; their sum should be well below 1"
        )
    if faults:
        raise SettingsError(*faults)


def _grouped(
    table: Table, threshold: float, max_cluster: int | None, seed: int, found: Clusters | None
) -> tuple[Parts, Places, Clusters]:
    """The given parts with cluster numbers over all of them, found unless they are known, and what
    each row goes back to; one file counts as training rows."""
    parts = {TRAIN if name == WHOLE else name: rows for name, rows in table.parts.items()}
    if TRAIN not in parts:
        raise DataError(
            f"{table.source}: holds no training rows, only {' and '.join(parts)}; "
            "add a train file, or give one file"
        )
    labels: list[Any] = []
    groups: list[str] = []
    for name, rows in parts.items():
        if rows.labels is None:
            raise DataError(f"{table.source}: the {name} rows have no labels; add a label column")
        labels += rows.labels.tolist()
        groups += [""] * len(rows) if rows.groups is None else rows.groups.tolist()
    origin = origins(parts)
    found = found or find_clusters(
        [text for rows in parts.values() for text in rows.texts.tolist()],
        groups if any(groups) else None,
        rarest_labels(labels),
        turns=all_turns(parts.values()),
        origins=origin,
        threshold=threshold,
        max_cluster=max_cluster,
        seed=seed,
    )
    ends = np.cumsum([len(rows) for rows in parts.values()])
    return (
        {
            name: replace(rows, clusters=found.ids[end - len(rows) : end])
            for (name, rows), end in zip(parts.items(), ends.tolist(), strict=True)
        },
        origin,
        found,
    )


def _hold_out(rows: Rows, taken: dict[str, float], seed: int) -> Parts:
    """Training rows and the parts taken from them, stratified, clusters together."""
    (row, names), cluster = memberships(_labels(rows).tolist()), codes(_clusters(rows).tolist())
    shares = np.array([1 - sum(taken.values()), *taken.values()])
    rng = np.random.default_rng(seed)
    part = allot(codes(names), cluster[row], shares, rng, first_trains=True)[cluster]
    return {name: rows.take(part == place) for place, name in enumerate([TRAIN, *taken])}


def _check_parts(parts: Parts, source: str, clusters: Clusters) -> None:
    for name, rows in parts.items():
        if not len(rows):
            greeting = (
                ", or leave out rows that are but a greeting: they tie every conversation that "
                "begins so"
            )
            raise DataError(
                f"{source}: no rows are left for {name}; add rows (a class needs at least three "
                "rows that are no duplicates), or give a file of its own"
                f"{greeting if clusters.steps else ''}"
            )
    counts = parts[TRAIN].counts()
    if parts[TRAIN].written:
        return  # one category is enough to learn from
    if parts[TRAIN].several:
        if all(n == len(parts[TRAIN]) for n in counts.values()):
            raise DataError(
                f"{source}: all training rows would hold the same labels, "
                f"{', '.join(map(repr, counts)) or 'none'}; add others, or split otherwise"
            )
    elif len(counts) < 2:
        held = ", ".join(map(repr, counts))
        raise DataError(
            f"{source}: the training rows would hold one class only, {held}; "
            "add rows of another, or split otherwise"
        )


def _cluster_notes(found: Clusters) -> list[str]:
    notes = []
    if found.repeated:
        notes.append(
            f"{found.repeated:,} rows repeat the text of another (but for case, spaces and "
            "punctuation) and stay with it"
        )
    if found.steps:
        notes.append(
            f"{found.steps:,} rows are steps of one conversation (one answers on its way what "
            "another asks) and stay together"
        )
    if found.links:
        cut = (
            f"; {found.cut:,} of them are apart all the same, where a chain of look-alikes had "
            "grown too long"
            if found.cut
            else ""
        )
        notes.append(f"{found.links:,} pairs of texts look alike and stay together{cut}")
    return notes


def _share_note(held: Parts, how: str) -> str:
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in held.items())
    return f"{sum(map(len, held.values())):,} rows divided into {counts} ({how})"


def _tell_of_classes(parts: Parts, told: Told) -> None:
    train = parts[TRAIN].counts()
    for name in (VALIDATION, TEST):
        if name in parts:
            absent = [label for label in train if label not in parts[name].counts()]
            if absent:
                told.notes.append(
                    f"{listed_classes(absent, parts[TRAIN])}: trained, but without a row in "
                    f"{name}; too few rows (or groups of rows) to be there as well"
                )
            unseen = [label for label in parts[name].counts() if label not in train]
            if unseen:
                told.warnings.append(
                    f"{listed_classes(unseen, parts[TRAIN])}: in {name}, but without a training row"
                )


def _labels(rows: Rows) -> NDArray[Any]:
    assert rows.labels is not None, "_grouped saw to it"
    return rows.labels


def _clusters(rows: Rows) -> NDArray[Any]:
    assert rows.clusters is not None, "_grouped set them"
    return rows.clusters
