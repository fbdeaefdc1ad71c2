"""Rows as the training loop takes them: token ids, states or vectors, labels and weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equipoise.models.batches import StepPlan, micro_batches, padded
from equipoise.models.cache import CachedStates
from equipoise.models.tokenize import Tokens

Batch = dict[str, Tensor]


class Fed(Protocol):
    """Rows that can become batches. In each are `labels`, `weights` (what a loss is multiplied by)
    and `counts` (what it counts in the step's divisor), an entry for whatever has a loss of its
    own."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens per row."""
        ...

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The model's inputs for `rows`. No rows give one row of weight and count 0, since a
        process with nothing to do in a small last step must still take part in it."""
        ...


@dataclass(frozen=True, eq=False)
class Feed:
    """n rows, ready to become padded batches."""

    tokens: Tokens | None
    """None where vectors are fed."""
    labels: NDArray[np.int64]
    """(n,) class numbers; -1 where unknown (never in training)."""
    weights: NDArray[np.float64]
    """(n,) what each row's loss is multiplied by; 1 on the mean of the rows fed."""
    states: CachedStates | None
    """States at the cut; None: the model computes everything from token ids."""
    pad_id: int = 0
    vectors: NDArray[np.float32] | None = None
    """(n, width) pooled vectors; if given they alone are fed, and only a head can be trained."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens per row; a vector is as long as any other."""
        return np.ones(len(self), np.int64) if self.tokens is None else self.tokens.lengths

    def take(self, index: NDArray[np.int64], factors: NDArray[np.float64]) -> Feed:
        """The rows at `index`, repeats allowed, their weights times `factors`."""
        return Feed(
            tokens=None if self.tokens is None else self.tokens.take(index),
            labels=self.labels[index],
            weights=self.weights[index] * factors,
            states=None if self.states is None else self.states.take(index),
            pad_id=self.pad_id,
            vectors=None if self.vectors is None else self.vectors[index],
        )

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """See `Fed.batch`."""
        weights = self.weights[rows] if len(rows) else np.zeros(1)
        counts = np.ones(len(rows)) if len(rows) else np.zeros(1)
        rows = rows if len(rows) else np.zeros(1, dtype=np.int64)
        inputs: Batch = {}
        if self.vectors is not None:
            inputs["vectors"] = torch.from_numpy(self.vectors[rows])
        else:
            assert self.tokens is not None
            ids, mask = padded([self.tokens.row(int(i)) for i in rows], fill=self.pad_id)
            inputs["input_ids"] = torch.from_numpy(ids).long()
            inputs["attention_mask"] = torch.from_numpy(mask)
            if self.states is not None:
                states, _ = padded([self.states.row(int(i)) for i in rows], fill=0.0)
                inputs["states"] = torch.from_numpy(states)
        inputs["labels"] = torch.from_numpy(self.labels[rows])
        inputs["weights"] = torch.from_numpy(weights)
        inputs["counts"] = torch.from_numpy(counts)
        return inputs


class PlannedBatches:
    """The micro-batches of one process in one epoch: what a DataLoader takes as batch sampler."""

    def __init__(
        self,
        plan: StepPlan,
        lengths: NDArray[np.int64],
        *,
        device_rows: int,
        processes: int,
        process: int,
    ) -> None:
        self.plan = plan
        self.lengths = lengths
        self.device_rows = device_rows
        self.processes = processes
        self.process = process
        self.epoch = 0

    def __len__(self) -> int:
        full = self._parts(0, 0) if self.plan.steps > 1 else []
        return (self.plan.steps - 1) * len(full) + len(self._parts(0, self.plan.steps - 1))

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.plan.steps):
            for part in self._parts(self.epoch, step):
                yield part.tolist()

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def _parts(self, epoch: int, step: int) -> list[NDArray[np.int64]]:
        rows = self.plan.step(epoch, step)
        return micro_batches(
            rows, self.lengths, device_rows=self.device_rows, processes=self.processes
        )[self.process]
