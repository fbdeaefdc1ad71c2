"""The default `equipoise train` against nine rivals on nine real, lopsided sets, with intervals.

    python -m benchmarks.quality --list                      # the price; nothing is run
    python -m benchmarks.quality --only 'tfidf|vectors|smote'
    python -m benchmarks.quality                             # what is missing

Units are those of benchmarks/arms.py; where `real_input` keeps one of the same settings with its
rows, it is taken over. Every unit keeps what paired differences need of each row (`judged.py`), in
units/quality/*.npz: about 4 bytes a row, 6 MB in all.

The headline is macro-F1 on test rows, ours minus each rival's, over rows and seeds (`paired.py`).
The goal: on all eight sets of one label a row the lower bound to the best rival is above -1 point,
and on at least five it is above 0 to every arm of the Trainer. The best rival is the one with the
smallest difference on the same test rows, which favours it.
"""

from __future__ import annotations

import statistics
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import real_input
from benchmarks.arms import (
    SEEDS,
    WORDS,
    price_seconds,
    run_arm,
    seeds_of,
    taken_over,
    timed,
    unit_of,
)
from benchmarks.common import Bench, Result, Unit
from benchmarks.judged import unpack
from benchmarks.paired import Difference, paired_differences, pooled
from benchmarks.sets import BALANCED_TEST, MULTI_LABEL

OURS = "equipoise"
TRAINERS = ("trainer_plain", "trainer_weights", "trainer_sampler", "trainer_early")
TUNED = (*TRAINERS, "setfit")
"""Rivals that train the encoder."""
ARMS = ("tfidf_plain", "tfidf", "vectors", "smote", OURS, *TUNED)
NOT_FOR_SEVERAL_LABELS = ("smote",)
MARGIN = -0.01
"""How far the lower bound to the best rival may reach below 0."""
WINS_WANTED = 5
FIGURES = (
    "macro_f1",
    "balanced_accuracy",
    "worst_class_recall",
    "log_loss",
    "brier",
    "ece",
)


def run_unit(unit: Unit) -> Result:
    return taken_over(real_input.BENCH, unit) or run_arm(unit, by="quality")


def price_of(unit: Unit) -> float:
    return 0.1 if taken_over(real_input.BENCH, unit) else price_seconds(unit)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    by_set = {name: _by_arm(units, name) for name in WORDS}
    sets = {
        name: {arm: figures([*seeds.values()]) for arm, seeds in arms.items()}
        for name, arms in by_set.items()
        if arms
    }
    differences = {
        name: with_pooled_seeds(
            {
                rival: differences_of(arms[OURS], seeds)
                for rival, seeds in arms.items()
                if rival != OURS and OURS in arms
            }
        )
        for name, arms in by_set.items()
    }
    verdicts = {
        name: verdict(name, found) for name, found in differences.items() if any(found.values())
    }
    return {
        "says": says(verdicts),
        "goal": f"lower bound to the best rival above {MARGIN} on all eight sets of one label a "
        f"row, and above 0 to every Trainer on {WINS_WANTED}",
        "goal_met": goal_met(verdicts),
        "balanced_test_by_construction": list(BALANCED_TEST),
        "several_labels_a_row": list(MULTI_LABEL),
        "verdicts": verdicts,
        "sets": sets,
        "ours_minus": {
            name: {
                rival: {measure: d.to_json() for measure, d in measures.items()}
                for rival, measures in found.items()
                if measures
            }
            for name, found in differences.items()
        },
    }


def figures(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, the range of macro-F1, and the median of the seconds on the kind of machine
    that most of the seeds ran on."""
    results = [unit["result"] for unit in units]
    out: dict[str, Any] = {"seeds": len(results)}
    for name in FIGURES:
        values = [result[name] for result in results if name in result]
        if values:
            out[name] = round(statistics.fmean(values), 4)
    out["seconds"] = round(statistics.median(r["seconds"] for r in timed(units)), 1)
    macro_f1 = [result["macro_f1"] for result in results]
    return out | {"low": round(min(macro_f1), 4), "high": round(max(macro_f1), 4)}


def differences_of(
    ours: dict[int, dict[str, Any]], theirs: dict[int, dict[str, Any]]
) -> dict[str, Difference]:
    """Over the seeds that both arms have; {} if there is none."""
    seeds = sorted(set(ours) & set(theirs))
    if not seeds:
        return {}
    return differences_in(
        tuple(ours[seed]["paths"]["npz"] for seed in seeds),
        tuple(theirs[seed]["paths"]["npz"] for seed in seeds),
    )


def with_pooled_seeds(
    found: dict[str, dict[str, Difference]],
) -> dict[str, dict[str, Difference]]:
    """One set's differences by rival and measure, with the seeds' variance of all rivals that train
    the encoder, and of all that do not: the former vary more from seed to seed."""
    out: dict[str, dict[str, Difference]] = {rival: {} for rival in found}
    for tuned in (True, False):
        kind = {rival: by for rival, by in found.items() if by and (rival in TUNED) == tuned}
        for measure in {name for by in kind.values() for name in by}:
            one = pooled({rival: by[measure] for rival, by in kind.items()})
            for rival, difference in one.items():
                out[rival][measure] = difference
    return out


@cache
def differences_in(
    ours: tuple[str, ...], theirs: tuple[str, ...], split: str = "test", resamples: int = 2000
) -> dict[str, Difference]:
    """Of the kept rows in these files, the k-th of both being of one seed."""
    mine, other = ([unpack(Path(path))[split] for path in paths] for paths in (ours, theirs))
    return paired_differences(mine, other, resamples=resamples)


def verdict(name: str, differences: dict[str, dict[str, Difference]]) -> dict[str, Any]:
    """One set: the rival that comes off best beside ours on the seeds that both have, and how ours
    compares with it and with the Trainers. `complete` says whether all arms and seeds are there."""
    rivals = {rival: d["macro_f1"] for rival, d in differences.items() if d}
    best = min(rivals, key=lambda rival: rivals[rival].value)
    trainers = [rivals[arm] for arm in TRAINERS if arm in rivals]
    return {
        "best_rival": best,
        "ours_minus_best": rivals[best].to_json() | parts_of(rivals[best]),
        "not_much_worse": rivals[best].low > MARGIN,
        "better_than_every_trainer": len(trainers) == len(TRAINERS)
        and all(difference.low > 0 for difference in trainers),
        "complete": set(rivals) == set(rivals_on(name))
        and all(d.seeds == len(seeds_of(rival)) for rival, d in rivals.items()),
    }


def parts_of(difference: Difference) -> dict[str, Any]:
    """What the interval is made of: that by the rows alone, and the seeds' own differences."""
    low, high = difference.rows
    return {
        "rows_alone": [round(low, 5), round(high, 5)],
        "by_seed": [round(value, 5) for value in difference.by_seed],
    }


def rivals_on(name: str) -> list[str]:
    left_out = NOT_FOR_SEVERAL_LABELS if name in MULTI_LABEL else ()
    return [arm for arm in ARMS if arm != OURS and arm not in left_out]


def goal_met(verdicts: dict[str, dict[str, Any]]) -> bool:
    single = {name: v for name, v in verdicts.items() if name not in MULTI_LABEL}
    return (
        len(single) == len(WORDS) - len(MULTI_LABEL)
        and all(v["complete"] and v["not_much_worse"] for v in single.values())
        and sum(v["better_than_every_trainer"] for v in single.values()) >= WINS_WANTED
    )


def says(verdicts: dict[str, dict[str, Any]]) -> str:
    if not verdicts:
        return "nothing to compare yet"
    single = {name: v for name, v in verdicts.items() if name not in MULTI_LABEL}
    complete = sum(v["complete"] for v in single.values())
    worse = [name for name, v in single.items() if not v["not_much_worse"]]
    wins = [name for name, v in single.items() if v["better_than_every_trainer"]]
    return (
        f"{complete} of {len(WORDS) - len(MULTI_LABEL)} sets are complete; the lower bound to the "
        f"best rival is not above {MARGIN} on {', '.join(worse) or 'none'}; better than every "
        f"Trainer on {', '.join(wins) or 'none'}"
    )


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    summary = summarise(units)
    lines = []
    for name, arms in summary["sets"].items():
        line: dict[str, Any] = {"set": name}
        for arm in ARMS:
            found = arms.get(arm)
            line[arm] = found and f"{found['macro_f1']:.3f} ({found['seconds']:.0f} s)"
        if name in summary["verdicts"]:
            against = summary["verdicts"][name]["ours_minus_best"]
            line["ours - best rival"] = (
                f"{against['value']:+.3f} ({against['low']:+.3f} to {against['high']:+.3f})"
            )
        lines.append(line)
    return lines


def units_of() -> list[Unit]:
    """One seed of everything first, and cheap arms before dear ones: a partial result says most."""
    return [
        unit_of(name, arm, seed)
        for seed in SEEDS
        for arm in ARMS
        for name in WORDS
        if seed in seeds_of(arm) and arm in (OURS, *rivals_on(name))
    ]


def _by_arm(units: list[dict[str, Any]], name: str) -> dict[str, dict[int, dict[str, Any]]]:
    """{arm: {seed: unit}} of one set."""
    out: dict[str, dict[int, dict[str, Any]]] = {}
    for unit in units:
        if unit["settings"]["set"] == name:
            out.setdefault(unit["settings"]["arm"], {})[unit["settings"]["seed"]] = unit
    return out


BENCH = Bench(
    "quality",
    units=units_of(),
    run=run_unit,
    price_seconds=price_of,
    summarise=summarise,
    table=table,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
