"""Promises of samplers: 10,000 random trainings are planned, sorted by length, divided among
processes and micro-batches, stopped and resumed; every batch must keep what its sampler promises.

    python -m benchmarks.presence

A case has 1 to 200 classes at ratios to 10,000 : 1, 1 to 8 processes, any accumulation, and is
resumed at a random step of a random epoch, as accelerate skips what has been trained. What is fed
is put together from the micro-batches of all processes and counted here a second time:

guaranteed_presence     rows of every chosen class (or of all together) in every step; every row
                        once per epoch where the chosen classes have rows enough; wishes that no
                        step can hold are refused, and others only where an epoch has fewer places
                        left than other classes; the repeats in the record
balanced, group         rows per class (cell) in every step, to within one of each other
sqrt, progressive       draws per class and epoch, to within one of the stated shares
all                     the resumed steps are those of the whole plan; the rows of an epoch are
                        those drawn; rows of a class (cell) come equally often to within one; a
                        plan for an epoch more begins with this one
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Bench, Unit
from equipoise.errors import SettingsError

CASES, PER_UNIT = 10_000, 500
MOST_ROWS = 5_000
"""Of all classes but the largest."""
SAMPLERS = (
    "guaranteed_presence",
    "guaranteed_presence",
    "guaranteed_presence",
    "balanced_sampler",
    "sqrt_sampler",
    "progressive_sampler",
    "group_balanced_sampler",
)
"""The promise that is hardest to keep is asked for three times as often as each of the others."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Case:
    """One training as it might be asked for."""

    labels: Ints
    classes: int
    lengths: Ints
    groups: Ints
    sampler: str
    settings: dict[str, Any]
    epochs: int
    batch_rows: int
    device_rows: int
    processes: int
    bucket_steps: int
    seed: int

    @functools.cached_property
    def chosen(self) -> Ints:
        return np.array([int(k[1:]) for k in self.settings["classes"].split(";")])

    @functools.cached_property
    def cells(self) -> Ints:
        """(n,) a number per group and class."""
        return np.unique(1000 * self.groups + self.labels, return_inverse=True)[1]

    @property
    def promised(self) -> int:
        """Rows per step."""
        of = 1 if self.settings["together"] else len(self.chosen)
        return int(self.settings["at_least"] * of)


def make_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(1, 201)) if rng.random() < 0.7 else int(rng.integers(1, 6))
    ratio = 10 ** rng.uniform(0, 4)
    counts = _counts(classes, ratio, rng)
    labels = rng.permutation(np.repeat(np.arange(classes), counts))
    lengths = 1 + 3 * labels % 40 + rng.integers(0, 30, size=len(labels))  # class and length agree
    sampler = SAMPLERS[seed % len(SAMPLERS)]
    device_rows = int(rng.integers(1, 33))
    return Case(
        labels=labels,
        classes=classes,
        lengths=lengths,
        groups=rng.integers(0, rng.integers(1, 6), size=len(labels)),
        sampler=sampler,
        settings=_settings(sampler, classes, rng),
        epochs=int(rng.integers(1, 4)),
        batch_rows=device_rows * int(rng.integers(1, 9)),
        device_rows=device_rows,
        processes=int(rng.integers(1, 9)),
        bucket_steps=int(rng.integers(1, 33)),
        seed=seed,
    )


def _counts(classes: int, ratio: float, rng: np.random.Generator) -> Ints:
    """Rows per class, from 1 to 3 in the rarest to `ratio` times as many: log-uniform between, and
    nearer to the rarest the more classes there are, so that a case takes a moment."""
    rarest, position = rng.integers(1, 4), rng.random(classes)
    position[0], position[-1] = 1.0, 0.0
    while True:
        counts = np.maximum(1, (rarest * ratio**position).astype(np.int64))
        if counts[1:].sum() <= MOST_ROWS:
            return counts
        position[1:] /= 1.3


def _settings(sampler: str, classes: int, rng: np.random.Generator) -> dict[str, Any]:
    if sampler == "sqrt_sampler":
        return {"power": float(rng.random())}
    if sampler == "progressive_sampler":
        return {"over": int(rng.integers(1, 6))}
    if sampler != "guaranteed_presence":
        return {}
    # Few and many, so that some wishes can't be had.
    most = classes if rng.random() < 0.2 else min(classes, 12)
    chosen = rng.choice(classes, size=rng.integers(1, most + 1), replace=False)
    return {
        "classes": ";".join(f"c{k}" for k in chosen),
        "at_least": int(rng.integers(1, 5)),
        "together": bool(rng.random() < 0.3),
    }


def judge(seed: int) -> Counter[str]:
    """Plan, divide and resume one case; what is wrong is counted by name."""
    case = make_case(seed)
    found = Counter({"cases": 1, f"cases of {case.sampler}": 1})
    try:
        order = _ordered(case, case.epochs)
    except SettingsError as error:
        known = _crowded(case) if "never drawn" in str(error) else not _possible(case)
        return found + Counter({"cases refused": 1, "WRONG possible, but refused": int(not known)})
    if case.sampler == "guaranteed_presence" and not _possible(case):
        found["WRONG impossible, but not refused"] += 1
    if (_ordered(case, case.epochs + 1)[: case.epochs] != order).any():
        found["WRONG longer plan differs"] += 1
    steps = _fed(case, order, found)
    found["steps"] += len(steps)
    found["rows fed"] += sum(map(len, steps))
    found["steps that break a promise"] += sum(not _kept(case, step) for step in steps)
    _judge_order(case, order, found)
    return found


def _ordered(case: Case, epochs: int) -> Ints:
    from equipoise.remedies.batches import build_order
    from equipoise.remedies.spec import remedy_spec

    return build_order(
        [remedy_spec(case.sampler, case.settings)],
        case.labels,
        case.classes,
        epochs,
        np.random.default_rng(case.seed),
        batch_rows=case.batch_rows,
        class_names=[f"c{k}" for k in range(case.classes)],
        groups=case.groups,
    )


def _possible(case: Case) -> bool:
    """Whether a step has room for what is promised, and for one row of the others."""
    return case.promised + (len(case.chosen) < case.classes) <= case.batch_rows


def _crowded(case: Case) -> bool:
    """Whether the promise leaves fewer places in an epoch than there are other classes."""
    steps = -(-len(case.labels) // case.batch_rows)
    free = steps * (case.batch_rows - case.promised)
    return bool(free < case.classes - len(case.chosen))


def _fed(case: Case, order: Ints, found: Counter[str]) -> list[Ints]:
    """The rows of every step, put together from the micro-batches of all processes: those before a
    stop, and from a fresh start those after it."""
    from equipoise.models.batches import plan_steps
    from equipoise.remedies.batches import strata
    from equipoise.remedies.spec import remedy_spec

    rng = np.random.default_rng([case.seed, 1])
    kept = strata([remedy_spec(case.sampler, case.settings)], case.labels, groups=case.groups)
    plan = plan_steps(
        order,
        case.lengths,
        kept,
        rng,
        batch_rows=case.batch_rows,
        bucket_steps=case.bucket_steps,
    )
    stop_epoch, stop_step = int(rng.integers(case.epochs)), int(rng.integers(plan.steps))
    steps: list[Ints] = []
    for epoch in range(case.epochs):
        whole = _steps_of_epoch(case, plan, epoch, skipped=0)
        if epoch == stop_epoch:
            resumed = _steps_of_epoch(case, plan, epoch, skipped=stop_step)
            same = len(resumed) == plan.steps - stop_step and all(
                (a == b).all() for a, b in zip(resumed, whole[stop_step:], strict=True)
            )
            found["WRONG resumed steps differ"] += not same
            whole = whole[:stop_step] + resumed
        found["WRONG rows lost or added"] += int(
            not np.array_equal(np.sort(np.concatenate(whole)), np.sort(order[epoch]))
        )
        steps += whole
    return steps


def _steps_of_epoch(case: Case, plan: Any, epoch: int, skipped: int) -> list[Ints]:
    """From step `skipped` on: each step's rows over all processes and micro-batches."""
    from accelerate.data_loader import SkipBatchSampler

    from equipoise.models.feed import PlannedBatches

    accumulated = -(-case.batch_rows // (case.device_rows * case.processes))
    of_processes = []
    for process in range(case.processes):
        batches = PlannedBatches(
            plan,
            case.lengths,
            device_rows=case.device_rows,
            processes=case.processes,
            process=process,
        )
        batches.set_epoch(epoch)
        parts = list(SkipBatchSampler(batches, skipped * accumulated))
        of_processes.append(
            [parts[at : at + accumulated] for at in range(0, len(parts), accumulated)]
        )
    return [
        np.concatenate([np.array(part, dtype=np.int64) for parts in step for part in parts])
        for step in zip(*of_processes, strict=True)
    ]


def _kept(case: Case, step: Ints) -> bool:
    if len(step) > case.batch_rows:
        return False
    counts = np.bincount(case.labels[step], minlength=case.classes)
    if case.sampler == "guaranteed_presence":
        of_chosen = counts[case.chosen]
        least = of_chosen.sum() if case.settings["together"] else of_chosen.min()
        return bool(least >= case.settings["at_least"])
    if case.sampler == "balanced_sampler":
        # Blocks of all classes, cut anywhere: two pieces of blocks differ by two at most.
        return bool(np.ptp(counts) <= 2)
    if case.sampler == "group_balanced_sampler":
        of_cells = np.bincount(case.cells[step], minlength=case.cells.max() + 1)
        return bool(np.ptp(of_cells) <= 2)
    return True


def _judge_order(case: Case, order: Ints, found: Counter[str]) -> None:
    """What must hold of whole epochs."""
    kinds = case.cells if case.sampler == "group_balanced_sampler" else case.labels
    times = np.bincount(order.ravel(), minlength=len(kinds))
    high, low = np.zeros(kinds.max() + 1), np.full(kinds.max() + 1, np.inf)
    np.maximum.at(high, kinds, times)
    np.minimum.at(low, kinds, times)
    found["WRONG rows of a class come unequally often"] += bool((high - low).max() > 1)
    drawn = np.array([np.bincount(case.labels[e], minlength=case.classes) for e in order])
    counts = np.bincount(case.labels, minlength=case.classes)
    if case.sampler == "guaranteed_presence":
        _judge_repeats(case, order, drawn, counts, found)
    elif (shares := _shares(case, counts)) is not None:
        wide = np.abs(drawn - shares * order.shape[1]).max() > 1 + 1e-6
        found["WRONG shares are not those stated"] += bool(wide)


def _judge_repeats(case: Case, order: Ints, drawn: Ints, counts: Ints, found: Counter[str]) -> None:
    from equipoise.remedies.batches.account import repeats

    again = np.zeros(case.classes)
    for epoch in order:
        _, first = np.unique(epoch, return_index=True)
        again += np.bincount(np.delete(case.labels[epoch], first), minlength=case.classes)
    recorded, waiting = repeats(case.labels, order, case.classes)
    found["WRONG repeats in the record"] += not np.allclose(recorded * len(order), again)
    found["rows drawn again"] += int(again.sum())
    # As many rows wait as come again, beyond the places that fill up a last step.
    filled = order.shape[1] - len(case.labels)
    found["WRONG rows waiting in the record"] += not np.isclose(
        waiting + filled, again.sum() / len(order)
    )
    steps = -(-order.shape[1] // case.batch_rows)
    wanted = case.settings["at_least"] * steps
    chosen = case.chosen
    enough = (
        counts[chosen].sum() >= wanted
        if case.settings["together"]
        else counts[chosen].min() >= wanted
    )
    if enough and filled == 0:
        found["cases with rows enough"] += 1
        found["WRONG repeats where none are needed"] += bool(again.any())


def _shares(case: Case, counts: Ints) -> NDArray[np.float64] | None:
    """(epochs, classes) as the papers state them."""
    if case.sampler == "sqrt_sampler":
        raised = counts.astype(np.float64) ** case.settings["power"]
        return np.tile(raised / raised.sum(), (case.epochs, 1))
    if case.sampler == "progressive_sampler":
        over = case.settings["over"]
        t = np.array([1.0 if over == 1 else min(1.0, e / (over - 1)) for e in range(case.epochs)])
        return np.outer(1 - t, counts / counts.sum()) + t[:, None] / case.classes
    return None


def run(unit: Unit) -> dict[str, Any]:
    first = int(unit.settings["first"])
    total: Counter[str] = Counter()
    for seed in range(first, first + int(unit.settings["cases"])):
        total += judge(seed)  # what was never found is dropped here: only counts above 0 are kept
    return dict(total)


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for unit in units:
        total += Counter(unit["result"])
    wrong = {name: n for name, n in total.items() if name.startswith("WRONG")}
    broken = total["steps that break a promise"]
    return {
        **dict(sorted(total.items())),
        "steps that break a promise": broken,
        "other faults": sum(wrong.values()),
        "says": f"{total['cases']:,} cases, {total['steps']:,} optimizer steps over all processes: "
        f"{broken} break a promise, {sum(wrong.values())} other faults; "
        f"{total['cases refused']:,} impossible wishes were refused; guaranteed presence drew "
        f"{total['rows drawn again']:,} rows again",
    }


bench = Bench(
    "presence",
    units=[
        Unit(f"cases-{first:05d}", {"first": first, "cases": PER_UNIT})
        for first in range(0, CASES, PER_UNIT)
    ],
    run=run,
    version=2,
    price_seconds=lambda unit: 0.05 * unit.settings["cases"],
    summarise=summarise,
    about="Samplers keep their promises in every batch, however it is divided and resumed.",
)

if __name__ == "__main__":
    raise SystemExit(bench.main())
