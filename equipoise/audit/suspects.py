"""Labels that are contradicted: whether there are more than overlap explains, and which rows.

Two witnesses that never saw the row say which class it is nearest to: the probe, a line between
classes, and the row's nearest neighbours.

Whether: where classes merely overlap, contradicted labels die out as the probe grows surer. Wrong
labels don't: they stand just as often in the heart of another class. So among the rows on whose
class both witnesses agree, the chance of being contradicted is fitted as

    lapse + (1 - lapse) / (1 + exp(a + b s)),    s = the probe's log-odds for its class,

under the shares of the labels as given, and against all other classes together: odds that can be
taken at their word have a = 0 and b = 1, however many classes there are and however lopsided. It
is a curve that falls, with b of at least FLATTEST, to a floor: the lapse rate. Overlap alone has no
floor; the floor is the share of wrong labels. It is named when the likelihood ratio rules out a
floor of LIMIT or less, unless more than BLURRED of these rows are contradicted: then no row is sure
enough to see a floor by.

Which: by Confident Learning (the cleanlab package) on the probe's probabilities, kept where the
neighbours too are nearer to the other class.

Sources: Wichmann and Hill 2001, The psychometric function, Perception & Psychophysics 63(8) (lapse
rate); Self and Liang 1987, JASA 82(398) (likelihood ratio at a bound); Rao and Scott 1984, Annals
of Statistics 12(1) (over the design effect); Northcutt, Jiang and Chuang
2021, Confident learning: estimating uncertainty in dataset labels, arXiv:1911.00068.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from equipoise.audit.given import Floats, Given, Ints, Mask
from equipoise.audit.neighbours import Nearest, neighbour_votes
from equipoise.errors import MissingExtraError
from equipoise.records.audit import ClassNoise, Noise
from equipoise.statistics.clusters import mean_cluster_size

LIMIT = 0.01
"""A share of wrong labels up to which nothing is named."""
LEVEL = 0.01
"""Chance of naming label errors where their share is LIMIT."""
FEWEST_ROWS = 5
"""A class with fewer rows can't be learned without the one that is checked."""
FEWEST_SURE = 50
"""Rows on which the witnesses must agree before there is a curve to fit."""
LISTED, LISTED_UNNAMED = 100, 20
"""Suspects that the record quotes: where label errors are named, and where not."""
FLATTEST = 0.7
"""Least slope b of the curve. Held as tight as it is, the probe understates its odds where classes
are apart (b above 1) and overstates them where it hardly sees what makes the classes. A lower bound
lets a slope stand in for a floor and misses wrong labels; a higher one takes a weak probe for wrong
labels (`benchmarks/audit_findings.py` has tables of both kinds)."""
BLURRED = 1 / 3
"""Share of contradicted rows above which nothing is named."""
_BINS = 300
_FALLS = 3.84
"""The 95 % point of chi-squared with one degree of freedom."""


@dataclass(frozen=True, eq=False)
class Checked:
    """The m rows that could be checked."""

    rows: Ints
    """(m,) positions among all rows."""
    labels: Ints
    """(m,)."""
    clusters: Ints
    """(m,) rows that repeat, look alike or share a group."""
    scores: Floats
    """(m, K) log-probabilities of the probe, -inf where a class had no rows to learn from."""
    votes: Floats
    """(m, K) share of each class's rows among the neighbours."""

    @property
    def rivals(self) -> Ints:
        """(m,) the class that the probe finds likeliest besides the label."""
        others = self.scores.copy()
        others[np.arange(len(self.rows)), self.labels] = -np.inf
        best: Ints = others.argmax(axis=1) if len(self.rows) else self.labels
        return best


@dataclass(frozen=True)
class Lapse:
    """The floor of the curve."""

    rate: float
    low: float
    high: float
    """Bounds of its 95 % interval."""
    p: float
    """One-sided, that it is LIMIT or less."""
    rows: int
    """Rows that the curve was fitted on."""


def checked_rows(given: Given, near: Nearest) -> Checked:
    """Rows with a probe, of classes that it could learn without them."""
    assert given.probe is not None, "the caller looks before it asks"
    counts = given.counts()
    own = given.probe[np.arange(len(given)), given.labels]
    rows = np.flatnonzero(np.isfinite(own) & (counts[given.labels] >= FEWEST_ROWS))
    return Checked(
        rows=rows,
        labels=given.labels[rows],
        clusters=given.clusters[rows],
        scores=np.where(np.isnan(given.probe[rows]), -np.inf, given.probe[rows]),
        votes=neighbour_votes(given, near)[rows],
    )


def lapse(checked: Checked) -> Lapse:
    """The share of wrong labels, with its interval and the p-value of the test above."""
    if len(np.unique(checked.labels)) < 2:
        return Lapse(0.0, 0.0, 1.0, 1.0, 0)
    agreed, sure, wrong = _agreed(checked)
    if len(sure) < FEWEST_SURE or not wrong.any():
        return Lapse(0.0, 0.0, 1.0 if len(sure) < FEWEST_SURE else 3 / len(sure), 1.0, len(sure))
    curve = _Curve.of(sure, wrong)
    rate, best = curve.fit(0.0, 0.5)

    same = np.zeros(len(sure), dtype=np.int64)
    together = float(mean_cluster_size(same, checked.clusters[agreed], 1)[0])

    def falls(at: float) -> float:
        """Twice the log-likelihood lost with the floor at `at`, over the design effect of rows
        that are right or wrong together."""
        return max(2 * (curve.fit(at, at)[1] - best), 0.0) / together

    blurred = wrong.mean() > BLURRED
    p = 1.0 if blurred or rate <= LIMIT else float(ndtr(-np.sqrt(falls(LIMIT))))
    return Lapse(
        rate=rate,
        low=0.0 if falls(0.0) <= _FALLS else _cross(falls, 0.0, rate),
        high=_cross(falls, 0.5, rate) if falls(0.5) > _FALLS else 0.5,
        p=p,
        rows=len(sure),
    )


def _agreed(checked: Checked) -> tuple[Mask, Floats, Mask]:
    """Which of the m rows both witnesses give to one class, and of those the log-odds of that class
    and whether the label is another."""
    present, labels = np.unique(checked.labels, return_inverse=True)
    votes, scores = checked.votes[:, present], checked.scores[:, present]
    first = scores.argmax(axis=1)
    agreed: Mask = (votes.argmax(axis=1) == first) & (votes.max(axis=1) > 0)
    p = label_probabilities(checked)[agreed]
    place = np.arange(len(p)), first[agreed]
    own = p[place]
    p[place] = 0.0  # summed, not taken from 1, which would lose all digits of a sure row
    with np.errstate(divide="ignore"):
        odds = np.log(own) - np.log(p.sum(axis=1))
    return agreed, np.clip(odds, -100.0, 100.0), first[agreed] != labels[agreed]


@dataclass(frozen=True, eq=False)
class _Curve:
    """Contradicted rows by how sure the probe is, in bins of equally many rows."""

    sure: Floats
    rows: Floats
    wrong: Floats

    @staticmethod
    def of(sure: Floats, wrong: Mask) -> _Curve:
        order = np.argsort(sure, kind="stable")
        bins = np.array_split(order, min(_BINS, len(order)))
        return _Curve(
            np.array([sure[b].mean() for b in bins]),
            np.array([len(b) for b in bins], dtype=np.float64),
            np.array([wrong[b].sum() for b in bins], dtype=np.float64),
        )

    def fit(self, least: float, most: float) -> tuple[float, float]:
        """The floor of the best curve whose floor lies within, and its negative log-likelihood."""
        from scipy.optimize import minimize

        bounds = [(-20.0, 20.0), (np.log(FLATTEST), 6.0), (least, most)]
        fits = [
            minimize(self._cost, (start, np.log(2.0), (least + most) / 2), jac=True, bounds=bounds)
            for start in (0.0, 3.0)
        ]
        best = min(fits, key=lambda one: float(one.fun))
        return float(best.x[2]), float(best.fun)

    def _cost(self, at: Floats) -> tuple[float, Floats]:
        """Negative log-likelihood and its gradient at (a, log b, floor)."""
        a, slope, floor = at[0], np.exp(at[1]), at[2]
        falling = expit(-(a + slope * self.sure))
        p = np.clip(floor + (1 - floor) * falling, 1e-12, 1 - 1e-12)
        right = self.rows - self.wrong
        by_p = right / (1 - p) - self.wrong / p
        steep = -(1 - floor) * falling * (1 - falling)
        gradient = [steep, steep * self.sure * slope, 1 - falling]
        return (
            float(-(self.wrong @ np.log(p) + right @ np.log1p(-p))),
            np.array([by_p @ part for part in gradient]),
        )


def _cross(falls: Callable[[float], float], outer: float, inner: float) -> float:
    """Where `falls` passes the interval's limit between a floor outside it and one inside."""
    for _ in range(15):
        middle = (outer + inner) / 2
        if falls(middle) > _FALLS:
            outer = middle
        else:
            inner = middle
    return (outer + inner) / 2


def find_suspects(checked: Checked) -> Ints:
    """Positions in `checked` of the rows that Confident Learning takes for wrong labels and whose
    neighbours agree, the least probable label first.

    Raises MissingExtraError if cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise MissingExtraError("naming suspected label errors", "cleanlab", "audit") from None
    present, labels = np.unique(checked.labels, return_inverse=True)
    if len(present) < 2:
        return np.empty(0, dtype=np.int64)
    # One process: forking after torch has threads can hang, and the work takes seconds.
    found = find_label_issues(
        labels,
        label_probabilities(checked),
        filter_by="both",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    wrong: Ints = np.asarray(found, dtype=np.int64)
    rival = checked.rivals[wrong]
    nearer = checked.votes[wrong, rival] > checked.votes[wrong, checked.labels[wrong]]
    return wrong[nearer & (checked.scores[wrong, rival] > _own(checked)[wrong])]


def label_probabilities(checked: Checked) -> Floats:
    """(m, K') for the classes that have rows: the probe's probabilities under the shares of the
    labels as given, which is what Confident Learning reasons about."""
    present, counts = np.unique(checked.labels, return_counts=True)
    scores = checked.scores[:, present] + np.log(counts / counts.sum())
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: Floats = raw / raw.sum(axis=1, keepdims=True)
    return made


def noise(given: Given, checked: Checked, suspects: Ints, found: Lapse) -> Noise:
    """The record: the share of wrong labels, and the suspects by class.

    suspects  (s,) positions in `checked`, the surest first.
    """
    classes = len(given.classes)
    named = found.p < LEVEL
    seen = np.bincount(checked.labels, minlength=classes)
    labels, rivals = checked.labels[suspects], checked.rivals[suspects]
    of_class = np.bincount(labels, minlength=classes)
    order = sorted(np.flatnonzero(of_class).tolist(), key=lambda k: (-of_class[k], k))
    return Noise(
        checked=len(checked.rows),
        sure=found.rows,
        rate=found.rate,
        low=found.low,
        high=found.high,
        p=found.p,
        named=named,
        suspects=len(suspects),
        classes=[
            ClassNoise(
                name=given.classes[k],
                rows=int(seen[k]),
                suspects=int(of_class[k]),
                share=float(of_class[k] / seen[k]),
                likely=_tally(given, rivals[labels == k]),
            )
            for k in order
        ],
        rows=[
            given.example(int(checked.rows[place]), f"looks like {given.classes[int(k)]!r}")
            for place, k in zip(suspects, rivals, strict=True)
        ][: LISTED if named else LISTED_UNNAMED],
    )


def _own(checked: Checked) -> Floats:
    own: Floats = checked.scores[np.arange(len(checked.rows)), checked.labels]
    return own


def _tally(given: Given, rivals: Ints) -> dict[str, int]:
    classes, rows = np.unique(rivals, return_counts=True)
    order = np.argsort(-rows, kind="stable")
    return {given.classes[int(classes[k])]: int(rows[k]) for k in order}
