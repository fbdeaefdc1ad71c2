"""The text sets that the benchmarks run on: real rows, read from the data folder.

`load_set` gives what may be chosen on: training and validation rows. Test rows come out of one
door, `open_test` (or `open_folder`, for what reads a whole set by itself), which writes down who
opened which set's test rows, when and at which commit, in benchmarks/test_openings.jsonl. The
ledger is part of the repository; no choice is made behind it.
"""

from __future__ import annotations

import csv
import fcntl
import gzip
import json
import math
import os
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equipoise.errors import FolderError

ROOT = Path(__file__).resolve().parent.parent
"""The project's root."""

LEDGER = ROOT / "benchmarks" / "test_openings.jsonl"
"""A line per opening of a test split."""

BALANCED_TEST = ("clinc150_imbalanced", "banking77_longtail")
"""Sets whose test rows are balanced by construction while their training rows are not: the prior
that decisions are judged under is not that of training."""

MULTI_LABEL = ("goemotions_multilabel",)
"""Sets whose rows have several labels each, written `a|b`."""

LABEL_SEPARATOR = "|"

Pair = tuple[str, str]
"""(text, label)."""


class ChoosingRows(NamedTuple):
    """What choices are made on."""

    train: list[Pair]
    validation: list[Pair]


class TextSet(NamedTuple):
    """The three files that an arm is given."""

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
) -> ChoosingRows:
    """Training and validation rows of a set; a split that has no file is empty. A cap takes a
    stratified sample that keeps every class. Raises FolderError if there is no such set.
    """
    folder = data_folder() / name
    train = read_split(folder, "train")
    if not train:
        raise FolderError(f"{folder}: holds no train.csv or train.csv.gz with text and label")
    return ChoosingRows(
        stratified_cap(train, cap_rows, seed),
        stratified_cap(read_split(folder, "validation"), cap_validation, seed),
    )


def load_lines(name: str, split: str) -> list[dict[str, Any]]:
    """Rows of a set of written texts, as its JSON lines hold them: what may be chosen on. Raises
    FolderError if there is no such file, ValueError for test rows, which `open_lines` gives."""
    if split == "test":
        raise ValueError("test rows come out of open_lines, which writes the opening down")
    return read_lines(data_folder() / name, split)


def open_lines(name: str, *, by: str, ledger: Path = LEDGER) -> list[dict[str, Any]]:
    """Test rows of a set of written texts; an opening like that of `open_test`."""
    rows = read_lines(data_folder() / name, "test")
    _write_down(ledger, {"set": name, "by": by, "rows": len(rows)})
    return rows


def read_lines(folder: Path, split: str) -> list[dict[str, Any]]:
    """The JSON lines of one file of a folder. Raises FolderError if it is not there."""
    plain, packed = folder / f"{split}.jsonl", folder / f"{split}.jsonl.gz"
    if packed.exists():
        text = gzip.decompress(packed.read_bytes()).decode("utf-8")
    elif plain.exists():
        text = plain.read_text(encoding="utf-8")
    else:
        raise FolderError(f"{folder}: holds no {split}.jsonl or {split}.jsonl.gz")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def choosing_set(
    name: str, cap_rows: int | None = None, seed: int = 0, *, cap_judged: int | None = None
) -> TextSet:
    """The set as a choice sees it: the validation rows in the place of test rows, so that what is
    compared is judged on rows it was not fitted on, and no file of validation rows: a run holds
    some of its training rows out."""
    train, validation = load_set(name, cap_rows, seed)
    return TextSet(train, [], stratified_cap(validation, cap_judged, 0))


def open_test(
    name: str, *, by: str, cap_rows: int | None = None, ledger: Path = LEDGER
) -> list[Pair]:
    """Test rows of a set, the only way to them; the opening is written into the ledger first.

    by        Who asks: benchmark and unit.
    cap_rows  A stratified sample that is the same for every seed; None: all rows.
    """
    rows = read_split(data_folder() / name, "test")
    kept = stratified_cap(rows, cap_rows, 0)
    _write_down(ledger, {"set": name, "by": by, "rows": len(kept)})
    return kept


def open_folder(name: str, *, by: str, ledger: Path = LEDGER) -> Path:
    """The folder of a whole set, for what reads all three files itself; an opening like any other.

    Raises FolderError if there is no such set.
    """
    folder = data_folder() / name
    if not folder.is_dir():
        raise FolderError(f"{folder}: no such set; the sets are folders beside it")
    _write_down(ledger, {"set": name, "by": by, "rows": len(read_split(folder, "test"))})
    return folder


def openings(ledger: Path = LEDGER) -> Counter[str]:
    """How often each set's test rows were opened."""
    if not ledger.exists():
        return Counter()
    lines = ledger.read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["set"] for line in lines)


def _write_down(ledger: Path, entry: dict[str, Any]) -> None:
    """Append the opening with its date, the commit and which opening of the set it is."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    line = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **entry, **_commit()}
    with ledger.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two benchmarks may open at once: each has its number
        line["count"] = openings(ledger)[entry["set"]] + 1
        file.write(json.dumps(line) + "\n")


def _commit() -> dict[str, Any]:
    """The commit whose code runs; `changed` if code that is not committed takes part."""

    def git(*arguments: str) -> str | None:
        said = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return said.stdout.strip() if said.returncode == 0 else None

    try:
        commit = git("rev-parse", "HEAD")
        status = git("status", "--porcelain", "--", "equipoise", "benchmarks/*.py")
    except FileNotFoundError:  # no git here
        commit = status = None
    return {"commit": commit, "changed": None if status is None else bool(status)}


def read_split(folder: Path, split: str) -> list[Pair]:
    """The rows of one file. Of a folder that an arm was given; a set's test rows: `open_test`."""
    plain, packed = folder / f"{split}.csv", folder / f"{split}.csv.gz"
    if plain.exists():
        opened = plain.open(encoding="utf-8-sig", newline="")
    elif packed.exists():
        opened = gzip.open(packed, "rt", encoding="utf-8-sig", newline="")  # noqa: SIM115
    else:
        return []
    with opened as lines:
        return [(row["text"], row["label"]) for row in csv.DictReader(lines)]


def write_set(folder: Path, rows: TextSet) -> None:
    """The three files; none for a split without rows."""
    folder.mkdir(parents=True)
    for split in rows._fields:
        pairs: list[Pair] = getattr(rows, split)
        if pairs:
            with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as out:
                csv.writer(out).writerows([("text", "label"), *pairs])


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
