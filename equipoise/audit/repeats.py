"""Texts that repeat or look alike: within the rows, under different labels, across given parts.

Nothing here is left to chance: a text repeats or it does not. What counts as look-alike is what
keeps rows on one side of every split (`equipoise.data.duplicates`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from equipoise.audit.given import TEST, TRAIN, VALIDATION, Given, Ints, Mask
from equipoise.data.duplicates import codes
from equipoise.data.look_alikes import Links, find_links
from equipoise.data.normalise import duplicate_key
from equipoise.records.audit import Example, Leak, Repeats

THRESHOLD = 0.8
"""Share of three-letter pieces from which two texts look alike."""
SHOWN = 5
"""Examples of each finding."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Which rows share a text, and which texts look alike."""

    text_of: Ints
    """(n,) number of each row's text, from 0."""
    first: Ints
    """(texts,) the first row that holds it."""
    count: Ints
    """(texts,) rows that hold it."""
    links: Links
    """Pairs of texts that look alike, by their numbers."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """The record, and telling rows of each finding that rests on it."""

    record: Repeats
    duplicates: list[Example]
    conflicts: list[Example]
    leaks: dict[tuple[str, str], list[Example]]
    """By (judged part, part it was found in)."""
    conflict_classes: list[str]
    """Classes in conflict, most rows first."""
    apart: int
    """Pairs of look-alikes that no split keeps together: chains of them are cut where they would
    tie more rows than the cap of `equipoise.data.duplicates`."""
    untied: dict[tuple[str, str], int]
    """By (judged part, part it was found in): rows that look like one of the other part that a run
    would keep, since they are apart."""


def find_alike(given: Given, *, seed: int) -> Alike:
    """Number the texts (but for case, spaces and punctuation) and link those that look alike,
    unless it is known already which do."""
    keys = [duplicate_key(str(text)) for text in given.texts.tolist()]
    text_of = codes(keys)
    _, first, count = np.unique(text_of, return_index=True, return_counts=True)
    links = given.links
    if links is None:
        distinct = [keys[row] for row in first.tolist()]
        links = find_links(distinct, threshold=THRESHOLD, seed=seed)
    return Alike(text_of, first.astype(np.int64), count.astype(np.int64), links)


def repeats(given: Given, alike: Alike) -> Repeated:
    conflict_of_text = _conflict_texts(given, alike)
    conflict_rows = np.flatnonzero(conflict_of_text[alike.text_of])
    crossing = _alike_conflicts(given, alike)
    found = dict(_leaks(given, alike))
    labels, rows = np.unique(given.labels[conflict_rows], return_counts=True)
    order = np.argsort(-rows, kind="stable")
    return Repeated(
        record=Repeats(
            repeated=int((alike.count - 1).sum()),
            texts=int((alike.count > 1).sum()),
            alike_pairs=len(alike.links.left),
            conflict_texts=int(conflict_of_text.sum()),
            conflict_rows=len(conflict_rows),
            alike_conflicts=len(crossing),
            leaks=[leak for leak, _ in found.values()],
        ),
        duplicates=list(_duplicate_examples(given, alike)),
        conflicts=list(_conflict_examples(given, alike, conflict_of_text, crossing)),
        leaks={key: examples for key, (_, examples) in found.items()},
        conflict_classes=[given.classes[k] for k in labels[order].tolist()],
        apart=_apart(given, alike),
        untied={key: _untied(given, alike, *key) for key in found},
    )


def _conflict_texts(given: Given, alike: Alike) -> Mask:
    """(texts,) whether a text occurs under several labels."""
    pairs = np.unique(alike.text_of * len(given.classes) + given.labels)
    several: Mask = np.bincount(pairs // len(given.classes), minlength=len(alike.first)) > 1
    return several


def _alike_conflicts(given: Given, alike: Alike) -> Ints:
    """Links whose texts have no label in common, the most alike first."""
    held: list[set[int]] = [set() for _ in range(len(alike.first))]
    for text, label in zip(alike.text_of.tolist(), given.labels.tolist(), strict=True):
        held[text].add(label)
    apart = [
        held[left].isdisjoint(held[right])
        for left, right in zip(alike.links.left.tolist(), alike.links.right.tolist(), strict=True)
    ]
    where = np.flatnonzero(np.array(apart, dtype=bool))
    return where[np.argsort(-alike.links.similarity[where], kind="stable")]


def _duplicate_examples(given: Given, alike: Alike) -> Iterator[Example]:
    most = np.argsort(-alike.count, kind="stable")[:SHOWN]
    for text in most[alike.count[most] > 1].tolist():
        yield given.example(int(alike.first[text]), f"this text occurs {alike.count[text]:,} times")


def _conflict_examples(
    given: Given, alike: Alike, conflicting: Mask,
    crossing: Ints,
) -> Iterator[Example]:  # fmt: skip
    rows_of = defaultdict(list)
    for row in np.flatnonzero(conflicting[alike.text_of]).tolist():
        rows_of[int(alike.text_of[row])].append(row)
    most = sorted(rows_of, key=lambda text: (-len(rows_of[text]), text))
    for text in most[:SHOWN]:
        rows = rows_of[text]
        others = [row for row in rows if given.labels[row] != given.labels[rows[0]]]
        label = given.classes[int(given.labels[others[0]])]
        yield given.example(
            rows[0], f"the same text is {label!r} in row {given.name_of(others[0])}"
        )
    for link in crossing[: max(0, SHOWN - len(most))].tolist():
        left, right = (int(alike.first[end[link]]) for end in (alike.links.left, alike.links.right))
        label = given.classes[int(given.labels[right])]
        other = f": {given.texts[right]!s:.120}" if given.keep_texts else ""
        yield given.example(left, f"row {given.name_of(right)} is {label!r}{other}")


def _apart(given: Given, alike: Alike) -> int:
    cluster = given.clusters[alike.first]  # equal texts always share one
    return int((cluster[alike.links.left] != cluster[alike.links.right]).sum())


def _untied(given: Given, alike: Alike, judged: str, of: str) -> int:
    nearer = [part for part in (VALIDATION, TEST) if part != of]
    tied = np.isin(given.clusters, given.clusters[np.isin(given.parts, nearer)])
    _, near = _matches(given, alike, (given.parts == of) & ~tied)
    return int((near[alike.text_of[given.parts == judged]] >= 0).sum())


def _leaks(
    given: Given, alike: Alike
) -> Iterator[tuple[tuple[str, str], tuple[Leak, list[Example]]]]:
    """Rows of a judged part tied to a row of a part that trains or chooses."""
    parts = set(given.parts.tolist())
    for judged, of in ((TEST, TRAIN), (TEST, VALIDATION), (VALIDATION, TRAIN)):
        if judged not in parts or of not in parts:
            continue
        here, there = np.flatnonzero(given.parts == judged), given.parts == of
        same, alike_to = _matches(given, alike, there)
        text = alike.text_of[here]
        equal = same[text] >= 0
        near = ~equal & (alike_to[text] >= 0)
        grouped = ~equal & ~near & _same_group(given, here, there)
        leak = Leak(
            judged=judged,
            of=of,
            rows=int((equal | near | grouped).sum()),
            same=int(equal.sum()),
            alike=int(near.sum()),
            group=int(grouped.sum()),
        )
        if leak.rows:
            examples = [
                given.example(
                    int(row),
                    f"the same text is in row {given.name_of(int(same[alike.text_of[row]]))}",
                )
                for row in here[equal][:SHOWN]
            ]
            for row in here[near][: SHOWN - len(examples)].tolist():
                other = int(alike_to[alike.text_of[row]])
                quoted = f": {given.texts[other]!s:.120}" if given.keep_texts else ""
                examples.append(given.example(row, f"looks like {given.name_of(other)}{quoted}"))
            for row in here[grouped][: SHOWN - len(examples)].tolist():
                assert given.groups is not None
                examples.append(given.example(row, f"group {given.groups[row]} is in {of} too"))
            yield (judged, of), (leak, examples)


def _matches(given: Given, alike: Alike, there: Mask) -> tuple[Ints, Ints]:
    """(texts,) a row of the other part that holds the text, and one that looks like it; -1."""
    same = np.full(len(alike.first), -1, dtype=np.int64)
    rows = np.flatnonzero(there)[::-1]  # so that the first row of a text is written last
    same[alike.text_of[rows]] = rows
    near = np.full(len(alike.first), -1, dtype=np.int64)
    for one, other in (
        (alike.links.left, alike.links.right),
        (alike.links.right, alike.links.left),
    ):
        held = same[other] >= 0
        near[one[held]] = same[other[held]]
    return same, near


def _same_group(given: Given, here: Ints, there: Mask) -> Mask:
    if given.groups is None:
        return np.zeros(len(here), dtype=bool)
    others = {group for group in given.groups[there].tolist() if group}
    return np.array([group in others for group in given.groups[here].tolist()], dtype=bool)
