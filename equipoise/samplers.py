"""Samplers that own the whole order of rows, and a mixin by which a Trainer takes one.

A sampler that draws as it goes can't be resumed exactly: after a stop, the state of its generator
is gone or wrong. Here every place of every epoch is laid down before training begins, so the
epoch's number is all the state there is.

    class BalancedTrainer(SamplerMixin, Trainer): ...

    sampler = balanced_sampler(labels, epochs=3, seed=0)
    BalancedTrainer(..., sampler=sampler).train(resume_from_checkpoint=True)

    promised = presence_sampler(labels, epochs=3, seed=0, batch_rows=32, below=0.02)

What a step promises is promised to the optimizer's step: per_device_train_batch_size × processes ×
gradient_accumulation_steps rows, which `SamplerMixin` compares with `batch_rows`; accelerate's
`split_batches` cuts a batch among the processes, and these multiply nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from equipoise.errors import SettingsError, ShapeError
from equipoise.remedies.batches import BATCHES, build_order
from equipoise.remedies.batches.groups import group_balanced_order
from equipoise.remedies.batches.order import balanced_order, natural_order
from equipoise.remedies.batches.presence import presence_order
from equipoise.remedies.batches.shares import (
    plentiful_first_order,
    power_order,
    progressive_order,
    temperature_order,
)
from equipoise.remedies.labels import class_numbers
from equipoise.remedies.spec import parse_remedy, remedy_spec, remedy_text

__all__ = [
    "OrderSampler",
    "SamplerMixin",
    "balanced_order",
    "balanced_sampler",
    "group_balanced_order",
    "group_balanced_sampler",
    "natural_order",
    "natural_sampler",
    "plentiful_first_order",
    "plentiful_first_sampler",
    "power_order",
    "presence_order",
    "presence_sampler",
    "progressive_order",
    "progressive_sampler",
    "sampler_for",
    "sqrt_sampler",
    "temperature_order",
    "temperature_sampler",
]


class OrderSampler(Sampler[int]):
    """Yields the rows of one epoch of `order` (epochs, rows per epoch).

    Call `set_epoch` before each epoch, as with torch's DistributedSampler; `SamplerMixin` and
    accelerate do. Every process holds the same order, so accelerate's sharding of batches works
    on it as on any sampler.

    batch_rows  Rows per optimizer step that the order was made for; None: it promises nothing of
                steps, or of any.
    """

    def __init__(self, order: NDArray[np.int64], batch_rows: int | None = None) -> None:
        order = np.asarray(order)
        if order.ndim != 2 or not len(order) or not np.issubdtype(order.dtype, np.integer):
            raise ShapeError(
                f"order has shape {order.shape} and type {order.dtype}; expected whole numbers, "
                "(epochs, rows per epoch), with at least one epoch"
            )
        self.order = order
        self.batch_rows = batch_rows
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Raises SettingsError if the order was not laid down so far ahead."""
        if not 0 <= epoch < len(self.order):
            raise SettingsError(
                f"epoch {epoch} is asked for, but the sampler holds {len(self.order)} epochs; "
                "make it with epochs= the number of epochs to train"
            )
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(self.order[self.epoch].tolist())

    def __len__(self) -> int:
        return int(self.order.shape[1])


def sampler_for(
    remedy: str,
    labels: Any,
    *,
    epochs: int,
    seed: int,
    classes: int | None = None,
    batch_rows: int | None = None,
    groups: Any = None,
    **settings: Any,
) -> OrderSampler:
    """A sampler by the name of its remedy: "balanced_sampler", "balanced_sampler:epoch_rows=500".

    labels      (n,) class numbers of the training rows.
    classes     K; None: the largest label + 1.
    batch_rows  Rows per optimizer step over all processes and micro-batches; for
                guaranteed_presence, which names classes by their numbers: "classes=3;7".
    groups      (n,) anything that tells groups apart; for group_balanced_sampler.

    The first epochs are the same whatever `epochs` is, but for progressive_sampler and
    plentiful_first without `over`.
    Raises SettingsError, ShapeError, DataError.
    """
    spec = remedy_spec(remedy, settings) if settings else parse_remedy(remedy)
    if spec.name not in BATCHES or BATCHES[spec.name].kind != "sampler":
        names = ", ".join(name for name, found in BATCHES.items() if found.kind == "sampler")
        raise SettingsError(f"remedy {spec.name!r} is not a sampler; samplers are: {names}")
    labels = class_numbers(labels)
    known = classes if classes is not None else int(labels.max(initial=0)) + 1
    if epochs < 1:
        raise SettingsError(f"epochs is {epochs}; expected 1 or more")
    order = build_order(
        [spec],
        labels,
        known,
        epochs,
        np.random.default_rng(seed),
        batch_rows=batch_rows,
        class_names=[str(k) for k in range(known)],
        groups=_group_numbers(groups, len(labels)),
    )
    promises = "batch_rows" in BATCHES[spec.name].needs
    return OrderSampler(order, batch_rows if promises else None)


def _group_numbers(groups: Any, rows: int) -> NDArray[np.int64] | None:
    if groups is None:
        return None
    numbers = np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    if numbers.shape != (rows,):
        raise ShapeError(f"groups have shape {numbers.shape}; expected ({rows},), one per row")
    return numbers.astype(np.int64)


def balanced_sampler(
    labels: Any, *, epochs: int, seed: int, epoch_rows: int | None = None
) -> OrderSampler:
    """Every class equally often; see `balanced_order`."""
    settings = {} if epoch_rows is None else {"epoch_rows": epoch_rows}
    return sampler_for("balanced_sampler", labels, epochs=epochs, seed=seed, **settings)


def sqrt_sampler(
    labels: Any, *, epochs: int, seed: int, power: float = 0.5, epoch_rows: int | None = None
) -> OrderSampler:
    """Each class as often as its rows to a power; see `power_order`."""
    settings: dict[str, Any] = {"power": power, "epoch_rows": epoch_rows}
    return sampler_for("sqrt_sampler", labels, epochs=epochs, seed=seed, **settings)


def temperature_sampler(
    labels: Any,
    *,
    epochs: int,
    seed: int,
    temperature: float = 3.0,
    epoch_rows: int | None = None,
) -> OrderSampler:
    """Each class as often as its rows to the power 1 / T; see `temperature_order`."""
    settings: dict[str, Any] = {"temperature": temperature, "epoch_rows": epoch_rows}
    return sampler_for("temperature_sampler", labels, epochs=epochs, seed=seed, **settings)


def plentiful_first_sampler(
    labels: Any,
    *,
    epochs: int,
    seed: int,
    over: float | None = None,
    plentiful: float = 0.5,
    temperature: float = 3.0,
    epoch_rows: int | None = None,
) -> OrderSampler:
    """The plentiful classes alone, then all by temperature; see `plentiful_first_order`."""
    settings: dict[str, Any] = {
        "over": over,
        "plentiful": plentiful,
        "temperature": temperature,
        "epoch_rows": epoch_rows,
    }
    return sampler_for("plentiful_first", labels, epochs=epochs, seed=seed, **settings)


def progressive_sampler(
    labels: Any, *, epochs: int, seed: int, over: int | None = None, epoch_rows: int | None = None
) -> OrderSampler:
    """From natural to balanced over the epochs; see `progressive_order`."""
    settings: dict[str, Any] = {"over": over, "epoch_rows": epoch_rows}
    return sampler_for("progressive_sampler", labels, epochs=epochs, seed=seed, **settings)


def presence_sampler(
    labels: Any,
    *,
    epochs: int,
    seed: int,
    batch_rows: int,
    at_least: int = 1,
    classes: Iterable[int] | None = None,
    below: float = 0.05,
    together: bool = False,
) -> OrderSampler:
    """At least so many rows of the chosen classes in every optimizer step; see `presence_order`.

    batch_rows: rows per optimizer step, over all processes and micro-batches.
    """
    numbers = None if classes is None else ";".join(str(int(k)) for k in classes)
    asked = {"at_least": at_least, "classes": numbers, "below": below, "together": together}
    text = remedy_text(remedy_spec("guaranteed_presence", asked))
    return sampler_for(text, labels, epochs=epochs, seed=seed, batch_rows=batch_rows)


def group_balanced_sampler(
    labels: Any,
    groups: Any,
    *,
    epochs: int,
    seed: int,
    by: str = "cell",
    epoch_rows: int | None = None,
) -> OrderSampler:
    """Every group within every class equally often; see `group_balanced_order`."""
    settings: dict[str, Any] = {"by": by, "epoch_rows": epoch_rows}
    return sampler_for(
        "group_balanced_sampler", labels, epochs=epochs, seed=seed, groups=groups, **settings
    )


def natural_sampler(rows: int, *, epochs: int, seed: int) -> OrderSampler:
    """Every row once per epoch in random order; see `natural_order`."""
    return OrderSampler(natural_order(rows, epochs, np.random.default_rng(seed)))


class SamplerMixin:
    """Gives a `transformers.Trainer` subclass the argument `sampler=`.

    Name it before the Trainer: `class MyTrainer(SamplerMixin, Trainer)`. Stopping and resuming,
    in the middle of an epoch too, feeds the very rows that would have come.
    """

    def __init__(self, *args: Any, sampler: OrderSampler | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampler = sampler
        if sampler is not None:
            # Accelerate passes the epoch on to the sampler through one or two wrappers, but not
            # through the three that stand there when several processes resume inside an epoch.
            self.add_callback(_epoch_setter(sampler))  # type: ignore[attr-defined]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """The Trainer's own hook; it takes no sampler as an argument."""
        if self.sampler is None:
            return super()._get_train_sampler(train_dataset)  # type: ignore[misc]
        dataset = self.train_dataset if train_dataset is None else train_dataset  # type: ignore[attr-defined]
        highest = int(self.sampler.order.max())
        if highest >= len(dataset):
            raise SettingsError(
                f"the sampler asks for row {highest}, the training set has {len(dataset)} rows; "
                "make it from the labels of this training set"
            )
        arguments = self.args  # type: ignore[attr-defined]
        epochs = math.ceil(arguments.num_train_epochs)
        if arguments.max_steps <= 0 and len(self.sampler.order) < epochs:
            raise SettingsError(
                f"the sampler holds {len(self.sampler.order)} epochs, {epochs} are to be trained; "
                f"make it with epochs={epochs}"
            )
        asked = self.sampler.batch_rows
        rows = _step_rows(arguments)
        if asked is not None and (rows != asked or arguments.dataloader_drop_last):
            raise SettingsError(
                f"the sampler keeps its promise for steps of {asked} rows; the Trainer takes "
                f"{rows} (per_device_train_batch_size × gradient_accumulation_steps"
                + (")" if _splits(arguments) else " × processes)")
                + (" and drops the last step" if arguments.dataloader_drop_last else "")
                + f"; make the sampler with batch_rows={rows}, or change the arguments"
            )
        return self.sampler


def _step_rows(arguments: Any) -> int:
    """Rows of one optimizer step, over all processes and micro-batches."""
    rows: int = arguments.train_batch_size * arguments.gradient_accumulation_steps
    return rows if _splits(arguments) else rows * max(1, arguments.world_size)


def _splits(arguments: Any) -> bool:
    """Whether the processes share one batch out, in place of taking one each."""
    return bool(getattr(arguments.accelerator_config, "split_batches", False))


def _epoch_setter(sampler: OrderSampler) -> Any:
    from transformers import TrainerCallback  # at hand already: a Trainer is being made

    class SetEpoch(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # Whole at the end of an epoch, with a fraction when resumed inside one.
            sampler.set_epoch(int(state.epoch or 0))

    return SetEpoch()
