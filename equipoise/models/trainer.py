"""The one training loop: transformers' Trainer with our rows, our loss and our checkpoints.

What differs from the Trainer is what imbalance asks for: which rows share a step is fixed by a
plan; a step's loss is the sum of weight × loss over all its micro-batches and processes, divided
once by how many there are; checkpoints hold only what is trained. The rest (mixed precision,
accelerate, schedules, clipping, callbacks, trackers) is the Trainer's own.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerState

from equipoise.errors import DivergedError
from equipoise.models.feed import Batch, Fed, PlannedBatches
from equipoise.models.outputs import predict_feed
from equipoise.models.passes import Pass
from equipoise.models.processes import wait_for_all
from equipoise.models.trainable import Trainable

RowLoss = Callable[[Tensor, Tensor, float], Tensor]
"""(logits (rows, classes), labels (rows,), share of the optimizer steps done before this one, 0 to
1) to (rows,) loss in nats."""
Wrapper = Callable[
    [Pass, Tensor, Tensor, Callable[[Tensor, Tensor], Tensor], np.random.Generator], Tensor
]
"""(pass of a micro-batch through the model, labels (rows,), weights (rows,), loss of (logits,
labels), generator) to (rows,) weight × loss."""
Measure = Callable[[NDArray[np.float64]], dict[str, float]]
"""Validation logits (rows, classes), in the rows' order, to named measures; or what else the
model's `Predict` gives."""
Predict = Callable[[nn.Module, Any], NDArray[np.float64]]
"""(model, feed) to what is measured: an entry for each of the feed's rows."""

_FACTORS = "ia3_"
"""In the names of IA3's weights, matrices of one row or column: factors, which change nothing where
they are 1."""
TRAINED = "trained.safetensors"
_COMPLETE = "complete.json"


class WeightedTrainer(Trainer):
    """`transformers.Trainer` over planned steps and weighted rows."""

    def __init__(
        self,
        *args: Any,
        feed: Fed,
        batches: PlannedBatches,
        row_loss: RowLoss,
        wrapper: Wrapper | None = None,
        validation: Fed | None,
        predict: Predict | None = None,
        measure: Measure | None,
        log_line: Callable[[dict[str, Any]], None],
        head_learning_rate: float,
        l1: float,
        start: dict[str, Tensor] | None = None,
        l2_sp: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.feed = feed
        self.batches = batches
        self.row_loss = row_loss
        self.wrapper = wrapper
        self._part = 0
        self.validation = validation
        self.predict_rows = predict or predict_feed
        self.measure = measure
        self.log_line = log_line
        self.head_learning_rate = head_learning_rate
        self.l1 = l1
        self.l2_sp = l2_sp
        self.start = start or {}
        self.optimizer: torch.optim.Optimizer | None
        self.control: Any
        # A loss function marks the loss as already divided over the whole step, in every version
        # of the Trainer that we support; `compute_loss` below is what computes it.
        kwargs["compute_loss_func"] = row_loss
        super().__init__(
            *args,
            train_dataset=_Positions(len(feed)),
            eval_dataset=_Positions(0 if validation is None else len(validation)),
            **kwargs,
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        # Not prepared by accelerate: it would deal whole batches to processes, repeating some to
        # come out even, and the plan has dealt the rows of every step already.
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=lambda rows: self.feed.batch(np.array(rows, dtype=np.int64)),
            pin_memory=torch.cuda.is_available(),
        )

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> Tensor:
        """Rows (or learned tokens) of the whole optimizer step: all micro-batches, all processes.

        Not their weights: a step that happens to hold no rare row, divided by the little that it
        weighs, would count as much as one that does, and most of a rare class's weight be lost.
        """
        self._part = 0  # this is called once, before the step's first micro-batch
        total = torch.stack([batch["counts"].sum() for batch in batch_samples]).sum().to(device)
        if self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return total

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """This micro-batch's share of the step's loss: sum of weight × loss / the step's rows.

        Distributed training averages gradients over processes, so each share is multiplied by
        their number; the sum over processes is then what one process would have computed.
        """
        weights, counts = inputs.pop("weights"), inputs.pop("counts")
        labels = inputs.pop("labels")
        run = Pass(model, self.model, inputs)
        losses = self._weighted_losses(run, labels, weights)
        total = counts.sum() if num_items_in_batch is None else num_items_in_batch
        total = torch.where(total > 0, total, 1.0)  # a step without rows
        loss = losses.sum() / total.to(losses.dtype)
        if self.l1 or self.l2_sp:
            loss = loss + (counts.sum() / total).to(losses.dtype) * self._penalty(model)
        loss = loss * self.args.world_size
        return (loss, run.logits) if return_outputs else loss

    def _penalty(self, model: nn.Module) -> Tensor:
        """What large weights, and weights far from where they started, add to the loss."""
        trained = [p for p in model.parameters() if p.requires_grad]
        found = [self.l1 * p.abs().sum() for p in trained] if self.l1 else []
        if self.l2_sp:
            found += [
                self.l2_sp / 2 * (p - self.start[n].to(p)).square().sum()
                for n, p in body_weights(self.model)
            ]
        if not found:  # L2-SP where nothing but a head is trained
            return torch.zeros((), device=self.args.device)
        return torch.stack(found).sum()

    def _weighted_losses(self, run: Pass, labels: Tensor, weights: Tensor) -> Tensor:
        """(rows,) weight × loss of a micro-batch.

        What a wrapper draws depends on the seed and on which step, micro-batch and process this is,
        and on nothing that came before: a run that was resumed draws the same.
        """
        done = self.state.global_step
        progress = done / max(self.state.max_steps, 1)
        if self.wrapper is None:
            losses = self.row_loss(run(), labels, progress)
            return weights.to(losses.dtype) * losses
        place = [self.args.seed, done, self._part, self.args.process_index]
        self._part += 1

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return self.row_loss(logits, labels, progress)

        return self.wrapper(run, labels, weights, loss, np.random.default_rng(place))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with a rate of its own for the head, and decay on weight matrices only."""
        if self.optimizer is None:
            # Another model is given where it is sharded alone, which `check_launch` refuses.
            devices = {p.device.type for p in self.model.parameters() if p.requires_grad}
            self.optimizer = torch.optim.AdamW(
                parameter_groups(
                    self.model,
                    self.args.learning_rate,
                    self.head_learning_rate,
                    self.args.weight_decay,
                ),
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                eps=self.args.adam_epsilon,
                fused=devices <= {"cpu", "cuda"},  # one pass over the weights instead of ten
            )
        assert self.optimizer is not None
        return self.optimizer

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measures of the validation rows, from the very function the caller handed in."""
        assert self.validation is not None
        assert self.measure is not None
        logits = self.predict_rows(self.model, self.validation)
        if not np.isfinite(logits).all():
            raise DivergedError(diverged("a score is not a number", self.state.global_step))
        metrics = {f"eval_{name}": value for name, value in self.measure(logits).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log(self, logs: dict[str, float], *_: Any, **__: Any) -> None:
        loss = logs.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(diverged(f"the loss is {loss}", self.state.global_step))
        super().log(logs)
        if self.args.process_index == 0:
            line: dict[str, Any] = {"step": self.state.global_step, "epoch": self.state.epoch}
            measures = {k[5:]: v for k, v in logs.items() if k.startswith("eval_")}
            line |= {k: logs[k] for k in ("loss", "learning_rate", "grad_norm") if k in logs}
            if measures:
                line["measures"] = measures
            if len(line) > 2:
                self.log_line(line)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Only the trained weights: the frozen ones are the base's, and can be gigabytes."""
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            save_trained(self.accelerator.unwrap_model(self.model), folder / TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trained(model or self.model, Path(resume_from_checkpoint) / TRAINED)

    def read_state(self, checkpoint: Path) -> TrainerState:
        """Take over a checkpoint's state: steps done, and which of them was best."""
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        return self.state


def body_weights(model: Trainable) -> list[tuple[str, nn.Parameter]]:
    """Trained weights that the base came with, or that stand in its layers; a head starts from
    nothing that is worth keeping."""
    head = {id(p) for p in model.head_weights()}
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad and id(p) not in head]


class EpochKeeper(TrainerCallback):
    """Sets the plan's epoch, stops early, marks checkpoints that are whole, and drops the others.

    A checkpoint counts only when its mark is there, and older ones go only after that, so a kill
    at any moment leaves one that is whole. Early stopping is read off the saved state, where
    transformers' own callback counts epochs anew after every kill.
    """

    def __init__(
        self,
        batches: PlannedBatches,
        steps: int,
        patience: int | None,
        stepped: Callable[[int, int], None],
    ) -> None:
        self.batches = batches
        self.steps = steps
        self.patience = patience
        self.stepped = stepped

    def has_stopped(self, state: Any) -> bool:
        """Whether `patience` epochs went by without a better one."""
        if self.patience is None:
            return False
        without = (state.global_step - (state.best_global_step or 0)) // self.steps
        return bool(without >= self.patience)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.batches.set_epoch(state.global_step // self.steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.stepped(state.global_step, state.max_steps)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Saving follows judging, so that the best step is up to date here.
        if self.has_stopped(state):
            control.should_training_stop = True
        wait_for_all()  # each has random numbers of its own to save
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir)
        newest = folder / f"checkpoint-{state.global_step}"
        (newest / _COMPLETE).write_text(json.dumps({"step": state.global_step}))
        keep = {newest.name, f"checkpoint-{state.best_global_step}"}
        for other in folder.glob("checkpoint-*"):
            if other.name not in keep:
                remove_checkpoint(other)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; half-written ones are removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)  # another process may be removing it too
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def remove_checkpoint(folder: Path) -> None:
    """The mark goes first: a kill half-way must not leave a folder that looks whole."""
    (folder / _COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def parameter_groups(
    model: Trainable, body_rate: float, head_rate: float, decay: float
) -> list[dict[str, Any]]:
    """Trained weights by (head or body, decayed or not), in an order that never changes."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    heads = {id(p) for p in model.head_weights()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            head = id(parameter) in heads
            decayed = parameter.ndim > 1 and not head and _FACTORS not in name
            groups.setdefault((head, decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": head_rate if head else body_rate,
            "weight_decay": decay if decayed else 0.0,
        }
        for (head, decayed), parameters in sorted(groups.items())
    ]


def save_trained(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    weights = {
        n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad
    }
    save_file(weights, path)


def load_trained(model: nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in load_file(path).items():
            named[name].copy_(weight)


def diverged(found: str, step: int) -> str:
    return (
        f"training diverged: {found} at step {step}; "
        "try a smaller learning_rate, clip_norm 1, or precision float32"
    )


def restore_forward(model: nn.Module) -> None:
    """Undo accelerate's wrapping for mixed precision, which outlives its Trainer."""
    for name in ("forward", "_original_forward"):
        model.__dict__.pop(name, None)


class _Positions(torch.utils.data.Dataset[int]):
    """Row numbers; the feed turns them into batches."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> int:
        return row
