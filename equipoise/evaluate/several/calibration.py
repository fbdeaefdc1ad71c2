"""How often a label is there when the model says it is so sure."""

from __future__ import annotations

import numpy as np

from equipoise.evaluate.calibration import Curve, curve_of
from equipoise.evaluate.measures import ECE_BINS
from equipoise.evaluate.several.outcomes import label_outcomes
from equipoise.evaluate.several.per_label import label_agreement
from equipoise.records.predictions import Predictions


def label_reliability(predictions: Predictions, *, bins: int = ECE_BINS) -> tuple[Curve, ...]:
    """The curve of all pairs of row and label first, then one per label that the model knows.

    Raises  DataError if there are no rows or rows whose labels nobody knows.
    """
    seen = label_outcomes(predictions)
    known = np.flatnonzero(seen.known)
    agree = label_agreement(seen)
    every = seen.probabilities[:, known].ravel(), seen.labels[:, known].ravel()
    # Labels of one row are drawn together too, so a row is a cluster of its pairs.
    curves = [curve_of(None, *every, np.repeat(seen.clusters, len(known)), agree, bins)]
    curves += [
        curve_of(
            seen.classes[k],
            seen.probabilities[:, k],
            seen.labels[:, k],
            seen.clusters,
            agree,
            bins,
        )
        for k in known
    ]
    return tuple(curves)
