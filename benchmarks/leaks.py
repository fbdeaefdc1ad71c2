"""Leaks: 10,000 random tables with planted duplicates, look-alikes, chains, groups and tiny
classes are split in every way there is; nothing tied may end on two sides.

What is tied is found here a second time, without the code under test: copies and groups are known
because they were planted, look-alikes by comparing all pairs of rows in plain numpy. Copies and
groups may never cross. Look-alikes may not either, except inside a cluster that the documented
cap cuts (more than ten rows and a twentieth of a class tied to its largest piece); those are
counted apart.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.common import Bench, Unit
from equipoise.data import Table, folds, split_table
from equipoise.data.duplicates import ALWAYS_TIED, CLASS_SHARE
from equipoise.errors import DataError
from equipoise.records.rows import Rows, Splits, text_column

TABLES, PER_UNIT = 10_000, 500
THRESHOLD = 0.8
WAYS = ("one file", "train and test", "three files", "time", "folds")
_SYLLABLES = [a + b for a in (*"bcdfglmnprstvz", "ch", "st", "tr") for b in "aeiou"]


_REFUSALS = ("no rows are left for", "would hold one class only", "name only group columns")
"""Tables that can't be divided as asked, and what is said of them."""


class Planted:
    """A table in the making: its rows, and what ties them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.words = ["".join(rng.choice(_SYLLABLES, rng.integers(1, 4))) for _ in range(400)]
        self.texts: list[str] = []
        self.labels: list[str] = []
        self.groups: list[str] = []
        self.copies: list[tuple[int, int]] = []

    def add(self, words: list[str], label: str) -> int:
        self.texts.append(" ".join(words))
        self.labels.append(label)
        self.groups.append("")
        return len(self.texts) - 1

    def sentence(self) -> list[str]:
        return list(self.rng.choice(self.words, size=self.rng.integers(4, 22)))


def plant(seed: int) -> Planted:
    """40 to 130 rows of 2 to 6 lopsided classes with everything planted in them."""
    rng = np.random.default_rng(seed)
    made = Planted(rng)
    share = 1 / np.arange(1, rng.integers(3, 8)) ** 1.5
    names = [f"class {k}" for k in range(len(share))]
    for label in rng.choice(names, size=rng.integers(30, 80), p=share / share.sum()):
        made.add(made.sentence(), str(label))
    for tiny in range(rng.integers(0, 4)):  # classes of one, two and three rows
        for _ in range(tiny):
            made.add(made.sentence(), f"tiny {tiny}")
    rows = len(made.texts)
    for row in rng.choice(rows, size=rng.integers(2, 9)):  # copies, up to case and punctuation
        text, number = made.texts[row], len(made.texts)
        made.add(_disguise(text, rng).split(" "), _maybe_other(made, int(row)))
        made.copies.append((int(row), number))
    for row in rng.choice(rows, size=rng.integers(2, 9)):  # one or two words edited
        words = made.texts[row].split(" ")
        for _ in range(rng.integers(1, 3)):
            _edit(words, made)
        made.add(words, _maybe_other(made, int(row)))
    for _ in range(rng.integers(0, 2)):  # a chain, each link one word further
        words = [str(word) for word in rng.choice(made.words, size=40)]
        label = str(rng.choice(made.labels))
        for start in range(rng.integers(3, 20)):
            made.add(words[start : start + 18], label)
    for group in range(rng.integers(0, 6)):
        for row in rng.choice(len(made.texts), size=rng.integers(2, 7)):
            made.groups[row] = f"group {group}"
    return made


def _disguise(text: str, rng: np.random.Generator) -> str:
    ways = (
        str.upper,
        str.title,
        lambda t: f"{t}!!",
        lambda t: f"  {t.replace(' ', '  ')} ",
        lambda t: t.replace(" ", ", ", 1) + ".",
        lambda t: "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in t),  # full width
    )
    return ways[rng.integers(len(ways))](text)


def _edit(words: list[str], made: Planted) -> None:
    place = int(made.rng.integers(len(words)))
    word = str(made.rng.choice(made.words))
    match made.rng.integers(4):
        case 0:
            words[place] = word
        case 1:
            words.insert(place, word)
        case 2 if len(words) > 3:
            del words[place]
        case _:
            words[place] += "s"


def _maybe_other(made: Planted, row: int) -> str:
    """Mostly the label of the row; one in ten copies is labelled otherwise, as in real data."""
    return made.labels[row] if made.rng.random() < 0.9 else str(made.rng.choice(made.labels))


def look_alikes(texts: list[str]) -> NDArray[np.bool_]:
    """(rows, rows) whether two rows share at least THRESHOLD of their three-letter pieces."""
    places: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        wide = "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in text)
        plain = f" {re.sub(r'[^a-z]+', ' ', wide.lower()).strip()} "
        for piece in {plain[i : i + 3] for i in range(len(plain) - 2)}:
            rows.append(row)
            columns.append(places.setdefault(piece, len(places)))
    holds = np.zeros((len(texts), len(places)), dtype=np.float32)
    holds[rows, columns] = 1
    shared = holds @ holds.T
    sizes = holds.sum(axis=1)
    return shared / (sizes[:, None] + sizes[None, :] - shared) >= THRESHOLD


def judge(seed: int) -> Counter[str]:
    """Split one table in one way and count what was tied and what crossed."""
    made = plant(seed)
    count = len(made.texts)
    alike = look_alikes(made.texts)
    origin = list(range(count))
    for row, copy in made.copies:
        origin[copy] = row
    by_text, by_group = _pairs(origin), _pairs([group or None for group in made.groups])
    firm = [*by_text, *by_group]
    near = np.argwhere(np.triu(alike, 1)).tolist()
    way = WAYS[seed % len(WAYS)]
    found = Counter({"tables": 1, "rows": count})
    try:
        side, left_out = _divide(made, way, seed)
    except DataError as error:
        if not any(reason in str(error) for reason in _REFUSALS):
            raise
        return found + Counter({"tables refused": 1})
    found["rows left out"] = left_out
    for name, pairs in (
        ("pairs of copies", by_text),
        ("pairs of a group", by_group),
        ("pairs of look-alikes", near),
    ):
        found[name] = sum(a in side and b in side for a, b in pairs)
    found["firm ties that cross"] = sum(_crosses(side, pair) for pair in firm)
    capped = _capped(made, firm, near)
    for pair in near:
        if _crosses(side, pair):
            found[
                "look-alikes cut by the cap" if capped[pair[0]] else "look-alikes that cross"
            ] += 1
    return found


def _pairs(keys: list[Any]) -> list[list[int]]:
    """All pairs of rows with one key; None is none."""
    rows: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        if key is not None:
            rows.setdefault(key, []).append(row)
    return [list(pair) for own in rows.values() for pair in combinations(own, 2)]


def _crosses(side: dict[int, int], pair: list[int]) -> bool:
    """Whether both rows were used, on different sides."""
    a, b = (side.get(row) for row in pair)
    return a is not None and b is not None and a != b


def _divide(made: Planted, way: str, seed: int) -> tuple[dict[int, int], int]:
    """Row to the number of its side, for the rows that were used; and how many were left out."""
    rng = np.random.default_rng(seed + 10**6)
    count = len(made.texts)
    rows = Rows(
        ids=text_column([str(row) for row in range(count)]),
        texts=text_column(made.texts),
        labels=text_column(made.labels),
        groups=text_column(made.groups),
        columns={"when": text_column(rng.integers(0, 1000, size=count).tolist())},
    )
    part = rng.choice(3, size=count, p=[0.7, 0.1, 0.2])
    given = {
        "train and test": {"train": part < 2, "test": part == 2},
        "three files": {"train": part == 0, "validation": part == 1, "test": part == 2},
    }.get(way, {"all": np.ones(count, dtype=bool)})
    table = Table(
        source="rows",
        parts={name: rows.take(mask) for name, mask in given.items()},
        columns={},
        fingerprint="",
    )
    splits = split_table(table, seed=seed, time_column="when" if way == "time" else None)
    sides = [rows for rows in (splits.train, splits.validation, splits.test) if rows is not None]
    if way == "time":
        ends = [(min(s.columns["when"]), max(s.columns["when"])) for s in sides]
        assert ends[0][1] < ends[1][0] <= ends[1][1] < ends[2][0], "not forward in time"
    _check_count(splits, count)
    if way == "folds":
        held = splits.train
        assert held.labels is not None
        assert held.clusters is not None
        fold = folds(held.labels, held.clusters, 2 + seed % 4, seed)
        side = {int(row): int(k) for row, k in zip(held.ids, fold, strict=True)}
        return side, 0
    side = {int(row): k for k, rows in enumerate(sides) for row in rows.ids}
    return side, count - len(side)


def _check_count(splits: Splits, count: int) -> None:
    """No row is lost without a note, and none is used twice."""
    sides = [rows for rows in (splits.train, splits.validation, splits.test) if rows is not None]
    used = [row for rows in sides for row in rows.ids]
    left_out = (re.match(r"left out (\d+) of", said) for said in splits.notes + splits.warnings)
    gone = sum(int(found[1]) for found in left_out if found)
    assert len(used) == len(set(used)) == count - gone, "rows lost or used twice"


def _capped(made: Planted, firm: list[list[int]], near: list[list[int]]) -> NDArray[np.bool_]:
    """(rows,) whether the row's cluster is one that the cap cuts: beyond its largest piece it
    holds more rows of a class than the cap of that class (whichever of equally large pieces
    counts as the largest)."""
    whole, piece = _components(len(made.texts), [*firm, *near]), _components(len(made.texts), firm)
    per_class = Counter(made.labels)
    capped = np.zeros(len(made.texts), dtype=bool)
    for cluster in np.unique(whole):
        members = np.flatnonzero(whole == cluster)
        sizes = Counter(piece[members].tolist())
        for largest in (one for one, rows in sizes.items() if rows == max(sizes.values())):
            tied = Counter(made.labels[row] for row in members if piece[row] != largest)
            capped[members] |= any(
                rows > max(ALWAYS_TIED, int(CLASS_SHARE * per_class[label]))
                for label, rows in tied.items()
            )
    return capped


def _components(count: int, pairs: list[list[int]]) -> NDArray[Any]:
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    edges = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    found: NDArray[Any] = connected_components(edges, directed=False)[1]
    return found


def run(unit: Unit) -> dict[str, Any]:
    first = int(unit.settings["first"])
    total: Counter[str] = Counter()
    for seed in range(first, first + int(unit.settings["tables"])):
        total += judge(seed)
    return dict(total)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for unit in units:
        total += Counter(unit["result"])
    crossing = total["firm ties that cross"] + total["look-alikes that cross"]
    ties = sum(rows for name, rows in total.items() if name.startswith("pairs of"))
    return {
        **dict(sorted(total.items())),
        "says": f"{total['tables']:,} tables: of {ties:,} pairs that are tied and were both used, "
        f"{crossing} cross a split, besides {total['look-alikes cut by the cap']:,} pairs of "
        f"look-alikes in clusters that the cap cuts; {total['tables refused']:,} tables could not "
        "be divided as asked, and were refused",
    }


bench = Bench(
    "leaks",
    units=[
        Unit(f"tables-{first:05d}", {"first": first, "tables": PER_UNIT})
        for first in range(0, TABLES, PER_UNIT)
    ],
    run=run,
    version=2,
    price_seconds=lambda unit: 0.06 * unit.settings["tables"],
    summarise=summarise,
    about="Random tables with planted duplicates and groups: none may cross a split.",
)

if __name__ == "__main__":
    raise SystemExit(bench.main())
