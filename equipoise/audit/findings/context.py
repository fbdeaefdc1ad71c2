"""Where the rows come from: groups, time, and how unequal the classes are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from equipoise.audit.given import TRAIN, Given
from equipoise.audit.groups import telling
from equipoise.audit.repeats import SHOWN
from equipoise.audit.say import classes_, percent, plural, ratio, rows_
from equipoise.records.audit import Balance, Example, Finding
from equipoise.records.audit_context import ClassGroups, Drift, Groups

FEW_GROUPS = 5.0
"""A class that rests on fewer (effective) groups says more of them than of itself."""
LEVEL = 0.01
DRIFT_SHARES, DRIFT_WORDS, DRIFT_AUC = 0.05, 0.02, 0.6
"""Least change that is worth a line, beside its test: total variation of class shares, share of
new words above chance, lower bound of the AUC of late against early rows of a class."""
UNEQUAL = 3.0
EXTREME = 100.0
"""Ratio from which imbalance is extreme (Krawczyk 2016, Learning from imbalanced data: open
challenges and future directions: common ratios are 4 : 1 to 100 : 1)."""


def telling_groups(given: Given, groups: Groups | None) -> Iterator[Finding]:
    """Groups that give the class away beyond chance, and classes that rest on few groups."""
    if groups is None:
        return
    if telling(groups):
        yield Finding(
            kind="group_tells_class",
            weight="look",
            says=f"the group goes a long way to tell the class (Cramér's V "
            f"{groups.association:.2f} over {rows_(groups.groups, 'group')})",
            do="keep groups on one side of every split (--group does), and check that no name or "
            "template of a group stands in its texts; group-balanced batches help",
            rows=groups.rows,
            classes=[],
            p=groups.p,
            examples=list(_one_sided(given, groups)),
        )
    few = sorted((c for c in groups.classes if c.effective < FEW_GROUPS), key=lambda c: c.effective)
    if few:
        shown = ", ".join(f"{c.name!r} ({_worth(c)})" for c in few[:3])
        own = np.isin(given.labels, [given.classes.index(c.name) for c in few])
        yield Finding(
            kind="few_groups",
            weight="look",
            says=f"{classes_(len(few))} rest{'s' if len(few) == 1 else ''} on few groups: {shown}",
            do="collect rows of more groups; what is learned of such a class may be what is "
            "peculiar to them",
            rows=given.how_many(own),
            classes=[c.name for c in few],
            examples=[
                given.example(
                    _row_of(given, c.largest, c.name),
                    f"group {c.largest!r} holds {percent(c.largest_share)} of its class",
                )
                for c in few[:SHOWN]
            ],
        )


def _worth(few: ClassGroups) -> str:
    """Its groups, and how many equal ones they are worth where that is fewer."""
    less = f"{few.effective:.1f}"
    worth = f", worth {less} equal ones" if float(less) < few.groups else ""
    return rows_(few.groups, "group") + worth


def _one_sided(given: Given, groups: Groups) -> Iterator[Example]:
    """A row of each of the largest groups, those that are most of one class first."""

    def first(group: dict[str, Any]) -> tuple[str, int]:
        name, rows = next(iter(group["classes"].items()))
        return str(name), int(rows)

    labelled = [group for group in groups.largest if group["classes"]]
    ordered = sorted(labelled, key=lambda group: -first(group)[1] / group["rows"])
    for group in ordered[:SHOWN]:
        name, rows = first(group)
        yield given.example(
            _row_of(given, group["name"], name),
            f"{rows:,} of {rows_(group['rows'])} of group {group['name']!r} are {name!r}",
        )


def _row_of(given: Given, group: str, label: str) -> int:
    assert given.groups is not None, "there are groups where they were measured"
    own = (given.groups == group) & (given.labels == given.classes.index(label))
    return int(np.flatnonzero(own)[0])


def drifts(given: Given, drift: Drift | None) -> Iterator[Finding]:
    """What changes from early to late: by a test at 1 %, and by enough to matter."""
    if drift is None:
        return
    moved = []
    if drift.shares_p <= LEVEL and drift.shares_moved >= DRIFT_SHARES:
        moved.append(f"{given.noun} shares move by {percent(drift.shares_moved)}")
    above = drift.words_new - drift.words_expected
    if drift.words_p <= LEVEL and above >= DRIFT_WORDS:
        moved.append(
            f"{percent(drift.words_new)} of the last period's words are new where "
            f"{percent(drift.words_expected)} would be by chance"
        )
    if drift.vectors_low is not None and drift.vectors_low > DRIFT_AUC:
        moved.append(
            f"late rows of a class can be told from early ones (AUC {drift.vectors_auc:.2f})"
        )
    if moved:
        yield Finding(
            kind="drift",
            weight="look",
            says=f"the rows change with {drift.column!r}: {', '.join(moved)}",
            do="judge on the latest rows (--time does), train on recent ones"
            + (
                ", and set --prior to the shares that are to come"
                if given.noun == "class"
                else " of categories that grow"
            ),
            rows=0,
            classes=[],
            examples=list(_ends(given)),
        )


def _ends(given: Given) -> Iterator[Example]:
    """The earliest rows and the latest."""
    assert given.times is not None, "drift is measured where there are times"
    order = np.argsort(given.times, kind="stable")
    cells = given.times if given.time_cells is None else given.time_cells
    for row in [*order[:2].tolist(), *order[-3:].tolist()]:
        yield given.example(row, f"{given.time_column} {cells[row]}")


def imbalance(given: Given, balance: Balance) -> Iterator[Finding]:
    """Three to one, and more."""
    if balance.ratio < UNEQUAL:
        return
    own = given.labels == given.classes.index(balance.smallest)
    rarest = np.flatnonzero(own & (given.roles == TRAIN))
    yield Finding(
        kind="imbalance",
        weight="look" if balance.ratio > EXTREME else "note",
        says=f"{balance.largest!r} has {ratio(balance.ratio)} the training rows of "
        f"{balance.smallest!r}; the {balance.trained:,} {plural(given.noun)} are worth "
        f"{balance.effective_classes:,.1f} equal ones",
        do="see the advice below; judge by "
        + (
            "macro-F1, never by accuracy alone"
            if given.noun == "class"
            else "the mean over categories, never over all rows alone"
        ),
        rows=0,
        classes=[balance.smallest],
        examples=[
            given.example(row, f"one of {rows_(len(rarest))} to train its {given.noun} on")
            for row in rarest[:SHOWN].tolist()
        ],
    )
