"""An estimator on a model made on the spot, and rows that it learns."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from equipoise import EquipoiseClassifier
from tests.models.tiny import easy_rows

ROWS = easy_rows(60)
TEXTS: list[str] = ROWS.texts.tolist()
TOPICS = np.array(ROWS.classes)[ROWS.labels]


def tiny_estimator(base: Path, **parameters: Any) -> EquipoiseClassifier:
    """The states of the head's rows are cached: it trains in a fraction of a second."""
    usual: dict[str, Any] = {
        "method": "head",
        "epochs": 2,
        "learning_rate": 3e-3,
        "settings": {"train.head_learning_rate": 3e-2},
    }
    return EquipoiseClassifier(model=str(base), **(usual | parameters))


@contextmanager
def frozen_heap() -> Iterator[None]:
    """The Trainer collects garbage at the end of every training: over the half million objects
    that imports leave, that takes longer than training a tiny model."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
