"""One arm of a comparison: rows and remedies in, logits of the judged rows out.

The run itself is an arm, and so are its baselines; all of them start from the same prepared rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.models.baselines import tfidf_baseline, vectors_baseline
from equipoise.models.batches import StepPlan, plan_steps
from equipoise.models.cache import CachedStates, cache_settings
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.feed import Feed
from equipoise.models.heads import start_from_class_means
from equipoise.models.load import Base
from equipoise.models.methods import build_classifier, learning_rates
from equipoise.models.save import default_device
from equipoise.models.states import ensure_states, pooled_vectors
from equipoise.models.tokenize import Tokens, tokenize
from equipoise.models.train import Trained, train_classifier
from equipoise.models.trainer import predict_feed
from equipoise.progress import Progress
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows, Splits
from equipoise.records.run import RemedyRecord
from equipoise.remedies.batches import build_order, build_weights
from equipoise.remedies.losses import build_loss
from equipoise.remedies.prior import drawn_counts, log_source
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.rows import choose_rows
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES

Measures = Callable[[NDArray[np.float64]], dict[str, float]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that the arms of one run share."""

    recipe: Recipe
    splits: Splits
    classes: tuple[str, ...]
    """Sorted names of the classes in training."""
    base: Base
    tokens: dict[str, Tokens]
    """By split: train, validation and, where there is one, test."""
    labels: dict[str, NDArray[np.int64]]
    """By split: class numbers, -1 for a class that training lacks."""
    seed: int

    @property
    def judged(self) -> str:
        return "test" if self.splits.test is not None else "validation"

    def rows(self, split: str) -> Rows:
        rows = getattr(self.splits, split)
        assert isinstance(rows, Rows)
        return rows


@dataclass(frozen=True, eq=False)
class TrainedArm:
    classifier: SequenceClassifier
    trained: Trained
    plan: StepPlan
    remedies: list[RemedyRecord]
    log_source: NDArray[np.float64]
    """(K,) log class shares under which softmax(logits) is a posterior."""
    states: dict[str, CachedStates | None]
    """Of training and validation rows, where the method caches them."""
    notes: list[str]


def prepare(splits: Splits, recipe: Recipe, base: Base, seed: int) -> Prepared:
    """Number the classes and tokenize every split."""
    assert splits.train.labels is not None
    classes = tuple(sorted(set(splits.train.labels.tolist())))
    place = {name: k for k, name in enumerate(classes)}
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    present = {name: rows for name, rows in named.items() if rows is not None}
    return Prepared(
        recipe=recipe,
        splits=splits,
        classes=classes,
        base=base,
        tokens={n: tokenize(r.texts, base.tokenizer, base.max_tokens) for n, r in present.items()},
        labels={name: _numbers(rows, place) for name, rows in present.items()},
        seed=seed,
    )


def train_arm(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    *,
    checkpoints: Path,
    measures: Measures,
    log_line: Callable[[dict[str, Any]], None],
    progress: Progress,
    title: str,
) -> TrainedArm:
    """Feed, weigh, order and train: the remedies at their moments, in order."""
    recipe, base, classes = prepared.recipe, prepared.base, len(prepared.classes)
    rows_rng, order_rng, step_rng = (
        np.random.default_rng([prepared.seed, stream]) for stream in range(3)
    )
    labels = prepared.labels["train"]
    classifier, notes = build_classifier(base, recipe.model, classes, prepared.seed)
    classifier.to(default_device())
    states = _states(prepared, classifier, ("train", "validation"), progress)
    if classifier.cut is not None and states["train"] is None:
        notes.append(
            "states were not cached (the limit, the disk or the architecture does not allow it); "
            "every step computed the frozen layers again"
        )

    chosen = choose_rows(_of(specs, "rows"), labels, classes, rows_rng)
    fed = chosen.index
    counts = np.bincount(labels[fed], minlength=classes)
    weights = build_weights(specs, counts)
    draws = build_order(_of(specs, "batches"), labels[fed], classes, recipe.train.epochs, order_rng)
    losses = _of(specs, "loss")
    row_loss = build_loss(losses[0] if losses else None, counts)

    feed = _feed(prepared, "train", states["train"]).take(fed, weights[labels[fed]])
    plan = plan_steps(
        draws,
        feed.tokens.lengths,
        feed.labels,
        step_rng,
        batch_rows=recipe.train.batch_rows,
        bucket_steps=recipe.train.bucket_steps,
    )
    _start_head(prepared, classifier, states["train"], fed, progress)
    trained = train_classifier(
        classifier,
        feed,
        plan,
        _feed(prepared, "validation", states["validation"]),
        row_loss=row_loss,
        measure=measures,
        config=recipe.train,
        rates=learning_rates(
            recipe.model, recipe.train.learning_rate, recipe.train.head_learning_rate
        ),
        seed=prepared.seed,
        folder=checkpoints,
        log_line=log_line,
        stepped=lambda step, steps: progress(title, step, steps),
    )
    drawn = drawn_counts(labels[fed], draws, classes)
    return TrainedArm(
        classifier=classifier,
        trained=trained,
        plan=plan,
        remedies=_records(prepared.classes, specs, chosen.steps, weights, counts, drawn),
        log_source=log_source(losses, counts, drawn=drawn, weights=weights),
        states=states,
        notes=notes,
    )


def _start_head(
    prepared: Prepared,
    classifier: SequenceClassifier,
    held: CachedStates | None,
    fed: NDArray[np.int64],
    progress: Progress,
) -> None:
    """Start our head from the class means of the rows as fed, where the method leaves the layers
    below as they were; elsewhere it keeps its random start."""
    if classifier.head is None or prepared.recipe.model.method not in ("light", "head"):
        return
    tokens = prepared.tokens["train"]
    vectors = (
        held.vectors
        if held is not None
        else pooled_vectors(classifier, prepared.base, tokens, progress=progress)
    )
    start_from_class_means(classifier.head, vectors[fed], prepared.labels["train"][fed])


def plain_logits(
    prepared: Prepared,
    splits: Sequence[str],
    *,
    checkpoints: Path,
    measures: Measures,
    progress: Progress,
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Logits of the same recipe without remedies, and how many weights it trained."""
    states = all_states(prepared, progress)
    arm = train_arm(
        prepared,
        (),
        checkpoints=checkpoints,
        measures=measures,
        log_line=lambda _: None,
        progress=progress,
        title="training the plain baseline",
    )
    if arm.classifier.cut is not None:
        if any(states[split] is None for split in splits):
            states = dict.fromkeys(states, None)
        else:
            arm.classifier.cut.skip_lower()
    logits = {
        split: predict_feed(arm.classifier, _feed(prepared, split, states[split]))
        for split in splits
    }
    shutil.rmtree(checkpoints, ignore_errors=True)
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


def all_states(prepared: Prepared, progress: Progress) -> dict[str, CachedStates | None]:
    """States of every split, from the untouched base. Training needs none of the test rows', so
    they are computed when a baseline asks for them, and not before."""
    recipe = prepared.recipe
    classifier, _ = build_classifier(
        prepared.base, recipe.model, len(prepared.classes), prepared.seed
    )
    classifier.to(default_device())
    return _states(prepared, classifier, tuple(prepared.tokens), progress)


def trained_parameters(classifier: SequenceClassifier) -> int:
    return sum(p.numel() for p in classifier.parameters() if p.requires_grad)


def _numbers(rows: Rows, place: dict[str, int]) -> NDArray[np.int64]:
    assert rows.labels is not None
    return np.array([place.get(label, -1) for label in rows.labels], dtype=np.int64)


def _apart(
    prepared: Prepared, splits: Sequence[str], logits: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    sizes = np.cumsum([len(prepared.rows(split)) for split in splits])[:-1]
    return dict(zip(splits, np.split(logits, sizes), strict=True))


def _states(
    prepared: Prepared,
    classifier: SequenceClassifier,
    splits: Sequence[str],
    progress: Progress,
) -> dict[str, CachedStates | None]:
    """States of the splits; None for methods that train what lies below."""
    if prepared.recipe.model.method not in ("light", "head") or (
        prepared.recipe.model.method == "light" and classifier.cut is None
    ):
        return dict.fromkeys(splits, None)
    settings = cache_settings()
    return {
        split: ensure_states(
            classifier, prepared.base, prepared.tokens[split], settings, progress=progress
        )
        for split in splits
    }


def _feed(prepared: Prepared, split: str, states: CachedStates | None) -> Feed:
    rows = prepared.rows(split)
    return Feed(
        tokens=prepared.tokens[split],
        labels=prepared.labels[split],
        weights=np.ones(len(rows)) if rows.weights is None else rows.weights,
        states=states,
        vectors_only=prepared.recipe.model.method == "head" and states is not None,
        pad_id=prepared.base.tokenizer.pad_token_id or 0,
    )


def _of(specs: Sequence[RemedySpec], moment: str) -> list[RemedySpec]:
    return [spec for spec in specs if REMEDIES[spec.name].moment == moment]


def _records(
    classes: tuple[str, ...],
    specs: Sequence[RemedySpec],
    steps: Sequence[Any],
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
    drawn: NDArray[np.float64],
) -> list[RemedyRecord]:
    """What each remedy did, in numbers."""

    def by_class(numbers: NDArray[Any]) -> dict[str, int]:
        return {name: round(float(n)) for name, n in zip(classes, numbers, strict=True)}

    acted = {remedy_text(step.spec): step for step in steps}
    records = []
    for spec in specs:
        remedy = REMEDIES[spec.name]
        text = remedy_text(spec)
        before = after = None
        if text in acted:
            step = acted[text]
            before, after, effect = by_class(step.before), by_class(step.after), step.effect
        elif remedy.kind == "sampler":
            before, after = by_class(counts), by_class(drawn)
            effect = f"{text} drew every epoch's rows anew; the counts are draws per epoch."
        elif remedy.kind == "weights":
            effect = (
                f"{text} let one row of {classes[int(weights.argmax())]} count as much as "
                f"{weights.max() / weights.min():.3g} of {classes[int(weights.argmin())]}."
            )
        elif remedy.moment == "loss":
            effect = f"{text} replaced plain cross-entropy."
        else:
            effect = ""  # only fitting the decision tells
        records.append(
            RemedyRecord(
                name=spec.name,
                moment=remedy.moment,
                settings=spec.settings,
                before=before,
                after=after,
                effect=effect,
            )
        )
    return records
