"""The story of one training: plan the steps, run the loop, survive kills and small memories."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState

from equipoise.errors import DivergedError, ModelError
from equipoise.models.batches import StepPlan
from equipoise.models.config import TrainConfig
from equipoise.models.feed import Fed, PlannedBatches
from equipoise.models.memory import NO_ROOM, out_of_memory
from equipoise.models.processes import process_count, process_number
from equipoise.models.tracking import RunArguments, Tracking
from equipoise.models.trainable import Trainable
from equipoise.models.trainer import (
    TRAINED,
    EpochKeeper,
    Measure,
    Predict,
    RowLoss,
    WeightedTrainer,
    Wrapper,
    body_weights,
    diverged,
    last_checkpoint,
    load_trained,
    restore_forward,
    save_trained,
)
from equipoise.records.files import write_text, write_with

_FINISHED = "finished.json"
_STARTED = "start.safetensors"
_DEVICE_ROWS = "device_rows.txt"


@dataclass(frozen=True)
class Trained:
    """What came of a training; the classifier itself holds the weights that were kept."""

    epochs_run: float
    steps: int
    best_step: int | None
    stopped: str | None
    """Why training ended before its last step; None: it did not."""
    device_rows: int
    """Rows held at once in the end: fewer than asked for if memory ran out."""


@dataclass(frozen=True, eq=False)
class _Job:
    """All that one training is given."""

    classifier: Trainable
    feed: Fed
    plan: StepPlan
    validation: Fed | None
    row_loss: RowLoss
    measure: Measure | None
    config: TrainConfig
    rates: tuple[float, float]
    seed: int
    folder: Path
    log_line: Callable[[dict[str, Any]], None]
    stepped: Callable[[int, int], None]
    wrapper: Wrapper | None
    predict: Predict | None
    callbacks: Sequence[Any]
    tracking: Tracking | None
    start: dict[str, torch.Tensor]
    """What `l2_sp` holds on to, however often training begins again."""

    @property
    def watching(self) -> bool:
        """Whether validation rows are measured after every epoch."""
        return self.validation is not None and self.measure is not None

    @property
    def choosing(self) -> bool:
        """Whether the epoch that is kept is chosen on validation rows."""
        return self.watching and self.config.choose_by != "last"


def train_classifier(
    classifier: Trainable,
    feed: Fed,
    plan: StepPlan,
    validation: Fed | None,
    *,
    row_loss: RowLoss,
    measure: Measure | None,
    config: TrainConfig,
    rates: tuple[float, float],
    seed: int,
    folder: Path,
    log_line: Callable[[dict[str, Any]], None],
    stepped: Callable[[int, int], None],
    wrapper: Wrapper | None = None,
    predict: Predict | None = None,
    callbacks: Sequence[Any] = (),
    tracking: Tracking | None = None,
) -> Trained:
    """Train in place; `folder` holds what a killed training needs to go on, and is the caller's
    to remove. Called again with the same arguments it goes on where the last whole epoch ended,
    and ends with the same bytes.

    tracking  Who else hears of it, beside `log_line`.

    Raises DivergedError if the loss stops being a number; ModelError if a single row does not fit
    into memory.
    """
    job = _Job(
        classifier,
        feed,
        plan,
        validation,
        row_loss,
        measure,
        config,
        rates,
        seed,
        folder,
        log_line,
        stepped,
        wrapper,
        predict,
        callbacks,
        tracking,
        {n: p.detach().clone() for n, p in body_weights(classifier)} if config.l2_sp else {},
    )
    done = _finished(classifier, folder)
    if done:
        return done
    if classifier.cut is not None and _has_states(feed):
        classifier.cut.skip_lower()
    try:
        trained = _run_in_memory(job)
    finally:
        if classifier.cut is not None:
            classifier.cut.restore_lower()
    if not all(bool(p.isfinite().all()) for p in classifier.parameters() if p.requires_grad):
        raise DivergedError(diverged("a weight is not a number", trained.steps))
    if process_number() == 0:
        _finish(classifier, folder, trained)
    return trained


def _has_states(feed: Fed) -> bool:
    return getattr(feed, "states", None) is not None


def _run_in_memory(job: _Job) -> Trained:
    """Run the loop, with fewer rows at once whenever memory runs out."""
    device_rows = _device_rows(job)
    while True:
        try:
            return _run(job, device_rows)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if process_count() > 1:
                # The other processes wait in the middle of a step, and can't be asked to halve.
                raise ModelError(
                    f"out of memory with {device_rows} rows at once in each process; "
                    f"set device_rows={max(1, device_rows // 2)}"
                ) from None
        device_rows = _halve(device_rows, job.config.batch_rows)
        job.log_line({"note": f"out of memory; going on with {device_rows} rows at once"})
        # Resuming must not depend on running out of memory again at the same moment.
        (job.folder / _DEVICE_ROWS).write_text(str(device_rows))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _run(job: _Job, device_rows: int) -> Trained:
    from transformers import PrinterCallback

    classifier, plan, config, folder = job.classifier, job.plan, job.config, job.folder
    arguments = _arguments(job, device_rows)
    resume = last_checkpoint(folder)
    if resume is None:
        _start_over(classifier, folder)
    batches = PlannedBatches(
        plan,
        job.feed.lengths,
        device_rows=device_rows,
        processes=arguments.world_size,
        process=arguments.process_index,
    )
    keeper = EpochKeeper(
        batches, plan.steps, config.patience if job.choosing else None, job.stepped
    )
    if config.gradient_checkpointing:
        _checkpoint_activations(classifier)
    trainer = WeightedTrainer(
        model=classifier,
        args=arguments,
        feed=job.feed,
        batches=batches,
        row_loss=job.row_loss,
        wrapper=job.wrapper,
        validation=job.validation,
        predict=job.predict,
        measure=job.measure,
        log_line=job.log_line,
        head_learning_rate=job.rates[1],
        start=job.start,
        l1=config.l1,
        l2_sp=config.l2_sp,
        callbacks=[
            *(keeper, *job.callbacks),
            *(job.tracking.callbacks() if job.tracking else ()),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    try:
        if resume is None or not keeper.has_stopped(trainer.read_state(resume)):
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        state = trainer.state
        best = state.best_global_step if job.choosing else None
        if best:
            load_trained(classifier, folder / f"checkpoint-{best}" / TRAINED)
        trainer.accelerator.wait_for_everyone()
    finally:
        restore_forward(classifier)
    return Trained(
        epochs_run=state.global_step / plan.steps,
        steps=state.global_step,
        best_step=best,
        stopped=_why_stopped(state, keeper, config),
        device_rows=device_rows,
    )


def _why_stopped(state: TrainerState, keeper: EpochKeeper, config: TrainConfig) -> str | None:
    if state.global_step >= state.max_steps:
        return None
    if keeper.has_stopped(state):
        return f"{config.patience} epochs without a better {config.choose_by}"
    return "stopped by a callback"


def _arguments(job: _Job, device_rows: int) -> Any:
    config, plan = job.config, job.plan
    lower_is_better = ("loss", "macro_loss", "log_loss", "brier", "expected_cost", "hamming_loss")
    precision = resolved_precision(config.precision)
    arguments = RunArguments(
        output_dir=str(job.folder),
        per_device_train_batch_size=device_rows,
        num_train_epochs=plan.epochs,
        learning_rate=job.rates[0],
        lr_scheduler_type="constant_with_warmup"
        if config.schedule == "constant"
        else config.schedule,
        warmup_steps=round(config.warmup_share * plan.epochs * plan.steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        logging_strategy="steps",
        logging_steps=max(1, plan.steps // 10),
        logging_nan_inf_filter=False,
        eval_strategy="epoch" if job.watching else "no",
        save_strategy="epoch",
        metric_for_best_model=config.choose_by if job.choosing else None,
        greater_is_better=config.choose_by not in lower_is_better if job.choosing else None,
        seed=job.seed,
        use_cpu=not torch.cuda.is_available(),
        report_to="none",  # `Tracking` holds the trackers, which outlive this training
        **(job.tracking.arguments if job.tracking else {}),
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
    )
    # Two visible GPUs without a launcher would be nn.DataParallel: slow, and not exact.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    world = max(arguments.world_size, 1)
    arguments.gradient_accumulation_steps = max(1, -(-plan.batch_rows // (device_rows * world)))
    return arguments


def resolved_precision(asked: str) -> str:
    """`auto` becomes bf16 where the device is quicker in it, else float32. Of processors these are
    the ones with tiles for matrices of bf16 (AMX): those with vector instructions alone take longer
    than in float32 (`benchmarks/precision.py`), and emulated it is slower still."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bf16" if tiles() else "float32"


def _checkpoint_activations(classifier: Trainable) -> None:
    body: Any = classifier.body
    if not hasattr(body, "gradient_checkpointing_enable"):
        raise ModelError(f"{type(body).__name__}: has no gradient checkpointing; leave it off")
    options = {"use_reentrant": False}
    if hasattr(body, "activation_checkpointing_enable"):
        body.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    else:
        body.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
    body.train()


def _halve(device_rows: int, batch_rows: int) -> int:
    """The next smaller number of rows that divides the batch."""
    smaller = [n for n in range(1, device_rows) if batch_rows % n == 0 and n <= device_rows // 2]
    if not smaller:
        raise ModelError(NO_ROOM)
    return max(smaller)


def _start_over(classifier: Trainable, folder: Path) -> None:
    """Training that ran out of memory before its first checkpoint has moved the weights already:
    it starts again from those it started from."""
    start = folder / _STARTED
    if start.exists():
        load_trained(classifier, start)
    elif process_number() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        write_with(start, lambda path: save_trained(classifier, path))


def _device_rows(job: _Job) -> int:
    """As asked for, or as few as an earlier part of this training had to make do with."""
    try:
        return int((job.folder / _DEVICE_ROWS).read_text())
    except (FileNotFoundError, ValueError):
        return job.config.device_rows


def _finish(classifier: Trainable, folder: Path, trained: Trained) -> None:
    save_trained(classifier, folder / TRAINED)
    write_text(folder / _FINISHED, json.dumps(vars(trained)))
    for leftover in (folder / _STARTED, *folder.glob(".*.part")):
        leftover.unlink(missing_ok=True)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def _finished(classifier: Trainable, folder: Path) -> Trained | None:
    """A training that ended before the rest of its run did is not run again."""
    if not (folder / _FINISHED).exists():
        return None
    load_trained(classifier, folder / TRAINED)
    return Trained(**json.loads((folder / _FINISHED).read_text()))


logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
