"""Which remedies to try, and what in these rows speaks for and against each.

Only the rows that would train are looked at. The rules follow what is known: small and moderate
imbalance is helped at the data level; extreme imbalance by logit adjustment, weights and synthetic
rows; a large class that repeats itself can be thinned; costly misses are a matter of costs and
decisions; few rows ask for light tuning. No remedy wins everywhere (arXiv:2312.02517), so this is
an order in which to try, and a trial decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from equipoise.audit.case import EXTREME, FEW_ROWS, FOR_NEIGHBOURS, MILD, Case
from equipoise.audit.say import classes_, names, percent, rows_, spread, times
from equipoise.audit.stances import in_order
from equipoise.records.audit import Advice

FEW_IN_ALL = 2_000
"""Rows in all from which full tuning begins to be learned rather than remembered."""
REDUNDANT = 0.3
"""Share of the largest class with such a twin from which it repeats itself."""
SPARE_ROWS = 200
"""Rows that the largest class has at least where some of them can be left out."""
UNEQUAL_COSTS = 3.0


def advise(case: Case, known: Sequence[str] | None = None) -> list[Advice]:
    """In the order of `in_order`; `known` as there."""
    return in_order(_all(case), known)


def _all(case: Case) -> Iterator[Advice]:
    yield from _plain(case)
    yield from _extreme(case)
    yield from _data_level(case)
    yield from _redundant(case)
    yield from _costs(case)
    yield from _labels(case)
    yield from _tuning(case)


def _seen(case: Case) -> str:
    return spread(case.largest, case.largest_rows, case.smallest, case.smallest_rows)


def _plain(case: Case) -> Iterator[Advice]:
    if case.ratio < MILD:
        yield Advice(
            remedy="none",
            stance="try first",
            why="the classes are nearly balanced",
            speaks_for=f"only {_seen(case)}: there is little to cure",
            speaks_against="nothing; a calibrated decision (temperature) is free all the same",
            source="Buda et al. 2018, arXiv:1710.05381",
            option="--remedy temperature",
        )
    yield Advice(
        remedy="measure_offsets",
        stance="try",
        why="thresholds cost no training",
        speaks_for="one offset per class, fitted for the measure that decides and kept only where "
        "rows that did not fit it show a gain",
        speaks_against=f"{case.tail:,} of {classes_(case.classes)} have fewer than {FEW_ROWS} "
        "training rows, so hardly any validation rows to fit on"
        if case.tail
        else "little: validation rows must be like those in use",
        source="Menon et al. 2021, arXiv:2007.07314; Narasimhan et al. 2015",
        option="--remedy measure_offsets",
    )


def _extreme(case: Case) -> Iterator[Advice]:
    extreme, mild = case.ratio > EXTREME, case.ratio < MILD
    tail = f"{case.tail:,} of {classes_(case.classes)} have fewer than {FEW_ROWS} rows"
    yield Advice(
        remedy="logit_adjusted",
        stance="try first" if extreme else "not here" if mild else "try",
        why="extreme imbalance" if extreme else "imbalance that the loss can take out",
        speaks_for=f"{_seen(case)}; {tail}. A rare class must win by a wider margin in training, "
        "and no row is repeated or dropped",
        speaks_against="where classes are nearly balanced it trades precision for recall"
        if case.ratio < 20
        else "the precision of rare classes falls; the decision has to be calibrated",
        source="Menon et al. 2021, arXiv:2007.07314",
        option="--remedy logit_adjusted",
    )
    yield Advice(
        remedy="class_weights",
        stance="try" if extreme or case.ratio >= 10 else "not here",
        why="weights instead of rows",
        speaks_for=f"costs no time; by effective numbers the weights stay bounded at {_seen(case)}",
        speaks_against=f"single rows of {case.smallest!r} make steps jump, and the effect fades "
        "once every row is fitted (arXiv:1812.03372)"
        if case.smallest_rows < FEW_ROWS
        else "the effect fades once every row is fitted (arXiv:1812.03372)",
        source="Cui et al. 2019, arXiv:1901.05555",
        option="--remedy class_weights:kind=effective",
    )
    yield Advice(
        remedy="smote",
        stance="try" if case.small else "not here",
        why="synthetic rows between neighbours in the encoder's space",
        speaks_for=f"rows that no copy would give, for classes of {FOR_NEIGHBOURS} rows up to a "
        f"third of the largest: {case.small:,} of {classes_(case.classes)}"
        if case.small
        else "rows that no copy would give",
        speaks_against=(
            "no class is both small and large enough to draw between its rows"
            if not case.small
            else f"{rows_(case.inseparable, 'pair')} of classes overlap, and new rows would be "
            "drawn across the border"
            if case.inseparable
            else "it trains the head only, since vectors have no text"
        ),
        source="Chawla et al. 2002, JAIR 16",
        option="--remedy smote --method head",
    )


def _data_level(case: Case) -> Iterator[Advice]:
    moderate = MILD <= case.ratio <= EXTREME
    ratio_aimed, rows = case.oversampled
    yield Advice(
        remedy="random_oversample",
        stance="try first" if moderate and case.smallest_rows >= FEW_ROWS
        else "try" if moderate else "not here",
        why="moderate imbalance" if moderate else "imbalance outside the range where rows help",
        speaks_for=f"{_seen(case)}; repeating rows changes nothing else",
        speaks_against=(
            f"the {rows_(case.smallest_rows)} of {case.smallest!r} would be learned by heart"
            if case.smallest_rows < FEW_ROWS
            else f"an epoch grows from {case.rows:,} to {rows:,} rows"
            if rows > case.rows
            else "no row would be repeated: the classes are that near to each other"
        )
        + ("; wrong labels are repeated with the rest" if case.noisy and rows > case.rows else ""),
        source="Buda et al. 2018, arXiv:1710.05381",
        option=f"--remedy random_oversample:ratio={ratio_aimed}",
    )  # fmt: skip


def _redundant(case: Case) -> Iterator[Advice]:
    repeated = max(case.repeated, case.crowded or 0.0)
    twins = f"{percent(repeated)} of the rows of {case.largest!r} have a near twin"
    reasons = [
        why
        for holds, why in (
            (
                case.largest_rows < SPARE_ROWS,
                f"{case.largest!r} has but {rows_(case.largest_rows)}, and from {SPARE_ROWS} on "
                "some can be spared",
            ),
            (
                repeated < REDUNDANT,
                f"only {twins}, and from {percent(REDUNDANT)} on a class repeats itself; most of "
                "what is left out is lost",
            ),
            (case.ratio < MILD, f"only {_seen(case)}: no class is too large"),
        )
        if holds
    ]
    yield Advice(
        remedy="redundancy_undersample",
        stance="not here" if reasons else "try",
        why="no large class that repeats itself"
        if reasons
        else "a large class that repeats itself",
        speaks_for="training would be faster"
        if reasons
        else f"{twins}: leaving twins out saves time and loses little; several thinned models "
        "make an ensemble",
        speaks_against="; ".join(reasons)
        or "what frequent wordings tell about the shares in use is lost",
        source="Abbas et al. 2023 (SemDeDup), arXiv:2303.09540; Liu et al. 2009 (EasyEnsemble), "
        "IEEE SMC-B 39",
        option="--remedy redundancy_undersample",
    )


def _costs(case: Case) -> Iterator[Advice]:
    if case.cost_spread is None:
        yield Advice(
            remedy="costs",
            stance="try",
            why="mistakes may differ in price",
            speaks_for="if missing one class costs more than a false alarm, saying so beats every "
            "weight; --costs uses it in the decision and the measure",
            speaks_against="nobody has stated costs yet",
            source="Elkan 2001, The foundations of cost-sensitive learning, IJCAI",
            option="--costs COSTS.yaml",
        )
        return
    unequal = case.cost_spread >= UNEQUAL_COSTS
    spread = (
        f"the dearest mistake costs {times(case.cost_spread)} times the cheapest"
        if math.isfinite(case.cost_spread)
        else "one mistake costs nothing and another has a price"
    )
    yield Advice(
        remedy="costs",
        stance="try first" if unequal else "try",
        why="costly mistakes" if unequal else "mistakes of similar price",
        speaks_for=f"{spread}: decide by least expected cost and judge by expected cost",
        speaks_against="the probabilities must be calibrated; keep temperature with it",
        source="Elkan 2001, The foundations of cost-sensitive learning, IJCAI",
        option="--costs COSTS.yaml --remedy temperature --remedy costs",
    )


def _labels(case: Case) -> Iterator[Advice]:
    if case.noisy:
        yield Advice(
            remedy="generalized_cross_entropy",
            stance="try first",
            why="wrong labels among the training rows",
            speaks_for=f"about {percent(case.noisy)} of them, by rows that both a probe and the "
            "neighbours contradict; this loss stops chasing rows that it can't fit",
            speaks_against="mending the labels is better; rare classes are learned more slowly, "
            "and focal or heavy weights would chase the wrong labels",
            source="Zhang and Sabuncu 2018, arXiv:1805.07836",
            option="--remedy generalized_cross_entropy",
        )
    if case.grouped:
        yield Advice(
            remedy="group_balanced_sampler",
            stance="try",
            why="the group gives the class away",
            speaks_for=f"Cramér's V of group and class is {case.grouped:.2f}: rows of a class "
            "should come from all of its groups alike",
            speaks_against="small groups are repeated often",
            source="Idrissi et al. 2022, arXiv:2110.14503",
            option="--remedy group_balanced_sampler",
        )


def _tuning(case: Case) -> Iterator[Advice]:
    few = case.rows < FEW_IN_ALL or case.tail > case.classes / 3
    names_tail = names([case.smallest])
    yield Advice(
        remedy="light tuning",
        stance="try first" if few else "try",
        why="few rows" if few else "enough rows to choose how to tune",
        speaks_for=f"{rows_(case.rows)} to train on, {case.tail:,} of {classes_(case.classes)} "
        f"with fewer than {FEW_ROWS}: tuning little keeps what the encoder knows of rare classes "
        f"such as {names_tail}"
        if few
        else f"{rows_(case.rows)} to train on: upper layers on cached states are fast, and a good "
        "start",
        speaks_against="a language or domain far from the encoder's own asks for more"
        if few
        else "with so many rows --method full may gain on large classes",
        source="Shi et al. 2024 (LIFT), arXiv:2309.10019",
        option="--method light",
    )
