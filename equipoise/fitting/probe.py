"""What the base says of the training rows, and what a short training takes off their loss: for
remedies that choose rows by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.fitting.prepared import Prepared
from equipoise.models.batches import plan_steps
from equipoise.models.feed import Feed
from equipoise.models.methods import head_kind, learning_rates
from equipoise.models.outputs import predict_feed
from equipoise.models.train import train_classifier
from equipoise.models.trainable import Trainable
from equipoise.models.trainer import Predict
from equipoise.models.writing.feed import WrittenFeed
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.writer import Writer
from equipoise.remedies.losses import build_loss
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.table import REMEDIES

Floats = NDArray[np.float64]
LOSSES, GAINS, SEEN = "row_losses", "row_gains", "row_seen"
"""Names under which remedies ask for it."""
_STREAM = 6
"""Of the run's seed, for the rows that the short training takes and their order."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A model as it starts, and its n training rows. It is left as it was found."""

    model: Trainable
    feed: Feed | WrittenFeed
    prepared: Prepared
    folder: Path
    """Where the short training keeps what it needs to go on after a kill."""
    losses: Callable[[], Floats]
    """(n,) nats of each row by the model as it is now: of text per learned token."""
    predict: Predict | None = None
    """As the training loop takes it; None: logits of classes."""
    before: Callable[[], Floats] | None = None
    """(n,) the same by the base as it came, without what a method drew and put in front of it;
    None: `losses`."""
    start: Callable[[], None] = lambda: None
    """Gives a classifier's head a meaning before anything is trained."""

    def needed(self, specs: Sequence[RemedySpec]) -> dict[str, Any]:
        """What of LOSSES, GAINS and SEEN the remedies name in `needs`, each (n,)."""
        wanted = {need for spec in specs for need in REMEDIES[spec.name].needs}
        if not wanted & {LOSSES, GAINS, SEEN}:
            return {}
        with self._left_as_found():
            self.start()
            before = (self.before or self.losses)()
            found: dict[str, Any] = {LOSSES: before}
            if wanted & {GAINS, SEEN}:
                rows = self._train(_most_rows(specs))
                found[GAINS] = before - self.losses()
                found[SEEN] = np.isin(np.arange(len(before)), rows)
        return found

    def _train(self, most: int) -> NDArray[np.int64]:
        """One epoch over at most `most` rows, drawn by the seed: which they are."""
        prepared, config = self.prepared, self.prepared.recipe.train
        rng = np.random.default_rng([prepared.seed, _STREAM])
        rows: NDArray[np.int64] = rng.permutation(len(self.feed))[:most]
        feed = self.feed.take(rows, np.ones(len(rows)))
        plan = plan_steps(
            np.arange(len(rows))[None],
            feed.lengths,
            feed.labels,
            rng,
            batch_rows=config.batch_rows,
            bucket_steps=config.bucket_steps,
        )
        train_classifier(
            self.model,
            feed,
            plan,
            None,
            row_loss=build_loss(None, np.bincount(feed.labels)),
            predict=self.predict,
            measure=None,
            config=config.model_copy(update={"epochs": 1, "choose_by": "last", "patience": None}),
            rates=learning_rates(
                prepared.recipe.model, config.learning_rate, config.head_learning_rate
            ),
            seed=prepared.seed,
            folder=self.folder,
            log_line=lambda line: None,
            stepped=lambda step, steps: None,
        )
        return rows

    @contextmanager
    def _left_as_found(self) -> Iterator[None]:
        """Trained weights are put back."""
        weights = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        found = {name: weight.detach().clone() for name, weight in weights.items()}
        try:
            yield
        finally:
            for name, weight in weights.items():
                weight.data.copy_(found[name])


def classifier_probe(
    classifier: Trainable,
    feed: Feed,
    prepared: Prepared,
    folder: Path,
    start: Callable[[], None],
) -> Probe:
    def losses() -> Floats:
        with passing_over(classifier, feed):
            return class_losses(predict_feed(classifier, feed), feed.labels)

    return Probe(classifier, feed, prepared, folder, losses, start=start)


def writer_probe(writer: Writer, feed: WrittenFeed, prepared: Prepared, folder: Path) -> Probe:
    def losses() -> Floats:
        with passing_over(writer, feed):
            return token_losses(row_log_probs(writer, feed))

    def before() -> Floats:
        with writer.as_it_came():
            return losses()

    return Probe(writer, feed, prepared, folder, losses, predict=row_log_probs, before=before)


@contextmanager
def passing_over(model: Trainable, feed: Feed | WrittenFeed) -> Iterator[None]:
    """Within, frozen layers whose states the feed holds are not computed."""
    if model.cut is None or feed.states is None:
        yield
        return
    model.cut.skip_lower()
    try:
        yield
    finally:
        model.cut.restore_lower()


def class_losses(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """(n,) nats: -log softmax(logits) of each row's class.

    >>> class_losses(np.zeros((1, 4)), np.array([2])).round(4).tolist()
    [1.3863]
    """
    highest = logits.max(axis=1)
    spread = np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return np.asarray(highest + spread - logits[np.arange(len(labels)), labels])


def token_losses(found: Floats) -> Floats:
    """(n,) nats per learned token, from what `row_log_probs` gives; 0 where nothing is learned.

    >>> token_losses(np.array([[-6.0, 3.0], [0.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    return np.asarray((0.0 - found[:, 0]) / np.maximum(found[:, 1], 1))


def probe_faults(prepared: Prepared) -> list[str]:
    """One line for every remedy that asks a classifier for losses which say nothing yet."""
    settings = prepared.recipe.model
    kind = head_kind(settings)
    if kind == "text" or (settings.method in ("light", "head") and kind != "native"):
        return []
    return [
        f"remedy {spec.name}: chooses rows by their loss before training, when the head of method "
        f"{settings.method} with head {kind} is still random; take method light or head, whose "
        "head starts from the means of the classes, or leave the remedy out"
        for spec in prepared.recipe.specs
        if {LOSSES, GAINS} & set(REMEDIES[spec.name].needs)
    ]


def _most_rows(specs: Sequence[RemedySpec]) -> int:
    named = {spec.settings["probe_rows"] for spec in specs if "probe_rows" in spec.settings}
    if len(named) > 1:
        listed = ", ".join(map(str, sorted(named)))
        raise SettingsError(f"remedies ask for short trainings over {listed} rows; name one number")
    return int(named.pop())
