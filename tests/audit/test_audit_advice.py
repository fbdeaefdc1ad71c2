"""Advice: follows the cases it is known for, rests on training rows alone, names what there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from make_given import make_given

from equipoise.audit.advice import advise
from equipoise.audit.case import Case, _oversampled, case_of
from equipoise.remedies.rows.resample import random_oversample
from equipoise.remedies.spec import parse_remedies
from equipoise.remedies.table import REMEDIES

CASE = Case(
    rows=10_000,
    classes=10,
    ratio=20.0,
    largest="big",
    largest_rows=4_000,
    smallest="small",
    smallest_rows=200,
    tail=0,
    small=6,
    oversampled=(0.3, 18_000),
    repeated=0.02,
    crowded=0.05,
    noisy=0.0,
    inseparable=0,
    cost_spread=None,
    grouped=0.0,
)


def stances(case: Case) -> dict[str, str]:
    return {advice.remedy: advice.stance for advice in advise(case)}


def test_balanced_rows_need_no_remedy() -> None:
    found = stances(replace(CASE, ratio=1.2))
    assert found["none"] == "try first"
    assert found["logit_adjusted"] == found["random_oversample"] == "not here"


def test_moderate_imbalance_is_helped_by_rows() -> None:
    found = stances(CASE)
    assert found["random_oversample"] == "try first"
    assert found["logit_adjusted"] == "try"


def test_extreme_imbalance_is_helped_by_loss_weights_and_synthetic_rows() -> None:
    found = stances(replace(CASE, ratio=3000.0, smallest_rows=8, tail=3))
    assert found["logit_adjusted"] == "try first"
    assert found["class_weights"] == found["smote"] == "try"
    assert found["random_oversample"] == "not here"


def test_too_few_rows_have_no_neighbours_to_draw_between() -> None:
    found = {a.remedy: a for a in advise(replace(CASE, small=0))}
    assert found["smote"].stance == "not here"
    assert "large enough to draw between" in found["smote"].speaks_against


def test_a_redundant_majority_may_be_thinned() -> None:
    assert stances(CASE)["redundancy_undersample"] == "not here"
    assert stances(replace(CASE, crowded=0.6))["redundancy_undersample"] == "try"


def test_what_speaks_against_thinning_is_the_true_reason() -> None:
    def against(**changes: Any) -> str:
        found = {a.remedy: a for a in advise(replace(CASE, **changes))}
        assert found["redundancy_undersample"].stance == "not here"
        return found["redundancy_undersample"].speaks_against

    assert against(crowded=0.05).startswith("only 5.0 % of the rows of 'big' have a near twin,")
    few = against(crowded=0.56, largest_rows=112)
    assert few == "'big' has but 112 rows, and from 200 on some can be spared"
    mild = against(crowded=0.6, ratio=1.5, largest_rows=300, smallest_rows=200)
    assert mild.startswith("only 1.5 : 1 from 'big'")


@pytest.mark.parametrize("counts", [(112, 62, 33), (90, 30, 30), (200, 80, 24), (100, 100, 20)])
def test_oversampling_as_it_is_advised_adds_rows(counts: tuple[int, ...]) -> None:
    """At 3.4 : 1 the smallest class is at 0.3 already, and 0.3 would do nothing."""
    labels = np.repeat(np.arange(len(counts)), counts)
    ratio, rows = _oversampled(np.array(counts))
    made = random_oversample(labels, len(counts), np.random.default_rng(0), ratio=ratio)
    assert len(made) == rows > len(labels)
    assert np.bincount(labels[made])[-1] >= 1.5 * counts[-1] - 1


def test_costs_come_first_where_they_differ() -> None:
    assert stances(CASE)["costs"] == "try"
    assert stances(replace(CASE, cost_spread=100.0))["costs"] == "try first"


@pytest.mark.parametrize(
    ("costs", "stance", "said"),
    [
        ([[0, 100], [0, 0]], "try first", "one mistake costs nothing and another has a price"),
        ([[-500, 0], [5, 0]], "try first", "the dearest mistake costs 100 times the cheapest"),
        ([[9, 10], [10, 0]], "try first", "the dearest mistake costs 10 times the cheapest"),
        ([[0, 200_000], [1, 0]], "try first", "mistake costs 200,000 times the cheapest"),
        ([[-4, 6], [8, 0]], "try", "the dearest mistake costs 1.25 times the cheapest"),
    ],
)
def test_what_a_mistake_costs_is_counted_from_the_right_decision(
    costs: list[list[float]], stance: str, said: str
) -> None:
    given = make_given({"a": 40, "b": 40}, seed=0)
    case = case_of(replace(given, costs=np.array(costs, dtype=float)), seed=0)
    (found,) = [advice for advice in advise(case) if advice.remedy == "costs"]
    assert found.stance == stance
    assert said in found.speaks_for


def test_rows_of_one_group_are_no_near_twins() -> None:
    given = make_given({"a": 400, "b": 80}, seed=0)
    by_group = replace(given, clusters=np.arange(len(given)) // 20)
    assert case_of(by_group, seed=0).repeated > 0.9
    by_text = replace(by_group, text_clusters=np.arange(len(given)))
    assert case_of(by_text, seed=0).repeated == 0


def test_classes_of_one_size_are_not_told_as_if_they_differed() -> None:
    (found,) = [
        advice
        for advice in advise(replace(CASE, ratio=1.0, largest_rows=80, smallest_rows=80))
        if advice.remedy == "none"
    ]
    assert found.speaks_for == "only 1 : 1 (80 rows each): there is little to cure"


def test_wrong_labels_ask_for_a_forgiving_loss_and_few_rows_for_light_tuning() -> None:
    assert "generalized_cross_entropy" not in stances(CASE)
    assert stances(replace(CASE, noisy=0.1))["generalized_cross_entropy"] == "try first"
    assert stances(CASE)["light tuning"] == "try"
    assert stances(replace(CASE, rows=500))["light tuning"] == "try first"


@pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, ratio=1.0),
        replace(CASE, ratio=5000.0, smallest_rows=1, tail=9),
        replace(CASE, noisy=0.2, grouped=0.9, cost_spread=50.0, crowded=0.9),
    ],
)
def test_every_remedy_advised_exists_and_its_option_reads(case: Case) -> None:
    for advice in advise(case):
        assert advice.source
        assert advice.speaks_for
        assert advice.speaks_against
        words = advice.option.split()
        asked = [words[k + 1] for k, word in enumerate(words) if word == "--remedy"]
        if asked and advice.remedy != "none":
            assert advice.remedy in REMEDIES, advice.remedy
        for one in asked:
            parse_remedies([one])


def test_what_is_not_there_is_not_advised() -> None:
    assert "smote" not in {a.remedy for a in advise(CASE, ["logit_adjusted"])}
    assert "light tuning" in {a.remedy for a in advise(CASE, [])}


def test_judged_rows_have_no_say() -> None:
    """Other labels, texts and vectors of test rows leave the case as it is."""
    given = make_given({"a": 200, "b": 80, "c": 40}, seed=0)
    given = replace(given, training_probe=given.probe)
    judged = given.roles == "test"
    assert given.vectors is not None
    assert given.probe is not None
    changed = replace(
        given,
        labels=np.where(judged, 0, given.labels),
        vectors=np.where(judged[:, None], 0, given.vectors).astype(np.float32),
        probe=np.zeros_like(given.probe),
        training_probe=np.where(judged[:, None], -1.0, given.probe),
    )
    assert case_of(changed, seed=0) == case_of(given, seed=0)


def test_the_case_by_hand() -> None:
    given = make_given({"a": 200, "b": 80, "c": 12}, seed=0)
    given = replace(given, training_probe=given.probe)
    case = case_of(given, seed=0)
    train = given.counts("train")
    assert (case.largest, case.largest_rows) == ("a", train[0])
    assert (case.smallest, case.smallest_rows, case.tail) == ("c", train[2], 1)
    assert case.small == 1 + (train[2] >= 6) - (3 * train[1] > train[0])
    third = int(0.3 * train[0] + 1e-9)
    assert case.oversampled == (0.3, sum(max(n, third) for n in train))
    assert case.ratio == pytest.approx(train[0] / train[2])
    assert (case.repeated, case.noisy, case.cost_spread) == (0.0, 0.0, None)
