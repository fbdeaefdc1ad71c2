"""The two kinds of target, and what the story of a run asks of each of them.

A run classifies rows (their target is a class, or several labels) or learns to write (their target
is text, and their category plays the part of the class). Rows are read, divided, treated and
trained on in the same way; how they become tokens, what is judged, and what is compared differs,
and stands in `classifying.py` and `writing/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from equipoise.data.table import Table
from equipoise.evaluate.deciding import DecidingMeasure
from equipoise.fitting.head_stage import HeadStage
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.models.batches import StepPlan
from equipoise.models.load import Base
from equipoise.models.train import Trained
from equipoise.models.trainable import Trainable
from equipoise.models.trainer import Measure
from equipoise.progress import Progress
from equipoise.recipe import Recipe
from equipoise.records.decision import DecisionRule
from equipoise.records.rows import Splits
from equipoise.records.run import BaselineRecord, Comparison, GeneralRecord, RemedyRecord
from equipoise.records.scores import Scores


@dataclass(frozen=True, eq=False)
class Judged:
    """What a trained model said of the judged rows, as the folder keeps it."""

    record: Any
    """Predictions of a run that classifies, Written of one that writes."""
    rule: DecisionRule | None
    scores: Scores
    """Of the judged rows."""


class Arm(Protocol):
    """What a training leaves, whatever it learned; see `arms.TrainedArm`."""

    @property
    def classifier(self) -> Trainable: ...
    @property
    def trained(self) -> Trained: ...
    @property
    def plan(self) -> StepPlan: ...
    @property
    def remedies(self) -> list[RemedyRecord]: ...
    @property
    def fed(self) -> NDArray[np.int64]: ...
    @property
    def made(self) -> int: ...
    @property
    def head(self) -> HeadStage | None: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def general(self) -> GeneralRecord | None: ...
    @property
    def log_source(self) -> NDArray[np.float64] | None: ...


A = TypeVar("A", bound=Arm)


class Kind(Protocol[A]):
    """One kind of target."""

    writes: bool

    def resolve(self, recipe: Recipe, table: Table) -> Recipe:
        """The recipe with the defaults for such rows. Raises SettingsError if something is asked
        for that this kind has not."""
        ...

    def row_faults(self, table: Table, recipe: Recipe, base: Base) -> list[str]:
        """All that only the base's tokenizer shows to be wrong with the rows, a line each. Rows
        that are faulty by themselves are passed over."""
        ...

    def beside(self, recipe: Recipe) -> str:
        """A fingerprint of what else the run reads: files that the recipe names."""
        ...

    def prepare(
        self,
        splits: Splits,
        recipe: Recipe,
        base: Base,
        seed: int,
        own: DecidingMeasure | None,
    ) -> Prepared: ...

    def check(self, prepared: Prepared) -> list[str]:
        """Doubts, a line each. Raises SettingsError with every fault that only rows can tell."""
        ...

    def measures(self, prepared: Prepared) -> Measure:
        """What training looks at after every epoch."""
        ...

    def train(self, prepared: Prepared, watch: Watch) -> A: ...

    def save(self, out: Path, prepared: Prepared, arm: A) -> None: ...

    def judge(
        self,
        prepared: Prepared,
        log_source: NDArray[np.float64] | None,
        out: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> Judged:
        """Predict with the model that was saved in `out`, and judge; writes the files that hold
        both.

        log_source  What training has left in the logits, of a run that classifies; see
                    `arms.TrainedArm`.
        """
        ...

    def compare(
        self,
        prepared: Prepared,
        arm: A,
        judged: Judged,
        out: Path,
        checkpoints: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> tuple[list[BaselineRecord], list[Comparison]]: ...
