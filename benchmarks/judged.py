"""What an arm said of the judged rows: its measures, and the little per row that is kept.

Paired differences need every row's decision, log loss and Brier score, not its K probabilities: a
row of a set with 151 classes takes about 4 bytes instead of 300. Losses per row are kept to 5 bits
of mantissa (within 1.6 % of a row's loss, up and down alike), which serves intervals; the measures
themselves are computed before anything is rounded. A split of 5,500 rows takes about 20 kB.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sets import LABEL_SEPARATOR, Pair
from equipoise.evaluate.measures import (
    class_f1,
    class_recall,
    decision_measures,
    ece,
    macro,
    row_brier,
    row_log_loss,
)
from equipoise.statistics.sums import Sums, sums_of

Floats = NDArray[np.float64]

MANTISSA_BITS = 5
THRESHOLD = 0.5
"""Above it a row of several labels has the label, where the arm has no rule of its own."""


@dataclass(frozen=True, eq=False)
class Judged:
    """n rows of one split, L classes."""

    classes: tuple[str, ...]
    """L names, sorted: those that the model knows and those that have rows."""
    known: NDArray[np.bool_]
    """(L,) the model can decide the class."""
    truth: NDArray[Any]
    """(n,) int64 position in `classes`; or (n, L) bool for several labels a row."""
    decided: NDArray[Any]
    """Like `truth`."""
    rows: NDArray[np.int64]
    """(n,) position of each row in the split as given."""
    clusters: NDArray[np.int64]
    """(n,) rows with one number are look-alikes."""
    log_loss: Floats
    """(n,) nats; NaN for a row whose class the model does not know. Of several labels: their mean
    over the known labels."""
    brier: Floats
    """(n,) 0 to 2; of several labels: the mean over labels, 0 to 1."""

    @property
    def several(self) -> bool:
        return self.truth.ndim == 2

    def take(self, kept: NDArray[np.bool_]) -> Judged:
        """The rows where `kept` (n,) is true."""
        if kept.all():
            return self
        return replace(self, **{name: getattr(self, name)[kept] for name in _BY_ROW})

    def sums(self) -> Sums:
        count = len(self.classes)
        if not self.several:
            return sums_of(self.truth, self.decided, count)
        decided = np.append(self.decided.sum(axis=0), 0).astype(np.float64)
        wrong = np.asarray((self.truth != self.decided).sum(), dtype=np.float64)
        right = (self.truth & self.decided).sum(axis=0).astype(np.float64)
        return Sums(self.truth.sum(axis=0).astype(np.float64), right, decided, wrong)


def judge(
    labels: Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[Any],
    clusters: NDArray[np.int64],
    *,
    several: bool = False,
    decided: Sequence[str] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> tuple[Judged, dict[str, float]]:
    """The rows' record, and the measures that need the probabilities whole (`ece`).

    labels, decided  (n) names; of several labels joined by the separator, "" for none.
                     decided None: the likeliest class; every label above THRESHOLD.
    probabilities    (n, K) columns in the order of `classes`.
    rows             (n,) position of each row in its split; None: all rows, in order.
    """
    truth_names = [_split(label, several) for label in labels]
    names = sorted({*classes, *(name for row in truth_names for name in row)})
    place = {name: k for k, name in enumerate(names)}
    columns = np.array([place[name] for name in classes], dtype=np.int64)
    known = np.isin(np.arange(len(names)), columns)
    p = np.zeros((len(labels), len(names)))
    p[:, columns] = probabilities
    truth = _coded(truth_names, place, several)
    if decided is not None:
        chosen = _coded([_split(name, several) for name in decided], place, several)
    else:
        chosen = p > THRESHOLD if several else p.argmax(axis=1)
    log_loss, brier = _several_losses(p, truth, known) if several else _losses(p, truth, known)
    at = np.arange(len(labels)) if rows is None else rows
    record = Judged(tuple(names), known, truth, chosen, at, clusters, log_loss, brier)
    return record, {} if several else {"ece": ece(p, truth)}


def measures(judged: Judged, train: Sequence[Pair]) -> dict[str, float]:
    """Figures of one split. A class without training rows counts 0 in the macro means, and is left
    out of `worst_class_recall` (no arm can find it) and of `log_loss` (no arm can name it).
    `tail_macro_f1`: the mean over the third of the judged classes that are rarest in training.
    """
    sums = judged.sums()
    counts = Counter(name for _, label in train for name in _split(label, judged.several))
    present = np.flatnonzero(sums.rows > 0)
    rarest = sorted(present, key=lambda k: (counts[judged.classes[k]], judged.classes[k]))
    tail = rarest[: max(1, len(rarest) // 3)]
    answered = judged.log_loss[~np.isnan(judged.log_loss)]
    return {
        **{name: float(value) for name, value in decision_figures(judged, sums).items()},
        "tail_macro_f1": float(class_f1(sums)[tail].mean()),
        "log_loss": float(answered.mean()),
        "brier": float(judged.brier.mean()),
    }


def decision_figures(judged: Judged, sums: Sums) -> dict[str, Floats]:
    """Each (...): measures that follow from sums, of one set of rows or of resamples.

    Of several labels `accuracy` is the share of right (row, label) pairs, and `balanced_accuracy`
    the mean over labels of the mean of recall and specificity.
    """
    recall = class_recall(sums)
    # A resample may miss a class that the model knows: it judges those that are left.
    judged_classes = np.where(judged.known & (sums.rows > 0), recall, np.inf)
    figures = {
        "macro_f1": macro(class_f1(sums), sums.rows),
        "worst_class_recall": judged_classes.min(axis=-1),
    }
    if not judged.several:
        whole = decision_measures(sums)
        return figures | {name: whole[name] for name in ("balanced_accuracy", "accuracy")}
    n = len(judged.truth)
    false = sums.decided[..., :-1] - sums.right
    specificity = 1 - false / np.maximum(n - sums.rows, 1)
    return figures | {
        "balanced_accuracy": macro((recall + specificity) / 2, sums.rows),
        "accuracy": 1 - sums.cost / (n * len(judged.classes)),
    }


def macro_f1(truth: Sequence[str], decided: Sequence[str], *, several: bool = False) -> float:
    """Mean F1 over the classes that have rows; a class never decided counts 0."""
    rows = [[_split(name, several) for name in names] for names in (truth, decided)]
    names = sorted({name for part in rows for row in part for name in row})
    place = {name: k for k, name in enumerate(names)}
    codes = [_coded(part, place, several) for part in rows]
    at, nothing = np.arange(len(truth)), np.zeros(len(truth))
    known = np.ones(len(names), dtype=bool)
    seen = Judged(tuple(names), known, codes[0], codes[1], at, at, nothing, nothing)
    return float(decision_figures(seen, seen.sums())["macro_f1"])


def pack(parts: Mapping[str, Judged]) -> bytes:
    """One .npz of the splits' records."""
    arrays: dict[str, NDArray[Any]] = {}
    for split, one in parts.items():
        arrays[f"{split}/classes"] = np.array(one.classes, dtype=np.str_)
        arrays[f"{split}/known"] = one.known
        for name in ("truth", "decided"):
            column = getattr(one, name)
            arrays[f"{split}/{name}"] = (
                np.packbits(column, axis=1) if one.several else _narrow(column)
            )
        for name in ("rows", "clusters"):
            arrays[f"{split}/{name}"] = _narrow(_steps(getattr(one, name)))
        for name in ("log_loss", "brier"):
            arrays[f"{split}/{name}"] = _rounded(getattr(one, name))
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def unpack(path: Path) -> dict[str, Judged]:
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    parts = {}
    for split in dict.fromkeys(name.partition("/")[0] for name in arrays):
        part = {name: arrays[f"{split}/{name}"] for name in _FIELDS}
        classes = tuple(part.pop("classes").tolist())
        for name in ("truth", "decided"):
            if part[name].ndim == 2:
                part[name] = np.unpackbits(part[name], axis=1, count=len(classes)).astype(bool)
            else:
                part[name] = part[name].astype(np.int64)
        for name in ("rows", "clusters"):
            part[name] = np.cumsum(part[name].astype(np.int64))
        for name in ("log_loss", "brier"):
            part[name] = part[name].astype(np.float64)
        parts[split] = Judged(classes, **part)
    return parts


_FIELDS = tuple(one.name for one in fields(Judged))
_BY_ROW = tuple(name for name in _FIELDS if name not in ("classes", "known"))


def _split(label: str, several: bool) -> list[str]:
    if not several:
        return [label]
    return [name for name in label.split(LABEL_SEPARATOR) if name]


def _coded(rows: Sequence[Sequence[str]], place: Mapping[str, int], several: bool) -> NDArray[Any]:
    if not several:
        return np.array([place[row[0]] for row in rows], dtype=np.int64)
    out = np.zeros((len(rows), len(place)), dtype=bool)
    for k, row in enumerate(rows):
        out[k, [place[name] for name in row]] = True
    return out


def _losses(p: Floats, truth: NDArray[np.int64], known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    return np.where(known[truth], row_log_loss(p, truth), np.nan), row_brier(p, truth)


def _several_losses(
    p: Floats, truth: NDArray[np.bool_], known: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    given = np.where(truth, p, 1 - p)[:, known]
    rows = np.repeat(np.arange(len(given)), given.shape[1])
    # The floor of log loss is kept in one place: each cell as a row of (its probability, rest).
    cells = row_log_loss(given.reshape(-1, 1), np.zeros(given.size, dtype=np.int64))
    log_loss = np.bincount(rows, weights=cells, minlength=len(p)) / given.shape[1]
    return log_loss, ((p - truth) ** 2).mean(axis=1)


def _steps(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """From each to the next: nearly all are 1, which compresses to next to nothing."""
    return np.diff(numbers, prepend=0)


def _narrow(numbers: NDArray[np.int64]) -> NDArray[Any]:
    """The smallest type that holds them."""
    ends = (int(numbers.min(initial=0)), int(numbers.max(initial=0)))
    return numbers.astype(np.result_type(*(np.min_scalar_type(end) for end in ends)))


def _rounded(values: Floats) -> NDArray[np.float16]:
    """To MANTISSA_BITS of float16's 10, halves upwards: the rest compresses away."""
    spare = 10 - MANTISSA_BITS
    bits = values.astype(np.float16).view(np.uint16)
    kept = (bits + (1 << (spare - 1))) & np.uint16(0xFFFF ^ ((1 << spare) - 1))
    return np.where(np.isnan(values), np.float16("nan"), kept.astype(np.uint16).view(np.float16))
