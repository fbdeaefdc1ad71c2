"""Rows with several labels as what dividing and grouping rows by class can take.

A row with three labels is three (row, label) pairs in one cluster, so what divides clusters of
several classes divides such rows too; a row without labels is a pair with the name "".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.records.rows import names_in

NO_LABEL = ""
"""Stands for the label of a row that has none; no label is called so."""


def memberships(labels: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """(m,) row and name of every label of every row, in the order of the rows; where rows have
    one label each, every row once.

    >>> rows, names = memberships([("a", "b"), (), ("b",)])
    >>> rows.tolist(), names
    ([0, 0, 1, 2], ['a', 'b', '', 'b'])
    """
    names = [names_in(label) or (NO_LABEL,) for label in labels]
    rows = np.repeat(np.arange(len(names)), [len(each) for each in names])
    return rows.astype(np.int64), [name for each in names for name in each]


def rarest_labels(labels: Sequence[Any]) -> list[Any]:
    """(n,) of every row, its label that fewest rows have (ties: the first by name): the one label
    that stands for a row where only one can.

    >>> rarest_labels([("a", "b"), ("a",), ()])
    ['b', 'a', '']
    """
    count = Counter(memberships(labels)[1])
    return [min(names_in(label) or (NO_LABEL,), key=lambda name: count[name]) for label in labels]
