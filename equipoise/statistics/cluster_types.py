"""Clusters of rows sorted into types: those that look alike in class, decisions and size.

A multinomial over types is exactly the same draw as one over clusters, and 10,000 lone rows of 50
classes have some 800 types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClusterTypes:
    total: int
    clusters: Floats
    """(types,) clusters of each type."""
    strata: tuple[tuple[int, int, Floats], ...]
    row: Ints
    """Rows of one cluster for each type, one after the other."""
    type_of: Ints
    """The type of each of these rows, and below its segment."""
    segment_of: Ints
    segment_type: Ints
    segment_class: Ints
    segment_size: Floats


def cluster_types(
    labels: Ints, decided: Ints, clusters: Ints, count: int, marks: Ints | None = None
) -> ClusterTypes:
    """Shapes: labels (n,) in 0..count-1, decided (channels, n) in 0..count, clusters (n,); n > 0.
    marks (n,) from 0: what else sets rows apart, so that all rows of a type have it in common.

    The result does not depend on the order of the rows or on how clusters are numbered.
    """
    cell = labels.copy()
    for channel in decided:
        cell = cell * (count + 1) + channel
    if marks is not None:
        cell = cell * (int(marks.max()) + 1) + marks
    order = np.lexsort((cell, clusters))
    _, first, size = np.unique(clusters[order], return_index=True, return_counts=True)
    alike: dict[bytes, list[int]] = {}
    lone = first[size == 1]
    _, example, often = np.unique(cell[order[lone]], return_index=True, return_counts=True)
    found = [(order[lone[e] : lone[e] + 1], int(n)) for e, n in zip(example, often, strict=True)]
    for start, n in zip(first[size > 1], size[size > 1], strict=True):
        alike.setdefault(cell[order[start : start + n]].tobytes(), []).append(start)
    for key, starts in sorted(alike.items()):
        n = len(key) // cell.itemsize
        found.append((order[starts[0] : starts[0] + n], len(starts)))
    # Rows are sorted by cell, and so by label: a type is of one class if its ends agree.
    mixed = np.array([labels[r[0]] != labels[r[-1]] for r, _ in found])
    stratum = np.array(
        [count if m else labels[r[0]] for (r, _), m in zip(found, mixed, strict=True)]
    )
    found = [found[k] for k in np.argsort(stratum, kind="stable")]
    stratum = np.sort(stratum, kind="stable")
    number = np.array([n for _, n in found], dtype=np.float64)
    _, begins = np.unique(stratum, return_index=True)
    ends = np.append(begins[1:], len(found))
    row = np.concatenate([r for r, _ in found])
    type_of = np.repeat(np.arange(len(found)), [len(r) for r, _ in found])
    segments, segment_of, segment_size = np.unique(
        labels[row] * len(found) + type_of, return_inverse=True, return_counts=True
    )
    return ClusterTypes(
        total=len(found),
        clusters=number,
        strata=tuple((int(a), int(b), number[a:b]) for a, b in zip(begins, ends, strict=True)),
        row=row,
        type_of=type_of,
        segment_of=segment_of,
        segment_type=segments % len(found),
        segment_class=segments // len(found),
        segment_size=segment_size.astype(np.float64),
    )
