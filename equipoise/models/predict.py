"""Logits of texts from a classifier that was read back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.models.feed import Feed
from equipoise.models.outputs import predict_feed
from equipoise.models.save import LoadedClassifier


def predict_logits(loaded: LoadedClassifier, texts: NDArray[Any]) -> NDArray[np.float64]:
    """Logits (rows, classes) in the texts' order.

    The same texts in one call give the same bytes on one machine: batches depend on the lengths of
    the texts alone. (Other texts beside them change the padding, and with it the last bits.)
    """
    if not len(texts):
        return np.empty((0, len(loaded.classes)))
    tokens = loaded.read(texts)
    feed = Feed(
        tokens=tokens,
        labels=np.full(len(tokens), -1),
        weights=np.ones(len(tokens)),
        states=None,
        pad_id=loaded.tokenizer.pad_token_id or 0,
    )
    return predict_feed(loaded.module, feed)
