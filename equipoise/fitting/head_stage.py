"""The head's second training: on vectors of the trained body, of rows and made between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.fitting.loop import Watch, last_progress
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.treatment import Treatment, of_kind, treat_head
from equipoise.models.batches import StepPlan, plan_steps
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.feed import Feed
from equipoise.models.heads import make_head, start_from_class_means
from equipoise.models.methods import LEARNING_RATES, head_kind
from equipoise.models.outputs import feed_vectors
from equipoise.models.train import Trained, train_classifier
from equipoise.records.run import RemedyRecord
from equipoise.remedies.remedy import RemedySpec


@dataclass(frozen=True, eq=False)
class HeadStage:
    """What came of training the head again; the classifier holds the weights."""

    trained: Trained
    plan: StepPlan
    fed: NDArray[np.int64]
    """(m,) training row of every row fed, of a made vector its parent."""
    made: int
    """How many of them, the last, are made vectors."""
    log_source: NDArray[np.float64]
    """(K,) log class shares under which softmax(logits) is a posterior: this training's alone,
    for its head is what gives the logits."""
    records: list[RemedyRecord]
    """Of the remedies that act only here."""


def head_again(prepared: Prepared, specs: Sequence[RemedySpec]) -> bool:
    """Whether a remedy asks for the second training: by name, or because it makes vectors, which
    must lie between those of the body as trained."""
    made_later = prepared.recipe.model.method != "head" and bool(of_kind(specs, "synthesise"))
    return made_later or bool(of_kind(specs, "stage"))


def retrain_head(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    classifier: SequenceClassifier,
    first: Treatment,
    trained: Trained,
    feeds: Mapping[str, Feed],
    watch: Watch,
) -> HeadStage:
    """Train the head in place on vectors, by the very loop that trained the body.

    first, trained  The first training: its treatment, and what came of it.
    feeds           The training rows as given (not as fed), and the validation rows.
    watch           Its checkpoints hold what a killed training needs to go on; the vectors are
                    computed again.
    """
    rows = np.unique(first.fed)
    own = feeds["train"]
    vectors = feed_vectors(classifier, own.take(rows, np.ones(len(rows))))

    def of(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return vectors[np.searchsorted(rows, wanted)]

    treated = treat_head(prepared, specs, first, of(first.fed))
    fed = Feed(
        tokens=None,
        labels=own.labels[treated.fed],
        weights=own.weights[treated.fed] * treated.weights,
        states=None,
        vectors=of(treated.fed),
    )
    fed = with_made(fed, treated.made)
    judged = feeds["validation"]
    judged = replace(judged, tokens=None, states=None, vectors=feed_vectors(classifier, judged))
    plan = plan_steps(
        treated.draws,
        fed.lengths,
        treated.strata,
        prepared.order_rng(5),
        batch_rows=prepared.recipe.train.batch_rows,
        bucket_steps=1,
    )
    if treated.start == "class_means":
        _start_afresh(prepared, classifier, fed)
    body = [p for n, p in classifier.named_parameters() if p.requires_grad and n[:5] != "head."]
    _require_grad(body, False)
    try:
        again = train_classifier(
            classifier,
            fed,
            plan,
            judged,
            row_loss=treated.row_loss,
            measure=watch.measures,
            config=prepared.recipe.train.model_copy(update={"epochs": plan.epochs}),
            rates=_rates(prepared),
            seed=prepared.seed,
            folder=watch.checkpoints,
            log_line=lambda line: watch.log_line(_after(line, trained)),
            stepped=watch.stepped,
            callbacks=watch.callbacks,
        )
    finally:
        _require_grad(body, True)
    return HeadStage(
        trained=again,
        plan=plan,
        fed=treated.fed,
        made=len(treated.made),
        log_source=treated.source_at(last_progress(again, plan)),
        records=treated.records,
    )


def with_made(feed: Feed, made: NDArray[np.float32]) -> Feed:
    """The feed with made vectors (q, width) in place of those of the last q rows, their parents."""
    if not len(made):
        return feed
    assert feed.vectors is not None  # `check_places` refuses made vectors elsewhere
    return replace(feed, vectors=np.concatenate([feed.vectors[: -len(made)], made]))


def _start_afresh(prepared: Prepared, classifier: SequenceClassifier, fed: Feed) -> None:
    """As a new head starts: directions from class means, everything else as it is made."""
    settings, head = prepared.recipe.model, classifier.head
    assert head is not None
    assert fed.vectors is not None
    new = make_head(
        head_kind(settings),
        fed.vectors.shape[1],
        len(prepared.classes),
        dropout=settings.dropout or 0.0,
        generator=torch.Generator().manual_seed(prepared.seed),
    )
    head.load_state_dict(new.state_dict())
    start_from_class_means(head, fed.vectors, fed.labels)


def _rates(prepared: Prepared) -> tuple[float, float]:
    """The user's rate of the head, else that of a head trained alone."""
    body, head = LEARNING_RATES["head"]
    return body, prepared.recipe.train.head_learning_rate or head


def _require_grad(parameters: Sequence[torch.nn.Parameter], on: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(on)


def _after(line: dict[str, Any], first: Trained) -> dict[str, Any]:
    """A logged line, counted on from the first training's last step."""
    if "step" not in line:
        return line
    step, epoch = line["step"] + first.steps, line["epoch"] + first.epochs_run
    return line | {"step": step, "epoch": epoch, "stage": "head"}
