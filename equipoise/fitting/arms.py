"""One arm of a comparison: rows and remedies in, logits of the judged rows out.

The run itself is an arm, and so are its baselines; all of them start from the same prepared rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ModelError
from equipoise.fitting.head_stage import HeadStage, head_again, retrain_head, with_made
from equipoise.fitting.loop import (
    States,
    Watch,
    last_progress,
    order_rows,
    states_of,
    train_watched,
    uncached,
)
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.probe import Probe, classifier_probe
from equipoise.fitting.several import treat_labels
from equipoise.fitting.treatment import treat
from equipoise.models.batches import StepPlan
from equipoise.models.cache import CachedStates
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.feed import Feed
from equipoise.models.heads import CosineHead, start_from_class_means, start_from_labels
from equipoise.models.methods import build_classifier
from equipoise.models.save import default_device
from equipoise.models.states import pooled_vectors
from equipoise.models.train import Trained
from equipoise.models.trainable import Trainable
from equipoise.progress import Progress
from equipoise.records.run import RemedyRecord
from equipoise.remedies.remedy import RemedySpec


@dataclass(frozen=True, eq=False)
class TrainedArm:
    classifier: SequenceClassifier
    trained: Trained
    plan: StepPlan
    remedies: list[RemedyRecord]
    fed: NDArray[np.int64]
    """(m,) training row of every row fed, of a made vector its parent."""
    made: int
    """How many of them, the last, are made vectors."""
    head: HeadStage | None
    """A second training of the head alone, where a remedy asks for one."""
    log_source: NDArray[np.float64]
    """(K,) log class shares under which softmax(logits) is a posterior."""
    states: States
    """Of training and validation rows."""
    notes: list[str]
    general: None = field(default=None, init=False)
    """Only a run that writes is measured on general texts."""


def train_arm(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    watch: Watch,
) -> TrainedArm:
    """Feed, weigh, order and train: the remedies at their moments, in order."""
    classifier, notes = _built(prepared)
    if prepared.several and isinstance(classifier.head, CosineHead):
        classifier.head.with_bias()
    classifier.to(default_device())
    states = _states(prepared, classifier, ("train", "validation"), watch.progress)
    notes += uncached(classifier, states)

    @cache
    def vectors() -> NDArray[np.float32]:
        return _vectors(prepared, classifier, states["train"], watch.progress)

    def probe() -> Probe:
        def start() -> None:
            if classifier.head is not None:
                start_from_class_means(classifier.head, vectors(), prepared.labels["train"])

        feed = feed_of(prepared, "train", states["train"])
        return classifier_probe(classifier, feed, prepared, watch.checkpoints / "probe", start)

    treated = (
        treat_labels(prepared, specs)
        if prepared.several
        else treat(prepared, specs, vectors, probe)
    )
    if treated.wrapper is not None and not classifier.one_pass:
        raise ModelError(
            "this model does not take the labels as a tree, so a row is not one sequence and "
            "nothing can be changed on its way: leave out what acts around the loss, or take "
            "--head linear"
        )
    feeds = {split: feed_of(prepared, split, held) for split, held in states.items()}
    feed = with_made(feeds["train"].take(treated.fed, treated.weights), treated.made)
    plan = order_rows(prepared, treated, feed.lengths)
    _start_head(prepared, classifier, feed, lambda: vectors()[treated.fed])
    trained = train_watched(
        prepared,
        classifier,
        feed,
        plan,
        feeds["validation"],
        treated,
        watch,
        wrapper=treated.wrapper,
    )
    head = None
    if head_again(prepared, specs):
        title = f"{watch.title} the head again"
        again = replace(watch, checkpoints=watch.checkpoints / "head", title=title)
        head = retrain_head(prepared, specs, classifier, treated, trained, feeds, again)
    acted = {record.name: record for record in treated.records + (head.records if head else [])}
    return TrainedArm(
        classifier=classifier,
        trained=trained,
        plan=plan,
        remedies=[acted[spec.name] for spec in specs],
        fed=treated.fed,
        made=len(treated.made),
        head=head,
        log_source=head.log_source
        if head is not None
        else treated.source_at(last_progress(trained, plan)),
        states=states,
        notes=notes,
    )


def _built(prepared: Prepared) -> tuple[SequenceClassifier, list[str]]:
    classes = prepared.classes
    return build_classifier(
        prepared.base, prepared.recipe.model, len(classes), prepared.seed, names=classes
    )


def _start_head(
    prepared: Prepared,
    classifier: SequenceClassifier,
    feed: Feed,
    vectors: Callable[[], NDArray[np.float32]],
) -> None:
    """From the means of its classes, where what lies below does not change from the first step on;
    elsewhere it keeps its random start.

    vectors  Makes the (m, width) pooled vectors of the rows fed, if the feed does not hold them.
    """
    if classifier.head is None:
        return
    start = None
    if prepared.recipe.model.method in ("light", "head"):
        start = vectors() if feed.vectors is None else feed.vectors
    if prepared.several:
        start_from_labels(classifier.head, feed.labels, start)
    elif start is not None:
        start_from_class_means(classifier.head, start, feed.labels)


def _vectors(
    prepared: Prepared,
    classifier: SequenceClassifier,
    held: CachedStates | None,
    progress: Progress,
) -> NDArray[np.float32]:
    """(n, width) pooled vectors of the training rows by the untouched base."""
    if held is not None:
        return held.vectors
    return pooled_vectors(classifier, prepared.base, prepared.tokens["train"], progress=progress)


def all_states(prepared: Prepared, progress: Progress) -> States:
    """States of every split, from the untouched base. Training needs none of the test rows', so
    they are computed when a baseline asks for them, and not before."""
    classifier, _ = _built(prepared)
    classifier.to(default_device())
    return _states(prepared, classifier, tuple(prepared.tokens), progress)


def trained_parameters(classifier: Trainable) -> int:
    return sum(p.numel() for p in classifier.parameters() if p.requires_grad)


def _states(
    prepared: Prepared,
    classifier: SequenceClassifier,
    splits: Sequence[str],
    progress: Progress,
) -> States:
    """States of the splits; None for methods that train what lies below."""
    if prepared.recipe.model.method not in ("light", "head") or (
        prepared.recipe.model.method == "light" and classifier.cut is None
    ):
        return dict.fromkeys(splits, None)
    return states_of(prepared, classifier, splits, progress)


def feed_of(prepared: Prepared, split: str, states: CachedStates | None) -> Feed:
    """The rows of a split as the loop takes them, each at its own weight."""
    alone = prepared.recipe.model.method == "head" and states is not None
    return Feed(
        tokens=None if alone else prepared.tokens[split],
        labels=prepared.labels[split],
        weights=prepared.weights(split),
        states=None if alone else states,
        vectors=states.vectors if alone and states is not None else None,
        pad_id=prepared.base.tokenizer.pad_token_id or 0,
    )
