"""Which rows are left to a person: those that gain most by it, as many as people can take."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

from equipoise.costs import CostTable
from equipoise.errors import SettingsError
from equipoise.records.decision import Defer
from equipoise.remedies.remedy import Share

Array = NDArray[np.float64]

DEFAULT_COVERAGE = 0.9
NOBODY = float(np.finfo(np.float64).max)
"""A threshold that no score is above."""


def fit_deferral(
    p: Array,
    decided: NDArray[np.int64],
    costs: CostTable | None,
    amounts: Array | None,
    *,
    by: Literal["coverage", "cost"] = "coverage",
    coverage: Share | None = None,
) -> tuple[Defer, str]:
    """Leave to a person the rows whose decision is worst, by cost or for a stated coverage.

    By cost a row is left where a person is expected to be cheaper than the cheapest class (Chow's
    rule); by coverage, the rows that come off worst are left until `coverage` of the rows remain.
    A row comes off the worse, the more its decision is expected to cost beyond a person; where no
    person's cost is stated, the more it is expected to cost; and where there are no costs, the less
    probable the class that is decided. Either way no more rows are left than people can take.

    A limit on the share of rows is kept by a threshold from these rows, so chosen that a new row
    lies beyond it with a chance of at most that share; with n rows no share below 1 / (n + 1) can
    be kept, and then nothing is left to a person.

    Shapes    p (n, K) probabilities under the target prior, decided (n,) in 0..K-1, the class that
              the rule decides where it must; costs of the rule, (K, K) or (K, K + 1), None if it
              does not decide by costs; amounts (n,) in the user's unit. Returns the part of the
              rule, and a sentence.
    Settings  by: "coverage", or "cost" where the cost file says what a person costs.
              coverage: share of the rows that the model decides itself, above 0, at most 1; by
              cost, the least such share. None: 0.9 by coverage, any by cost.
    Raises    SettingsError if a person's cost is asked for and not stated.
    Helps     where a person can look at some rows, and mistakes are dearer than the looking.
    Harms     measures that count a row left to a person as a miss: recall, accuracy, F1. Rare
              classes are left most often, so look at who is left in the report.
    Source    Chow 1970, On optimum recognition error and reject tradeoff, IEEE Transactions on
              Information Theory 16; El-Yaniv and Wiener 2010, On the foundations of noise-free
              selective classification, JMLR 11; Geifman and El-Yaniv 2017, Selective classification
              for deep neural networks, arXiv:1705.08500.
    """
    capacity = None if costs is None else costs.capacity
    if by == "cost" and (costs is None or not costs.defers):
        raise SettingsError(
            "remedy deferral: by=cost needs the remedy costs beside it, and the cost file to say "
            "what a person costs; add `defer: {cost: ...}` to it, or give deferral:coverage=0.9"
        )
    least = coverage if by == "cost" or coverage is not None else DEFAULT_COVERAGE
    stated = (capacity, None if least is None else 1 - least)
    limit = min((share for share in stated if share is not None), default=None)
    scores = left_first(p, decided, costs, amounts)
    threshold = -NOBODY if limit is None else threshold_for(scores, limit)
    if by == "cost":
        threshold = max(0.0, threshold)
    left = int((scores > threshold).sum())
    note = _note(by, limit, left, len(scores), threshold)
    if costs is None:
        # Scores are minus the confidence, which lies in 0..1.
        return Defer("threshold", max(0.0, -threshold), "confidence", limit), note
    if costs.defers:
        return Defer("costs", threshold, review_capacity=limit), note
    return Defer("threshold", threshold, "cost", limit), note


def left_first(
    p: Array, decided: NDArray[np.int64], costs: CostTable | None, amounts: Array | None
) -> Array:
    """(n,) scores: the rows with the largest are left to a person first."""
    rows = np.arange(len(p))
    if costs is None:
        return np.asarray(-p[rows, decided], dtype=np.float64)
    expected = costs.expected(p, amounts)
    own = expected[rows, decided]
    return np.asarray(own - expected[:, -1] if costs.defers else own, dtype=np.float64)


def _beyond(rows: int, share: float) -> int:
    """m, where the (m + 1)th highest of the rows' scores is the threshold of `threshold_for`."""
    return math.floor(share * (rows + 1) + 1e-9) - 1


def threshold_for(scores: Array, share: float) -> float:
    """The least threshold above which a new row's score lies with a chance of at most `share`.

    Of n + 1 exchangeable rows, each is as likely as any other to be among the m + 1 highest, so the
    (m + 1)th highest of n scores is passed with a chance of at most (m + 1) / (n + 1).
    """
    n = len(scores)
    m = _beyond(n, share)
    if m < 0:
        return NOBODY
    if m >= n:
        return -NOBODY
    return float(np.partition(scores, n - 1 - m)[n - 1 - m])


def chance_of_more(left: int, rows: int, share: float, fitted_on: int) -> float:
    """The chance that of `rows` new rows at least `left` lie beyond the threshold that
    `threshold_for` sets for `share` by `fitted_on` rows, all independent and of one kind: the
    threshold's own chance follows Beta(m + 1, n - m).

    >>> round(chance_of_more(11, 100, 0.1, 10**6), 3), round(chance_of_more(11, 100, 0.1, 100), 3)
    (0.417, 0.407)
    """
    m = _beyond(fitted_on, share)
    if m < 0 or m >= fitted_on:
        return 1.0
    return float(betabinom.sf(left - 1, rows, m + 1, fitted_on - m))


def _note(by: str, limit: float | None, left: int, rows: int, threshold: float) -> str:
    share = f"{left} of {rows} rows fitted on ({left / max(rows, 1):.1%})"
    within = "" if limit is None else f", at most {limit:.3g} of all rows"
    if threshold == NOBODY:
        why = "as was asked" if not limit else f"{rows} rows are too few to place the threshold"
        return f"no row is left to a person: {why}"
    if by == "coverage":
        return f"the least sure rows are left to a person{within}: {share}"
    beyond = f" by more than {threshold:.4g}" if threshold > 0 else ""
    return (
        f"rows are left to a person where that is expected to be cheaper{beyond}{within}: {share}"
    )
