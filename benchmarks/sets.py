"""The text sets that the benchmarks run on: real rows, read from the data folder."""

from __future__ import annotations

import csv
import gzip
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equipoise.errors import FolderError

ROOT = Path(__file__).resolve().parent.parent
"""The project's root."""

Pair = tuple[str, str]
"""(text, label)."""


class TextSet(NamedTuple):
    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]


def data_folder() -> Path:
    """EQUIPOISE_DATA, or ../shared/data beside the project. Raises FolderError if not there."""
    named = os.environ.get("EQUIPOISE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        raise FolderError(
            f"{folder}: no such folder of text sets; set EQUIPOISE_DATA to the folder that holds "
            "one folder per set, each with train.csv, validation.csv and test.csv"
        )
    return folder


def load_set(
    name: str,
    cap_rows: int | None = None,
    seed: int = 0,
    *,
    cap_validation: int | None = None,
    cap_test: int | None = None,
) -> TextSet:
    """The three splits of a set; a split that has no file is empty. A cap takes a stratified
    sample that keeps every class. Raises FolderError if there is no such set.
    """
    folder = data_folder() / name
    train = read_split(folder, "train")
    if not train:
        raise FolderError(f"{folder}: holds no train.csv or train.csv.gz with text and label")
    return TextSet(
        stratified_cap(train, cap_rows, seed),
        stratified_cap(read_split(folder, "validation"), cap_validation, seed),
        stratified_cap(read_split(folder, "test"), cap_test, seed),
    )


def read_split(folder: Path, split: str) -> list[Pair]:
    plain, packed = folder / f"{split}.csv", folder / f"{split}.csv.gz"
    if plain.exists():
        opened = plain.open(encoding="utf-8-sig", newline="")
    elif packed.exists():
        opened = gzip.open(packed, "rt", encoding="utf-8-sig", newline="")  # noqa: SIM115
    else:
        return []
    with opened as lines:
        return [(row["text"], row["label"]) for row in csv.DictReader(lines)]


def stratified_cap(rows: list[Pair], cap: int | None, seed: int) -> list[Pair]:
    """At most `cap` rows in their order: each class keeps its share, rounded down, but at least
    one row; the places left go to the largest remainders. Never fewer rows than classes.
    """
    if cap is None or len(rows) <= cap:
        return rows
    places: dict[str, list[int]] = {}
    for k, (_, label) in enumerate(rows):
        places.setdefault(label, []).append(k)
    share = {label: cap * len(at) / len(rows) for label, at in places.items()}
    take = {label: max(1, math.floor(share[label])) for label in places}
    by_need = sorted(places, key=lambda label: (take[label] - share[label], label))
    for label in by_need[: max(0, cap - sum(take.values()))]:
        take[label] += 1
    # Rare classes that were given more than their share are paid for by the largest one.
    while sum(take.values()) > max(cap, len(places)):
        take[max(take, key=lambda label: (take[label], label))] -= 1
    rng = np.random.default_rng(seed)
    kept = [rng.choice(places[label], take[label], replace=False) for label in sorted(places)]
    return [rows[k] for k in sorted(np.concatenate(kept).tolist())]
