"""transformers' Trainer as its guides show it, and with the remedies that its users reach for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.judged import THRESHOLD, macro_f1
from benchmarks.rivals.common import (
    Said,
    Settings,
    encoder_folder,
    indicators,
    known_classes,
    lower_precision,
    several,
)
from benchmarks.sets import LABEL_SEPARATOR, Pair, TextSet

Floats = NDArray[np.float64]


def stock_trainer(rows: TextSet, settings: Settings) -> Said:
    """The Trainer with its defaults (linear schedule, AdamW), validated every epoch.

    settings  `epochs`, `learning_rate`, `rows_a_step`, `max_tokens`; `patience`: stop when the
              validation macro-F1 has not risen for so many epochs and keep the best epoch, else the
              last weights are kept; `balance`: "class_weights" in the loss, or a "sampler" that
              draws rows at the inverse of their class's count; `precision`: "bfloat16" autocast,
              where the device has instructions for it.
    """
    import torch
    from transformers import DataCollatorWithPadding, EarlyStoppingCallback, set_seed

    set_seed(settings["seed"])
    classes = known_classes(rows.train, settings)
    having = indicators(rows.train, classes, settings)
    tokenizer, model = _encoder(classes, settings)
    started, patience = settings["started"], settings.get("patience")
    # Labels that training lacks have no number, so judged rows are fed without theirs.
    validation, test = (_tokens(tokenizer, part, settings) for part in (rows.validation, rows.test))
    train = _tokens(tokenizer, rows.train, settings)
    for item, row in zip(train, having, strict=True):
        item["labels"] = row.tolist() if several(settings) else int(row.argmax())
    evaluations: list[dict[str, float]] = []
    truth = [label for _, label in rows.validation]

    def judge(logits: Any) -> float:
        p = probabilities(logits, settings)
        return macro_f1(truth, decided_names(p, classes, settings), several=several(settings))

    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer_class(judge, validation, evaluations, started)(
            model=model,
            args=_arguments(folder, settings),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[EarlyStoppingCallback(patience)] if patience else [],
            compute_loss_func=weighted_loss(having, settings),
        )
        trainer.row_weights = row_weights(having, settings)
        trainer.train()
        trained = time.time() - started
        final = probabilities(trainer.predict(validation).predictions, settings)
        last = probabilities(trainer.predict(test).predictions, settings)
    record = {
        "epochs_run": round(float(trainer.state.epoch or 0), 3),
        "trained_seconds": round(trained, 2),
        "evaluations": evaluations,
        "device": str(trainer.args.device.type),
        "computed_in": "bfloat16" if trainer.args.bf16 else "float32",
        "torch_threads": torch.get_num_threads(),
    }
    return Said(classes, final, last, record)


def weighted_loss(having: NDArray[np.float32], settings: Settings) -> Callable[..., Any] | None:
    """None: the model's own loss. Class weights are scikit-learn's "balanced" ones, n / (K count),
    in the mean that torch's cross-entropy takes with weights; of several labels, a row that has the
    label weighs as much as all that lack it do together, divided by those that have it."""
    if settings.get("balance") != "class_weights":
        return None
    import torch
    from torch.nn import functional

    counts = torch.tensor(having.sum(axis=0))
    if several(settings):
        positive = (len(having) - counts) / counts

        def binary(outputs: Any, labels: Any, **_: Any) -> Any:
            return functional.binary_cross_entropy_with_logits(
                outputs["logits"], labels, pos_weight=positive.to(labels.device)
            )

        return binary
    weights = len(having) / (len(counts) * counts)

    def loss(outputs: Any, labels: Any, **_: Any) -> Any:
        return functional.cross_entropy(outputs["logits"], labels, weight=weights.to(labels.device))

    return loss


def row_weights(having: NDArray[np.float32], settings: Settings) -> NDArray[np.float64] | None:
    """(n,) chance of each row in a draw, up to a factor: the inverse count of its class, of its
    rarest where it has several labels, of the commonest where it has none. None: every row once."""
    if settings.get("balance") != "sampler":
        return None
    inverse = 1 / having.sum(axis=0, dtype=np.float64)
    weights: NDArray[np.float64] = (having * inverse).max(axis=1)
    return np.where(weights > 0, weights, inverse.min())


def probabilities(logits: Any, settings: Settings) -> Floats:
    """(n, K): softmax, or of several labels the logistic function of each."""
    z = np.asarray(logits, dtype=np.float64)
    if several(settings):
        out: Floats = 1 / (1 + np.exp(-z))
        return out
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    softmax: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return softmax


def decided_names(p: Floats, classes: tuple[str, ...], settings: Settings) -> list[str]:
    if not several(settings):
        return [classes[k] for k in p.argmax(axis=1)]
    return [LABEL_SEPARATOR.join(classes[k] for k in np.flatnonzero(row > THRESHOLD)) for row in p]


def _encoder(classes: tuple[str, ...], settings: Settings) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    kind = {"problem_type": "multi_label_classification"} if several(settings) else {}
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder_folder(),
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={name: k for k, name in enumerate(classes)},
        **kind,
    )
    return AutoTokenizer.from_pretrained(encoder_folder()), model


def _tokens(tokenizer: Any, rows: list[Pair], settings: Settings) -> list[dict[str, Any]]:
    tokens = tokenizer(
        [text for text, _ in rows], truncation=True, max_length=settings["max_tokens"]
    )
    return [{name: tokens[name][k] for name in tokens} for k in range(len(rows))]


def _arguments(folder: str, settings: Settings) -> Any:
    import torch
    from transformers import TrainingArguments

    early = settings.get("patience") is not None
    return TrainingArguments(
        folder,
        num_train_epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        per_device_train_batch_size=settings["rows_a_step"],
        per_device_eval_batch_size=64,
        eval_strategy="epoch",
        save_strategy="epoch" if early else "no",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=early,
        metric_for_best_model="macro_f1" if early else None,
        greater_is_better=True if early else None,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings["seed"],
        use_cpu=not torch.cuda.is_available(),
        bf16=lower_precision(settings),
    )


def _trainer_class(
    judge: Callable[[Any], float],
    validation: list[dict[str, Any]],
    evaluations: list[dict[str, float]],
    started: float,
) -> Any:
    import torch
    from transformers import Trainer

    class ValidatedTrainer(Trainer):
        """Stock but for the measure, which is our own macro-F1 with its time, and the sampler."""

        control: Any
        row_weights: NDArray[np.float64] | None = None

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if self.row_weights is None:
                return super()._get_train_sampler(train_dataset)
            return torch.utils.data.WeightedRandomSampler(
                self.row_weights.tolist(),
                len(self.row_weights),
                generator=torch.Generator().manual_seed(self.args.seed),
            )

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            begun = time.time()
            value = judge(self.predict(validation).predictions)
            evaluations.append(
                {
                    "epoch": round(float(self.state.epoch or 0), 3),
                    "step": int(self.state.global_step),
                    "macro_f1": value,
                    "seconds": round(time.time() - started, 2),
                    "spent_judging": round(time.time() - begun, 2),
                }
            )
            measures = {"eval_macro_f1": value}
            self.log(measures)
            self.control = self.callback_handler.on_evaluate(
                self.args, self.state, self.control, measures
            )
            return measures

    return ValidatedTrainer
