"""What spoils the judging: leaks, labels that were never trained, classes too small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equipoise.audit.given import TEST, TRAIN, VALIDATION, Given
from equipoise.audit.power import surely_too_small, too_small
from equipoise.audit.repeats import SHOWN, Repeated
from equipoise.audit.say import classes_, few, names, points, rows_
from equipoise.records.audit import ClassPower, Example, Finding, Leak, Power


def leaks(given: Given, repeated: Repeated) -> Iterator[Finding]:
    """Any row of a given judged part that is tied to a given part before it."""
    for leak in repeated.record.leaks:
        total = int((given.parts == leak.judged).sum())
        how = [
            f"{n:,} {words}"
            for n, words in (
                (leak.same, "with the same text"),
                (leak.alike, "with one that looks alike"),
                (leak.group, "of the same group"),
            )
            if n
        ]
        yield Finding(
            kind="leak",
            weight="serious",
            says=f"{leak.rows:,} of {total:,} {leak.judged} rows "
            f"{_ties(leak)} {leak.of} rows ({', '.join(how)})",
            do=f"leave out the {leak.of} rows that they are tied to, as equipoise train does"
            f"{_but_for(repeated.untied[leak.judged, leak.of], leak)}; scores of a model that was "
            "trained on those are too good",
            rows=leak.rows,
            classes=[],
            examples=repeated.leaks[leak.judged, leak.of],
        )


def _but_for(untied: int, leak: Leak) -> str:
    """What equipoise train keeps all the same."""
    if not untied:
        return ""
    also = "also look" if untied > 1 else "also looks"
    return (
        f" (but {rows_(untied, f'{leak.judged} row')} {also} like {leak.of} rows that it keeps, "
        "where long chains of look-alikes are cut)"
    )


def undivided(given: Given) -> Iterator[Finding]:
    """Where no run could train, choose and judge on these rows."""
    if given.undivided:
        judged = sorted({VALIDATION, TEST} & set(given.parts[given.roles == TRAIN].tolist()))
        yield Finding(
            kind="undivided",
            weight="serious",
            says=f"a run could not divide these rows: {'; '.join(given.undivided)}",
            do=f"mend that first; here the {' and '.join(judged)} rows are taken as training rows, "
            "and so the advice rests on rows that were given to judge"
            if judged
            else "mend that first; here all rows that may train are taken to",
            rows=len(given),
            classes=[],
            examples=[given.example(0, "the first row")],
        )


def _ties(leak: Leak) -> str:
    s = "s" if leak.rows == 1 else ""
    if leak.group:
        return f"repeat{s}, resemble{s} or share{s} a group with"
    return f"repeat{s} or resemble{s}"


def unknown_labels(given: Given) -> Iterator[Finding]:
    """Any class that is judged and has no row to train on."""
    trained = given.counts(TRAIN) > 0
    for role in (TEST, VALIDATION):
        rows = given.counts(role)
        missing = np.flatnonzero((rows > 0) & ~trained)
        if not len(missing):
            continue
        missing = missing[np.argsort(-rows[missing], kind="stable")]
        classes = [given.classes[k] for k in missing.tolist()]
        own = (given.roles == role) & np.isin(given.labels, missing)
        first = given.each_once(np.flatnonzero(own))[:SHOWN]
        concerned = given.how_many(own)
        yield Finding(
            kind="unknown_labels",
            weight="serious",
            says=f"{rows_(concerned)} of {role} {'has' if concerned == 1 else 'have'} a label "
            f"without a training row: {names(classes)}",
            do="add training rows of them, or leave them out of the judging; no model can decide "
            "for a class it never saw",
            rows=concerned,
            classes=classes,
            examples=[given.example(int(row), "no training row of this class") for row in first],
        )


def too_small_classes(given: Given, power: Power | None) -> Iterator[Finding]:
    """A class whose recall interval can span more than half of the scale: whatever comes out, or
    where its recall is near one half."""
    if power is None:
        return
    small = sorted((c for c in power.classes if too_small(c)), key=lambda c: (c.worth, c.name))
    if not small:
        return
    most = max(c.more_rows for c in small)
    apart = ", none of a group or a text that is there," if any(c.tied for c in small) else ""
    where = "given" if power.given else "that a run would divide off"
    surely = [c for c in small if surely_too_small(c)]
    perhaps = [c for c in small if not surely_too_small(c)]
    of, on = f"of {classes_(len(power.classes))}", f"on the {power.split} rows {where}"
    unless = f"only where nearly all or none of {'its' if len(perhaps) == 1 else 'their'} rows "
    unless += f"come out right: {_shown(perhaps)}"
    says = f"{len(surely):,} {of} can't be judged {on}: {_shown(surely)}"
    if not surely:
        says = f"{len(perhaps):,} {of} can be judged {on} {unless}"
    elif perhaps:
        says += f"; {len(perhaps):,} more can, but {unless}"
    yield Finding(
        kind="too_small",
        weight="serious",
        says=says,
        do=f"add up to {most:,} {power.split} rows a class{apart} to show a change of "
        f"{points(power.change)}, judge such classes together, or say that they are not judged",
        rows=given.how_many(
            np.isin(given.labels, [given.classes.index(c.name) for c in small])
            & (given.roles == power.split)
        ),
        classes=[c.name for c in small],
        examples=[_one_of(given, c, power.split) for c in reversed(small) if c.rows][:SHOWN],
    )


def _shown(small: list[ClassPower]) -> str:
    """Those that lack least are nearest to being judged; a class without a row needs no name."""
    held = [c for c in reversed(small) if c.rows]
    named = few([f"{c.name!r} ({_worth(c)})" for c in held])
    none = f"{len(small) - len(held):,} without a row" if len(held) < len(small) else ""
    return "; ".join(part for part in (none, named) if part)


def _one_of(given: Given, judged: ClassPower, split: str) -> Example:
    own = (given.labels == given.classes.index(judged.name)) & (given.roles == split)
    return given.example(
        int(np.flatnonzero(own)[0]), f"one of {rows_(judged.rows)} of {split} in its class"
    )


def _worth(judged: ClassPower) -> str:
    """Its rows, and how many independent ones they are worth where that is fewer."""
    less = f" worth {judged.worth:,.0f}" if judged.tied else ""
    return rows_(judged.rows) + less
