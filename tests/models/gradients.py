"""Gradients of one optimizer step through the real trainer: whole, in micro-batches, and shared
between processes.

`python -m tests.models.gradients BASE OUT CASES` is one such process; CASES are lists in JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.models.batches import StepPlan
from equipoise.models.feed import Feed, PlannedBatches
from equipoise.models.passes import Pass
from equipoise.models.trainer import (
    RowLoss,
    WeightedTrainer,
    Wrapper,
)
from equipoise.remedies.batches import (
    BATCHES,
    build_order,
    build_row_weights,
    build_weights,
    of_kind,
)
from equipoise.remedies.losses import LOSSES, build_loss
from equipoise.remedies.losses.wrapping import WRAPPERS, build_wrapper
from equipoise.remedies.spec import parse_remedies
from tests.models.processes import run_processes
from tests.models.tiny import easy_rows, make, make_feed
from tests.models.training import train, weights_after

Gradients = list[dict[str, NDArray[Any]]]
"""By step, then by name of the weight."""

BATCH_ROWS = 16
ROWS = 41  # two whole steps, and a last one of 9 rows
COSTS = np.array([[0.0, 1.0, 3.0], [20.0, 0.0, 5.0], [100.0, 2.0, 0.0]])
DONE, PLANNED = 9, 10
"""Steps done and planned: losses that change late in training have changed."""
DRAWN = (
    *(name for name in BATCHES if BATCHES[name].kind in ("weights", "row_weights", "sampler")),
    "guaranteed_presence:classes=0;2",
)
"""Remedies on batches and weights."""
EXACT = (*LOSSES, "adversarial")
"""Remedies in the loss under which every row counts for itself. Rows that are mixed find their
partners in their micro-batch, so those gradients depend on how a step is divided, and may."""


def uneven_feed(base: Any) -> Feed:
    """Rows of 2 to 16 tokens whose weights differ by up to a thousand times, and one of them 0."""
    rng = np.random.default_rng(5)
    weights = 10 ** rng.uniform(-2, 1, size=ROWS)
    weights[7] = 0.0
    return make_feed(base, easy_rows(ROWS, seed=4), weights=weights)


def step_gradients(
    folder: Path,
    *,
    device_rows: int,
    dtype: torch.dtype,
    l1: float = 0.0,
    method: str = "full",
    remedies: Sequence[str] = (),
    output: Path,
) -> Gradients:
    """Gradients of every step of one epoch, dropout off, weights not moved in between.

    remedies  Those in the loss, by name.

    The Trainer's own dataloader, `_get_num_items_in_batch`, `training_step` (with compute_loss and
    backward) and, with several processes, its DDP wrapping are what runs.
    """
    from transformers import TrainingArguments

    torch.manual_seed(0)
    classifier, base, _, _ = make(folder, method=method, dropout=0.0, head="linear")
    classifier.to(dtype)
    feed, order = drawn(remedies, uneven_feed(base))
    arguments = TrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=device_rows,
        num_train_epochs=1,
        report_to="none",
        use_cpu=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )
    world = max(arguments.world_size, 1)
    arguments.gradient_accumulation_steps = max(1, -(-BATCH_ROWS // (device_rows * world)))
    batches = PlannedBatches(
        StepPlan(order[None], BATCH_ROWS),
        feed.tokens.lengths,
        device_rows=device_rows,
        processes=world,
        process=arguments.process_index,
    )
    trainer = WeightedTrainer(
        model=classifier,
        args=arguments,
        feed=feed,
        batches=batches,
        row_loss=loss_and_wrapper(remedies, feed)[0],
        wrapper=loss_and_wrapper(remedies, feed)[1],
        validation=None,
        measure=None,
        log_line=lambda _: None,
        head_learning_rate=1e-3,
        l1=l1,
    )
    trainer.state.global_step, trainer.state.max_steps = DONE, PLANNED
    with all_in_float64():
        return list(_steps(trainer, classifier, batches))


def drawn(remedies: Sequence[str], feed: Feed) -> tuple[Feed, NDArray[np.int64]]:
    """The feed with the weights of those among the remedies that weigh, and the rows of an epoch
    by the one that draws; without one, all in random order."""
    specs = [spec for spec in parse_remedies(remedies) if spec.name in BATCHES]
    classes, rows = int(feed.labels.max()) + 1, np.arange(len(feed))
    given = {
        "batch_rows": BATCH_ROWS,
        "class_names": [str(k) for k in range(classes)],
        "groups": rows % 2,
        "cluster_sizes": 1 + rows % 5 // 2,
        "row_costs": COSTS[feed.labels],
    }
    weights = build_weights(specs, np.bincount(feed.labels), **given)[feed.labels]
    weights = weights * build_row_weights(specs, feed.labels, classes, **given)
    rng = np.random.default_rng(6)
    order = (
        build_order(specs, feed.labels, classes, 1, rng, **given)[0]
        if of_kind(specs, "sampler")
        else rng.permutation(ROWS)
    )
    return feed.take(rows, weights), order


def loss_and_wrapper(remedies: Sequence[str], feed: Feed) -> tuple[RowLoss, Wrapper | None]:
    counts = np.bincount(feed.labels)
    specs = parse_remedies(remedies)
    losses = [spec for spec in specs if spec.name in LOSSES]
    wrappers = [spec for spec in specs if spec.name in WRAPPERS]
    return (
        build_loss(losses[0] if losses else None, counts, costs=COSTS),
        build_wrapper(wrappers[0] if wrappers else None, counts),
    )


def _steps(trainer: Any, classifier: torch.nn.Module, batches: PlannedBatches) -> Any:
    model = trainer.accelerator.prepare_model(classifier)
    model.train()
    iterator = iter(trainer.get_train_dataloader())
    accumulated = trainer.args.gradient_accumulation_steps
    left = len(batches)
    while left:
        parts, items = trainer.get_batch_samples(
            iterator, min(accumulated, left), trainer.args.device
        )
        left -= len(parts)
        trainer.current_gradient_accumulation_steps = len(parts)
        for number, part in enumerate(parts, 1):
            trainer.accelerator.gradient_state._set_sync_gradients(number == len(parts))
            with (
                trainer.accelerator.no_sync(model)
                if number < len(parts)
                else contextlib.nullcontext()
            ):
                trainer.training_step(model, part, items)
        yield {
            name: p.grad.detach().numpy().copy()
            for name, p in classifier.named_parameters()
            if p.requires_grad and p.grad is not None
        }
        model.zero_grad()


@contextlib.contextmanager
def all_in_float64() -> Iterator[None]:
    """transformers takes Gemma's norms, and the softmax of eager attention (Gemma 2), in float32
    whatever the weights are in. Here float64 stays float64, so that what is measured is how a step
    is divided, not how these two round."""
    softmax, to_float = torch.nn.functional.softmax, torch.Tensor.float

    def same_type(values: torch.Tensor, dim: int, dtype: Any = None, **_: Any) -> torch.Tensor:
        wide = values.dtype is torch.float64
        return softmax(values, dim, dtype=values.dtype if wide else dtype)

    def at_least(values: torch.Tensor) -> torch.Tensor:
        return values if values.dtype is torch.float64 else to_float(values)

    torch.nn.functional.softmax = same_type  # type: ignore[assignment]
    torch.Tensor.float = at_least  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.nn.functional.softmax = softmax
        torch.Tensor.float = to_float  # type: ignore[method-assign]


def relative_difference(found: dict[str, NDArray[Any]], whole: dict[str, NDArray[Any]]) -> float:
    """‖found - whole‖₂ / ‖whole‖₂ over all weights together."""
    assert found.keys() == whole.keys()
    apart = sum(float(((found[n].astype(np.float64) - whole[n]) ** 2).sum()) for n in whole)
    size = sum(float((whole[n].astype(np.float64) ** 2).sum()) for n in whole)
    return float(np.sqrt(apart / size))


def plain_gradients(
    folder: Path, dtype: torch.dtype, l1: float = 0.0, remedies: Sequence[str] = ()
) -> Gradients:
    """The same by hand: one backward pass of sum(weight × loss) / rows per step."""
    classifier, base, _, _ = make(folder, method="full", dropout=0.0, head="linear")
    classifier.to(dtype).train()
    feed, order = drawn(remedies, uneven_feed(base))
    row_loss, wrapper = loss_and_wrapper(remedies, feed)
    out = []

    def losses_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return row_loss(logits, labels, DONE / PLANNED)

    for start in range(0, len(order), BATCH_ROWS):
        inputs = feed.batch(order[start : start + BATCH_ROWS])
        labels, weights = inputs.pop("labels"), inputs.pop("weights").to(dtype)
        rows = inputs.pop("counts").sum().to(dtype)
        with all_in_float64():
            if wrapper is None:
                losses = weights * losses_of(classifier(**inputs), labels)
            else:
                run, rng = Pass(classifier, classifier, inputs), np.random.default_rng(0)
                losses = wrapper(run, labels, weights, losses_of, rng)
        loss = losses.sum() / rows
        trained = [p for p in classifier.parameters() if p.requires_grad]
        loss = loss + l1 * sum(p.abs().sum() for p in trained)
        classifier.zero_grad()
        loss.backward()
        out.append(
            {
                name: p.grad.detach().numpy().copy()
                for name, p in classifier.named_parameters()
                if p.requires_grad and p.grad is not None
            }
        )
    return out


class Case(NamedTuple):
    """What two processes are asked for."""

    dtype: str
    device_rows: int
    l1: float = 0.0
    remedies: tuple[str, ...] = ()


def main() -> None:
    """Write the gradients of this process's trainer for every case, numbered, and the weights after
    a whole training."""
    base, out = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    for number, asked in enumerate(json.loads(sys.argv[3])):
        case = Case(*asked)
        steps = step_gradients(
            base,
            device_rows=case.device_rows,
            dtype=getattr(torch, case.dtype),
            l1=case.l1,
            remedies=case.remedies,
            output=out / "trainer",
        )
        named = {f"{s} {n}": g for s, step in enumerate(steps) for n, g in step.items()}
        np.savez(out / f"{number}-{torch.distributed.get_rank()}.npz", **named)
    after, _ = whole_training(base, out / "training")
    np.savez(out / f"weights-{torch.distributed.get_rank()}.npz", **after)
    torch.distributed.destroy_process_group()


def whole_training(base_folder: Path, folder: Path) -> tuple[dict[str, NDArray[Any]], Any]:
    """Weights and record after four epochs of which the best is kept, 16 rows a step."""
    classifier, base, _, _ = make(base_folder, method="full", dropout=0.0, head="linear")
    trained = train(
        classifier,
        uneven_feed(base),
        folder,
        epochs=4,
        rates=(1e-3, 1e-3),
        validation=make_feed(base, easy_rows(30, seed=9)),
        batch_rows=BATCH_ROWS,
        device_rows=4,
        choose_by="log_loss",
    )
    return weights_after(classifier), trained


def in_two_processes(base: Path, out: Path, cases: Sequence[Case]) -> list[list[Gradients]]:
    """Gradients of every case by rank, from two processes joined over gloo."""
    asked = json.dumps(cases)
    run_processes(["-m", "tests.models.gradients", str(base), str(out), asked], count=2)
    return [
        [_read(out / f"{number}-{rank}.npz") for rank in range(2)] for number in range(len(cases))
    ]


def _read(path: Path) -> Gradients:
    steps: dict[int, dict[str, NDArray[Any]]] = {}
    with np.load(path) as saved:
        for key in saved.files:
            step, name = key.split(" ")
            steps.setdefault(int(step), {})[name] = saved[key]
    return [steps[step] for step in sorted(steps)]


if __name__ == "__main__":
    main()
