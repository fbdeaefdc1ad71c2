"""Divide clusters among parts so that every part gets its share of every class.

Our own, since scikit-learn's StratifiedGroupKFold takes minutes for 100,000 groups, knows no
unequal parts, and lets rare classes miss a part although they have clusters enough. Four steps:

1. Clusters of several classes, largest first: each to the part where the squared distance from
   what every class should have there, in units of it, falls most.
2. Clusters of one class, largest first, many at once: to the parts in proportion to what the
   class still lacks there. Most rows are alone in their cluster, so this step comes out even, to
   the row, whatever the first one left askew.
3. Where there are clusters of several classes, moves and exchanges that bring classes closer.
4. Repair: a class that misses a part although it has clusters for it gets its smallest there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_PASSES = 8
_IMPROVED = 20_000
"""Rounds of improvement, and the most clusters to try it on: beyond that, every class is even
enough, and a round takes seconds."""


@dataclass(frozen=True, eq=False)
class _Clusters:
    """Rows per class of every cluster, in compressed rows: cluster g holds `count[i]` rows of
    class `label[i]` for i in begin[g]:begin[g + 1]."""

    begin: Ints
    label: Ints
    count: Ints
    size: Ints
    per_class: Ints
    """(classes,) clusters that hold a row of the class."""

    single: NDArray[np.bool_]
    """(clusters,) whether all its rows are of one class."""

    def holds(self, cluster: int) -> tuple[Ints, Ints]:
        """Classes and their rows; last a class that stands for all rows, so that parts come out
        even in size too."""
        here = slice(self.begin[cluster], self.begin[cluster + 1])
        every = len(self.per_class)
        return np.append(self.label[here], every), np.append(self.count[here], self.size[cluster])


def allot(
    labels: Ints,
    clusters: Ints,
    shares: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    first_trains: bool,
) -> Ints:
    """(clusters,) the part of every cluster.

    labels, clusters  (rows,) numbers from 0, each occurring at least once.
    shares            (parts,) share of every class's rows that each part should get, sum 1.
    first_trains      The first part is for training: a class with one cluster goes there, with
                      two to the first and the last part, with more to every part. False (folds):
                      clusters of a class go to as many parts as they can, none is preferred.
    """
    table = _tabulate(labels, clusters)
    wanted = np.append(np.bincount(labels), len(labels))[:, None] * shares[None, :]
    got = np.zeros_like(wanted)
    part = np.full(len(table.size), -1, dtype=np.int64)
    if first_trains:
        only = table.per_class[table.label] == 1
        _put(table, part, got, np.unique(_owner(table)[only]), 0)
    _place_mixed(table, part, got, wanted, rng)
    _place_single(table, part, got, wanted, rng)
    _improve(table, part, got, wanted, rng)
    if first_trains:
        _repair(table, part, got, wanted)
    return part


def _tabulate(labels: Ints, clusters: Ints) -> _Clusters:
    classes = int(labels.max()) + 1
    cell, count = np.unique(clusters * classes + labels, return_counts=True)
    owner, label = cell // classes, cell % classes
    size = np.bincount(clusters)
    begin = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(size)))])
    single = np.diff(begin) == 1
    return _Clusters(begin, label, count.astype(np.int64), size, np.bincount(label), single)


def _owner(table: _Clusters) -> Ints:
    """(cells,) the cluster of each (cluster, class) cell."""
    return np.repeat(np.arange(len(table.size)), np.diff(table.begin))


def _put(table: _Clusters, part: Ints, got: NDArray[Any], clusters: Ints, where: int) -> None:
    part[clusters] = where
    for cluster in clusters.tolist():
        label, count = table.holds(cluster)
        got[label, where] += count


def _place_mixed(
    table: _Clusters, part: Ints, got: NDArray[Any], wanted: NDArray[Any], rng: np.random.Generator
) -> None:
    mixed = rng.permutation(np.flatnonzero(~table.single & (part < 0)))
    for cluster in mixed[np.argsort(-table.size[mixed], kind="stable")].tolist():
        label, count = table.holds(cluster)
        part[cluster] = best = int(np.argmin(_price(got[label], wanted[label], count)))
        got[label, best] += count


def _price(got: NDArray[Any], wanted: NDArray[Any], count: Ints) -> NDArray[np.float64]:
    """(parts,) change of sum over classes of (got - wanted)² / wanted when `count` is added."""
    more = count[:, None]
    price: NDArray[np.float64] = (more * (2 * (got - wanted) + more) / wanted).sum(axis=0)
    return price


def _place_single(
    table: _Clusters, part: Ints, got: NDArray[Any], wanted: NDArray[Any], rng: np.random.Generator
) -> None:
    free = rng.permutation(np.flatnonzero(table.single & (part < 0)))
    label = table.label[table.begin[free]]
    # One run per (class, size): largest classes first, so that the rounding of the rare ones can
    # still even out the parts; within a class the largest clusters first.
    rank = np.argsort(np.argsort(-wanted[:-1].sum(axis=1), kind="stable"))
    order = np.lexsort((-table.size[free], rank[label]))
    free, label = free[order], label[order]
    size = table.size[free]
    starts = np.flatnonzero(np.diff(label, prepend=-1) | np.diff(size, prepend=0))
    for start, stop in zip(starts, np.append(starts, len(free))[1:], strict=True):
        row = label[start]
        many = _deal(
            stop - start,
            int(size[start]),
            wanted[row] - got[row],
            (wanted - got)[:-1][rank <= rank[row]].sum(axis=0),
        )
        part[free[start:stop]] = np.repeat(np.arange(len(many)), many)
        got[[row, -1]] += many * size[start]


def _deal(clusters: int, size: int, lacking: NDArray[Any], overall: NDArray[Any]) -> Ints:
    """(parts,) how many of equal `clusters` each part gets: in proportion to what it lacks, the
    fractions left by rounding to the largest, ties to the part that lacks most overall."""
    need = np.maximum(lacking, 0)
    ideal = clusters * (need / need.sum() if need.sum() > 0 else np.full(len(need), 1 / len(need)))
    many = np.floor(ideal + 1e-9).astype(np.int64)
    for _ in range(clusters - int(many.sum())):
        short = np.round(lacking - many * size, 6)
        ties = np.flatnonzero(short == short.max())
        many[ties[np.argmax(overall[ties] - many[ties] * size)]] += 1
    return many


def _improve(
    table: _Clusters, part: Ints, got: NDArray[Any], wanted: NDArray[Any], rng: np.random.Generator
) -> None:
    """Move clusters to better parts, or exchange two, while that brings classes closer to their
    shares. Only where clusters of several classes have left something to improve."""
    if table.single.all() or len(part) > _IMPROVED:
        return
    movable = np.ones(len(part), dtype=bool)
    movable[_owner(table)[table.per_class[table.label] == 1]] = False
    large = np.flatnonzero(movable & (~table.single | (table.size > 1)))
    for _ in range(_PASSES):
        moved = False
        for cluster in rng.permutation(large).tolist():
            label, count = table.holds(cluster)
            here = part[cluster]
            got[label, here] -= count
            price = _price(got[label], wanted[label], count)
            there = int(np.argmin(price))
            if price[there] < price[here] - 1e-9:
                part[cluster], moved = there, True
            got[label, part[cluster]] += count
        moved |= _exchange(table, part, got, wanted, rng.permutation(large))
        if not moved:
            return


def _exchange(
    table: _Clusters, part: Ints, got: NDArray[Any], wanted: NDArray[Any], tried: Ints
) -> bool:
    """Exchange clusters that follow each other in `tried`, where both are better off."""
    exchanged = False
    for one, other in zip(tried[:-1].tolist(), tried[1:].tolist(), strict=True):
        here, there = part[one], part[other]
        if here == there:
            continue
        label = np.union1d(table.holds(one)[0], table.holds(other)[0])
        change = np.zeros(len(label))
        for cluster, sign in ((one, 1), (other, -1)):
            own, count = table.holds(cluster)
            change[np.searchsorted(label, own)] += sign * count
        off = got[label] - wanted[label]
        # Moving `change` rows from here to there changes the squares of the two parts alone.
        price = change * (change - 2 * off[:, here]) / wanted[label, here]
        price += change * (change + 2 * off[:, there]) / wanted[label, there]
        if price.sum() < -1e-9:
            part[one], part[other], exchanged = there, here, True
            got[label, here] -= change
            got[label, there] += change
    return exchanged


def _repair(table: _Clusters, part: Ints, got: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Give a class a cluster in every part, where it has as many clusters as parts; with fewer,
    in the first part and the last. Parts are left no emptier of the class than of one cluster."""
    parts = wanted.shape[1]
    enough = np.minimum(table.per_class, parts)
    got = got[:-1]  # without the row that stands for all
    lacks = (got == 0).sum(axis=1) > parts - enough
    lacks |= (table.per_class > 1) & ((got[:, 0] == 0) | (got[:, -1] == 0))
    by_class = np.argsort(table.label, kind="stable")
    cells, ends = _owner(table)[by_class], np.cumsum(table.per_class)
    for row in np.flatnonzero(lacks).tolist():
        own = cells[ends[row] - table.per_class[row] : ends[row]]
        # Clusters of this class alone move first: moving others upsets other classes.
        own = own[np.lexsort((table.size[own], ~table.single[own]))]
        needed = list(range(parts)) if enough[row] == parts else [0, parts - 1][: enough[row]]
        for where in needed:
            held = np.bincount(part[own], minlength=parts)
            if held[where]:
                continue
            spare = [p for p in range(parts) if held[p] > 1 or (held[p] and p not in needed)]
            givers = [
                cluster
                for cluster in own.tolist()
                if part[cluster] in spare
                and (
                    table.single[cluster]
                    or where == 0
                    or _leaves_none_empty(table, got, part, cluster)
                )
            ]
            if not givers:
                continue
            cluster = max(
                givers,
                key=lambda c: (
                    table.single[c],
                    0.0 if table.single[c] else -_upset(table, got, wanted, c, int(part[c]), where),
                    -table.size[c],
                    -part[c],
                ),
            )
            label, count = (column[:-1] for column in table.holds(cluster))
            got[label, part[cluster]] -= count
            got[label, where] += count
            part[cluster] = where


def _leaves_none_empty(table: _Clusters, got: NDArray[Any], part: Ints, cluster: int) -> bool:
    """Whether its part still holds every class of the cluster once that has left."""
    label, count = (column[:-1] for column in table.holds(cluster))
    return bool((got[label, part[cluster]] > count).all())


def _upset(
    table: _Clusters, got: NDArray[Any], wanted: NDArray[Any], cluster: int, here: int, there: int
) -> float:
    """Change of sum over classes of (got - wanted)² / wanted when the cluster moves."""
    label, count = (column[:-1] for column in table.holds(cluster))
    off = got[label] - wanted[label]
    less = count * (count - 2 * off[:, here]) / wanted[label, here]
    more = count * (count + 2 * off[:, there]) / wanted[label, there]
    return float((less + more).sum())
