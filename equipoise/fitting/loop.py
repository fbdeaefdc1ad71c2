"""What arms of both kinds do alike around the training loop: order the rows, train, look on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.fitting.prepared import Prepared
from equipoise.fitting.treatment import Treatment
from equipoise.models.batches import StepPlan, plan_steps, steps_elsewhere
from equipoise.models.cache import CachedStates, cache_settings
from equipoise.models.feed import Fed
from equipoise.models.methods import learning_rates
from equipoise.models.states import ensure_states_together
from equipoise.models.tracking import Tracking
from equipoise.models.train import Trained, train_classifier
from equipoise.models.trainable import Trainable
from equipoise.models.trainer import Measure, Predict, Wrapper
from equipoise.progress import Progress, silent

_STREAM, _STEPS_STREAM = 2, 7
"""Of the seed's random streams, those that order rows, and whole steps."""

States = dict[str, CachedStates | None]
"""By split; None where the method or the architecture caches none."""


def _nobody(line: dict[str, Any]) -> None:
    """A log that nobody reads."""


@dataclass(frozen=True, eq=False)
class Watch:
    """Where a training keeps what it needs to go on, and who looks at it."""

    checkpoints: Path
    measures: Measure
    """What is measured on validation rows after every epoch."""
    title: str
    progress: Progress = silent
    log_line: Callable[[dict[str, Any]], None] = field(default=_nobody)
    callbacks: Sequence[Any] = ()
    """The user's own, as transformers' Trainer calls them."""
    tracking: Tracking | None = None
    """The run's trackers, for the run's own training alone: of others they would make runs."""

    def stepped(self, step: int, steps: int) -> None:
        self.progress(self.title, step, steps)


def last_progress(trained: Trained, plan: StepPlan) -> float:
    """At the last step that the weights kept have taken, the share of all steps that had been."""
    kept = trained.steps if trained.best_step is None else trained.best_step
    return max(kept - 1, 0) / (plan.epochs * plan.steps)


def states_of(
    prepared: Prepared, model: Trainable, splits: Sequence[str], progress: Progress
) -> States:
    """States of the splits' rows at the model's cut, or pooled vectors alone if it has none."""
    parts = [prepared.tokens[split] for split in splits]
    found = ensure_states_together(model, prepared.base, parts, cache_settings(), progress=progress)
    return dict(zip(splits, found, strict=True))


def uncached(model: Trainable, states: States) -> list[str]:
    """A note for the user where frozen layers are computed at every step."""
    if model.cut is None or states["train"] is not None:
        return []
    return [
        "states were not cached (the limit, the disk or the architecture does not allow it); "
        "every step computed the frozen layers again"
    ]


def order_rows(prepared: Prepared, treated: Treatment, lengths: NDArray[np.int64]) -> StepPlan:
    """The treated rows in steps. lengths (m,) tokens of each row as fed."""
    config = prepared.recipe.train
    plan = plan_steps(
        treated.draws,
        lengths,
        treated.strata,
        prepared.order_rng(_STREAM),
        batch_rows=config.batch_rows,
        bucket_steps=config.bucket_steps,
    )
    if config.order and config.order_of == "steps":
        rng = np.random.default_rng([prepared.seed, _STEPS_STREAM, config.order])
        return steps_elsewhere(plan, rng)
    return plan


def train_watched(
    prepared: Prepared,
    model: Trainable,
    feed: Fed,
    plan: StepPlan,
    validation: Fed,
    treated: Treatment,
    watch: Watch,
    *,
    wrapper: Wrapper | None = None,
    predict: Predict | None = None,
) -> Trained:
    """The one training loop with the recipe's settings and the treatment's loss."""
    config = prepared.recipe.train
    return train_classifier(
        model,
        feed,
        plan,
        validation,
        row_loss=treated.row_loss,
        wrapper=wrapper,
        predict=predict,
        measure=watch.measures,
        config=config,
        rates=learning_rates(
            prepared.recipe.model, config.learning_rate, config.head_learning_rate
        ),
        seed=prepared.seed,
        folder=watch.checkpoints,
        log_line=watch.log_line,
        stepped=watch.stepped,
        callbacks=watch.callbacks,
        tracking=watch.tracking,
    )
