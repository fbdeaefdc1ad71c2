"""The story of one training: plan the steps, run the loop, survive kills and small memories."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from equipoise.errors import ModelError
from equipoise.models.batches import StepPlan
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import TrainConfig
from equipoise.models.feed import Feed, PlannedBatches
from equipoise.models.trainer import (
    TRAINED,
    EpochKeeper,
    Measure,
    RowLoss,
    WeightedTrainer,
    last_checkpoint,
    load_trained,
    save_trained,
)

_FINISHED = "finished.json"


@dataclass(frozen=True)
class Trained:
    """What came of a training; the classifier itself holds the weights that were kept."""

    epochs_run: float
    steps: int
    best_step: int | None
    stopped: str | None
    device_rows: int
    """Rows held at once in the end: fewer than asked for if memory ran out."""


def train_classifier(
    classifier: SequenceClassifier,
    feed: Feed,
    plan: StepPlan,
    validation: Feed | None,
    *,
    row_loss: RowLoss,
    measure: Measure | None,
    config: TrainConfig,
    rates: tuple[float, float],
    seed: int,
    folder: Path,
    log_line: Callable[[dict[str, Any]], None],
    stepped: Callable[[int, int], None],
) -> Trained:
    """Train in place; `folder` holds what a killed training needs to go on, and is the caller's
    to remove. Called again with the same arguments it goes on where the last whole epoch ended,
    and ends with the same bytes.

    Raises DivergedError if the loss stops being a number; ModelError if a single row does not fit
    into memory.
    """
    done = _finished(classifier, folder)
    if done:
        return done
    if classifier.cut is not None and feed.states is not None:
        classifier.cut.skip_lower()
    device_rows = config.device_rows
    try:
        while True:
            try:
                trained = _run(
                    classifier,
                    feed,
                    plan,
                    validation,
                    row_loss=row_loss,
                    measure=measure,
                    config=config,
                    rates=rates,
                    seed=seed,
                    folder=folder,
                    log_line=log_line,
                    stepped=stepped,
                    device_rows=device_rows,
                )
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                device_rows = _halve(device_rows, config.batch_rows)
                log_line({"note": f"out of memory; going on with {device_rows} rows at once"})
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
    finally:
        if classifier.cut is not None:
            classifier.cut.restore_lower()
    _finish(classifier, folder, trained)
    return trained


def _run(
    classifier: SequenceClassifier,
    feed: Feed,
    plan: StepPlan,
    validation: Feed | None,
    *,
    row_loss: RowLoss,
    measure: Measure | None,
    config: TrainConfig,
    rates: tuple[float, float],
    seed: int,
    folder: Path,
    log_line: Callable[[dict[str, Any]], None],
    stepped: Callable[[int, int], None],
    device_rows: int,
) -> Trained:
    from transformers import EarlyStoppingCallback, PrinterCallback

    choosing = validation is not None and measure is not None and config.choose_by != "last"
    arguments = _arguments(config, plan, rates, seed, folder, device_rows, choosing)
    batches = PlannedBatches(
        plan,
        feed.tokens.lengths,
        device_rows=device_rows,
        processes=arguments.world_size,
        process=arguments.process_index,
    )
    callbacks: list[Any] = [EpochKeeper(batches, plan.steps, stepped)]
    if choosing and config.patience is not None:
        callbacks.append(EarlyStoppingCallback(config.patience))
    if config.gradient_checkpointing:
        _checkpoint_activations(classifier)
    trainer = WeightedTrainer(
        model=classifier,
        args=arguments,
        feed=feed,
        batches=batches,
        row_loss=row_loss,
        validation=validation,
        measure=measure,
        log_line=log_line,
        head_learning_rate=rates[1],
        l1=config.l1,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    resume = last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    state = trainer.state
    early = state.global_step < state.max_steps
    return Trained(
        epochs_run=state.global_step / plan.steps,
        steps=state.global_step,
        best_step=state.best_global_step if choosing else None,
        stopped=(
            f"{config.patience} epochs without a better {config.choose_by}" if early else None
        ),
        device_rows=device_rows,
    )


def _arguments(
    config: TrainConfig,
    plan: StepPlan,
    rates: tuple[float, float],
    seed: int,
    folder: Path,
    device_rows: int,
    choosing: bool,
) -> Any:
    from transformers import TrainingArguments

    precision = resolved_precision(config.precision)
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=device_rows,
        num_train_epochs=plan.epochs,
        learning_rate=rates[0],
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
        eval_strategy="epoch" if choosing else "no",
        save_strategy="epoch",
        load_best_model_at_end=choosing,
        metric_for_best_model=config.choose_by if choosing else None,
        greater_is_better=config.choose_by not in ("loss", "log_loss", "brier", "expected_cost")
        if choosing
        else None,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        report_to=list(config.track) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
    )
    # Two visible GPUs without a launcher would be nn.DataParallel: slow, and not exact.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    world = max(arguments.world_size, 1)
    arguments.gradient_accumulation_steps = max(1, -(-config.batch_rows // (device_rows * world)))
    return arguments


def resolved_precision(asked: str) -> str:
    """`auto` becomes bf16 where the device computes in it natively, else float32: emulated, it
    would be slower and no more exact."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bf16" if native() else "float32"


def _checkpoint_activations(classifier: SequenceClassifier) -> None:
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
        raise ModelError(
            "out of memory with a single row at once; use a smaller model or max_tokens, "
            "method light or lora, precision bf16, or gradient_checkpointing"
        )
    return max(smaller)


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory")
    )


def _finish(classifier: SequenceClassifier, folder: Path, trained: Trained) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_trained(classifier, folder / TRAINED)
    partial = folder / f".{_FINISHED}"
    partial.write_text(json.dumps(vars(trained)))
    partial.replace(folder / _FINISHED)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def _finished(classifier: SequenceClassifier, folder: Path) -> Trained | None:
    """A training that ended before the rest of its run did is not run again."""
    if not (folder / _FINISHED).exists():
        return None
    load_trained(classifier, folder / TRAINED)
    return Trained(**json.loads((folder / _FINISHED).read_text()))


logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
