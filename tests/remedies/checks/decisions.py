"""Checks of remedies of the decision, each by itself through the function by which a run fits its
rule; rows of one label."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from equipoise.costs import CostTable
from equipoise.records.decision import DecisionRule, read_decision, write_decision
from equipoise.remedies.decisions.apply import decide, posterior
from equipoise.remedies.decisions.fit import CrossFitted, cross_fitted, fit_rule
from equipoise.remedies.prior import log_shares, trained_correction
from equipoise.remedies.spec import remedy_spec
from equipoise.remedies.table import REMEDIES

from . import LABELS, RENAMED, TURN, shuffled

TRAINED = log_shares(np.array([80, 15, 5]))
"""(K,) of the training rows."""
SOURCE = log_shares(np.array([70, 20, 10]))
"""(K,) that the scores are meant for: a sampler has evened them out a little."""
COSTS = CostTable(
    fixed=np.array([[0.0, 1.0, 3.0, 0.6], [20.0, 0.0, 5.0, 0.6], [100.0, 2.0, -1.0, 0.6]]),
    factor=np.array([[0.0, 0.1, 0.0, 0.0], [0.5, 0.0, 0.2, 0.0], [3.0, 0.0, 0.0, 0.0]]),
    column="amount",
    capacity=0.3,
)
"""True by decided, a person last; a right decision may even pay."""
NORMS, BIAS = np.array([2.0, 1.0, 0.5]), np.array([0.3, 0.0, -0.4])
"""(K,) of a linear head."""
MORE: dict[str, list[dict[str, Any]]] = {
    "vector_scaling_calibration": [{"folds": 0}],
    "isotonic_calibration": [{"folds": 0}],
    "measure_offsets": [{"shrink_rows": 0.0}],
    "posthoc_logit_adjustment": [{"tau": 0.5}],
    "tau_normalisation": [{"tau": 0.5}],
    "prior_shift": [{"pull_rows": 0.0}],
    "per_group_thresholds": [{"fewest_rows": 2, "column": "site"}],
    "deferral": [{"coverage": 0.5}],
}
"""Settings that are tried beside the defaults, such as those that keep a fit without proof."""


@dataclass(frozen=True, eq=False)
class Case:
    """Labels of validation rows in 0..classes-1, -1 where training lacks the class."""

    labels: np.ndarray
    classes: int = 3
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def old(self) -> np.ndarray:
        """Old number of each class once they are renumbered."""
        return TURN if self.classes == 3 else np.arange(self.classes)

    @property
    def new(self) -> np.ndarray:
        """(K + 1,) new number of each class; what is left to a person stays so."""
        return np.append(RENAMED if self.classes == 3 else np.arange(self.classes), self.classes)


_EXTREME = "1 : 100,000"
CASES = {
    "some hundred rows": Case(shuffled(np.repeat([0, 1, 2], [280, 120, 50]))),
    **{case: Case(shuffled(labels)) for case, labels in LABELS.items() if case != _EXTREME},
    "no row": Case(np.empty(0, dtype=np.int64)),
    "no row of a known class": Case(np.full(12, -1)),
    "one class is all there is": Case(np.zeros(30, dtype=np.int64), 1),
}
EXTREME = {_EXTREME: Case(shuffled(LABELS[_EXTREME]))}


def with_settings(cases: dict[str, Any], more: list[dict[str, Any]]) -> dict[str, Any]:
    """The cases, and two of them with each of the settings as well."""
    return cases | {
        f"{case}, {settings}": replace(cases[case], settings=settings)
        for case in ("some hundred rows", "lopsided")
        for settings in more
    }


def cases_of(name: str) -> dict[str, Case]:
    """None for a remedy that is only for rows of several labels."""
    if REMEDIES[name].labels == "several":
        return {}
    return with_settings(CASES, MORE.get(name, []))


def enough_of(name: str) -> dict[str, Case]:
    return {case: value for case, value in cases_of(name).items() if case == "some hundred rows"}


def extremes_of(name: str) -> dict[str, Case]:
    """A hundred thousand rows are fitted once: no more than one check runs on them."""
    return cases_of(name) | (EXTREME if cases_of(name) else {})


@dataclass(frozen=True, eq=False)
class Scored:
    """n rows as a trained model and the user's columns show them."""

    logits: np.ndarray
    groups: np.ndarray
    amounts: np.ndarray


def scored(labels: np.ndarray, classes: int, seed: int = 0) -> Scored:
    """Scores that lean to each row's class and are half as sure again as they may be, groups and
    amounts; what labels do not settle is drawn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(labels), classes))
    known = np.flatnonzero(labels >= 0)
    x[known, labels[known]] += 0.8
    return Scored(
        logits=1.5 * 0.8 * x + SOURCE[:classes],
        groups=np.array(["north", "south", ""], dtype=object)[rng.integers(3, size=len(labels))],
        amounts=rng.exponential(2.0, size=len(labels)),
    )


def arguments(case: Case, rows: Scored, old: np.ndarray) -> dict[str, Any]:
    """Everything that any remedy may need, classes renumbered by their old numbers."""
    source, trained = SOURCE[old], TRAINED[old]
    decided = np.append(old, 3)  # the last column is a person's
    assert COSTS.factor is not None
    table = replace(COSTS, fixed=COSTS.fixed[old][:, decided], factor=COSTS.factor[old][:, decided])
    return {
        "classes": tuple("abc"[: case.classes]),
        "log_source": source,
        "log_target": trained,
        "log_train": trained,
        "start": trained_correction(source, trained),
        "costs": table,
        "seed": 4,
        "clusters": np.arange(len(case.labels)) // 2,
        "groups": rows.groups,
        "amounts": rows.amounts,
        "head_norms": NORMS[old],
        "head_bias": BIAS[old],
    }


def fit(name: str | None, case: Case, *, renamed: bool = False) -> DecisionRule:
    """The rule by one remedy, or by none."""
    rows = scored(case.labels, case.classes)
    old = case.old if renamed else np.arange(case.classes)
    labels = np.where(case.labels < 0, -1, case.new[case.labels]) if renamed else case.labels
    specs = [] if name is None else [remedy_spec(name, case.settings)]
    return fit_rule(specs, rows.logits[:, old], labels, **arguments(case, rows, old))


@cache
def rule_of(name: str, case: Case) -> DecisionRule:
    """Fitted once for all checks."""
    return fit(name, case)


def fresh(classes: int) -> Scored:
    """Rows that no rule was fitted on, one that hardly leans to any class and certain ones among
    them. None is a tie: the last bit would decide it."""
    rows = scored(np.arange(200) % classes, classes, seed=9)
    rows.logits[0], rows.logits[1:3, 0] = np.arange(classes) / 1000, [1e4, -1e4]
    return rows


def written(rule: DecisionRule) -> tuple[bytes, DecisionRule]:
    """The bytes that a run folder holds of it, and what is read from them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "decision.json"
        write_decision(path, rule)
        return path.read_bytes(), read_decision(path)


def same_inputs_same_rule(name: str, case: Case) -> None:
    assert written(fit(name, case))[0] == written(rule_of(name, case))[0]


def order_of_classes_is_irrelevant(name: str, case: Case) -> None:
    rows, old = fresh(case.classes), case.old
    plain, turned = rule_of(name, case), fit(name, case, renamed=True)
    p, q = posterior(plain, rows.logits), posterior(turned, rows.logits[:, old])
    np.testing.assert_allclose(q, p[:, old], atol=1e-4)  # where a minimum was sought, it is near
    as_given, renumbered = (
        decide(rule, found, rows.groups, rows.amounts) for rule, found in ((plain, p), (turned, q))
    )
    np.testing.assert_array_equal(renumbered, case.new[as_given])


def numbers_stay_finite(name: str, case: Case) -> None:
    """Whatever the rows: probabilities that sum to 1, decisions for classes that there are, the
    same ones from what is written, and a sentence on what was done."""
    rule, rows = rule_of(name, case), fresh(case.classes)
    p = posterior(rule, rows.logits)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    decided = decide(rule, p, rows.groups, rows.amounts)
    assert decided.min() >= 0
    assert decided.max() < case.classes + (REMEDIES[name].kind in ("costs", "deferral"))
    assert np.isfinite(rule.offsets).all()
    assert all(np.isfinite(offsets).all() for offsets in rule.group_offsets.values())
    assert rule.temperature > 0
    assert np.isfinite(rule.temperature)
    assert len(rule.notes) == 1
    assert rule.notes[0]
    _, back = written(rule)
    np.testing.assert_array_equal(posterior(back, rows.logits), p)
    np.testing.assert_array_equal(decide(back, p, rows.groups, rows.amounts), decided)


def it_makes_a_difference(name: str, case: Case) -> None:
    """With rows enough it is fitted, and moves a probability or a decision: the other checks would
    not see what it does if it did nothing."""
    rows = fresh(case.classes)
    found = []
    for rule in (rule_of(name, case), fit(None, case)):
        p = posterior(rule, rows.logits)
        found.append(p.tobytes() + decide(rule, p, rows.groups, rows.amounts).tobytes())
    assert found[0] != found[1], rule_of(name, case).notes


def rows_of_unknown_classes_play_no_part(name: str, case: Case) -> None:
    """Three more rows of classes that training lacks leave the rule as it is."""
    rows, old = scored(case.labels, case.classes), np.arange(case.classes)
    more = Scored(*(np.concatenate([c, c[:3]]) for c in (rows.logits, rows.groups, rows.amounts)))
    labels = np.append(case.labels, np.full(len(more.logits) - len(rows.logits), -1))
    given = arguments(replace(case, labels=labels), more, old)
    found = fit_rule([remedy_spec(name, case.settings)], more.logits, labels, **given)
    assert written(found)[0] == written(rule_of(name, case))[0]


def rows_are_not_judged_by_their_own_labels(name: str, case: Case) -> None:
    """Cross-fitted: the labels of a fold may be any, its rows are decided as before."""
    rows, old = scored(case.labels, case.classes), np.arange(case.classes)
    fold = np.arange(len(case.labels)) // 2 % 3

    def found(labels: np.ndarray) -> CrossFitted:
        given = arguments(case, rows, old)
        return cross_fitted(fold, [remedy_spec(name, case.settings)], rows.logits, labels, **given)

    before, held = found(case.labels), fold == 1
    assert np.isfinite(before.probabilities).all()
    assert ((before.decided >= 0) & (before.decided <= case.classes)).all()
    changed = np.where(held & (case.labels >= 0), (case.labels + 1) % case.classes, case.labels)
    after = found(changed)
    assert after.probabilities[held].tobytes() == before.probabilities[held].tobytes()
    assert after.decided[held].tobytes() == before.decided[held].tobytes()


DECISION_CHECKS = (
    same_inputs_same_rule,
    order_of_classes_is_irrelevant,
    rows_of_unknown_classes_play_no_part,
    rows_are_not_judged_by_their_own_labels,
)
