"""One arm that learns to write: rows and remedies in, a trained writer out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from equipoise.fitting.loop import States, Watch, order_rows, states_of, train_watched, uncached
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.probe import Probe, writer_probe
from equipoise.fitting.treatment import Treatment, treat
from equipoise.fitting.writing.general import general_of, general_record
from equipoise.fitting.writing.keep import (
    Replayed,
    interpolate,
    kl_wrapper,
    replayed_feed,
    starting_weights,
    with_replay,
)
from equipoise.fitting.writing.texts import Texts, read_texts
from equipoise.models.batches import StepPlan
from equipoise.models.cache import CachedStates
from equipoise.models.feed import Fed
from equipoise.models.save import default_device
from equipoise.models.train import Trained
from equipoise.models.writing.build import build_writer
from equipoise.models.writing.feed import WrittenFeed, bare_feed
from equipoise.models.writing.outputs import base_vectors, row_log_probs
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.writer import Writer, packing_holds
from equipoise.progress import Progress
from equipoise.records.run import GeneralRecord, RemedyRecord
from equipoise.remedies.remedy import RemedySpec


@dataclass(frozen=True, eq=False)
class TrainedWriter:
    """See `fitting.arms.TrainedArm`, whose fields it has where they mean something here."""

    classifier: Writer
    trained: Trained
    plan: StepPlan
    remedies: list[RemedyRecord]
    fed: NDArray[np.int64]
    states: States
    packs: bool
    """Whether rows may share a line."""
    notes: list[str]
    general: GeneralRecord | None
    """Loss on general texts before and after."""
    made: int = 0
    head: None = field(default=None, init=False)
    log_source: None = field(default=None, init=False)
    """Nothing that is written is decided by class shares."""


def train_writer(prepared: Prepared, specs: Sequence[RemedySpec], watch: Watch) -> TrainedWriter:
    """Feed, weigh, order and train: the remedies at their moments, by the rows' categories."""
    recipe = prepared.recipe
    writer, notes = build_writer(prepared.base, recipe.model, prepared.seed)
    writer.to(default_device())
    replays = recipe.write.keep.replay is not None
    states = _states(prepared, writer, watch.progress, cached=not replays)
    if not replays:
        notes += uncached(writer, states)
    elif writer.cut is not None:
        notes.append("no states were cached: replayed texts run through all layers at every step")
    packs = recipe.write.packing and packing_holds(writer)
    treated = _treated(prepared, specs, writer, states["train"], packs, watch)
    if recipe.write.packing and not packs and not writer.two_parts:
        notes.append(
            "rows were not packed: this model does not keep rows of one line apart by their "
            "positions"
        )
    keep = recipe.write.keep
    named = {path: read_texts(path, prepared.base) for path in (keep.general, keep.replay) if path}
    notes += [note for texts in named.values() for note in texts.notes]
    general = general_of(named[keep.general], prepared.base, packs) if keep.general else None
    with writer.as_it_came():
        before = None if general is None else general.losses(writer)
    feeds = {split: feed_of(prepared, split, held, packs) for split, held in states.items()}
    feed = feeds["train"].take(treated.fed, treated.weights)
    plan = order_rows(prepared, treated, feed.lengths)
    start = starting_weights(writer) if keep.interpolate < 1 else {}
    wrapper = kl_wrapper(writer, keep.kl) if keep.kl else None
    fed, plan = _replayed(prepared, feed, plan, named)
    trained = train_watched(
        prepared,
        writer,
        fed,
        plan,
        feeds["validation"],
        treated,
        watch,
        wrapper=wrapper,
        predict=row_log_probs,
    )
    if start:
        interpolate(writer, start, keep.interpolate, recipe.model)
    return TrainedWriter(
        classifier=writer,
        trained=trained,
        plan=plan,
        remedies=treated.records,
        fed=treated.fed,
        states=states,
        packs=packs,
        notes=notes,
        general=None
        if general is None or before is None
        else general_record(general, before, general.losses(writer)),
    )


def _treated(
    prepared: Prepared,
    specs: Sequence[RemedySpec],
    writer: Writer,
    states: CachedStates | None,
    packs: bool,
    watch: Watch,
) -> Treatment:
    """What the remedies make of the training rows; vectors and losses are had if one asks."""

    @cache
    def vectors() -> NDArray[np.float32]:
        tokens = prepared.tokens["train"]
        assert isinstance(tokens, Sequences)
        return base_vectors(writer, prepared.base, tokens, progress=watch.progress)

    def probe() -> Probe:
        feed = feed_of(prepared, "train", states, packs)
        return writer_probe(writer, feed, prepared, watch.checkpoints / "probe")

    return treat(prepared, specs, vectors, probe)


def _replayed(
    prepared: Prepared, feed: WrittenFeed, plan: StepPlan, texts: Mapping[str, Texts]
) -> tuple[Fed, StepPlan]:
    """With general texts among the rows, if the recipe replays some. texts: by their path."""
    keep = prepared.recipe.write.keep
    if keep.replay is None:
        return feed, plan
    general = replayed_feed(texts[keep.replay].read, prepared.base, feed)
    rng = np.random.default_rng([prepared.seed, 5])
    with_general = with_replay(plan, len(feed), len(general), keep.replay_share, rng)
    return Replayed(feed, general), with_general


def feed_of(
    prepared: Prepared, split: str, states: CachedStates | None, packs: bool
) -> WrittenFeed:
    """The rows of a split as the loop takes them, each at its own weight."""
    tokens = prepared.tokens[split]
    assert isinstance(tokens, Sequences)
    return replace(
        bare_feed(tokens, prepared.base, packs=packs),
        labels=prepared.labels[split],
        weights=prepared.weights(split),
        states=states,
        weigh=prepared.recipe.write.weigh,
    )


def _states(prepared: Prepared, writer: Writer, progress: Progress, *, cached: bool) -> States:
    """States of training and validation rows at the cut; None where there is none, or none are to
    be cached: what is replayed has none, and stands in one feed with the rows."""
    splits = ("train", "validation")
    if writer.cut is None or not cached:
        return dict.fromkeys(splits, None)
    return states_of(prepared, writer, splits, progress)
