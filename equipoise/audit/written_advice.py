"""What to try where rows are written, and what in those that would train speaks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from equipoise.audit.findings.answers import OUTVOTED
from equipoise.audit.given import Ints
from equipoise.audit.say import classes_, percent, rows_, spread
from equipoise.audit.stances import in_order
from equipoise.records.audit import Advice
from equipoise.records.audit_written import Answers

MILD, EXTREME = 3.0, 100.0
"""Ratios of the most frequent to the rarest category."""
FEW_ROWS, FEW_IN_ALL = 20, 2_000
"""Rows of a category below which it would be learned by heart if it were drawn often; rows in all
from which a whole base begins to be tuned rather than overwritten."""
PLENTY = 5_000
"""Rows of the most frequent category from which a first stage has something to learn from it."""


def advise_written(
    counts: Ints, categories: tuple[str, ...], found: Answers, known: Sequence[str]
) -> list[Advice]:
    """counts (K,) training rows of each category. In the order of `in_order`; `known` as there."""
    return in_order(_all(counts, categories, found), known)


def _all(counts: Ints, categories: tuple[str, ...], found: Answers) -> Iterator[Advice]:
    present = np.flatnonzero(counts)
    if len(present) > 1:
        yield from _by_category(counts[present], tuple(categories[k] for k in present))
        yield _weighing(found)
    yield _holding_on(int(counts.sum()))


def _by_category(counts: Ints, categories: tuple[str, ...]) -> Iterator[Advice]:
    most, least = int(counts.max()), int(counts.min())
    rare = categories[int(counts.argmin())]
    seen = spread(categories[int(counts.argmax())], most, rare, least)
    mild, extreme = most / least < MILD, most / least > EXTREME
    tail = f"{int((counts < FEW_ROWS).sum()):,} of {classes_(len(counts), 'category')}"
    by_heart = f"{tail} have fewer than {FEW_ROWS} rows, which would be learned by heart"
    yield Advice(
        remedy="temperature_sampler" if extreme else "sqrt_sampler",
        stance="not here" if mild else "try first",
        why="categories nearly alike"
        if mild
        else "extreme imbalance"
        if extreme
        else "moderate imbalance",
        speaks_for=f"{seen}: rare rows are drawn more often, so that their share lies between "
        "the natural and the equal one",
        speaks_against=by_heart if least < FEW_ROWS else "plentiful categories are seen less often",
        source="Arivazhagan et al. 2019, arXiv:1907.05019",
        option="--remedy temperature_sampler" if extreme else "--remedy sqrt_sampler",
    )
    yield Advice(
        remedy="plentiful_first",
        stance="try" if extreme and most >= PLENTY else "not here",
        why="plentiful rows first, then the mixture",
        speaks_for=f"{seen}: what rare and plentiful rows have in common is learned before rare "
        "ones are repeated",
        speaks_against="a short training leaves the second stage no time; rare rows that have "
        "nothing in common with the others wait in vain",
        source="Choi et al. 2023, arXiv:2312.06134",
        option="--remedy plentiful_first",
    )
    yield Advice(
        remedy="class_weights",
        stance="not here" if mild else "try",
        why="weights instead of rows",
        speaks_for=f"{seen}; no row is repeated or left out",
        speaks_against=f"single rows of {rare!r} make steps jump"
        if least < FEW_ROWS
        else "the effect fades once every row is fitted (arXiv:1812.03372)",
        source="Cui et al. 2019, arXiv:1901.05555",
        option="--remedy class_weights",
    )


def _weighing(found: Answers) -> Advice:
    short = [c for c in found.categories if c.share >= OUTVOTED * c.learned > 0]
    worst = max(found.categories, key=lambda c: c.share / max(c.learned, 1e-12))
    return Advice(
        remedy="write.weigh",
        stance="try" if short else "not here",
        why="long answers outvote short ones" if short else "answers of similar length",
        speaks_for=f"{worst.name!r} has {percent(worst.share)} of the rows and "
        f"{percent(worst.learned)} of the {found.unit} that are learned",
        speaks_against="a long answer then counts no more than a short one, and each of its tokens "
        "less",
        source="the loss as it is divided: docs/writing.md, write.weigh",
        option="--set write.weigh=row",
    )


def _holding_on(rows: int) -> Advice:
    few = rows < FEW_IN_ALL
    return Advice(
        remedy="light tuning or LoRA",
        stance="try first" if few else "try",
        why="few rows" if few else "what the base can do is easily forgotten",
        speaks_for=f"{rows_(rows)} to train on: tuning little keeps more of what the base can do",
        speaks_against="a language or form far from the base's own asks for more; what was "
        "forgotten shows only if --set write.keep.general=FILE names texts to measure it on",
        source="Biderman et al. 2024 (LoRA learns less and forgets less), arXiv:2405.09673",
        option="--method lora",
    )
