"""Every measure of rows with several labels as a pure function of counts or of probabilities.

Macro means are over the labels that some row has. A label that the model never saw counts 0 in
them. 0/0 is 0 for F1 and NaN elsewhere; the judge turns NaN into null with a reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.measures import ECE_BINS, LOG_LOSS_FLOOR, bin_of, macro
from equipoise.evaluate.several.outcomes import LabelOutcomes
from equipoise.statistics.label_bootstrap import Bools, LabelSums
from equipoise.statistics.sums import Floats


def counted_measures(sums: LabelSums) -> dict[str, Floats]:
    """balanced_accuracy, macro_f1, micro_f1 and weighted_f1: what counts per label decide.

    Shapes  each (...), like the leading axes of the sums.
    """
    f1 = label_f1(sums)
    held = sums.held
    specificity = 1 - _ratio(sums.decided - sums.both, sums.rows[..., None] - held)
    # A label that all rows have can't be set wrongly: its recall speaks for it alone.
    balanced = np.where(
        np.isnan(specificity), label_recall(sums), (label_recall(sums) + specificity) / 2
    )
    return {
        "balanced_accuracy": macro(balanced, held),
        "macro_f1": macro(f1, held),
        "micro_f1": np.nan_to_num(
            _ratio(2 * sums.both.sum(axis=-1), (held + sums.decided).sum(axis=-1))
        ),
        "weighted_f1": _ratio((f1 * held).sum(axis=-1), held.sum(axis=-1)),
    }


def label_recall(sums: LabelSums) -> Floats:
    """(..., L) share of the rows that have a label which are decided so; NaN where none has it."""
    return _ratio(sums.both, sums.held)


def label_precision(sums: LabelSums) -> Floats:
    """(..., L) share of the rows decided as having a label which do; NaN where none is."""
    return _ratio(sums.both, sums.decided)


def label_f1(sums: LabelSums) -> Floats:
    """(..., L) 2 both / (held + decided), and 0 where both are 0."""
    return np.nan_to_num(_ratio(2 * sums.both, sums.held + sums.decided))


def row_measures(seen: LabelOutcomes, *, answered: Bools | None = None) -> dict[str, Floats]:
    """(n,) of each row; their means are the measures. answered (L,): labels that count for the log
    loss, one at least; without it those that the model knows.

    accuracy       1 where all labels are right, as scikit-learn has it (subset accuracy).
    hamming_loss   share of the labels that are wrong.
    expected_cost  1,000 × number of labels that are wrong: each missed or wrongly set costs 1.
    log_loss       mean over these labels of -ln of the probability of the right answer, nats.
    brier          mean over all labels of (p - y)², 0 to 1.
    """
    wrong = seen.labels != seen.decided
    told = seen.known if answered is None or not answered.any() else answered
    return {
        "accuracy": (~wrong.any(axis=1)).astype(np.float64),
        "hamming_loss": wrong.mean(axis=1),
        "expected_cost": 1000.0 * wrong.sum(axis=1),
        "log_loss": row_log_loss(seen.probabilities[:, told], seen.labels[:, told]),
        "brier": ((seen.probabilities - seen.labels) ** 2).mean(axis=1),
    }


def row_log_loss(probabilities: Floats, labels: Bools | NDArray[np.int64]) -> Floats:
    """(n,) nats, floored. Shapes: both (n, K)."""
    right = np.where(labels, probabilities, 1 - probabilities)
    losses: Floats = -np.log(np.maximum(right, LOG_LOSS_FLOOR)).mean(axis=1)
    return losses


def likeliest_mistake(probabilities: Floats) -> Bools:
    """(n, L) the labels under which the most probable decisions would be wrong about one label of
    each row, the one they are least sure of.

    Shapes  probabilities (n, L), L >= 1.
    """
    labels = probabilities > 0.5
    rows, least = np.arange(len(labels)), np.abs(probabilities - 0.5).argmin(axis=1)
    labels[rows, least] = ~labels[rows, least]
    return labels


def label_ece(probabilities: Floats, labels: Bools, *, bins: int = ECE_BINS) -> float:
    """Expected calibration error over all pairs of row and known label: stated probability against
    the share of pairs that are true, in bins of equal width."""
    p, y = probabilities.ravel(), labels.ravel()
    gap = np.bincount(bin_of(p, bins), weights=p - y, minlength=bins)
    return float(np.abs(gap).sum() / max(len(p), 1))


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
