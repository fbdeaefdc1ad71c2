"""Costs: decisions by cost against the most probable class, and rows left to a person.

Is the decision with the least expected cost ever dearer than the most probable class, and how near
does leaving rows to a person come to the ideal order? Simulated sets have a posterior that is
known, so the true mean cost of every decision is known as well, without the noise of labels; their
scores are calibrated, too sure, too unsure, biased by class, or noisy. Real sets are scored by
TF-IDF + balanced logistic regression, fitted on training rows; the rule is fitted on four fifths of
the validation rows and judged on the last, in turn. No test row is opened. Costs go from mild to
1 : 1,000, with and without an amount of each row. Since the true difference of simulated sets is
known, so is how often it lies in the interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Bench, Unit, load_set
from benchmarks.cost_truths import (
    FITTED,
    JUDGED,
    SCORES,
    Simulated,
    matrices,
    simulate,
    true_summary,
)
from benchmarks.sets import BALANCED_TEST
from equipoise.costs import CostTable
from equipoise.data.split import folds
from equipoise.defaults import COST_REMEDIES
from equipoise.evaluate.compare import compare
from equipoise.evaluate.deferral import DeferralCurve, deferral_curve
from equipoise.models.baselines import tfidf_baseline
from equipoise.records.decision import DecisionRule
from equipoise.records.predictions import DEFER, Predictions
from equipoise.records.rows import Rows, text_column
from equipoise.remedies.decisions.apply import decide, posterior
from equipoise.remedies.decisions.deferral import left_first
from equipoise.remedies.decisions.fit import cross_fitted, fit_rule
from equipoise.remedies.spec import parse_remedy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATIOS = (3.0, 10.0, 100.0, 1000.0)
SETS = (
    *("atis_intents", "clinc150_imbalanced", "banking77_longtail", "trec6"),
    *("hate_offensive", "tweet_emotion", "goemotions", "clothing_reviews"),
)
PER_UNIT = 20
RESAMPLES = 1000
CAPACITIES = (0.01, 0.05, 0.2)
PERSON = 0.2
"""What a person costs beside mistakes that cost 1 and more."""
RULE = tuple(map(parse_remedy, COST_REMEDIES))
"""What a run does where costs are given and no remedy is asked for."""


def judged(
    classes: tuple[str, ...],
    labels: Ints,
    p: Floats,
    decided: Ints,
    table: CostTable,
    amounts: Floats | None,
) -> dict[str, Any]:
    """Expected cost of the decisions and of the most probable class, and their paired interval."""

    def predictions(chosen: Ints) -> Predictions:
        n = len(labels)
        none = text_column([None] * n)
        return Predictions(
            classes=classes,
            ids=text_column(list(map(str, range(n)))),
            splits=text_column(["test"] * n),
            folds=np.full(n, -1),
            groups=none,
            clusters=np.arange(n),
            labels=text_column([classes[j] for j in labels]),
            decided=text_column([(*classes, DEFER)[j] for j in chosen]),
            logits=p,
            probabilities=p,
            amounts=amounts,
        )

    found = compare(
        predictions(p.argmax(axis=1)),
        predictions(decided),
        measure="expected_cost",
        costs=table,
        resamples=RESAMPLES,
    )
    gap = found.difference
    figures = {"probable": found.a, "costs": found.b, "low": gap.low, "high": gap.high}
    return {key: None if v is None else round(float(v), 4) for key, v in figures.items()}


def run(unit: Unit) -> dict[str, Any]:
    if "set" in unit.settings:
        return run_real(str(unit.settings["set"]))
    return run_simulated(unit)


def run_simulated(unit: Unit) -> dict[str, Any]:
    """For each drawn set: decisions by cost against the most probable class, and deferral."""
    ratio, scores = float(unit.settings["ratio"]), str(unit.settings["scores"])
    cases, deferral = [], []
    for number in range(PER_UNIT):
        rng = np.random.default_rng([int(ratio), SCORES.index(scores), number])
        made = simulate(rng, scores)
        fitted, held = made.take(slice(FITTED)), made.take(slice(FITTED, None))
        rows = np.bincount(fitted.labels, minlength=len(made.classes))
        amounts = rng.exponential(ratio, FITTED + JUDGED)
        for name, table in matrices(rng, ratio, rows):
            rule = _rule(fitted, table, amounts[:FITTED])
            p, own = posterior(rule, held.logits), amounts[FITTED:]
            decided = decide(rule, p, None, own)
            true = table.expected(held.truth, own)
            at = np.arange(JUDGED)
            case = judged(made.classes, held.labels, p, decided, table, own)
            case["true_probable"] = float(1000 * true[at, p.argmax(axis=1)].mean())
            case["true_costs"] = float(1000 * true[at, decided].mean())
            case["true_best"] = float(1000 * true.min(axis=1).mean())
            cases.append({"costs_are": name, **case})
            if name == "any pair":
                deferral.append(_deferral_simulated(fitted, held, table))
    return {"cases": cases, "deferral": deferral}


def _rule(fitted: Simulated, table: CostTable, amounts: Floats | None) -> DecisionRule:
    return fit_rule(
        RULE,
        fitted.logits,
        fitted.labels,
        classes=fitted.classes,
        log_source=fitted.log_shares,
        log_target=fitted.log_shares,
        costs=table,
        amounts=amounts,
    )


def with_person(table: CostTable, capacity: float | None = None) -> CostTable:
    person = np.full(len(table.fixed), PERSON)
    return CostTable(np.column_stack([table.fixed, person]), capacity=capacity)


def _deferral_simulated(fitted: Simulated, held: Simulated, table: CostTable) -> dict[str, Any]:
    """How much of the ideal's saving is reached, beside the order by the true posterior; and the
    share of new rows that is left under each capacity."""
    rule = _rule(fitted, with_person(table), None)
    curve, decided = _curve(rule, held.logits, held.labels)
    price, person = _prices(rule, held.labels, decided)
    known = left_first(held.truth, decided, rule.cost_table, None)
    found: dict[str, Any] = {
        "reached": curve.reached,
        "reached_by_truth": deferral_curve(price, person, known).reached,
        "left": {},
    }
    for capacity in CAPACITIES:
        within = _rule(fitted, with_person(table, capacity), None)
        chosen = decide(within, posterior(within, held.logits))
        found["left"][str(capacity)] = float((chosen == len(held.classes)).mean())
    return found


def _curve(rule: DecisionRule, logits: Floats, labels: Ints) -> tuple[DeferralCurve, Ints]:
    table = rule.cost_table
    assert table is not None
    p = posterior(rule, logits)
    decided = table.without_deferral().expected(p).argmin(axis=1)
    price, person = _prices(rule, labels, decided)
    return deferral_curve(price, person, left_first(p, decided, table, None)), decided


def _prices(rule: DecisionRule, labels: Ints, decided: Ints) -> tuple[Floats, Floats]:
    table = rule.cost_table
    assert table is not None
    left = np.full(len(labels), len(rule.classes))
    return table.of_rows(labels, decided), table.of_rows(labels, left)


def run_real(name: str) -> dict[str, Any]:
    """Validation rows of a set, each decided by a rule that was fitted on others."""
    train, validation = load_set(name)
    classes = tuple(sorted({label for _, label in train}))
    place = {label: j for j, label in enumerate(classes)}
    validation = [(text, label) for text, label in validation if label in place]
    labels = np.array([place[label] for _, label in validation], dtype=np.int64)
    logits = tfidf_baseline(_rows(train), _rows(validation), classes, 0)
    rows = np.bincount([place[label] for _, label in train], minlength=len(classes))
    fold = folds(text_column([y for _, y in validation]), np.arange(len(labels)), 5, 0)
    rng = np.random.default_rng(0)
    cases = []
    for ratio in RATIOS:
        amounts = rng.exponential(ratio, len(labels))
        for costs_are, table in matrices(rng, ratio, rows):
            found = _cross_fitted(
                fold, logits, labels, classes, rows, table, amounts, balanced=name in BALANCED_TEST
            )
            case = judged(classes, labels, found.probabilities, found.decided, table, amounts)
            cases.append({"ratio": ratio, "costs_are": costs_are, **case})
    return {
        "rows": len(labels),
        "classes": len(classes),
        "cases": cases,
        "deferral": _deferral_real(fold, logits, labels, classes, rows, name in BALANCED_TEST),
    }


def _rows(pairs: list[tuple[str, str]]) -> Rows:
    return Rows(
        ids=text_column(list(map(str, range(len(pairs))))),
        texts=text_column([text for text, _ in pairs]),
        labels=text_column([label for _, label in pairs]),
    )


def _cross_fitted(
    fold: Ints,
    logits: Floats,
    labels: Ints,
    classes: tuple[str, ...],
    rows: Ints,
    table: CostTable,
    amounts: Floats | None = None,
    *,
    balanced: bool,
) -> Any:
    flat = np.full(len(classes), -np.log(len(classes)))
    return cross_fitted(
        fold,
        RULE,
        logits,
        labels,
        classes=classes,
        log_source=flat,  # balanced weights
        log_target=flat if balanced else np.log(rows / rows.sum()),
        costs=table,
        amounts=amounts,
    )


def _deferral_real(
    fold: Ints,
    logits: Floats,
    labels: Ints,
    classes: tuple[str, ...],
    rows: Ints,
    balanced: bool,
) -> dict[str, Any]:
    """0/1 costs and a person at PERSON: the curve over rows decided by the rules of other folds."""
    k = len(classes)
    table = with_person(CostTable(1.0 - np.eye(k)))
    found = _cross_fitted(fold, logits, labels, classes, rows, table, balanced=balanced)
    p: Floats = found.probabilities
    decided = p.argmax(axis=1)
    price = table.of_rows(labels, decided)
    person = np.full(len(labels), PERSON)
    curve = deferral_curve(price, person, left_first(p, decided, table, None), points=21)
    left = {}
    for capacity in CAPACITIES:
        limited = with_person(CostTable(1.0 - np.eye(k)), capacity)
        within = _cross_fitted(fold, logits, labels, classes, rows, limited, balanced=balanced)
        left[str(capacity)] = float((within.decided == k).mean())
    return {
        "reached": curve.reached,
        "curve": {key: _rounded(value) for key, value in curve.to_json().items()},
        "left": left,
        "left_by_cost": float((found.decided == k).mean()),
        "cost_by_rule": float(1000 * table.of_rows(labels, found.decided).mean()),
    }


def _rounded(value: Any) -> Any:
    return [round(v, 4) for v in value] if isinstance(value, list) else value


def _above(case: dict[str, Any]) -> bool:
    return case["low"] is not None and case["low"] > 0


def _line(unit: dict[str, Any], cases: list[dict[str, Any]], name: str) -> dict[str, Any]:
    saved = [1 - c["costs"] / c["probable"] for c in cases if c["probable"]]
    sure = sum(c["high"] is not None and c["high"] < 0 for c in cases)
    return {
        "unit": name,
        "cases": len(cases),
        "dearer beyond interval": sum(map(_above, cases)),
        "cheaper beyond interval": sure,
        "median saved": float(np.median(saved)) if saved else None,
        "took_s": unit["seconds"],
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_line(unit, unit["result"]["cases"], unit["name"]) for unit in units]


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("simulated", "real"):
        own = [u for u in units if ("set" in u["settings"]) == (kind == "real")]
        cases = [c for u in own for c in u["result"]["cases"]]
        if not cases:
            continue
        above = sum(map(_above, cases))
        cheaper = sum(c["high"] is not None and c["high"] < 0 for c in cases)
        found[kind] = (
            f"{len(cases)} cases: by cost dearer than the most probable class beyond the 95 % "
            f"interval in {above}, cheaper beyond it in {cheaper}"
        )
        found[f"{kind}_cases"], found[f"{kind}_dearer"] = len(cases), above
        found |= _deferral_summary(kind, own)
    true = [c for u in units if "set" not in u["settings"] for c in u["result"]["cases"]]
    if true:
        found["true_cost"] = true_summary(units)
    return found


def _deferral_summary(kind: str, units: list[dict[str, Any]]) -> dict[str, Any]:
    parts = [
        d
        for u in units
        for d in (
            u["result"]["deferral"]
            if isinstance(u["result"]["deferral"], list)
            else [u["result"]["deferral"]]
        )
    ]
    reached = [d["reached"] for d in parts if d["reached"] is not None]
    truth = [d["reached_by_truth"] for d in parts if d.get("reached_by_truth") is not None]
    found: dict[str, Any] = {
        f"{kind}_reached_median": round(float(np.median(reached)), 3),
        f"{kind}_left_at_capacity": {
            c: {
                "mean": round(float(np.mean([d["left"][c] for d in parts])), 4),
                "most": round(float(np.max([d["left"][c] for d in parts])), 4),
            }
            for c in parts[0]["left"]
        },
    }
    if truth:
        found[f"{kind}_reached_by_truth_median"] = round(float(np.median(truth)), 3)
    return found


def _price(unit: Unit) -> float:
    rows = {"clinc150_imbalanced": 700.0, "goemotions": 600.0, "banking77_longtail": 90.0}
    if "set" in unit.settings:
        return rows.get(str(unit.settings["set"]), 60.0)
    return 10.0


bench = Bench(
    "costs",
    units=[
        *(
            Unit(f"{scores.replace(' ', '_')}-1to{ratio:.0f}", {"scores": scores, "ratio": ratio})
            for scores in SCORES
            for ratio in RATIOS
        ),
        *(Unit(name, {"set": name}) for name in SETS),
    ],
    run=run,
    version=5,
    price_seconds=_price,
    summarise=summarise,
    table=table,
    about="Decisions by cost against the most probable class, and rows left to a person.",
)

if __name__ == "__main__":
    raise SystemExit(bench.main())
