"""Checks of remedies of the decision where a row may have several labels, each by itself through
the function by which a run fits its rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from equipoise.records.decision import DecisionRule
from equipoise.remedies.decisions.apply import posterior
from equipoise.remedies.decisions.fit_several import (
    CrossFittedLabels,
    cross_fitted_labels,
    fit_label_rule,
)
from equipoise.remedies.decisions.several import decide_labels
from equipoise.remedies.log_odds import log_odds, moved_by_training
from equipoise.remedies.spec import remedy_spec
from equipoise.remedies.table import REMEDIES

from . import TURN
from .decisions import with_settings, written

TRAINED = log_odds(np.array([300, 120, 20]), 1000)
"""(K,) of the training rows."""
SOURCE = TRAINED + np.array([0.0, 0.4, 1.0])
"""(K,) that the scores are meant for: a loss has drawn them together a little."""
MORE: dict[str, list[dict[str, Any]]] = {"measure_offsets": [{"shrink_rows": 0.0}]}


@dataclass(frozen=True, eq=False)
class Case:
    """(n, K) labels of validation rows, 0/1."""

    labels: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def old(self) -> np.ndarray:
        """Old number of each label once they are renumbered."""
        return TURN if self.labels.shape[1] == 3 else np.arange(self.labels.shape[1])


def logits_of(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, K) scores that lean to the labels of each row."""
    noise = np.random.default_rng(seed).normal(size=labels.shape)
    return 2 * (noise + 1.3 * labels) + SOURCE[: labels.shape[1]] - 2


def _shares(rows: int, *shares: float) -> np.ndarray:
    drawn = np.random.default_rng(2).random((rows, len(shares)))
    return (drawn < np.array(shares)).astype(np.int64)


def _held(rows: int, *counts: int) -> np.ndarray:
    """So many rows have each label; a row may have all."""
    return (np.arange(rows)[:, None] < np.array(counts)).astype(np.int64)


CASES = {
    "some hundred rows": Case(_shares(400, 0.4, 0.2, 0.06)),
    "lopsided": Case(_held(50, 40, 7, 3)),
    "one label has no row": Case(_held(40, 9, 0, 4)),
    "one label has all rows": Case(_held(40, 40, 5, 5)),
    "single rows": Case(np.eye(3, dtype=np.int64)),
    "one row": Case(_held(1, 1, 0, 0)),
    "no row": Case(_held(0, 0, 0, 0)),
    "no row has a label": Case(_held(30, 0, 0, 0)),
    "all rows have all labels": Case(_held(30, 30, 30, 30)),
    "one label is all there is": Case(_shares(60, 0.3)),
}
EXTREME = {"1 : 100,000": Case(_held(100_001, 1, 100_000, 20))}


def cases_of(name: str) -> dict[str, Case]:
    """None for a remedy that is only for rows of one label."""
    if REMEDIES[name].labels == "one":
        return {}
    return with_settings(CASES, MORE.get(name, []))


def enough_of(name: str) -> dict[str, Case]:
    return {case: value for case, value in cases_of(name).items() if case == "some hundred rows"}


def extremes_of(name: str) -> dict[str, Case]:
    """A hundred thousand rows are fitted once: no more than one check runs on them."""
    return cases_of(name) | (EXTREME if cases_of(name) else {})


def arguments(case: Case, old: np.ndarray) -> dict[str, Any]:
    source, trained = SOURCE[old], TRAINED[old]
    return {
        "classes": tuple("abc"[: len(old)]),
        "log_source": source,
        "log_target": trained,
        "log_train": trained,
        "start": moved_by_training(source, trained, trained),
        "seed": 4,
        "clusters": np.arange(len(case.labels)) // 2,
    }


def fit(name: str | None, case: Case, *, renamed: bool = False) -> DecisionRule:
    """The rule by one remedy, or by none."""
    old = case.old if renamed else np.arange(case.labels.shape[1])
    return fit_label_rule(
        [] if name is None else [remedy_spec(name, case.settings)],
        logits_of(case.labels)[:, old],
        case.labels[:, old],
        **arguments(case, old),
    )


@cache
def rule_of(name: str, case: Case) -> DecisionRule:
    """Fitted once for all checks."""
    return fit(name, case)


def fresh(labels: int) -> np.ndarray:
    """Scores that no rule was fitted on, hopeless and certain ones among them."""
    z = logits_of(_shares(200, *(0.4, 0.2, 0.1)[:labels]), seed=9)
    z[0], z[1:3, 0] = 0, [1e4, -1e4]
    return z


def same_inputs_same_label_rule(name: str, case: Case) -> None:
    assert written(fit(name, case))[0] == written(rule_of(name, case))[0]


def order_of_labels_is_irrelevant(name: str, case: Case) -> None:
    z, old = fresh(case.labels.shape[1]), case.old
    plain, turned = rule_of(name, case), fit(name, case, renamed=True)
    p, q = posterior(plain, z), posterior(turned, z[:, old])
    np.testing.assert_allclose(q, p[:, old], atol=1e-4)  # where a minimum was sought, it is near
    np.testing.assert_array_equal(decide_labels(turned, q), decide_labels(plain, p)[:, old])


def label_numbers_stay_finite(name: str, case: Case) -> None:
    """Whatever the rows: probabilities, decisions of 0 and 1, the same ones from what is written,
    and a sentence on what was done."""
    rule, z = rule_of(name, case), fresh(case.labels.shape[1])
    p = posterior(rule, z)
    assert np.isfinite(p).all()
    decided = decide_labels(rule, p)
    assert set(np.unique(decided)) <= {0, 1}
    assert np.isfinite(rule.offsets).all()
    assert rule.temperature > 0
    assert np.isfinite(rule.temperature)
    assert len(rule.notes) == 1
    assert rule.notes[0]
    _, back = written(rule)
    np.testing.assert_array_equal(posterior(back, z), p)
    np.testing.assert_array_equal(decide_labels(back, p), decided)


def it_makes_a_difference_to_labels(name: str, case: Case) -> None:
    """With rows enough it is fitted, and moves a probability or a decision."""
    z = fresh(case.labels.shape[1])
    found = []
    for rule in (rule_of(name, case), fit(None, case)):
        p = posterior(rule, z)
        found.append(p.tobytes() + decide_labels(rule, p).tobytes())
    assert found[0] != found[1], rule_of(name, case).notes


def rows_are_not_judged_by_their_own_label_set(name: str, case: Case) -> None:
    """Cross-fitted: the labels of a fold may be any, its rows are decided as before."""
    fold, z = np.arange(len(case.labels)) // 2 % 3, logits_of(case.labels)
    old = np.arange(case.labels.shape[1])

    def found(labels: np.ndarray) -> CrossFittedLabels:
        specs = [remedy_spec(name, case.settings)]
        return cross_fitted_labels(fold, specs, z, labels, **arguments(case, old))

    before, held = found(case.labels), fold == 1
    assert np.isfinite(before.probabilities).all()
    after = found(np.where(held[:, None], 1 - case.labels, case.labels))
    assert after.probabilities[held].tobytes() == before.probabilities[held].tobytes()
    assert after.decided[held].tobytes() == before.decided[held].tobytes()


LABEL_DECISION_CHECKS = (
    same_inputs_same_label_rule,
    order_of_labels_is_irrelevant,
    rows_are_not_judged_by_their_own_label_set,
)
