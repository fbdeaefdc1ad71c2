"""What the costs changed, what they save against the most probable class, and who is left to a
person."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from equipoise.costs import Cost, CostTable
from equipoise.evaluate.compare import Difference, compare
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.records.predictions import DEFER, Predictions
from equipoise.records.rows import text_column
from equipoise.records.scores import Estimate
from equipoise.report.charts import difference, parts
from equipoise.report.read import RunFolder, stated_table
from equipoise.report.sections.confusion import LEFT
from equipoise.report.sections.deferral import DeferralPart, deferral_part, nobody_asked
from equipoise.report.words import count, gap, interval, number, percent

CELLS = 30
"""Stated costs that are listed."""
MOVES = 15
"""Kinds of changed decisions that are listed."""
CLASSES = 20
"""Classes that are listed, the dearest first."""
PROBABLE = "The most probable class"
BARS = ("plain", "run")


@dataclass(frozen=True)
class Arm:
    title: str
    css: str
    cost: str
    interval: str
    gap: str
    gap_interval: str
    chart: Markup | str


@dataclass(frozen=True)
class Move:
    """Rows that costs decided otherwise, of one kind."""

    before: str
    after: str
    rows: str
    saved: str


@dataclass(frozen=True)
class ClassLine:
    name: str
    rows: int
    before: str
    after: str
    bars: Markup
    left: str


@dataclass(frozen=True)
class CostsSection:
    unit: str
    says: str
    stated: tuple[tuple[str, str, str], ...]
    """(true class, decided as, cost)."""
    more: int
    """Stated costs that are not listed."""
    arms: tuple[Arm, ...]
    moves: tuple[Move, ...]
    moved: str
    classes: tuple[ClassLine, ...]
    classes_more: int
    deferral: DeferralPart | None
    notes: tuple[str, ...]


def costs_section(run: RunFolder) -> CostsSection | None:
    """None where no costs were stated and no row may be left to a person, and where a row may have
    several labels."""
    unsaid = run.costs is None and run.decision.defer is None
    if unsaid or not len(run.predictions) or run.decision.kind == "labels":
        return None
    unit = run.costs.unit if run.costs else "mistakes"
    table = stated_table(run)
    probable = most_probable(run.predictions)
    seen, before = outcomes(run.predictions, table), outcomes(probable, table)
    moves, moved = _moves(run.predictions, probable, seen, before)
    stated = _stated(run)
    lines = _classes(seen, before)
    found = None if run.costs is None else _saved(run, probable, run.predictions, table)
    deferral = deferral_part(run, table)
    alone = None
    if found is not None and deferral is not None:
        asked_nobody = nobody_asked(run.decision, run.predictions)
        alone = _saved(run, probable, asked_nobody, table)
    return CostsSection(
        unit=unit,
        says="" if found is None else _says(run, found, unit, changed=bool(moves)),
        stated=stated[:CELLS],
        more=max(0, len(stated) - CELLS),
        arms=() if found is None else _arms(run, found, alone),
        moves=moves,
        moved=moved,
        classes=lines[:CLASSES] if run.costs else (),
        classes_more=max(0, len(lines) - CLASSES),
        deferral=deferral,
        notes=_notes(run, seen),
    )


def most_probable(predictions: Predictions) -> Predictions:
    """The same rows, each decided as its most probable class."""
    best = predictions.probabilities.argmax(axis=1)
    return replace(predictions, decided=text_column([predictions.classes[k] for k in best]))


def _saved(
    run: RunFolder, probable: Predictions, ours: Predictions, table: CostTable | None
) -> Difference:
    return compare(
        probable,
        ours,
        measure="expected_cost",
        costs=table,
        seed=run.manifest.seed,
        names=(PROBABLE, "this run"),
    )


def _says(run: RunFolder, found: Difference, unit: str, *, changed: bool) -> str:
    rows = count(found.rows, f"{run.manifest.judged} row")
    if found.a is None or found.b is None or found.difference.value is None:
        return f"What these decisions cost can’t be said: {found.difference.why}."
    from_to = (
        f"{number(found.a, 'expected_cost')} to {number(found.b, 'expected_cost')} {unit} per "
        f"1,000 rows"
    )
    low, high = found.difference.low, found.difference.high
    if run.decision.kind != "costs" and run.decision.defer is None:
        return (
            f"Decisions were not taken by these costs, which only price them: against the most "
            f"probable class, the cost goes from {from_to}."
        )
    if not changed:
        cost = f"{number(found.b, 'expected_cost')} {unit} per 1,000 rows"
        return f"On {rows} the costs changed no decision: {cost}."
    if low is None or high is None:
        return f"On {rows} the cost goes from {from_to}; {found.difference.why}."
    if high < 0:
        # What is saved is the difference turned round, and so is its interval.
        saved = number(-found.difference.value, "expected_cost")
        bounds = interval(-high, -low, "expected_cost")
        return (
            f"Against deciding for the most probable class, the costs save {saved} {unit} per "
            f"1,000 rows (95 % interval {bounds}): from {from_to}, on {rows}."
        )
    if low > 0:
        more = number(found.difference.value, "expected_cost")
        return (
            f"Against deciding for the most probable class, these decisions cost {more} {unit} per "
            f"1,000 rows more ({interval(low, high, 'expected_cost')}): from {from_to}, on {rows}. "
            "Look at the calibration: decisions by cost take probabilities at their word."
        )
    return (
        f"Against deciding for the most probable class, the cost goes from {from_to} on {rows}: a "
        f"difference of {_signed(found.difference)}, which holds 0 and can’t be told from noise."
    )


def _signed(apart: Estimate) -> str:
    return "{} ({})".format(*gap(apart.value, apart.low, apart.high, "expected_cost"))


def _arms(run: RunFolder, found: Difference, alone: Difference | None) -> tuple[Arm, ...]:
    """The most probable class, the run if nobody were asked, and the run."""
    if found.a is None or found.b is None:
        return ()
    own = run.scores.measures.get("expected_cost")
    bounds = "" if own is None else interval(own.low, own.high, "expected_cost")
    gaps = [("This run, if nobody were asked", "", alone, ""), ("This run", "run", found, bounds)]
    ends = [
        abs(end)
        for _, _, one, _ in gaps
        if one is not None
        for end in (one.difference.value, one.difference.low, one.difference.high)
        if end is not None
    ]
    span = 1.1 * max(ends, default=0.0) or 1.0
    probable = Arm(PROBABLE, "plain", number(found.a, "expected_cost"), "", "", "", "")
    return (
        probable,
        *(
            Arm(
                title,
                css,
                number(one.b, "expected_cost"),
                own_bounds,
                *gap(
                    one.difference.value, one.difference.low, one.difference.high, "expected_cost"
                ),
                difference(
                    one.difference.value or 0.0, one.difference.low, one.difference.high, span=span
                ),
            )
            for title, css, one, own_bounds in gaps
            if one is not None
        ),
    )


def _moves(
    ours: Predictions, probable: Predictions, seen: Outcomes, before: Outcomes
) -> tuple[tuple[Move, ...], str]:
    changed = np.flatnonzero(ours.decided != probable.decided)
    if not len(changed):
        return (), "Every row is decided as its most probable class."
    saved = before.price - seen.price
    kinds: dict[tuple[str, str], list[int]] = {}
    for row in changed.tolist():
        kinds.setdefault((probable.decided[row], ours.decided[row]), []).append(row)
    each = [(pair, len(rows), float(saved[rows].sum())) for pair, rows in kinds.items()]
    each.sort(key=lambda kind: (-abs(np.nan_to_num(kind[2])), -kind[1], kind[0]))
    moves = tuple(
        Move(
            a,
            LEFT if d == DEFER and DEFER not in ours.classes else d,
            f"{rows:,}",
            _number(total),
        )
        for (a, d), rows, total in each[:MOVES]
    )
    more = f", {len(each) - MOVES} smaller kinds not shown" if len(each) > MOVES else ""
    share = percent(len(changed) / len(ours))
    are = "is" if len(changed) == 1 else "are"
    return moves, f"{count(len(changed), 'row')} ({share}) {are} decided otherwise{more}."


def _classes(seen: Outcomes, before: Outcomes) -> tuple[ClassLine, ...]:
    size = len(seen.classes)
    rows = np.bincount(seen.labels, minlength=size)
    costs = [np.bincount(seen.labels, weights=o.price, minlength=size) for o in (before, seen)]
    left = np.bincount(seen.labels[seen.decided == size], minlength=size)
    bottom = min(0.0, float(np.nanmin(costs)))
    top = max(0.0, float(np.nanmax(costs))) or (1.0 if bottom == 0 else 0.0)
    order = np.lexsort((np.arange(size), -np.nan_to_num(costs[0])))
    return tuple(
        ClassLine(
            name=seen.classes[k],
            rows=int(rows[k]),
            before=_number(costs[0][k]),
            after=_number(costs[1][k]),
            bars=parts([float(np.nan_to_num(c[k])) for c in costs], top, BARS, bottom=bottom),
            left=f"{left[k]:,} ({percent(left[k] / rows[k])})" if left[k] else "",
        )
        for k in order
        if rows[k]
    )


def _number(value: float) -> str:
    return number(None if np.isnan(value) else float(value), "expected_cost")


def _stated(run: RunFolder) -> tuple[tuple[str, str, str], ...]:
    """The costs as the user said them, and what holds for the rest."""
    if run.costs is None:
        return ()
    costs, lines = run.costs, []
    for true, decided, cost in costs.named:
        person = decided == DEFER and DEFER not in run.predictions.classes
        lines.append((true, LEFT if person else decided, _cost(cost, costs.column)))
    lines += [(true, "any other class", _cost(c, costs.column)) for true, c in costs.missed]
    lines.append(("any class", "any other class not named", _cost(costs.default, costs.column)))
    if costs.deferral is not None:
        lines.append(("any class", LEFT, _cost(costs.deferral.cost, costs.column)))
    return tuple(lines)


def _cost(given: Cost | float, column: str | None) -> str:
    cost = given if isinstance(given, Cost) else Cost(float(given))
    fixed = number(cost.fixed, "expected_cost")
    if not cost.factor:
        return fixed
    times = column or "the amount"
    product = times if cost.factor == 1 else f"{number(cost.factor, 'expected_cost')} × {times}"
    return product if not cost.fixed else f"{product} + {fixed}"


def _notes(run: RunFolder, seen: Outcomes) -> tuple[str, ...]:
    notes = []
    if np.isnan(seen.price).any():
        notes.append(
            "No cost was stated for leaving a row to a person, so what such rows cost is not known."
        )
    if not seen.known.all():
        notes.append(
            "A class that training never saw is priced as the dearest mistake that ends in the "
            "same decision."
        )
    rule = run.decision
    if rule.kind == "costs" and rule.temperature == 1 and rule.calibration is None:
        notes.append(
            "Probabilities were not calibrated; decisions by cost take them at their word."
        )
    return tuple(notes)
