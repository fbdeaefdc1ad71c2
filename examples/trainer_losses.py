"""Equipoise's losses and samplers in a stock `transformers.Trainer`. Offline, seconds on a CPU.

    python examples/trainer_losses.py

A support desk gets many questions and few warnings of fire. A tiny BERT, made on the spot, is
trained on the same rows three times: plainly, with a margin for the rare class in the loss, and
with batches that hold both classes equally often.
"""

from __future__ import annotations

import random
import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from equipoise.losses import for_trainer
from equipoise.samplers import SamplerMixin, balanced_sampler

QUESTIONS = [
    "where is my parcel",
    "the parcel is late again",
    "can i change the colour of the lamp",
    "the lamp is smaller than i thought",
    "how long does the battery last",
    "the charger came in the wrong colour",
    "my new charger is warm but works",
    "do you have this lamp in green",
    "please send the invoice again",
    "the invoice shows the wrong name",
    "is the battery included",
    "the box was open but nothing is missing",
    "how do i clean the lamp",
    "the kitchen lamp is a bit dark",
    "i want to send the charger back",
    "smoke grey or black for the lamp",
    "does the lamp get hot near paper",
    "what does the burning symbol on the box mean",
]
WARNINGS = [
    "the charger began to smoke",
    "there is a burning smell from the lamp",
    "my battery got hot and caught fire",
    "sparks came out of the lamp",
]
EPOCHS = 6
VOCABULARY = {w: i for i, w in enumerate(sorted(set(" ".join(QUESTIONS + WARNINGS).split())), 1)}


class Messages(Dataset[dict[str, torch.Tensor]]):
    """Questions, then warnings: words left out at random make rows that differ."""

    def __init__(self, questions: int, warnings: int, seed: int) -> None:
        draw = random.Random(seed)
        self.texts = [draw.choice(QUESTIONS) for _ in range(questions)]
        self.texts += [draw.choice(WARNINGS) for _ in range(warnings)]
        self.texts = [" ".join(w for w in t.split() if draw.random() > 0.35) for t in self.texts]
        self.labels = [0] * questions + [1] * warnings

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        ids = [VOCABULARY[word] for word in self.texts[row].split()][:10]
        padded = torch.tensor(ids + [0] * (10 - len(ids)))
        mask = torch.tensor([1] * max(len(ids), 1) + [0] * (10 - max(len(ids), 1)))
        return {
            "input_ids": padded,
            "attention_mask": mask,
            "labels": torch.tensor(self.labels[row]),
        }


class BalancedTrainer(SamplerMixin, Trainer):
    """A Trainer that takes `sampler=`."""


def tiny_bert() -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=len(VOCABULARY) + 1,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
    )


def main() -> None:
    torch.set_num_threads(1)
    train, test = Messages(300, 10, seed=0), Messages(300, 60, seed=1)
    arms = {
        "plain": {},
        "logit-adjusted": {
            "compute_loss_func": for_trainer("logit_adjusted", labels=train.labels, tau=1.0)
        },
        "balanced batches": {"sampler": balanced_sampler(train.labels, epochs=EPOCHS, seed=0)},
    }
    print(f"{'arm':<18}{'questions right':>17}{'warnings right':>16}")
    for name, arguments in arms.items():
        set_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            trainer = BalancedTrainer(
                model=tiny_bert(),
                args=TrainingArguments(
                    folder,
                    num_train_epochs=EPOCHS,
                    per_device_train_batch_size=8,
                    gradient_accumulation_steps=2,
                    learning_rate=2e-3,
                    use_cpu=True,
                    report_to=[],
                    disable_tqdm=True,
                    logging_strategy="no",
                    save_strategy="no",
                    dataloader_pin_memory=False,
                ),
                train_dataset=train,
                **arguments,
            )
            trainer.remove_callback(PrinterCallback)  # its lines would tear the table apart
            trainer.train()
            right = trainer.predict(test).predictions.argmax(axis=1) == np.array(test.labels)
        labels = np.array(test.labels)
        print(f"{name:<18}{right[labels == 0].mean():>17.2f}{right[labels == 1].mean():>16.2f}")


if __name__ == "__main__":
    main()
