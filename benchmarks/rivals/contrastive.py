"""SetFit: the encoder is tuned on pairs of texts, then a logistic regression reads its vectors."""

from __future__ import annotations

import math
import tempfile
import time

import numpy as np

from benchmarks.rivals.common import (
    Said,
    Settings,
    encoder_folder,
    indicators,
    known_classes,
    lower_precision,
    said_of_both,
    several,
    texts_of,
)
from benchmarks.sets import TextSet


def setfit(rows: TextSet, settings: Settings) -> Said:
    """SetFit's own Trainer and defaults, but for the number of pairs: by default it goes through
    all pairs of rows, which is meant for a few rows a class. `pairs_a_row` pairs, half of them of
    one class, are 2 x `pairs_a_row` passes of every text on average.

    Source  Tunstall et al. 2022, Efficient few-shot learning without prompts, arXiv:2209.11055.
    """
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from transformers import set_seed

    set_seed(settings["seed"])
    many = several(settings)
    classes = known_classes(rows.train, settings)
    having = indicators(rows.train, classes, settings)
    labels = having.astype(int).tolist() if many else having.argmax(axis=1).tolist()
    texts = texts_of(rows.train)
    model = SetFitModel.from_pretrained(
        str(encoder_folder()), multi_target_strategy="one-vs-rest" if many else None
    )
    model.model_body.max_seq_length = settings["max_tokens"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            batch_size=settings["rows_a_step"],
            num_epochs=1,
            max_steps=math.ceil(settings["pairs_a_row"] * len(texts) / settings["rows_a_step"]),
            body_learning_rate=settings["learning_rate"],
            max_length=settings["max_tokens"],
            seed=settings["seed"],
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict({"text": texts, "label": labels}),
        )
        device = model.model_body.device.type
        lower = lower_precision(settings)
        # The pairs alone: the head is fitted on vectors in full precision, as it is used.
        with torch.autocast(device, dtype=torch.bfloat16, enabled=lower):
            trainer.train_embeddings(texts, labels, args=arguments)
        trainer.train_classifier(texts, labels, args=arguments)
    trained = time.time() - settings["started"]
    judged = model.predict_proba(texts_of(rows.validation + rows.test), as_numpy=True)
    p = np.zeros((len(judged), len(classes)))
    p[:, slice(None) if many else np.asarray(model.model_head.classes_)] = judged
    return said_of_both(
        rows,
        classes,
        p,
        trained_seconds=round(trained, 2),
        device=device,
        computed_in="bfloat16" if lower else "float32",
        torch_threads=torch.get_num_threads(),
    )
