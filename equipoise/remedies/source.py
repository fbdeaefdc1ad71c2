"""Under which class shares softmax(logits) is a posterior, after the remedies have had their say.

A model trained by plain cross-entropy on rows with class shares π ends up with softmax(z) as the
posterior under π. Every remedy that makes up for unequal shares moves that prior, by an amount
that is simply added on the log scale:

    remedies on rows    the shares are those of the rows as fed
    a sampler           ... of the rows as drawn (by a curriculum: in the later half of the epochs)
    class weights w     + log w           (a class with weight 2 is a class with twice the rows)
    row weights         + log of their mean over the rows of the class as drawn; the user's too
    weighted loss       + log w
    logit adjustment    - tau * log π     (Menon et al. 2021; tau = 1 leaves flat shares)

The result is `log_source` of the decision rule, which gives probabilities for the target prior
from it. Nothing is thus corrected twice by the decision, whatever was done in training. How much of
the move has been learned, a calibration measures (`decisions/absorbed.py`).

Losses bring torch, so this stands apart from `prior.py` and `log_odds.py`: only whoever trains pays
for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.remedies.log_odds import log_odds
from equipoise.remedies.losses import LOSSES
from equipoise.remedies.losses.binary_table import BINARY_LOSSES
from equipoise.remedies.prior import log_shares, normalised
from equipoise.remedies.remedy import RemedySpec


def log_source(
    specs: Sequence[RemedySpec],
    counts: NDArray[Any],
    *,
    drawn: NDArray[Any] | None = None,
    weights: NDArray[np.float64] | None = None,
    progress: float = 1.0,
) -> NDArray[np.float64]:
    """(K,) log of the class shares under which softmax(logits) is a posterior; sums to 1.

    counts   (K,) rows per class as fed to training, after any remedy on rows.
    drawn    (K,) rows per class as drawn by a sampler (`drawn_counts`); None: each row alike.
    weights  (K,) class weights in use (`batches.build_weights`); None: none.
    progress At the last step taken, the share of all steps that had been: a loss may change.
    Raises DataError if a class has no rows, or none is drawn.
    """
    log_prior = log_shares(counts if drawn is None else drawn)
    if weights is not None:
        log_prior = log_prior + np.log(weights)
    for spec in specs:
        loss = LOSSES.get(spec.name)
        if loss is not None and loss.prior_shift is not None:
            changing = {"progress": progress} if "progress" in loss.needs else {}
            log_prior = log_prior + loss.prior_shift(counts, **spec.settings, **changing)
    return normalised(log_prior)


def source_log_odds(
    specs: Sequence[RemedySpec],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(K,) log-odds of the shares under which sigmoid(logits) is the probability of each label.

    specs   Remedies in the loss.
    labels  (n, K) 0/1 of the rows as fed to training. weights (n,): what each counts, mean 1.
    """
    held = labels.sum(axis=0) if weights is None else weights @ labels
    found = log_odds(held, len(labels))
    for spec in specs:
        shift = BINARY_LOSSES[spec.name].prior_shift if spec.name in BINARY_LOSSES else None
        if shift is not None:
            found = found + shift(labels, **spec.settings)
    return found
