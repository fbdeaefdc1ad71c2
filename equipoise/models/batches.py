"""Which rows share an optimizer step, and how they are padded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ShapeError


@dataclass(frozen=True, eq=False)
class StepPlan:
    """Every row of every optimizer step of the whole training, fixed before it starts.

    Owning all epochs is what makes resuming exact: step s of epoch e is a look-up.
    """

    order: NDArray[np.int64]
    """(epochs, places) the row at each place; step s holds places s·batch_rows onwards."""
    batch_rows: int

    @property
    def epochs(self) -> int:
        return len(self.order)

    @property
    def steps(self) -> int:
        """Optimizer steps per epoch; the last may be smaller."""
        return math.ceil(int(self.order.shape[1]) / self.batch_rows)

    def step(self, epoch: int, step: int) -> NDArray[np.int64]:
        """(rows of the step,) row numbers."""
        return self.order[epoch, step * self.batch_rows : (step + 1) * self.batch_rows]


def plan_steps(
    draws: NDArray[np.int64],
    lengths: NDArray[np.int64],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    batch_rows: int,
    bucket_steps: int,
) -> StepPlan:
    """Rearrange drawn rows so that rows of similar length share a step, keeping every step's
    number of rows per class.

    A sampler promises a mix of classes per step. Sorting by length alone would break it, since
    length and class go together (long complaints, short greetings). So within a window of
    `bucket_steps` steps each class's rows are sorted by length and dealt to that class's own
    places, the longest to the first step; then whole steps are shuffled. A row never leaves its
    epoch.

    Shapes  draws (epochs, places) row numbers; lengths, labels (rows,).
    """
    if draws.ndim != 2 or len(lengths) != len(labels):
        raise ShapeError(f"draws {draws.shape}, lengths {lengths.shape}, labels {labels.shape}")
    order = draws.copy()
    places = order.shape[1]
    whole = places // batch_rows * batch_rows
    window = bucket_steps * batch_rows
    for epoch in order if bucket_steps > 1 else ():
        for start in range(0, whole, window):
            part = epoch[start : min(start + window, whole)]
            part[:] = _bucket(part, lengths, labels, rng, batch_rows)
    return StepPlan(order, batch_rows)


def steps_elsewhere(plan: StepPlan, rng: np.random.Generator) -> StepPlan:
    """The same steps in another order, epoch by epoch; a last step that is smaller stays last."""
    order = plan.order.copy()
    whole = order.shape[1] // plan.batch_rows
    for epoch in order:
        steps = epoch[: whole * plan.batch_rows].reshape(whole, plan.batch_rows)
        steps[:] = steps[rng.permutation(whole)]
    return StepPlan(order, plan.batch_rows)


def _bucket(
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
    batch_rows: int,
) -> NDArray[np.int64]:
    classes = labels[rows]
    # Places by class in order, and rows by class with the longest first: pairing the two deals
    # each class's longest rows to its earliest steps. The random key breaks ties of length.
    places = np.argsort(classes, kind="stable")
    longest = np.lexsort((rng.random(len(rows)), -lengths[rows], classes))
    dealt = np.empty_like(rows)
    dealt[places] = rows[longest]
    steps = dealt.reshape(-1, batch_rows)
    return steps[rng.permutation(len(steps))].reshape(-1)


def micro_batches(
    rows: NDArray[np.int64], lengths: NDArray[np.int64], *, device_rows: int, processes: int
) -> list[list[NDArray[np.int64]]]:
    """Divide one step's rows: result[process] is that process's list of micro-batches.

    Every process gets equally many micro-batches of nearly equal size (some may be empty in a
    small last step), rows sorted by length so that a micro-batch holds little padding.
    """
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    count = max(1, -(-len(rows) // (device_rows * processes)))
    parts = np.array_split(ordered, count * processes)
    return [parts[process::processes] for process in range(processes)]


def padded(
    parts: list[NDArray[Any]], *, fill: float, side: str = "right"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Ragged rows to one array, filled up on `side`, and the 0/1 mask of what is not filling.

    Shapes  parts[i] (tokens of row i, ...) all of one dtype, token ids or states; returns
            (rows, longest, ...) and (rows, longest).
    """
    longest = max(len(part) for part in parts)
    out = np.full((len(parts), longest, *parts[0].shape[1:]), fill, dtype=parts[0].dtype)
    mask = np.zeros((len(parts), longest), dtype=np.int64)
    for i, part in enumerate(parts):
        here = slice(len(part)) if side == "right" else slice(longest - len(part), longest)
        out[i, here] = part
        mask[i, here] = 1
    return out, mask


def length_batches(
    lengths: NDArray[np.int64], *, rows: int, tokens: int = 16_384
) -> list[NDArray[np.int64]]:
    """Batches for reading rows once (states, predictions): longest first, so that running out of
    memory shows at once; at most `rows` rows and `tokens` padded tokens in each."""
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = max(1, min(rows, tokens // longest))
        batches.append(order[start : start + size])
        start += size
    return batches
