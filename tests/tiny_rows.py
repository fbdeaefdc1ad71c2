"""Rows that a tiny model learns, as files, and the same run over them for many tests."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

TOPICS = {
    "bank": ["card", "bank", "money", "charge", "refund", "fee", "paid", "price", "cost"],
    "light": ["light", "lamp", "room", "kitchen", "bulb", "bright", "dark", "switch", "dim"],
    "music": ["music", "song", "play", "album", "singer", "band", "loud", "quiet", "radio"],
}
FILLER = ["the", "a", "my", "our", "please", "can", "you", "we", "it", "is", "not", "was", "and"]
"""Words that the tiny models' tokenizer knows."""
SHARES = {"bank": 60, "light": 24, "music": 12}


def write_rows(path: Path, *, seed: int = 0, start: int = 0) -> Path:
    """A .csv of id, text, label, customer: 96 rows, three classes 5 : 1, two rows a customer, and
    a repeated text with a new id for every twelfth row. Ids count from `start`."""
    rng = np.random.default_rng(seed)
    rows = []
    for label, count in SHARES.items():
        for _ in range(count):
            own = rng.choice(TOPICS[label], size=4, replace=False)
            filler = rng.choice(FILLER, size=5, replace=False)
            rows.append([" ".join(rng.permutation(np.concatenate([own, filler]))), label])
    order = rng.permutation(len(rows))
    rows = [rows[place] for place in order]
    for place in range(12, len(rows), 12):
        rows[place] = rows[place - 12]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label", "customer"])
        for number, (text, label) in enumerate(rows):
            writer.writerow([f"m{start + number}", text, label, f"c{(start + number) // 2}"])
    return path
