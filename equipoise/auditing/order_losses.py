"""The losses of a run's training rows: by the finished model, and by the base before training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.fitting.clock import timed
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.probe import class_losses, token_losses
from equipoise.progress import Progress

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Losses:
    """n training rows."""

    final: Floats
    base: Floats
    unit: str
    says: str
    """What the base's loss is of."""


def written_losses(
    run: Path,
    prepared: Prepared,
    seconds: dict[str, float],
    progress: Progress,
) -> Losses:
    from equipoise.fitting.writing.arm import feed_of
    from equipoise.models.save import default_device
    from equipoise.models.writing.build import build_writer
    from equipoise.models.writing.outputs import row_log_probs
    from equipoise.models.writing.save import load_writer
    from equipoise.models.writing.writer import packing_holds

    with timed(seconds, "losses of the finished model"):
        loaded = load_writer(run)
        feed = feed_of(prepared, "train", None, loaded.packs)
        final = token_losses(row_log_probs(loaded.module, feed))
        del loaded
    with timed(seconds, "losses of the base"):
        whole = prepared.recipe.model.model_copy(update={"method": "full", "trained_layers": None})
        writer, _ = build_writer(prepared.base, whole, prepared.seed)
        writer.to(default_device())
        feed = feed_of(prepared, "train", None, packing_holds(writer))
        base = token_losses(row_log_probs(writer, feed))
    return Losses(final, base, "nats per token", "the base as it came")


def class_run_losses(
    run: Path,
    prepared: Prepared,
    seconds: dict[str, float],
    progress: Progress,
) -> Losses:
    from equipoise.models.predict import predict_logits
    from equipoise.models.save import load_classifier

    labels = prepared.labels["train"]
    with timed(seconds, "losses of the finished model"):
        loaded = load_classifier(run)
        final = class_losses(predict_logits(loaded, prepared.splits.train.texts), labels)
        del loaded
    with timed(seconds, "losses of the base"):
        logits, says = _base_logits(prepared, progress)
    return Losses(final, class_losses(logits, labels), "nats per row", says)


def _base_logits(prepared: Prepared, progress: Progress) -> tuple[Floats, str]:
    """What the base makes of the classes before anything is trained: by its own words for them, or
    by the means of the classes over its vectors, whatever method trains it."""
    from equipoise.fitting.arms import feed_of
    from equipoise.models.feed import Feed
    from equipoise.models.heads import start_from_class_means
    from equipoise.models.methods import build_classifier
    from equipoise.models.outputs import predict_feed
    from equipoise.models.save import default_device
    from equipoise.models.states import pooled_vectors

    settings, classes = prepared.recipe.model, prepared.classes
    text = settings.head == "text"
    kept = {"trained_layers": None, "four_bit": False}
    plain = kept | ({"method": "full"} if text else {"method": "head", "head": "cosine"})
    model, _ = build_classifier(
        prepared.base,
        settings.model_copy(update=plain),
        len(classes),
        prepared.seed,
        names=classes,
    )
    model.to(default_device())
    if text:
        logits = predict_feed(model, feed_of(prepared, "train", None))
        return logits, "the base's own words for the classes"
    labels = prepared.labels["train"]
    vectors = pooled_vectors(model, prepared.base, prepared.tokens["train"], progress=progress)
    assert model.head is not None
    start_from_class_means(model.head, vectors, labels)
    feed = Feed(tokens=None, labels=labels, weights=np.ones(len(labels)), states=None,
                vectors=vectors)  # fmt: skip
    return predict_feed(model, feed), "a head of class means on the base's vectors"
