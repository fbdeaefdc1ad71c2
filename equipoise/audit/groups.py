"""Groups and classes: does a group give its class away, and on how many does a class rest."""

from __future__ import annotations

import numpy as np

from equipoise.audit.given import Given, Ints
from equipoise.data.duplicates import codes
from equipoise.records.audit_context import ClassGroups, Groups

SHUFFLES = 199
"""Random orders that the association is compared with: the least p-value is 1 in 200."""
LISTED = 20
LARGE = 5
"""Rows from which a group is large enough to be learned by heart."""
TELLS = 0.3
"""Cramér's V from which the group is a shortcut to the class: a medium to large effect for three
classes and more (Cohen 1988)."""
LEVEL = 0.01


def groups(given: Given, *, seed: int) -> Groups | None:
    """None where no row has a group."""
    if given.groups is None or given.once.groups is None:
        return None
    cells = [group for group in given.once.groups.tolist() if group]
    if not cells:
        return None
    names = list(dict.fromkeys(cells))
    place = {name: g for g, name in enumerate(names)}
    held = np.array([bool(group) for group in given.groups.tolist()], dtype=bool)
    number = np.array([place[group] for group in given.groups[held].tolist()], dtype=np.int64)
    label = given.labels[held]
    table = _table(number, label, len(names), len(given.classes))
    association, p = _association(number, label, np.random.default_rng(seed))
    sizes = np.bincount(codes(cells))
    largest = np.argsort(-sizes, kind="stable")[:LISTED]
    return Groups(
        groups=len(names),
        rows=len(cells),
        in_large=float(sizes[sizes >= LARGE].sum() / len(cells)),
        association=association,
        p=p,
        classes=[
            _of_class(given.classes[k], table[:, k], names)
            for k in range(len(given.classes))
            if table[:, k].any()
        ],
        largest=[
            {
                "name": names[g],
                "rows": int(sizes[g]),
                "classes": {
                    given.classes[k]: int(table[g, k])
                    for k in np.argsort(-table[g], kind="stable").tolist()
                    if table[g, k]
                },
            }
            for g in largest.tolist()
        ],
    )


def telling(found: Groups) -> bool:
    """Whether the group gives the class away: related beyond chance, strongly, and in groups that
    are large enough for it to matter."""
    return found.p <= LEVEL and found.association >= TELLS and found.in_large >= 0.5


def _table(number: Ints, label: Ints, groups: int, classes: int) -> Ints:
    cells = np.bincount(number * classes + label, minlength=groups * classes)
    return cells.reshape(groups, classes).astype(np.int64)


def _association(number: Ints, label: Ints, rng: np.random.Generator) -> tuple[float, float]:
    """Cramér's V corrected for chance, and a permutation p-value.

    Source  Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean
            Statistical Society 42(3); the correction's expected value is taken from the shuffles,
            since most groups have few rows and its formula asks for many.
    """
    held = np.unique(label)
    rows, columns = int(number.max(initial=-1)) + 1, len(held)
    if rows < 2 or columns < 2:
        return 0.0, 1.0
    label = np.searchsorted(held, label)
    size = np.bincount(number, minlength=rows).astype(np.float64)
    share = np.bincount(label, minlength=columns) / len(label)

    def statistic(drawn: Ints) -> float:
        cell, count = np.unique(number * columns + drawn, return_counts=True)
        return float((count**2 / (size[cell // columns] * share[cell % columns])).sum()) / len(
            label
        ) - 1  # fmt: skip

    seen = statistic(label)
    chance = np.array([statistic(rng.permutation(label)) for _ in range(SHUFFLES)])
    most = min(rows, columns) - 1  # of the statistic, when the group tells the class
    expected = float(chance.mean())
    above = max(seen - expected, 0.0) / max(most - expected, 1e-12)
    return min(above**0.5, 1.0), float((1 + (chance >= seen).sum()) / (1 + SHUFFLES))


def _of_class(name: str, rows: Ints, names: list[str]) -> ClassGroups:
    held = rows[rows > 0]
    shares = held / held.sum()
    return ClassGroups(
        name=name,
        groups=len(held),
        largest=names[int(rows.argmax())],
        largest_share=float(shares.max()),
        effective=float(1 / (shares**2).sum()),
    )
