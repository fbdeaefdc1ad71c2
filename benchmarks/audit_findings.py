"""The audit finds what is planted and names nothing on clean tables; label errors on real rows.

200 random clean tables, and 600 with two faults each, so that each of the six is planted 200
times: one of the texts (duplicates, leaks, conflicting labels) and one beyond them (5 to 20 % wrong
labels, a pair of classes that are one, a class too small to judge). Texts are made of random words;
vectors are drawn (Gaussian, heavy-tailed or skewed, one to three humps a class, 0 to about 7 %
overlap of the nearest classes) and handed to the audit with the probe that `equipoise audit` would
fit on them. Clean tables have times and groups that mean nothing as well. Aim: each fault named in
95 % of its tables or more, and each wrongly named in 5 % of the clean ones or fewer.

`trec6_noisy` has 15 % of its training labels flipped, 60 % of them to a class that is easily
confused, and the truth beside them: precision and recall of the suspects, class by class.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Bench, Unit, data_folder
from equipoise.audit import Given, audit
from equipoise.audit.neighbours import nearest_rows
from equipoise.audit.suspects import checked_rows, find_suspects
from equipoise.auditing import audit_table
from equipoise.auditing.encoder import add_encoder, probe_scores
from equipoise.auditing.gather import gather
from equipoise.data.read import read_rows
from equipoise.data.table import Table
from equipoise.progress import silent
from equipoise.records.rows import Rows, text_column

CLEAN, PLANTED, PER_UNIT = 200, 600, 50
WIDTH = 32
_SYLLABLES = [a + b for a in (*"bcdfglmnprstvz", "ch", "st", "tr") for b in "aeiou"]
Floats = NDArray[np.float64]


@dataclass
class Made:
    """A table in the making: n rows, what is planted, and how it should be named."""

    rng: np.random.Generator
    texts: list[str]
    labels: NDArray[np.int64]
    parts: list[str]
    vectors: Floats
    centres: list[Floats]
    """Per class (humps, WIDTH)."""
    draw: Callable[[tuple[int, ...]], Floats]
    """Noise of standard deviation about 1."""
    planted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Fault to the classes that the finding must name; () where any naming will do."""
    wrong: frozenset[int] = frozenset()
    """Rows whose label was changed."""

    def class_vectors(self, label: int, rows: int) -> Floats:
        humps = self.centres[label]
        made: Floats = humps[self.rng.integers(0, len(humps), rows)] + self.draw((rows, WIDTH))
        return made

    def add(self, texts: list[str], labels: list[int], parts: list[str]) -> None:
        self.texts += texts
        self.labels = np.append(self.labels, labels)
        self.parts += parts
        new = [self.class_vectors(label, 1) for label in labels]
        self.vectors = np.concatenate([self.vectors, *new])


def clean_table(seed: int) -> Made:
    """2 to 12 lopsided classes, 60 to 600 training rows each and at least 25 test rows."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 13))
    sizes = np.maximum(60, 600 / np.arange(1, classes + 1) ** rng.uniform(0.3, 1.3)).astype(int)
    tests = np.maximum(25, sizes // 4)
    draw = _noise(rng)
    made = Made(rng, [], np.empty(0, np.int64), [], np.empty((0, WIDTH)), [], draw)
    made.centres = _centres(classes, rng.uniform(3.0, 7.0), rng)
    words = sorted({"".join(rng.choice(_SYLLABLES, rng.integers(2, 5))) for _ in range(900)})
    order = rng.permutation(np.repeat(np.arange(classes), sizes + tests))
    seen: Counter[int] = Counter()
    for label in order.tolist():
        seen[label] += 1
        chosen = rng.integers(len(words), size=rng.integers(6, 22))
        made.texts.append(" ".join([words[k] for k in chosen]))
        made.parts.append("test" if seen[label] <= tests[label] else "train")
    made.labels = order
    made.vectors = np.empty((len(order), WIDTH))
    for label in range(classes):
        here = order == label
        made.vectors[here] = made.class_vectors(label, int(here.sum()))
    return made


def _noise(rng: np.random.Generator) -> Callable[[tuple[int, ...]], Floats]:
    """Gaussian, Student's t with 5 degrees of freedom, or skewed (gamma), unit variance."""
    match rng.integers(3):
        case 0:
            return lambda shape: rng.normal(size=shape)
        case 1:
            return lambda shape: rng.standard_t(5, size=shape) / np.sqrt(5 / 3)
        case _:
            return lambda shape: (rng.gamma(3.0, size=shape) - 3) / np.sqrt(3)


def _centres(classes: int, apart: float, rng: np.random.Generator) -> list[Floats]:
    """One to three humps a class, any two of different classes at least `apart` from each other,
    and the nearest two just so."""
    humps = [int(rng.integers(1, 4)) for _ in range(classes)]
    owner = np.repeat(np.arange(classes), humps)
    places = rng.normal(size=(len(owner), WIDTH))
    gap = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    gap[owner[:, None] == owner[None, :]] = np.inf
    places *= apart / gap.min()
    return [places[owner == k] for k in range(classes)]


def _disguise(text: str, rng: np.random.Generator) -> str:
    return (str.upper, str.title, lambda t: f"{t}!!", lambda t: f"  {t.replace(' ', '  ')}")[
        rng.integers(4)
    ](text)


TEXT_FAULTS = ("duplicates", "leak", "conflict")
OTHER_FAULTS = ("label_errors", "inseparable", "too_small")


def plant(seed: int) -> Made:
    """A fault beyond the texts first, so that the added rows are drawn where it put the classes."""
    made = clean_table(seed + 10_000)
    plant_beyond_texts(made, OTHER_FAULTS[seed // 3 % 3])
    plant_in_texts(made, TEXT_FAULTS[seed % 3])
    return made


def plant_in_texts(made: Made, kind: str) -> None:
    rng = made.rng
    made.planted[kind] = ()
    train = np.flatnonzero(np.array(made.parts) == "train")
    test = np.flatnonzero(np.array(made.parts) == "test")
    if kind == "duplicates":
        rows = rng.choice(train, max(1, int(len(train) * rng.uniform(0.01, 0.1))))
        texts = [_disguise(made.texts[row], rng) for row in rows]
        made.add(texts, made.labels[rows].tolist(), ["train"] * len(rows))
    elif kind == "leak":
        rows = rng.choice(test, rng.integers(1, 11), replace=False)
        texts = [_leaked(made.texts[row], rng) for row in rows]
        made.add(texts, made.labels[rows].tolist(), ["train"] * len(rows))
    elif kind == "conflict":
        rows = rng.choice(train, rng.integers(1, 11), replace=False)
        texts = [_disguise(made.texts[row], rng) for row in rows]
        classes = len(made.centres)
        others = (made.labels[rows] + rng.integers(1, classes, len(rows))) % classes
        made.add(texts, others.tolist(), ["train"] * len(rows))


def plant_beyond_texts(made: Made, kind: str) -> None:
    rng, n = made.rng, len(made.texts)
    test = np.flatnonzero(np.array(made.parts) == "test")
    made.planted[kind] = ()
    if kind == "label_errors":
        rows = rng.choice(n, round(n * rng.uniform(0.05, 0.2)), replace=False)
        made.wrong = frozenset(rows.tolist())
        made.labels[rows] = _flipped(made, rows)
    elif kind == "inseparable":
        one, other = rng.choice(len(made.centres), 2, replace=False).tolist()
        made.centres[other] = made.centres[one] + rng.normal(size=WIDTH) * 0.05
        here = made.labels == other
        made.vectors[here] = made.class_vectors(other, int(here.sum()))
        made.planted[kind] = (_name(one), _name(other))
    elif kind == "too_small":
        label = int(rng.integers(len(made.centres)))
        of_class = test[made.labels[test] == label]
        moved = rng.choice(of_class, len(of_class) - int(rng.integers(2, 13)), replace=False)
        for row in moved.tolist():
            made.parts[row] = "train"
        made.planted[kind] = (_name(label),)


def _leaked(text: str, rng: np.random.Generator) -> str:
    """The same text disguised, or with a letter added to one word of a long one."""
    words = text.split(" ")
    if len(words) < 12 or rng.random() < 0.5:
        return _disguise(text, rng)
    words[rng.integers(len(words))] += "s"
    return " ".join(words)


def _flipped(made: Made, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """60 % of the wrong labels to the nearest class, 40 % to any other."""
    means = np.stack([humps.mean(axis=0) for humps in made.centres])
    gap = np.linalg.norm(means[:, None] - means[None, :], axis=2)
    np.fill_diagonal(gap, np.inf)
    classes = len(means)
    own = made.labels[rows]
    anywhere = (own + made.rng.integers(1, classes, len(rows))) % classes
    near = made.rng.random(len(rows)) < 0.6
    flipped: NDArray[np.int64] = np.where(near, gap.argmin(axis=1)[own], anywhere)
    return flipped


def _name(label: int) -> str:
    return f"class {label:02d}"


def given_of(made: Made) -> Given:
    """As `equipoise audit` would hand it over; clean tables with times and groups that mean
    nothing."""
    parts = np.array(made.parts)
    table = Table(
        source="made",
        parts={part: _rows(made, np.flatnonzero(parts == part)) for part in ("train", "test")},
        columns={"text": "text", "label": "label"},
        fingerprint="",
    )
    given, _ = gather(table, costs=None, seed=0, keep_texts=True)
    places = np.array([int(row) for row in given.ids])
    vectors = made.vectors[places].astype(np.float32)
    given = replace(given, vectors=vectors)
    given = replace(given, probe=probe_scores(given, np.arange(len(given)), 0, [], silent))
    if made.planted:
        return given
    # Groups that tie nothing: they are looked at, and don't keep rows together. They don't run
    # from one part to the other, which would be a leak.
    number = made.rng.integers(0, len(given) // 20, len(given))
    groups = text_column([f"{part} {k}" for part, k in zip(given.parts, number, strict=True)])
    times = made.rng.permutation(len(given)).astype(float)
    return replace(given, groups=groups, times=times)


def _rows(made: Made, index: NDArray[np.int64]) -> Rows:
    return Rows(
        ids=text_column([str(row) for row in index]),
        texts=text_column([made.texts[row] for row in index]),
        labels=text_column([_name(int(made.labels[row])) for row in index]),
    )


def judge(made: Made) -> tuple[Counter[str], list[float]]:
    """What was planted, found, and named besides; and where labels were made wrong, the share that
    is, the share as estimated, and precision and recall of the suspects."""
    given = given_of(made)
    found = audit(given)
    named = {finding.kind: finding for finding in found.findings}
    tally: Counter[str] = Counter({"tables": 1})
    for kind, classes in made.planted.items():
        tally[f"planted {kind}"] += 1
        tally[f"found {kind}"] += kind in named and set(classes) <= set(named[kind].classes)
    for name in set(named) - set(made.planted):
        tally[f"besides {name}"] += 1
    noise = found.measured.noise
    if not made.wrong or noise is None:
        return tally, []
    return tally, [len(made.wrong) / len(given), noise.rate, *_hits(given, made)]


def _hits(given: Given, made: Made) -> list[float]:
    checked = checked_rows(given, nearest_rows(given, seed=0))
    rows = {int(given.ids[row]) for row in checked.rows[find_suspects(checked)]}
    right = len(rows & made.wrong)
    return [right / max(len(rows), 1), right / max(len(made.wrong), 1)]


def run(unit: Unit) -> dict[str, Any]:
    if unit.settings["kind"] == "trec6_noisy":
        return real_rows(int(unit.settings["seed"]))
    first, make = int(unit.settings["first"]), _MAKERS[str(unit.settings["kind"])]
    total: Counter[str] = Counter()
    hits: list[list[float]] = []
    for seed in range(first, first + int(unit.settings["tables"])):
        tally, hit = judge(make(seed))
        total += tally
        hits += [hit] if hit else []
    result: dict[str, Any] = dict(sorted(total.items()))
    if hits:
        result["wrong_labels"] = np.array(hits).round(4).tolist()
    return result


_MAKERS: dict[str, Callable[[int], Made]] = {"clean": clean_table, "planted": plant}


def real_rows(seed: int) -> dict[str, Any]:
    """Precision and recall of the suspects among the training rows of trec6_noisy, by the class
    that the row is labelled as (precision) and that it truly is (recall); and what is named on
    the same rows with their true labels."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = data_folder()
    table = read_rows(folder / "trec6_noisy")
    given, _ = gather(table, costs=None, seed=seed, keep_texts=False)
    given, _ = add_encoder(given, None, seed, [], [], {}, silent)
    truth = table.parts["train"].columns["true_label"]
    checked = checked_rows(given, nearest_rows(given, seed=seed))
    suspects = checked.rows[find_suspects(checked)]
    suspects = suspects[given.parts[suspects] == "train"]
    n = len(truth)
    labels = np.array([given.classes[k] for k in given.labels[:n]])
    wrong = labels != truth.astype(str)
    flagged = np.zeros(n, dtype=bool)
    flagged[suspects] = True
    by_class = {
        name: {
            "rows": int((labels == name).sum()),
            "wrong": int((wrong & (labels == name)).sum()),
            "suspects": int((flagged & (labels == name)).sum()),
            "precision": _share(flagged & wrong & (labels == name), flagged & (labels == name)),
            "recall": _share(flagged & wrong & (labels == name), wrong & (labels == name)),
            "recall_of_those_that_are_it": _share(
                flagged & wrong & (truth == name), wrong & (truth == name)
            ),
        }
        for name in given.classes
    }
    named = {f.kind: f.says for f in audit_table(table, seed=seed).findings}
    true = {f.kind: f.says for f in audit_table(read_rows(folder / "trec6"), seed=seed).findings}
    return {
        "rows": n,
        "wrong": int(wrong.sum()),
        "suspects": int(flagged.sum()),
        "precision": _share(flagged & wrong, flagged),
        "recall": _share(flagged & wrong, wrong),
        "named": "label_errors" in named,
        "named_on_true_labels": "label_errors" in true,
        "says": named.get("label_errors", ""),
        "says_on_true_labels": true.get("label_errors", ""),
        "classes": by_class,
    }


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    return round(float(part.sum() / whole.sum()), 4) if whole.any() else None


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Counter[str]] = {"clean": Counter(), "planted": Counter()}
    hits: list[list[float]] = []
    summary: dict[str, Any] = {}
    for unit in units:
        kind, result = unit["settings"]["kind"], unit["result"]
        if kind == "trec6_noisy":
            summary[kind] = {k: v for k, v in result.items() if k != "classes"}
            continue
        total[kind] += Counter({k: v for k, v in result.items() if isinstance(v, int)})
        hits += result.get("wrong_labels", [])
    clean, planted = total["clean"], total["planted"]
    if clean["tables"]:
        wrongly = _shares(clean, "besides ", clean["tables"])
        wrongly.pop("imbalance", None)  # it is there
        summary["named on clean tables"] = wrongly
        summary["clean tables"] = clean["tables"]
    if planted["tables"]:
        summary["found where planted"] = {
            kind: round(planted[f"found {kind}"] / planted[f"planted {kind}"], 4)
            for kind in (*TEXT_FAULTS, *OTHER_FAULTS)
        }
        summary["planted"] = {k: planted[f"planted {k}"] for k in (*TEXT_FAULTS, *OTHER_FAULTS)}
        summary["named besides"] = _shares(planted, "besides ", planted["tables"])
    if hits:
        truth, rate, precision, recall = np.array(hits).T
        summary["wrong labels"] = {
            "tables": len(truth),
            "share": round(float(truth.mean()), 4),
            "estimated": round(float(rate.mean()), 4),
            "mean absolute error": round(float(np.abs(rate - truth).mean()), 4),
            "precision of suspects": round(float(precision.mean()), 4),
            "recall of suspects": round(float(recall.mean()), 4),
        }
    return summary


def _shares(total: Counter[str], start: str, tables: int) -> dict[str, float]:
    return {
        name.removeprefix(start): round(n / tables, 4)
        for name, n in sorted(total.items())
        if name.startswith(start)
    }


bench = Bench(
    "audit_findings",
    units=[
        *(
            Unit(f"{kind}-{first:03d}", {"kind": kind, "first": first, "tables": PER_UNIT})
            for kind, tables in (("clean", CLEAN), ("planted", PLANTED))
            for first in range(0, tables, PER_UNIT)
        ),
        Unit("trec6_noisy", {"kind": "trec6_noisy", "seed": 0}),
    ],
    run=run,
    price_seconds=lambda unit: 120.0 if "seed" in unit.settings else 1.5 * unit.settings["tables"],
    summarise=summarise,
    about="Random tables with planted faults, clean ones, and trec6_noisy with its truth.",
)

if __name__ == "__main__":
    raise SystemExit(bench.main())
