"""Offsets per group of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.remedies.decisions.offsets import fit_measure_offsets
from equipoise.remedies.decisions.values import AlertLimit, Measure, name_of
from equipoise.remedies.remedy import AtLeastOne, NotNegative

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def no_limit_by_group(measure: str) -> str:
    """Why a measure that keeps within a limit is refused."""
    return (
        f"remedy per_group_thresholds: {measure} keeps a limit over all rows, and no group can "
        "earn a threshold of its own for it; leave the remedy out, or give another measure"
    )


def per_group_thresholds(
    log_p: Array,
    labels: Ints,
    measure: Measure,
    start: Array,
    clusters: Ints,
    groups: NDArray[np.object_],
    rng: np.random.Generator,
    worth: Array | None = None,
    *,
    column: str = "",
    fewest_rows: AtLeastOne = 100,
    shrink_rows: NotNegative = 50.0,
) -> tuple[dict[str, Array], str]:
    """Offsets of its own for every group with rows enough, where they raise `measure` within it.

    Each group's offsets are fitted as `measure_offsets` fits them, on its rows alone, starting from
    the common offsets and drawn back to them; they are kept only if they raise the measure on rows
    of the group that they have not seen. All other rows, those of unknown groups too, are decided
    by the common offsets.

    Deciding by membership of a group is a decision about people, not about scores. Where a group
    stands for sex, age, origin, religion, disability or the like, treating its members by another
    threshold may be unlawful whatever the aim (in the United States, say, 42 U.S.C. 2000e-2(l)
    forbids it for employment tests; the European Union's equal-treatment directives and data
    protection law set limits of their own), and in general no thresholds make error rates,
    precision and treatment equal for all groups at once. Ask whoever answers for the decision,
    state the reason, and watch recall and precision of every group. For groups such as language,
    channel or site it is only a calibration.

    Shapes    log_p (n, K) log probabilities, labels (n,) in 0..K-1, measure as in
              `measure_offsets` but no `AlertLimit`, start (K,) common offsets, clusters (n,),
              groups (n,) str, None or "" for rows without one, worth as there. Returns
              {group: (K,) offsets} and a sentence.
    Settings  column: the column that names the group; empty: the rows' group columns, which are
              never on both sides of a split unless the splits are given. fewest_rows: labelled
              rows of a group, 1 or more. shrink_rows: rows, 0 or more; a class with so many rows in
              the group keeps half of its way.
    Raises    SettingsError for an `AlertLimit`: its threshold is set, not earned on unseen rows.
    Helps     where groups differ in class shares or in how well their texts are read.
    Harms     small groups (noise), and trust: two like rows are decided unlike.
    Source    Hardt et al. 2016, Equality of opportunity in supervised learning, arXiv:1610.02413;
              Corbett-Davies et al. 2017, arXiv:1701.08230 (what such thresholds cost).
    """
    if isinstance(measure, AlertLimit):
        raise SettingsError(no_limit_by_group(measure.name))
    names = sorted({str(g) for g in groups if g})
    large = [
        (name, rows) for name in names if len(rows := np.flatnonzero(groups == name)) >= fewest_rows
    ]
    found: dict[str, Array] = {}
    for (name, rows), stream in zip(large, rng.spawn(len(large)), strict=True):
        own = (log_p[rows], labels[rows], measure, start, clusters[rows], stream, worth)
        offsets, _ = fit_measure_offsets(*own, shrink_rows=shrink_rows)
        if not np.array_equal(offsets, start):
            found[name] = offsets
    return found, (
        f"{len(found)} of {len(names)} groups have offsets of their own for {name_of(measure)}; "
        f"{len(names) - len(large)} have fewer than {fewest_rows} rows, "
        f"{len(large) - len(found)} gained nothing on unseen rows"
    )
