"""Rows with several labels that a tiny model learns from, and a run over them for many tests."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tests.tiny_rows import FILLER, TOPICS

SHARES = {"bank": 0.55, "light": 0.3, "music": 0.1}
"""Share of the rows that have each label; a third or so have none, a sixth two."""


def write_several(path: Path, *, rows: int = 120, seed: int = 0, start: int = 0) -> Path:
    """A .csv of id, text, label (names joined by "|", an empty cell for none), customer."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label", "customer"])
        for number in range(start, start + rows):
            names = [name for name, share in SHARES.items() if rng.random() < share]
            words = [word for name in names for word in rng.choice(TOPICS[name], 3, replace=False)]
            words += rng.choice(FILLER, size=4, replace=False).tolist()
            text = " ".join(rng.permutation(words))
            writer.writerow([f"m{number}", text, "|".join(names), f"c{number // 2}"])
    return path
