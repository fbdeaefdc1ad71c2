"""Pairs of classes that can't be told apart, by two witnesses that must agree.

The witnesses are the probe (a line between the classes, drawn without the row) and the row's
nearest neighbours, both with every class weighing the same. For a pair, each says which share of
either class it takes for the other; the mean of the two shares is the balanced error, 0 where they
are apart and a half where a coin would do as well. A pair is named when the smaller of the two
errors is above INSEPARABLE even at its lower bound.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from equipoise.audit.given import Floats, Given, Ints
from equipoise.audit.neighbours import NEIGHBOURS, Nearest
from equipoise.audit.suspects import Checked
from equipoise.records.audit import Overlap, Pair
from equipoise.statistics.clusters import mean_cluster_size

INSEPARABLE = 0.25
"""Half-way between telling apart and tossing a coin: one row of four taken for the other class."""
LEVEL = 0.05
"""Chance of naming any pair whose error is INSEPARABLE, spread over as many pairs as there are
classes."""
LISTED = 10
FEWEST_ROWS = 5


def overlap(given: Given, checked: Checked, near: Nearest) -> Overlap:
    """The most confused pairs, worst first; pairs that nobody confuses are left out."""
    classes = len(given.classes)
    probe = _lost(checked.scores, checked.labels, classes)
    votes = _lost(checked.votes, checked.labels, classes)
    worth = _worth(given, checked)
    by_probe, by_votes = ((lost + lost.T) / 2 for lost in (probe, votes))
    error = np.minimum(by_probe, by_votes)
    least = worth >= FEWEST_ROWS
    error[~(least[:, None] & least[None, :])] = 0
    one, other = np.nonzero(np.triu(error, 1) > 0)
    order = np.argsort(-error[one, other], kind="stable")[: 5 * LISTED]
    z = float(ndtri(1 - LEVEL / max(classes, 1)))
    pairs = []
    for a, b in zip(one[order].tolist(), other[order].tolist(), strict=True):
        low = min(_low(lost, worth, a, b, z) for lost in (probe, votes))
        pairs.append(
            Pair(
                one=given.classes[a],
                other=given.classes[b],
                by_probe=float(by_probe[a, b]),
                by_neighbours=float(by_votes[a, b]),
                low=low,
                inseparable=low > INSEPARABLE,
            )
        )
    pairs.sort(key=lambda pair: (-pair.low, pair.one, pair.other))
    return Overlap(
        neighbours=NEIGHBOURS,
        compared=len(near.among),
        pairs=[pair for pair in pairs if pair.inseparable]
        + [pair for pair in pairs if not pair.inseparable][:LISTED],
    )


def _lost(scores: Floats, labels: Ints, classes: int) -> Floats:
    """(K, K) share of each class's rows whose score for the other class is above that for their
    own; equal scores count half, and no score for either counts nothing."""
    lost = np.zeros((classes, classes))
    for k in np.unique(labels).tolist():
        own = scores[labels == k]
        mine = own[:, [k]]
        tied = (own == mine) & (mine > own.min(axis=1, keepdims=True))
        lost[k] = (own > mine).mean(axis=0) + tied.mean(axis=0) / 2
    np.fill_diagonal(lost, 0)
    return lost


def _worth(given: Given, checked: Checked) -> Floats:
    """(K,) independent rows of each class among those that were checked."""
    classes = len(given.classes)
    rows = np.bincount(checked.labels, minlength=classes).astype(np.float64)
    return rows / mean_cluster_size(checked.labels, given.clusters[checked.rows], classes)


def _low(lost: Floats, worth: Floats, a: int, b: int, z: float) -> float:
    """Wilson's lower bound of either share, squared and added.

    Source  Wilson 1927, JASA 22(158); Zou and Donner 2008 (MOVER) for the mean.
    """
    shares = np.array([lost[a, b], lost[b, a]])
    rows = np.array([worth[a], worth[b]])
    centre = (shares + z**2 / (2 * rows)) / (1 + z**2 / rows)
    reach = z / (1 + z**2 / rows) * np.sqrt(shares * (1 - shares) / rows + (z / (2 * rows)) ** 2)
    below = shares - np.maximum(centre - reach, 0)
    return float(max(shares.mean() - np.sqrt((below**2).sum()) / 2, 0))
