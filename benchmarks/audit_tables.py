"""Random tables for the audit: clean, with faults planted, and with overlap and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.sets import load_set
from equipoise.audit import Given
from equipoise.auditing.encoder import encode, probe_scores
from equipoise.auditing.gather import gather
from equipoise.data.table import Table
from equipoise.models.config import DEFAULT_MODEL, ModelConfig
from equipoise.models.load import find_base
from equipoise.progress import silent
from equipoise.records.rows import Rows, text_column

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
    rng = np.random.default_rng(seed + 50_000)
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


OVERLAP_SETS = ("trec6", "tweet_emotion")


def overlap_given(seed: int) -> Given:
    """Vectors of real training rows with labels drawn anew: overlap, and no label that is wrong.

    Each row has a score for each of 2 to 7 classes, a smooth function of its vector (linear, of
    random waves or of a small network), and its label is drawn by the softmax of 1 to 12 times
    those: from classes that nobody can tell apart to some that are clear.
    """
    rng = np.random.default_rng(seed + 80_000)
    vectors = _real_vectors(OVERLAP_SETS[seed % 2])
    rows = round(np.exp(rng.uniform(np.log(250), np.log(2500))))
    vectors = vectors[rng.choice(len(vectors), rows, replace=False)]
    classes, width = int(rng.integers(2, 8)), int(rng.integers(3, 60))
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    inner = u[:, :width] * s[:width]
    inner /= inner.std()
    match rng.integers(3):
        case 0:
            scores = inner @ rng.normal(size=(width, classes))
        case 1:
            waves = inner @ rng.normal(size=(width, 200)) * 1.4 / np.sqrt(width)
            phases = rng.uniform(0, 2 * np.pi, 200)
            scores = np.cos(waves + phases) @ rng.normal(size=(200, classes))
        case _:
            hidden = np.tanh(inner @ rng.normal(size=(width, 30)))
            scores = hidden @ rng.normal(size=(30, classes))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    sharp = np.exp(rng.uniform(0, np.log(12)))
    labels = (sharp * scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    # No two texts are alike, so that nothing but labels can be named.
    numbers = [str(row) for row in range(rows)]
    given = Given(
        ids=text_column(numbers),
        texts=text_column(numbers),
        labels=labels.astype(np.int64),
        classes=tuple(_name(k) for k in range(classes)),
        parts=text_column(["all"] * rows),
        roles=text_column(["train"] * rows),
        clusters=np.arange(rows),
        vectors=vectors,
    )
    return replace(given, probe=probe_scores(given, np.arange(rows), 0, [], silent))


@cache
def _real_vectors(name: str) -> NDArray[np.float32]:
    settings = ModelConfig(name=DEFAULT_MODEL, method="head")
    texts = text_column([text for text, _ in load_set(name).train])
    return encode(texts, find_base(settings), settings, silent)
