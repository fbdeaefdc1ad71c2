"""Whether the rows change over time: class shares, words, and where texts lie in vector space.

Rows that repeat, look alike or share a group are looked at once, at the first of them: ten
messages of one customer on one day are no trend.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.stats import chi2, rankdata

from equipoise.audit.given import Floats, Given, Ints, Mask
from equipoise.audit.words import words_of
from equipoise.records.audit_context import Drift, Period
from equipoise.statistics.intervals import auc_interval

PERIODS = 6
SHUFFLES = 99
"""Random orders that new words are compared with: the least p-value is 1 in 100."""
MOST_ROWS = 20_000
"""Rows whose words are looked at; beyond, an even sample over time."""
FEWEST_EXPECTED = 5
"""Classes with fewer rows expected in a half are counted together (Cochran's rule)."""


def drift(given: Given) -> Drift | None:
    """None without times, or with fewer than two of them."""
    if given.times is None:
        return None
    _, first = np.unique(given.clusters, return_index=True)
    rows = first[np.argsort(given.times[first], kind="stable")]
    times = given.times[rows]
    borders = _borders(times)
    if len(borders) < 3:
        return None
    late = times >= times[borders[len(borders) // 2]]
    shares_moved, shares_p = _shares(given.labels[rows], late, len(given.classes))
    new, expected, words_p, by_period = _words(given, rows, borders)
    auc, low = _vectors(given, rows, late)
    cells = given.times if given.time_cells is None else given.time_cells
    return Drift(
        column=given.time_column,
        periods=[
            Period(
                since=str(cells[rows[start]]),
                until=str(cells[rows[stop - 1]]),
                rows=int(stop - start),
                counts=_counts(given, rows[start:stop]),
                new_words=by_period[place],
            )
            for place, (start, stop) in enumerate(pairwise(borders))
        ],
        shares_moved=shares_moved,
        shares_p=shares_p,
        words_new=new,
        words_expected=expected,
        words_p=words_p,
        vectors_auc=auc,
        vectors_low=low,
    )


def _borders(times: Floats) -> list[int]:
    """Where periods of about equal size begin, rows of one time together; the end closes them."""
    begins = np.flatnonzero(np.diff(times, prepend=-np.inf))
    wanted = np.arange(PERIODS) * len(times) / PERIODS
    places = begins[np.abs(begins[None, :] - wanted[:, None]).argmin(axis=1)]
    return [*np.unique(places).tolist(), len(times)]


def _counts(given: Given, rows: Ints) -> dict[str, int]:
    counts = np.bincount(given.labels[rows], minlength=len(given.classes))
    return {given.classes[k]: int(n) for k, n in enumerate(counts) if n}


def _shares(labels: Ints, late: Mask, classes: int) -> tuple[float, float]:
    """Total variation distance between the halves' class shares, and the p-value of Pearson's
    test; classes too rare for it are counted together."""
    table = np.stack(
        [np.bincount(labels[part], minlength=classes) for part in (~late, late)]
    ).astype(np.float64)
    halves = table.sum(axis=1, keepdims=True)
    moved = float(np.abs(table[0] / halves[0] - table[1] / halves[1]).sum() / 2)
    expected = halves * table.sum(axis=0) / table.sum()
    rare = expected.min(axis=0) < FEWEST_EXPECTED
    merged = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    merged = merged[:, merged.sum(axis=0) > 0]
    expected = halves * merged.sum(axis=0) / merged.sum()
    statistic = float(((merged - expected) ** 2 / expected).sum())
    return moved, float(chi2.sf(statistic, merged.shape[1] - 1)) if merged.shape[1] > 1 else 1.0


def _words(given: Given, rows: Ints, borders: list[int]) -> tuple[float, float, float, list[float]]:
    """Share of words new in the last period, the same in random order, its p-value, and the share
    of every period."""
    step = max(1, -(-len(rows) // MOST_ROWS))
    place = np.arange(0, len(rows), step)
    known: dict[str, int] = {}
    word, owner = [], []
    for at in place.tolist():
        for found in set(words_of(str(given.texts[rows[at]]).casefold())):
            word.append(known.setdefault(found, len(known)))
            owner.append(at)
    if not word:
        return 0.0, 0.0, 1.0, [0.0] * (len(borders) - 1)
    order = np.argsort(np.array(word), kind="stable")
    words, owners = np.array(word)[order], np.array(owner)[order]
    begins = np.flatnonzero(np.diff(words, prepend=-1))
    starts = np.array(borders[:-1])

    def new_shares(when: Ints) -> Floats:
        """Per period; `when` is the place in time of every owner."""
        first = np.minimum.reduceat(when, begins)[words]
        period = np.searchsorted(starts, when, side="right") - 1
        fresh = first >= starts[period]
        seen = np.bincount(period, minlength=len(starts))
        shares: Floats = np.bincount(period, weights=fresh, minlength=len(starts)) / np.maximum(
            seen, 1
        )
        return shares

    shares = new_shares(owners)
    rng = np.random.default_rng(0)
    moved = np.empty(len(rows), dtype=np.int64)
    chance = []
    for _ in range(SHUFFLES):
        moved[place] = rng.permutation(place)
        chance.append(float(new_shares(moved[owners])[-1]))
    above = sum(share >= shares[-1] for share in chance)
    return (
        float(shares[-1]),
        float(np.mean(chance)),
        (1 + above) / (1 + SHUFFLES),
        [float(share) for share in shares],
    )


def _vectors(given: Given, rows: Ints, late: Mask) -> tuple[float | None, float | None]:
    """How well late rows can be told from early ones of the same class, and its lower bound.

    The direction from the early to the late mean of one half of the rows is judged on the other
    half, and the other way round. A row that is alone in its class has nothing to be told from.
    """
    if given.vectors is None:
        return None, None
    told = np.bincount(given.labels[rows])[given.labels[rows]] > 1
    rows, late = rows[told], late[told]
    if not late.any() or late.all():
        return None, None
    vectors = given.vectors[rows].astype(np.float64)
    labels = given.labels[rows]
    counts = np.bincount(labels)
    means = np.stack(
        [np.bincount(labels, weights=column) for column in vectors.T], axis=1
    ) / np.maximum(counts, 1)[:, None]  # fmt: skip
    vectors = vectors - means[labels]
    scores = np.empty(len(rows))
    for half in (0, 1):
        fit, judged = np.arange(len(rows)) % 2 != half, np.arange(len(rows)) % 2 == half
        if not (late[fit].any() and (~late[fit]).any()):
            return None, None
        direction = vectors[fit & late].mean(axis=0) - vectors[fit & ~late].mean(axis=0)
        along = vectors[judged] @ direction
        scores[judged] = (along - along.mean()) / max(float(along.std()), 1e-12)
    yes, no = int(late.sum()), int((~late).sum())
    # Equal texts have equal scores; were they ranked in order of time, that would be told from it.
    auc = float((rankdata(scores)[late].sum() - yes * (yes + 1) / 2) / (yes * no))
    low, _ = auc_interval(auc, yes, no)
    return auc, float(low)
