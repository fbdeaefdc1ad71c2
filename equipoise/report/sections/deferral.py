"""How many rows go to a person, which, and what that is worth at every other share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate.deferral import DeferralCurve, deferral_curve
from equipoise.evaluate.outcomes import outcomes
from equipoise.records.decision import DecisionRule
from equipoise.records.predictions import DEFER, Predictions
from equipoise.records.rows import text_column
from equipoise.remedies.decisions.apply import decide_class
from equipoise.remedies.decisions.deferral import chance_of_more, left_first
from equipoise.report.charts import Axis, Series, axis_for, line_chart
from equipoise.report.read import RunFolder
from equipoise.report.words import count, number, percent, short
from equipoise.statistics.intervals import share_interval

_SHOWN = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Shares of which the table tells."""


@dataclass(frozen=True)
class DeferralPart:
    says: str
    chart: Markup | None
    axis: str
    """What the curve shows, with its unit."""
    lines: tuple[tuple[str, str, str, str], ...]
    """Share left; cost by this run's order, by the ideal order, by lot."""
    reached: str


def deferral_part(run: RunFolder, table: CostTable | None) -> DeferralPart | None:
    """None where the rule leaves no row to a person."""
    rule, p = run.decision, run.predictions
    defers = rule.defer is not None or (table is not None and table.defers)
    if not defers or DEFER in p.classes:
        return None
    curve = _curve(rule, p, table)
    unit = run.costs.unit if run.costs else "mistakes"
    priced = table is not None and table.defers
    axis = f"{short(unit, 40)} per 1,000 rows" + (
        "" if priced else ", the person’s work not counted"
    )
    left = float((p.decided == DEFER).mean())
    return DeferralPart(
        says=_says(run, left),
        chart=_chart(curve, left) if len(curve.shares) > 1 else None,
        axis=axis,
        lines=_lines(curve, left),
        reached=_reached(curve),
    )


def nobody_asked(rule: DecisionRule, p: Predictions) -> Predictions:
    """The same rows as the rule decides them where it must decide."""
    decided = decide_class(rule, p.probabilities, p.groups, p.amounts)
    return replace(p, decided=text_column([p.classes[k] for k in decided]))


def _curve(rule: DecisionRule, p: Predictions, table: CostTable | None) -> DeferralCurve:
    """The rows' own decisions, left to a person in the order that the rule has fitted."""
    decided = decide_class(rule, p.probabilities, p.groups, p.amounts)
    price = outcomes(nobody_asked(rule, p), table).price
    person: NDArray[np.float64] = np.zeros(len(p))
    if table is not None and table.defers:
        person = outcomes(replace(p, decided=text_column([DEFER] * len(p))), table).price
    scores = left_first(p.probabilities, decided, rule.cost_table, p.amounts)
    return deferral_curve(price, person, scores)


def _says(run: RunFolder, share: float) -> str:
    p, rule = run.predictions, run.decision
    n = round(share * len(p))
    worth = np.array([float(run.manifest.rows.splits[run.manifest.judged].clusters)])
    ends = share_interval(share * worth, worth, guarantee=False)
    low, high = (float(end[0]) for end in ends)
    bounds = f"95 % interval {percent(low)} to {percent(high)}"
    said = f"Of {count(len(p), f'{run.manifest.judged} row')}, {n:,} ({percent(share)}; {bounds}) "
    said += "are left to a person."
    capacity = None if rule.defer is None else rule.defer.review_capacity
    if capacity is None:
        return said + " No limit was set on how many."
    if share <= capacity:
        return said + f" That is within the {percent(capacity)} that were set as a limit."
    if not _beyond_chance(run, share, capacity):
        return said + (
            f" That is above the limit of {percent(capacity)}, by no more than chance explains: "
            "the threshold keeps the limit on average over rows like those of validation."
        )
    return said + (
        f" That is above the limit of {percent(capacity)}, by more than chance explains: these "
        "rows are harder than those of validation, on which the threshold was set."
    )


def _beyond_chance(run: RunFolder, share: float, capacity: float) -> bool:
    """Whether rows like those of validation would leave as many in less than 1 of 40 runs. Rows
    that are tied together count as one, which claims less."""
    validation, judged = (
        run.manifest.rows.splits[name].clusters for name in ("validation", run.manifest.judged)
    )
    return chance_of_more(round(share * judged), judged, capacity, validation) < 0.025


def _chart(curve: DeferralCurve, left: float) -> Markup:
    names = (("this run", curve.cost, "run"), ("ideal", curve.ideal, "reference"))
    values = np.concatenate([curve.cost, curve.ideal, curve.chance])
    lines = [
        Series(name, tuple(zip(curve.shares.tolist(), line.tolist(), strict=True)), css)
        for name, line, css in (*names, ("by lot", curve.chance, "lot"))
    ]
    return line_chart(
        lines,
        Axis("share of rows left to a person", 0.0, 1.0, digits=1),
        # The caption above names it.
        axis_for("", values.tolist(), floor=0.0 if values.min() >= 0 else None),
        title="Cost by the share of rows left to a person",
        description=f"{_reached(curve)} The table below gives the figures.",
        mark_x=left if left > 0 else None,
    )


def _lines(curve: DeferralCurve, left: float) -> tuple[tuple[str, str, str, str], ...]:
    shares = sorted({*_SHOWN, round(left, 4)})
    kept = [s for s in shares if s in (0.0, 1.0, round(left, 4)) or s >= curve.shares[1]]

    def at(line: NDArray[np.float64], share: float) -> str:
        return number(float(np.interp(share, curve.shares, line)), "expected_cost")

    return tuple(
        (
            percent(share) + (" (this run)" if share == round(left, 4) else ""),
            at(curve.cost, share),
            at(curve.ideal, share),
            at(curve.chance, share),
        )
        for share in kept
    )


def _reached(curve: DeferralCurve) -> str:
    if curve.ideal.min() >= curve.cost[0]:
        return "No order of leaving rows to a person saves anything here."
    if curve.reached is None:
        return "Which rows are left to a person makes no difference here: all save alike."
    if curve.reached <= 0:
        return (
            "Averaged over all shares, the run’s order of leaving rows saves no more than leaving "
            "them by lot."
        )
    return (
        f"Averaged over all shares, the run’s order of leaving rows saves {percent(curve.reached)} "
        "of what the ideal order saves beyond leaving rows by lot; the ideal knows each row’s true "
        "class, which nobody does."
    )
