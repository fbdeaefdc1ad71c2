"""Average precision and area under the ROC curve, and how much each row moves their means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from equipoise.statistics.sums import Floats


def average_precision(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Σ (R_i - R_{i-1}) P_i over the distinct scores, highest first; NaN without positives.

    Shapes  scores (n,), positive (n,). Equal scores are taken together, in whatever order the
            rows came.
    """
    if not positive.any():
        return float("nan")
    found, taken, gained, _ = _steps(scores, positive)
    return float((gained * found / taken).sum() / found[-1])


def roc_auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Chance that a row of the class scores above one that is not, ties counting half; NaN
    where either kind is missing. Shapes as `average_precision`.

    Source  Hanley and McNeil 1982, Radiology 143(1).
    """
    yes = int(positive.sum())
    no = len(positive) - yes
    if yes == 0 or no == 0:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def average_precision_influence(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """(n,) how much AP would move per added weight of each row, the class's share held fixed.

    Needs both kinds of rows. The squares sum to the variance of AP over resampled rows.
    Source  Efron 1982, The jackknife, the bootstrap and other resampling plans, 6.3
            (infinitesimal jackknife), applied to the sum above.
    """
    found, taken, gained, step = _steps(scores, positive)
    precision = found / taken
    ap = (gained * precision).sum() / found[-1]

    # A row counts among those above every later step, so sums run from the last step backwards.
    def below(per_step: Floats) -> Floats:
        return np.cumsum((gained * per_step)[::-1])[::-1][step]

    yes = precision[step] - ap + below((taken - found) / taken**2)
    no = -below(found / taken**2)
    return _centred(np.where(positive, yes, no) / found[-1], positive)


def roc_auc_influence(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """(n,) as `average_precision_influence`, for the area under the ROC curve.

    Source  DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44(3): placement values.
    """
    yes = int(positive.sum())
    no = len(positive) - yes
    overall = rankdata(scores)
    placed = np.empty(len(scores))
    placed[positive] = (overall[positive] - rankdata(scores[positive])) / no / yes
    placed[~positive] = -(overall[~positive] - rankdata(scores[~positive])) / yes / no
    return _centred(placed, positive)


def shared_rows_factor(influence: Floats) -> float:
    """How much wider the interval of a mean over classes is than if the classes had rows of their
    own: the root of the variance of the mean over the sum of the classes' variances, 1 or more.

    Shapes  influence (n, K) of the rows on each class's value.
    """
    apart = float((influence**2).sum())
    together = float((influence.sum(axis=1) ** 2).sum())
    return max(1.0, float(np.sqrt(together / apart))) if apart > 0 else 1.0


def _steps(
    scores: Floats, positive: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Per distinct score, highest first: rows of the class so far, rows so far, rows of the class
    at this score; and the step of each row."""
    distinct, step = np.unique(-scores, return_inverse=True)
    gained = np.bincount(step, weights=positive, minlength=len(distinct)).astype(np.float64)
    taken = np.cumsum(np.bincount(step, minlength=len(distinct))).astype(np.float64)
    return np.cumsum(gained), taken, gained, step.astype(np.int64)


def _centred(influence: Floats, positive: NDArray[np.bool_]) -> Floats:
    """With the class's rows held fixed in number, only deviations within each kind matter."""
    for kind in (positive, ~positive):
        influence[kind] -= influence[kind].mean()
    return influence
