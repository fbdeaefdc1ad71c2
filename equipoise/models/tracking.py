"""Experiment trackers: transformers' own integrations, which hear of a run from its first step to
its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from equipoise.records.scores import Scores


@dataclass
class RunArguments(TrainingArguments):
    """With what tells a run from others: trackers keep every argument of a training."""

    recipe: str = ""
    """Id of the recipe."""
    remedies: str = ""
    """As the recipe names them, parted by blanks."""


class Tracking:
    """The trackers of one run, which hear of one training, the run's own.

    An integration closes its record when training ends, and the scores come later: each is told of
    the end only by `close`.
    """

    def __init__(
        self, trackers: Sequence[str], *, run: str, recipe: str, remedies: Sequence[str]
    ) -> None:
        """trackers   As transformers names them. run: what they should call it."""
        self.names = tuple(trackers)
        self.arguments = {"run_name": run, "recipe": recipe, "remedies": " ".join(remedies)}
        self._trackers: list[Any] | None = None
        self._end: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def callbacks(self) -> list[Any]:
        """For the Trainer; the same ones for one that begins again after memory ran out."""
        from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

        if self._trackers is None:
            self._trackers = [INTEGRATION_TO_CALLBACK[name]() for name in self.names]
            for tracker in self._trackers:
                tracker.on_train_end = self._wait
        return self._trackers

    def tell(self, scores: Scores) -> None:
        """Log every measure of the judged rows that has a value, as `test_macro_f1`."""
        figures = {
            f"{scores.split}_{name}": estimate.value
            for name, estimate in scores.measures.items()
            if estimate.value is not None
        }
        if self._end is not None:
            place, kept = self._end
            for tracker in self._trackers or ():
                tracker.on_log(*place, logs=dict(figures), **kept)

    def close(self) -> None:
        """Tell the trackers that training has ended, if it has."""
        for tracker in self._trackers or ():
            del tracker.on_train_end  # the integration's own is there again
            if self._end is not None:
                place, kept = self._end
                tracker.on_train_end(*place, **kept)
        self._trackers, self._end = None, None

    def _wait(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        # The optimizer, which is given too, may be twice as large as the model: it is let go.
        kept = {name: given.get(name) for name in ("model", "processing_class")}
        self._end = ((args, state, control), kept)
