"""What a model says of rows as it is now: scores and vectors, in evaluation mode and float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.models.batches import length_batches
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.feed import Fed, Feed
from equipoise.models.memory import in_halves

_PREDICT_ROWS = 128


def predict_feed(model: nn.Module, feed: Fed) -> NDArray[np.float64]:
    """Logits (rows, classes) in evaluation mode and full precision, in the feed's order."""
    # Training in bf16 replaces forward; the one below it computes in the weights' own precision.
    return _in_batches(model, feed, getattr(model, "_original_forward", model))


def feed_vectors(classifier: SequenceClassifier, feed: Feed) -> NDArray[np.float32]:
    """Pooled vectors (rows, width) by the body as it is now, in the feed's order; in evaluation
    mode and full precision."""
    if feed.vectors is not None:
        return feed.vectors
    if classifier.cut is not None and feed.states is not None:
        classifier.cut.skip_lower()
    try:
        return _in_batches(classifier, feed, classifier.vectors).astype(np.float32)
    finally:
        if classifier.cut is not None:
            classifier.cut.restore_lower()


@torch.no_grad()
def _in_batches(model: nn.Module, feed: Fed, forward: Callable[..., Tensor]) -> NDArray[np.float64]:
    """(rows, ...) what `forward` makes of the feed's rows, in their order."""
    was_training = model.training
    model.eval()
    parts, places = [], []
    for rows in length_batches(feed.lengths, rows=_PREDICT_ROWS):
        parts.append(_predict_rows(model, feed, rows, forward))
        places.append(rows)
    model.train(was_training)
    joined = np.concatenate(parts)
    out = np.empty_like(joined)
    out[np.concatenate(places)] = joined
    return out


def _predict_rows(
    model: nn.Module, feed: Fed, rows: NDArray[np.int64], forward: Callable[..., Tensor]
) -> NDArray[np.float64]:
    """`forward` of one batch, in halves where it does not fit into memory."""
    device = next(model.parameters()).device

    def run(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        batch = {
            name: value.to(device)
            for name, value in feed.batch(rows).items()
            if name not in ("labels", "weights", "counts")
        }
        logits: NDArray[np.float64] = forward(**batch).double().cpu().numpy()
        return logits

    return np.concatenate(in_halves(rows, run))
