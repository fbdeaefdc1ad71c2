"""One call of the training loop with small defaults, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.models.batches import StepPlan, plan_steps
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import TrainConfig
from equipoise.models.feed import Feed
from equipoise.models.train import Trained, train_classifier
from equipoise.models.trainer import RowLoss, Wrapper
from tests.models.tiny import cross_entropy


def plan_of(feed: Feed, epochs: int, batch_rows: int = 8, seed: int = 0) -> StepPlan:
    rng = np.random.default_rng(seed)
    draws = np.stack([rng.permutation(len(feed)) for _ in range(epochs)])
    return plan_steps(draws, feed.lengths, feed.labels, rng, batch_rows=batch_rows, bucket_steps=4)


def measure_of(feed: Feed) -> Callable[[NDArray[np.float64]], dict[str, float]]:
    """Accuracy, recall of every class, and log loss of the feed's rows."""

    def measure(logits: NDArray[np.float64]) -> dict[str, float]:
        right = logits.argmax(1) == feed.labels
        shifted = logits - logits.max(1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        recalls = {
            f"recall:{k}": float(right[feed.labels == k].mean()) for k in np.unique(feed.labels)
        }
        log_loss = -float(log_p[np.arange(len(feed)), feed.labels].mean())
        return {"accuracy": float(right.mean()), "log_loss": log_loss} | recalls

    return measure


def train(
    classifier: SequenceClassifier,
    feed: Feed,
    folder: Path,
    *,
    epochs: int = 2,
    rates: tuple[float, float] = (5e-3, 5e-3),
    validation: Feed | None = None,
    row_loss: RowLoss = cross_entropy,
    wrapper: Wrapper | None = None,
    log: list[dict[str, Any]] | None = None,
    stepped: Callable[[int, int], None] = lambda step, steps: None,
    seed: int = 3,
    callbacks: Sequence[Any] = (),
    **settings: Any,
) -> Trained:
    """Batches of 8 rows, float32, the last epoch kept, unless `settings` say otherwise."""
    given = {"batch_rows": 8, "device_rows": 8, "precision": "float32", "choose_by": "last"}
    config = TrainConfig(epochs=epochs, **(given | settings))
    return train_classifier(
        classifier,
        feed,
        plan_of(feed, epochs, config.batch_rows),
        validation,
        row_loss=row_loss,
        wrapper=wrapper,
        measure=None if validation is None else measure_of(validation),
        config=config,
        rates=rates,
        seed=seed,
        folder=folder,
        log_line=(log if log is not None else []).append,
        stepped=stepped,
        callbacks=callbacks,
    )


def weights_after(classifier: SequenceClassifier) -> dict[str, NDArray[Any]]:
    return {name: p.detach().cpu().numpy().copy() for name, p in classifier.named_parameters()}
