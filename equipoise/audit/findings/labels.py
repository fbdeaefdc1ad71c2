"""What is wrong with the labels: conflicts, errors, classes that can't be told apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equipoise.audit.given import Given
from equipoise.audit.repeats import SHOWN, Repeated
from equipoise.audit.say import few, percent, rows_
from equipoise.records.audit import Example, Finding, Noise, Overlap

SERIOUS_CONFLICTS = 0.01
"""Share of rows in conflict from which it is serious."""


def conflicts(given: Given, repeated: Repeated) -> Iterator[Finding]:
    """Any text under several labels; look-alikes under different labels are named with it, and by
    themselves only as worth a look, since one word can change the class."""
    r = repeated.record
    if r.conflict_texts:
        alike = (
            f", and {rows_(r.alike_conflicts, 'pair')} of look-alikes differ in label"
            if r.alike_conflicts
            else ""
        )
        share = r.conflict_rows / len(given)
        yield Finding(
            kind="conflict",
            weight="serious" if share >= SERIOUS_CONFLICTS else "look",
            says=f"{rows_(r.conflict_texts, 'text')} occur{'s' if r.conflict_texts == 1 else ''} "
            f"under different labels, {rows_(r.conflict_rows)} in all ({percent(share)}){alike}",
            do="decide on one label each; if both are right, the rows ask for several labels or "
            "for context that the text lacks",
            rows=r.conflict_rows,
            classes=repeated.conflict_classes,
            examples=repeated.conflicts,
        )
    elif r.alike_conflicts:
        yield Finding(
            kind="alike_conflict",
            weight="look",
            says=f"{rows_(r.alike_conflicts, 'pair')} of look-alike texts differ in label",
            do="read a few: either one word makes the class, or one of the labels is wrong",
            rows=0,
            classes=[],
            examples=repeated.conflicts,
        )


def label_errors(noise: Noise | None) -> Iterator[Finding]:
    """When a share of wrong labels of 1 % or less, and overlap for the rest, is ruled out at 1 %;
    see `suspects`."""
    if noise is None or not noise.named:
        return
    worst = sorted(noise.classes, key=lambda c: (-c.share, -c.suspects, c.name))
    shown = ", ".join(f"{c.name!r} {c.suspects:,} of {c.rows:,}" for c in worst[:3])
    yield Finding(
        kind="label_errors",
        weight="serious",
        says=f"about {percent(noise.rate)} of the labels are wrong ({percent(noise.low)} to "
        f"{percent(noise.high)})"
        + (f": {rows_(noise.suspects)} of {noise.checked:,} suspected" if noise.suspects else "")
        + (f", the largest shares in {shown}" if shown else ""),
        do=f"read {'the suspects (the page lists them)' if noise.suspects else 'the rows'} and "
        "mend what is wrong; until then prefer a loss that forgives wrong labels, and trust no "
        "score beyond that share",
        rows=noise.suspects,
        classes=[c.name for c in worst],
        p=noise.p,
        examples=noise.rows[:SHOWN],
    )


def inseparable_pairs(given: Given, overlap: Overlap | None) -> Iterator[Finding]:
    """Pairs that both witnesses confuse beyond the stated limit; see `overlap`."""
    if overlap is None:
        return
    pairs = [pair for pair in overlap.pairs if pair.inseparable]
    if not pairs:
        return
    shown = few([f"{pair.one!r} and {pair.other!r}" for pair in pairs])
    classes = list(dict.fromkeys(name for pair in pairs for name in (pair.one, pair.other)))
    counts = dict(zip(given.classes, given.counts().tolist(), strict=True))
    yield Finding(
        kind="inseparable",
        weight="look",
        says=f"{rows_(len(pairs), 'pair')} of classes can't be told apart by the encoder: "
        f"{shown} (at least {percent(pairs[0].low)} confused)",
        do="merge them, write down what divides them, or state what confusing them costs; "
        "weights and sampling can't separate them",
        rows=sum(counts[name] for name in classes),
        classes=classes,
        examples=_pair_examples(given, pairs[0].one, pairs[0].other),
    )


def _pair_examples(given: Given, one: str, other: str) -> list[Example]:
    """Rows of either class that the probe takes for the other, the surest first."""
    assert given.probe is not None
    found = []
    for own, theirs in ((one, other), (other, one)):
        a, b = given.classes.index(own), given.classes.index(theirs)
        rows = np.flatnonzero(given.labels == a)
        gap = given.probe[rows, b] - given.probe[rows, a]
        gap = np.where(np.isfinite(gap), gap, -np.inf)
        for place in np.argsort(-gap, kind="stable")[: (SHOWN + 1) // 2]:
            if gap[place] > 0:
                found.append(given.example(int(rows[place]), f"looks like {theirs!r}"))
    return found
