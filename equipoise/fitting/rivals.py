"""Logits of the cheap and the plain arms that a run is compared with."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.fitting.arms import all_states, feed_of, train_arm, trained_parameters
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.models.baselines import tfidf_baseline, vectors_baseline
from equipoise.models.outputs import predict_feed
from equipoise.progress import Progress
from equipoise.records.rows import Rows


def plain_logits(
    prepared: Prepared, splits: Sequence[str], watch: Watch
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Logits of the same recipe without remedies, and how many weights it trained."""
    states = all_states(prepared, watch.progress)
    arm = train_arm(prepared, (), watch)
    if arm.classifier.cut is not None:
        if any(states[split] is None for split in splits):
            states = dict.fromkeys(states, None)
        else:
            arm.classifier.cut.skip_lower()
    logits = {
        split: predict_feed(arm.classifier, feed_of(prepared, split, states[split]))
        for split in splits
    }
    shutil.rmtree(watch.checkpoints, ignore_errors=True)
    return logits, trained_parameters(arm.classifier)


def tfidf_logits(prepared: Prepared, splits: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Logits of TF-IDF + balanced logistic regression."""
    texts = np.concatenate([prepared.rows(split).texts for split in splits])
    judged = Rows(ids=np.arange(len(texts)).astype(object), texts=texts)
    logits = tfidf_baseline(prepared.splits.train, judged, prepared.classes, prepared.seed)
    return _apart(prepared, splits, logits)


def vectors_logits(
    prepared: Prepared, splits: Sequence[str], progress: Progress
) -> dict[str, NDArray[np.float64]] | None:
    """Logits of encoder vectors + balanced logistic regression; None where none are cached."""
    states = all_states(prepared, progress)
    vectors = [part.vectors for split in ("train", *splits) if (part := states[split]) is not None]
    if len(vectors) <= len(splits):
        return None
    labels = prepared.splits.train.labels
    assert labels is not None
    judged = np.concatenate(vectors[1:])
    logits = vectors_baseline(vectors[0], labels, judged, prepared.classes, prepared.seed)
    return _apart(prepared, splits, logits)


def _apart(
    prepared: Prepared, splits: Sequence[str], logits: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    sizes = np.cumsum([len(prepared.rows(split)) for split in splits])[:-1]
    return dict(zip(splits, np.split(logits, sizes), strict=True))
