"""The losses, as plain torch functions, and in a form that a stock `transformers.Trainer` takes.

from equipoise.losses import for_trainer
trainer = Trainer(..., compute_loss_func=for_trainer("logit_adjusted", labels=train_labels))
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from equipoise.errors import SettingsError, ShapeError
from equipoise.remedies.batches.weights import WeightKind
from equipoise.remedies.batches.weights import class_weights as weights_from
from equipoise.remedies.conflicts import conflicts
from equipoise.remedies.labels import check_labels, class_numbers
from equipoise.remedies.losses import (
    LOSSES,
    asymmetric_cross_entropy,
    balanced_softmax,
    build_loss,
    class_balanced_focal,
    cross_entropy,
    expected_cost,
    focal_cross_entropy,
    generalized_cross_entropy,
    label_aware_smoothing,
    label_smoothing,
    ldam_cross_entropy,
    logit_adjusted_cross_entropy,
    seesaw_cross_entropy,
    self_adjusting_dice,
    vector_scaling_cross_entropy,
    weighted_cross_entropy,
)
from equipoise.remedies.losses.binary import (
    binary_asymmetric,
    binary_cross_entropy,
    binary_focal,
    binary_weighted,
)
from equipoise.remedies.losses.binary_balanced import distribution_balanced
from equipoise.remedies.losses.binary_table import BINARY_LOSSES, build_binary_loss
from equipoise.remedies.losses.common import per_class
from equipoise.remedies.losses.wrapping import WRAPPERS
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.spec import remedy_spec

__all__ = [
    "BINARY_LOSSES",
    "LOSSES",
    "ComputeLoss",
    "asymmetric_cross_entropy",
    "balanced_softmax",
    "binary_asymmetric",
    "binary_cross_entropy",
    "binary_focal",
    "binary_weighted",
    "class_balanced_focal",
    "cross_entropy",
    "distribution_balanced",
    "expected_cost",
    "focal_cross_entropy",
    "for_labels_trainer",
    "for_trainer",
    "generalized_cross_entropy",
    "label_aware_smoothing",
    "label_smoothing",
    "ldam_cross_entropy",
    "logit_adjusted_cross_entropy",
    "seesaw_cross_entropy",
    "self_adjusting_dice",
    "vector_scaling_cross_entropy",
    "weighted_cross_entropy",
]

IGNORED = -100
"""Label of a row that does not count, as everywhere in transformers."""

ComputeLoss = Callable[..., Tensor]
"""(outputs, labels, num_items_in_batch=None) -> scalar loss."""


def for_trainer(
    loss: str | Callable[..., Tensor] = "cross_entropy",
    *,
    counts: Any = None,
    labels: Any = None,
    class_weights: Any = None,
    twice: bool = False,
    costs: Any = None,
    progress: Callable[[], float] | None = None,
    **settings: Any,
) -> ComputeLoss:
    """The `compute_loss_func` of a stock `transformers.Trainer` for sequence classification.

    The loss of a micro-batch is the sum of weight × loss over its rows, divided by
    `num_items_in_batch`: the Trainer's count of labelled rows in the whole optimizer step, over
    all micro-batches and (with `average_tokens_across_devices`, its default) all processes. It is
    the same for each micro-batch, so gradients add up to those of the whole batch however it is
    cut. The divisor is the number of rows, not the sum of their weights: class weights have mean 1
    over the training rows, and a step without rare rows must not be weighed up. Without a count
    (older Trainers) rows of the batch divide.

    loss           a name ("cross_entropy", or one of `LOSSES`), or a function
                   (logits (rows, K), labels (rows,), **settings) -> (rows,) nats.
    counts         (K,) rows per class as fed to training; or
    labels         (n,) class numbers of the training rows, from which the counts are taken.
                   K is the largest label + 1: give counts if the last class may have no rows.
    class_weights  "inverse", "sqrt", "effective", or (K,) weights, scaled to a mean of 1 over the
                   rows if counts are known. Refused beside a loss that corrects the prior already,
                   unless twice=True.
    costs          (K, K) cost of deciding each class (columns) for each true one, for the loss
                   cost_sensitive.
    progress       Gives the share of training done, for a loss that changes as training ages
                   (ldam): a Trainer does not tell its loss. For instance
                   `lambda: trainer.state.global_step / trainer.state.max_steps`.
    settings       of the loss: gamma=2, tau=1.

    Raises SettingsError for unknown names and settings and for weights that leave no row to learn
    from, ShapeError for counts or weights that do not fit the logits, DataError if the loss needs
    shares and a class has no rows.
    """
    numbers = _counts(counts, labels)
    function, spec = _bound(loss, settings, numbers, costs, progress)
    weights = _weights(class_weights, numbers)
    if weights is not None and spec is not None and not twice:
        _refuse_double(spec)

    def compute_loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        labels = labels.view(-1)
        kept = labels != IGNORED
        logits, labels = logits.view(-1, logits.shape[-1])[kept], labels[kept]
        rows = function(logits, labels)
        if rows.shape != labels.shape:
            raise ShapeError(
                f"the loss gave shape {tuple(rows.shape)} for {len(labels)} rows; "
                "it must return one value per row (reduction='none')"
            )
        if weights is not None:
            rows = rows * per_class(weights, rows.new_empty(logits.shape), "class_weights")[labels]
        return rows.sum() / _divisor(num_items_in_batch, labels)

    return compute_loss


def for_labels_trainer(
    loss: str = "binary_cross_entropy", *, labels: Any = None, **settings: Any
) -> ComputeLoss:
    """The same for rows that may have several labels (labels of shape (rows, K), 0 and 1).

    loss      "binary_cross_entropy", or one of `BINARY_LOSSES`.
    labels    (n, K) 0/1 of the training rows, from which a loss takes how frequent each label is.
    settings  of the loss: gamma=2.

    The Trainer counts K answers a row; the divisor is the number of rows, as in `for_trainer`.
    Raises SettingsError for unknown names and settings, or if the loss needs labels; ShapeError
    for labels that are no table of 0 and 1.
    """
    spec = None
    if loss != "binary_cross_entropy" or settings:
        if loss not in BINARY_LOSSES:
            known = ", ".join(["binary_cross_entropy", *BINARY_LOSSES])
            raise SettingsError(f"unknown loss {loss!r} for several labels; losses are: {known}")
        spec = remedy_spec(loss, settings)
    if spec is not None and BINARY_LOSSES[spec.name].needs and labels is None:
        raise SettingsError(f"loss {loss} needs labels= of the training rows")
    table = np.zeros((1, 1)) if labels is None else np.asarray(labels)
    if table.ndim != 2 or not np.isin(table, (0, 1)).all():
        raise ShapeError("labels should be a table (rows, K) of 0 and 1, one column per label")
    function = build_binary_loss(spec, table.astype(np.int64))

    def compute_loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        rows = function(logits, labels)
        answers = None if num_items_in_batch is None else _divisor(num_items_in_batch, labels)
        return rows.sum() / (max(len(rows), 1) if answers is None else answers / logits.shape[-1])

    return compute_loss


def _bound(
    loss: str | Callable[..., Tensor],
    settings: dict[str, Any],
    counts: Any,
    costs: Any,
    progress: Callable[[], float] | None,
) -> tuple[Callable[[Tensor, Tensor], Tensor], RemedySpec | None]:
    """(logits, labels) -> (rows,) with everything else bound, and the remedy that it is, if any."""
    if callable(loss):
        return partial(loss, **settings), None
    spec = _loss_spec(loss, settings)
    needs = LOSSES[spec.name].needs if spec else ()
    lacking = {
        "progress": (progress, "progress=, a function that gives the share of training done"),
        "costs": (costs, "costs=, a number for every true and decided class"),
        "counts": (counts, "counts= or labels="),
        "log_prior": (counts, "counts= or labels="),
    }
    faults = [
        f"loss {loss} needs {need}: give {lacking[need][1]}"
        for need in needs
        if lacking[need][0] is None
    ]
    if faults:
        raise SettingsError(*faults)
    built = build_loss(spec, np.ones(1) if counts is None else counts, costs=costs)
    if progress is None:
        return built, spec
    return lambda logits, labels: built(logits, labels, progress()), spec


def _refuse_double(spec: RemedySpec) -> None:
    faults = conflicts([remedy_spec("class_weights"), spec])
    if faults:
        # The fault names the setting as the command line has it; here it is an argument.
        asked = f"{spec.name}:twice=true"
        raise SettingsError(*(fault.replace(asked, "twice=True") for fault in faults))


def _divisor(num_items_in_batch: Any, labels: Tensor) -> Tensor | int:
    """Rows of the optimizer step. With several GPUs in one process the Trainer hands over one
    count per GPU and averages over them what it has got, hence their sum."""
    if num_items_in_batch is None:
        return max(len(labels), 1)
    if isinstance(num_items_in_batch, Tensor):
        return num_items_in_batch.sum().to(labels.device).clamp_min(1)
    return max(int(num_items_in_batch), 1)


def _loss_spec(name: str, settings: dict[str, Any]) -> RemedySpec | None:
    if name == "cross_entropy" and not settings:
        return None
    aliases = {remedy.function.__name__: key for key, remedy in LOSSES.items()}
    key = aliases.get(name, name)
    if key in WRAPPERS:
        raise SettingsError(
            f"loss {name!r} acts on rows on their way through the model, of which a Trainer shows "
            f"its loss only the end; train with `equipoise train --remedy {key}`"
        )
    if key in BINARY_LOSSES:
        raise SettingsError(
            f"loss {name!r} is for rows with several labels each, and here each row has one class; "
            "for several use for_labels_trainer"
        )
    if key not in LOSSES:
        known = ", ".join(["cross_entropy", *LOSSES])
        asked = f"settings {', '.join(settings)}" if name == "cross_entropy" else f"loss {name!r}"
        hint = ""
        if ":" in name:
            hint = f"settings are arguments, as in {name.partition(':')[0]!r}, tau=0.5; "
        elif near := get_close_matches(name, LOSSES, n=1, cutoff=0.6):
            hint = f"did you mean {near[0]!r}? "
        raise SettingsError(
            f"unknown {asked}; {hint}losses are: {known}; cross_entropy takes no settings"
        )
    return remedy_spec(key, settings)


def _counts(counts: Any, labels: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if counts is not None and labels is not None:
        raise SettingsError("counts and labels are both given; keep one")
    if labels is not None:
        numbers = class_numbers(labels)
        check_labels(numbers, int(numbers.max(initial=0)) + 1)
        return np.bincount(numbers).astype(np.float64)
    if counts is None:
        return None
    found = np.asarray(counts, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any():
        raise ShapeError(f"counts are {counts!r}; expected one number of rows per class")
    return found


def _weights(asked: Any, counts: Any) -> Tensor | None:
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked not in get_args(WeightKind):
            raise SettingsError(
                f"class_weights is {asked!r}; expected {', '.join(get_args(WeightKind))}, "
                "or one number per class"
            )
        if counts is None:
            raise SettingsError(f"class_weights {asked!r} need counts= or labels=")
        return torch.from_numpy(weights_from(counts, kind=asked))  # type: ignore[arg-type]
    found = torch.as_tensor(asked, dtype=torch.float64)
    if found.ndim != 1 or not torch.isfinite(found).all() or (found < 0).any():
        raise ShapeError(f"class_weights are {asked!r}; expected one weight, 0 or more, per class")
    if counts is None:
        return found
    if len(counts) != len(found):
        raise ShapeError(f"{len(found)} class weights for {len(counts)} classes in the counts")
    rows = torch.from_numpy(counts)
    if not (rows * found).any():
        raise SettingsError(
            f"class_weights {asked!r} leave nothing to learn from: no class has both rows and a "
            "weight above 0; give one to a class that has rows"
        )
    return found * (rows.sum() / (rows * found).sum())
