"""What to try where a row may have several labels, and what in these rows speaks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from equipoise.audit.given import Ints
from equipoise.audit.say import percent, spread
from equipoise.audit.stances import in_order
from equipoise.records.audit import Advice
from equipoise.records.audit_labels import CoOccurrence

FEW_ROWS = 20
MILD, EXTREME = 3.0, 100.0
"""Ratios of the most frequent to the rarest label."""
MINGLED = 0.1
"""SCUMBLE from which rare labels come on rows of frequent ones."""
MANY_LABELS, SPARSE = 20, 0.1
"""Labels, and share of them that a row has, from which most answers are easy noes."""


def advise_labels(
    counts: Ints, classes: tuple[str, ...], found: CoOccurrence, known: Sequence[str]
) -> list[Advice]:
    """counts (K,) training rows of each label. Remedies not in `known` are left out."""
    return in_order(_all(counts, classes, found), known)


def _all(counts: Ints, classes: tuple[str, ...], found: CoOccurrence) -> Iterator[Advice]:
    present = counts[counts > 0]
    most, fewest = int(present.max()), int(present.min())
    rarest = np.where(counts > 0, counts, most + 1).argmin()
    seen = spread(classes[int(counts.argmax())], most, classes[int(rarest)], fewest)
    yield _thresholds(present, found)
    yield _weights(most / fewest, seen)
    yield _companions(most / fewest, found)
    yield _easy_noes(len(present), found)


def _thresholds(present: Ints, found: CoOccurrence) -> Advice:
    half, tail = int((present < found.rows / 2).sum()), int((present < FEW_ROWS).sum())
    return Advice(
        remedy="measure_offsets",
        stance="try first",
        why="thresholds cost no training",
        speaks_for=f"{half:,} of {len(present):,} labels are on less than half of the rows, where "
        "plain training puts most probabilities below 0.5; a threshold per label, kept where it "
        "earns it",
        speaks_against=f"labels with fewer than {FEW_ROWS} training rows, {tail:,} here, have "
        "hardly any validation rows to fit on; they take the threshold common to all"
        if tail
        else "little: validation rows must be like those in use",
        source="Lipton et al. 2014, arXiv:1402.1892",
        option="--remedy temperature --remedy measure_offsets",
    )


def _weights(ratio: float, seen: str) -> Advice:
    return Advice(
        remedy="binary_weighted",
        stance="try first" if ratio > EXTREME else "try" if ratio >= MILD else "not here",
        why="rare labels that plain training outvotes" if ratio >= MILD else "labels nearly alike",
        speaks_for=seen,
        speaks_against="at this ratio single rows make steps jump: keep kind=sqrt"
        if ratio > EXTREME
        else "probabilities rest on a correction afterwards",
        source="King and Zeng 2001, Political Analysis 9",
        option="--remedy binary_weighted",
    )


def _companions(ratio: float, found: CoOccurrence) -> Advice:
    mingled = found.scumble >= MINGLED
    return Advice(
        remedy="distribution_balanced",
        stance="try" if mingled and ratio >= MILD else "not here",
        why="labels nearly alike"
        if ratio < MILD
        else "rare labels come beside frequent ones"
        if mingled
        else "rare labels seldom come beside frequent ones",
        speaks_for=f"SCUMBLE {found.scumble:.2f}, {found.per_row:.2f} labels a row: weighing a "
        "rare label up weighs its frequent companions up, which this loss takes back",
        speaks_against="six settings, and probabilities that need calibration",
        source="Wu et al. 2020, arXiv:2007.09654",
        option="--remedy distribution_balanced",
    )


def _easy_noes(labels: int, found: CoOccurrence) -> Advice:
    share = found.per_row / max(labels, 1)
    sparse = labels >= MANY_LABELS and share <= SPARSE
    return Advice(
        remedy="binary_asymmetric",
        stance="try" if sparse else "not here",
        why="most answers are easy noes"
        if sparse
        else "too few labels for a flood of easy noes"
        if labels < MANY_LABELS
        else "a row has many of the labels",
        speaks_for=f"a row has {percent(share)} of the {labels:,} labels; noes that are easy "
        "cost nothing, and missing yeses little",
        speaks_against="probabilities are meant for no shares that could be named",
        source="Ridnik et al. 2021, arXiv:2009.14119",
        option="--remedy binary_asymmetric",
    )
