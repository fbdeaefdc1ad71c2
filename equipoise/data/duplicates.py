"""Groups of rows that must stay on one side of every split.

Five things tie rows together, from the strongest:

1. the user's group column,
2. what a row was made from, where it was made from another row,
3. the same text (up to case, spaces and punctuation), and
4. one conversation: a row whose question a longer row answers on its way. These are never cut, nor
   are conversations that open with the same question and answer, unless so many do (more than the
   cap below) that it is a greeting;
5. look-alikes, pairs of texts that share at least `threshold` of their pieces. They tie chains:
   A is like B, B like C, and A need not be like C at all. In data made from templates a chain
   runs through a whole class, and a class that can't be divided can't be judged. So what
   look-alikes tie together is capped. Links are taken from the most alike downwards, and one that
   would tie more than the cap is left out: a chain is cut where it is weakest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.data.conversations import Ties, openings, steps
from equipoise.data.look_alikes import Links, find_links
from equipoise.data.normalise import duplicate_key
from equipoise.data.shingles import Places
from equipoise.errors import SettingsError, ShapeError
from equipoise.records.turns import Turn

ALWAYS_TIED = 10
CLASS_SHARE = 0.05
"""Look-alikes tie at most this share of a class's rows, or ALWAYS_TIED rows, to the largest piece
of a cluster. A class of 11 rows or fewer may thus end in one cluster; it is too small to be judged
anyway. From 20 clusters a class can be split 70 : 15 : 15 to within a few rows."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which rows stay together, and what was found on the way."""

    ids: NDArray[np.int64]
    """(rows,) numbered from 0 in order of first appearance."""
    repeated: int
    """Rows whose text occurred before (up to case, spaces, punctuation)."""
    links: int
    """Pairs of different texts that look alike."""
    cut: int
    """Of those, pairs that the cap keeps in different clusters."""
    steps: int = 0
    """Rows whose question a longer row answers on its way, and those longer rows."""


def cluster_rows(
    texts: Sequence[str],
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    *,
    turns: Sequence[Sequence[Turn]] | None = None,
    threshold: float = 0.8,
    max_cluster: int | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Cluster number of every row; see `find_clusters`.

    >>> cluster_rows(["Where is my order?", "where is my order", "Refund me"]).tolist()
    [0, 0, 1]
    >>> cluster_rows(["Good day", "Refund me"], groups=["Ada", "Ada"]).tolist()
    [0, 0]
    """
    return find_clusters(
        texts,
        groups,
        labels,
        turns=turns,
        threshold=threshold,
        max_cluster=max_cluster,
        seed=seed,
    ).ids


def text_links(texts: Sequence[str], *, threshold: float = 0.8, seed: int = 0) -> Links:
    """Pairs of look-alikes among the different texts, which are numbered in order of first
    appearance (but for case, spaces and punctuation): what `find_clusters` would look for, for
    those who need it more than once."""
    keys = list(dict.fromkeys(duplicate_key(text) for text in texts))
    return find_links(keys, threshold=threshold, seed=seed)


def find_clusters(
    texts: Sequence[str],
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    *,
    turns: Sequence[Sequence[Turn]] | None = None,
    origins: Places | None = None,
    threshold: float = 0.8,
    max_cluster: int | None = None,
    seed: int = 0,
    links: Links | None = None,
) -> Clusters:
    """Tie rows with the same text, with the same group ("" is none), that go back to one row, of
    one conversation, and look-alikes.

    turns        What is said in each row, where rows are written; `texts` are their questions.
    origins      (rows,) number of the row that each was made from, its own of a given one; see
                 `made.origins`. None: all were given.
    threshold    Jaccard similarity of three-letter pieces, above 0 to 1, from which two texts look
                 alike; 0.8 is about one changed word in ten. At 1 only equal sets of pieces do.
    max_cluster  Rows (of one class, where labels are given) that look-alikes may tie to the
                 largest piece of a cluster. None: a twentieth of the class's rows, at least 10.
    links        What `text_links` says of the same texts, threshold and seed; None: it is asked.
    Time         about 1 minute for a million short rows on two cores, nearly linear.
    Raises       ShapeError if the columns differ in length; SettingsError for a bad setting.
    """
    _check(texts, groups, labels, turns, origins, threshold, max_cluster)
    key_of_row = [duplicate_key(text) for text in texts]
    text_of_row, keys = codes(key_of_row), list(dict.fromkeys(key_of_row))
    class_of_row = codes(labels) if labels is not None else np.zeros(len(texts), dtype=np.int64)
    caps = _caps(class_of_row, max_cluster)
    ties = [] if groups is None else [_of_groups(groups)]
    if origins is not None:
        ties.append(_of_families(origins))
    on_the_way = steps(() if turns is None else turns)
    atoms = _atoms(text_of_row, len(keys), [*ties, on_the_way])
    if turns is not None:
        branches = _without_greetings(openings(turns), atoms[text_of_row], class_of_row, caps)
        atoms = _atoms(text_of_row, len(keys), [*ties, on_the_way, branches])
    found = find_links(keys, threshold=threshold, seed=seed) if links is None else links
    between = Links(atoms[found.left], atoms[found.right], found.similarity)
    joined = _join(between, atoms[text_of_row], class_of_row, caps)
    return Clusters(
        ids=codes(joined[atoms[text_of_row]].tolist()),
        repeated=len(texts) - len(keys),
        links=len(found.left),
        cut=int((joined[between.left] != joined[between.right]).sum()),
        steps=len(np.unique(on_the_way.row)),
    )


def codes(values: Sequence[object]) -> NDArray[np.int64]:
    """Number of each value, from 0 in order of first appearance."""
    number: dict[object, int] = {}
    return np.fromiter(
        (number.setdefault(value, len(number)) for value in values),
        dtype=np.int64,
        count=len(values),
    )


def _check(
    texts: Sequence[str],
    groups: Sequence[str] | None,
    labels: Sequence[str] | None,
    turns: Sequence[Sequence[Turn]] | None,
    origins: Places | None,
    threshold: float,
    max_cluster: int | None,
) -> None:
    columns = {"groups": groups, "labels": labels, "turns": turns, "origins": origins}
    for name, column in columns.items():
        if column is not None and len(column) != len(texts):
            raise ShapeError(f"{len(texts)} texts but {len(column)} {name}; give one per row")
    faults = []
    if not 0 < threshold <= 1:
        faults.append(f"threshold is {threshold}; give a share above 0, up to 1 (0.8 is usual)")
    if max_cluster is not None and max_cluster < 1:
        faults.append(f"max_cluster is {max_cluster}; give a number of rows, 1 or more")
    if faults:
        raise SettingsError(*faults)


def _caps(class_of_row: Places, max_cluster: int | None) -> list[int]:
    """Rows of each class that look-alikes may tie to the largest piece of a cluster."""
    if max_cluster is not None:
        return [max_cluster] * (int(class_of_row.max(initial=-1)) + 1)
    return [max(ALWAYS_TIED, int(rows * CLASS_SHARE)) for rows in np.bincount(class_of_row)]


def _of_groups(groups: Sequence[str]) -> Ties:
    grouped = np.flatnonzero([bool(group) for group in groups])
    return Ties(grouped.astype(np.int64), codes([group for group in groups if group]))


def _of_families(origins: Places) -> Ties:
    """Rows that were made from others, and those others."""
    made = np.flatnonzero(origins != np.arange(len(origins)))
    family = np.concatenate([origins[made], origins[made]])
    return Ties(np.concatenate([made, origins[made]]), codes(family.tolist()))


def _atoms(text_of_row: Places, texts: int, ties: Sequence[Ties]) -> Places:
    """(texts,) number of the piece that the text belongs to: texts tied by what is never cut."""
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    nodes = texts
    for tie in ties:
        left.append(text_of_row[tie.row])
        right.append(nodes + tie.name)
        nodes += int(tie.name.max(initial=-1)) + 1
    return _components(np.concatenate(left), np.concatenate(right), nodes)[:texts]


def _without_greetings(
    found: Ties, atom_of_row: Places, class_of_row: Places, caps: Sequence[int]
) -> Ties:
    """The openings that tie no more rows of a class than the cap to their largest piece. What more
    rows open with is how people greet, and says nothing of what follows."""
    if not len(found.row):
        return found
    atom, label = atom_of_row[found.row], class_of_row[found.row]
    piece, place, rows = np.unique(
        np.stack([found.name, atom]), axis=1, return_inverse=True, return_counts=True
    )
    # Pieces come sorted by opening; the last of each in order of rows is its largest.
    order = np.lexsort((rows, piece[0]))
    ends = np.cumsum(np.bincount(piece[0])) - 1
    is_largest = np.zeros(len(rows), dtype=bool)
    is_largest[order[ends]] = True
    loose = ~is_largest[place.ravel()]
    cell, many = np.unique(found.name[loose] * len(caps) + label[loose], return_counts=True)
    greetings = np.unique(cell[many > np.array(caps)[cell % len(caps)]] // len(caps))
    kept = ~np.isin(found.name, greetings)
    return Ties(found.row[kept], found.name[kept])


def _components(left: Places, right: Places, nodes: int) -> Places:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    _, component = connected_components(edges.tocsr(), directed=False)
    return np.asarray(component, dtype=np.int64)


def _join(
    links: Links, atom_of_row: Places, class_of_row: Places, caps: list[int]
) -> NDArray[np.int64]:
    """(atoms,) cluster of each atom: tied by all links, but for clusters above the cap, whose
    links are taken one by one."""
    atoms = int(atom_of_row.max(initial=-1)) + 1
    cluster = _components(links.left, links.right, atoms)
    over = _over_cap(cluster[atom_of_row], class_of_row, np.array(caps))
    again = over[cluster[links.left]]
    if not again.any():
        return cluster
    loose = over[cluster]
    members = _loads(atom_of_row, class_of_row, loose[atom_of_row])
    order = np.lexsort((links.right[again], links.left[again], -links.similarity[again]))
    forest = _CappedForest(members, caps)
    for left, right in zip(
        links.left[again][order].tolist(), links.right[again][order].tolist(), strict=True
    ):
        forest.tie(left, right)
    roots = [forest.root(atom) for atom in np.flatnonzero(loose).tolist()]
    cluster[loose] = atoms + np.array(roots)
    return cluster


def _over_cap(cluster_of_row: Places, class_of_row: Places, caps: Places) -> NDArray[np.bool_]:
    """(clusters,) whether a cluster holds more rows of a class than the cap and one more: then
    the cap might have been passed (less what the largest piece holds, which is counted later)."""
    clusters, classes = int(cluster_of_row.max(initial=-1)) + 1, len(caps)
    cell, rows = np.unique(cluster_of_row * classes + class_of_row, return_counts=True)
    over = np.zeros(clusters, dtype=bool)
    over[cell[rows > caps[cell % classes]] // classes] = True
    return over


def _loads(
    atom_of_row: Places, class_of_row: Places, wanted: NDArray[np.bool_]
) -> dict[int, dict[int, int]]:
    """Rows per class of every atom that holds a wanted row."""
    loads: dict[int, dict[int, int]] = {}
    for atom, label in zip(
        atom_of_row[wanted].tolist(), class_of_row[wanted].tolist(), strict=True
    ):
        load = loads.setdefault(atom, {})
        load[label] = load.get(label, 0) + 1
    return loads


class _CappedForest:
    """Union-find over atoms that refuses a union above the caps.

    Per tree it keeps the largest atom, and the rows per class of all its other atoms: the cap is
    on those, since the largest atom (a group, or one text that occurs often) is never cut.
    """

    def __init__(self, atoms: Mapping[int, Mapping[int, int]], caps: Sequence[int]) -> None:
        self._caps = caps
        self._parent = {atom: atom for atom in atoms}
        self._largest = dict(atoms)
        self._tied: dict[int, Mapping[int, int]] = {atom: {} for atom in atoms}
        self._refused: set[tuple[int, int]] = set()

    def root(self, atom: int) -> int:
        parent = self._parent
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    def tie(self, left: int, right: int) -> None:
        a, b = self.root(left), self.root(right)
        # A root keeps its largest atom and gains others, so that what was refused stays too large:
        # of one template millions of links ask for the same few unions.
        asked = (a, b)
        if a == b or asked in self._refused:
            return
        if sum(self._largest[a].values()) < sum(self._largest[b].values()):
            a, b = b, a
        tied = dict(self._tied[a])
        for more in (self._tied[b], self._largest[b]):
            for label, rows in more.items():
                tied[label] = tied.get(label, 0) + rows
        if any(rows > self._caps[label] for label, rows in tied.items()):
            self._refused.add(asked)
            return
        self._parent[b] = a
        self._tied[a] = tied
        del self._tied[b], self._largest[b]
