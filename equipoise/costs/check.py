"""What costs can't mean, and what they hardly mean. Faults and doubts name the cell."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from equipoise.costs.table import CostTable
from equipoise.records.predictions import DEFER

Floats = NDArray[np.float64]
_LISTED = 12
"""Classes, and cells of one kind of fault, that are written out."""


def names(named: Iterable[str], classes: tuple[str, ...], *, defers: bool) -> list[str]:
    """Classes that the rows do not hold, and a class that is called as the decision to defer."""
    faults = []
    folded = {name.casefold().strip(): name for name in reversed(classes)}
    for name in sorted(set(named) - set(classes)):
        if name == DEFER:
            faults.append(
                "costs: a cell says what leaving a row to a person costs, but `defer` does not; "
                "add `defer: {cost: ...}` for the rows of the other classes"
            )
            continue
        near = get_close_matches(name.casefold().strip(), list(folded), n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(folded[n] for n in near)}? " if near else ""
        faults.append(f"costs: class {name!r} is not in the rows; {hint}they hold {_all(classes)}")
    if defers and DEFER in classes:
        faults.append(
            f"costs: a class of the rows is called {DEFER!r}, as is the decision to leave a row to "
            "a person; rename the class, or leave `defer` out of the costs"
        )
    return faults


def cells(
    table: CostTable, classes: tuple[str, ...], amounts: Floats | None, *, whole: bool = True
) -> list[str]:
    """Mistakes that are cheaper than the right decision, at every amount of the rows, and costs
    under which all decisions are alike. A cell that is NaN could not be read, and is told already.

    whole   Whether all that was said is in the table; else other cells may tell decisions apart.
    """
    k = len(classes)
    spread = _amounts(table, amounts)
    if len(spread) == 0:
        return []
    # What a mistake costs beyond the right decision is linear in the amount: its ends decide.
    over = np.stack([_beyond_right(table, a) for a in (spread.min(), spread.max())])
    faults = []
    for t, d in np.argwhere((over < 0).all(axis=0)).tolist():
        if table.factor is None:
            how = f"costs {table.fixed[t, d]:g}, less than the right decision "
            how += f"({table.fixed[t, t]:g})"
        else:
            how = "costs less than the right decision at every amount of the rows "
            how += f"({_span(spread)})"
        faults.append(f"costs: {classes[t]} decided as {classes[d]} {how}; check the cell")
    more = len(faults) - _LISTED
    faults = faults[:_LISTED] + ([f"costs: {more} more cells of this kind"] if more > 0 else [])
    if whole and not faults and k > 1 and (over[:, :, :k] == 0).all():
        faults.append(
            "costs: every mistake costs as much as the right decision, so costs decide nothing; "
            "state what at least one mistake costs"
        )
    return faults


def doubts(table: CostTable, classes: tuple[str, ...], amounts: Floats | None) -> list[str]:
    """Cells that are odd for some amounts, and decisions that are never the cheapest."""
    spread = _amounts(table, amounts)
    if len(spread) == 0:
        return []
    found = []
    if table.factor is not None:
        low, high = (_beyond_right(table, a) for a in (spread.min(), spread.max()))
        for t, d in np.argwhere((low < 0) != (high < 0)).tolist()[:_LISTED]:
            step = table.factor[t, d] - table.factor[t, t]
            where = -(table.fixed[t, d] - table.fixed[t, t]) / step
            cheap = spread < where if step > 0 else spread > where
            found.append(
                f"costs: {classes[t]} decided as {classes[d]} costs less than the right decision "
                f"where {table.column} is {'below' if step > 0 else 'above'} {where:g} "
                f"({cheap.mean():.0%} of the rows): these are better decided wrongly; "
                "check that this is meant"
            )
    tried = np.unique(np.quantile(spread, [0, 0.25, 0.5, 0.75, 1]))
    tables = [table.at(float(a)) for a in tried]
    decisions = (*classes, DEFER) if table.defers else classes
    for d, name in enumerate(decisions):
        if not any(_ever_cheapest(costs, d) for costs in tables):
            found.append(
                "costs: no row can ever be left to a person, since deciding is cheaper however "
                "unsure the model is; lower the cost of `defer`, or leave it out"
                if d == len(classes)
                else f"costs: nothing is ever decided as {name}, since another decision costs as "
                f"little however sure the model is; check what missing {name} costs"
            )
    return found


def _ever_cheapest(costs: Floats, decision: int) -> bool:
    """Whether some probabilities p make the decision strictly cheaper than every other one: the
    largest margin m with p @ (costs[:, other] - costs[:, decision]) >= m is above 0."""
    others = np.delete(costs, decision, axis=1)
    ahead = others - costs[:, [decision]]
    # Certainty of its own class is enough for most decisions, and needs no search.
    if ahead.shape[1] == 0 or (ahead > 0).all(axis=1).any():
        return True
    if (ahead <= 0).all(axis=0).any():
        return False
    from scipy.optimize import linprog  # only for matrices that are odd in some way

    k = len(costs)
    scale = np.abs(ahead).max()
    result = linprog(
        np.append(np.zeros(k), -1.0),
        A_ub=np.column_stack([-ahead.T / scale, np.ones(ahead.shape[1])]),
        b_ub=np.zeros(ahead.shape[1]),
        A_eq=np.append(np.ones(k), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, 1)] * k + [(None, None)],
    )
    return bool(result.fun is not None and result.fun < -1e-9)


def _beyond_right(table: CostTable, amount: float) -> Floats:
    """(K, K) what each decision costs beyond the right one."""
    k = len(table.fixed)
    costs = table.at(float(amount))[:, :k]
    return np.asarray(costs - np.diag(costs)[:, None], dtype=np.float64)


def _amounts(table: CostTable, amounts: Floats | None) -> Floats:
    """The amounts to judge by: none where they are needed and not at hand, any where they play no
    part."""
    if table.factor is None:
        return np.zeros(1)
    return np.empty(0) if amounts is None else np.asarray(amounts, dtype=np.float64)


def _span(amounts: Floats) -> str:
    low, high = amounts.min(), amounts.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _all(classes: tuple[str, ...]) -> str:
    more = len(classes) - _LISTED
    return ", ".join(classes[:_LISTED]) + (f" and {more} more" if more > 0 else "")
