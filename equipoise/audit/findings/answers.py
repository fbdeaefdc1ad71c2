"""What is telling of rows that a model is to write: their answers, and categories too few to judge.

Nothing here is left to chance but which rows a run would judge.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equipoise.audit.answers import Pairs
from equipoise.audit.counts import independent_counts
from equipoise.audit.given import TEST, TRAIN, VALIDATION, Given
from equipoise.audit.repeats import SHOWN
from equipoise.audit.say import classes_, few, names, percent, ratio, rows_
from equipoise.records.audit import Example, Finding
from equipoise.records.audit_written import Answers
from equipoise.records.turns import answer
from equipoise.statistics.bootstrap import FEWEST

FEW_ROWS = 20
"""Rows of a category from which its answers say something of it."""
SAME = 0.1
"""Share of a category's questions from which one answer to all of them is named."""
OUTVOTED = 2.0
"""How many times the share of its tokens a category's share of the rows must be."""
CLASSES_FROM, ROWS_A_CLASS, MOST_CLASSES = 100, 20, 200
"""Rows, rows an answer, and different answers at most, for answers to look like classes."""


def too_few_judged(given: Given) -> Iterator[Finding]:
    """A category with fewer independent judged rows than an interval takes, or none."""
    split = TEST if (given.roles == TEST).any() else VALIDATION
    if not (given.roles == split).any():
        return
    worth, rows = independent_counts(given, split), given.counts(split)
    small = sorted(np.flatnonzero(worth < FEWEST).tolist(), key=lambda k: (-worth[k], k))
    if not small:
        return
    shown = few([f"{given.classes[k]!r} ({rows_(int(worth[k]))})" for k in small])
    given_part = split in given.parts.tolist()
    yield Finding(
        kind="too_small",
        weight="serious",
        says=f"{len(small):,} of {classes_(len(given.classes), 'category')} can't be judged on the "
        f"{split} rows {'given' if given_part else 'that a run would divide off'}: fewer than "
        f"{FEWEST} independent ones give no interval: {shown}",
        do=f"add {split} rows of {'it' if len(small) == 1 else 'them'} with prompts of their own, "
        "judge such categories together, or say that they are not judged",
        rows=int(rows[small].sum()),
        classes=[given.classes[k] for k in small],
        examples=[
            given.example(
                int(np.flatnonzero((given.labels == k) & (given.roles == split))[0]),
                f"one of {rows_(int(rows[k]))} of {split} in its category",
            )
            for k in small
            if rows[k]
        ][:SHOWN],
    )


def untrained(given: Given) -> Iterator[Finding]:
    """A category that is judged and has no row to train on."""
    trained = given.counts(TRAIN) > 0
    judged = np.isin(given.roles, (VALIDATION, TEST))
    own = judged & ~trained[given.labels]
    if not own.any():
        return
    missing = [given.classes[k] for k in np.unique(given.labels[own]).tolist()]
    yield Finding(
        kind="unknown_labels",
        weight="look",
        says=f"{rows_(int(own.sum()))} to judge {'is' if own.sum() == 1 else 'are'} of "
        f"{'a category' if len(missing) == 1 else 'categories'} without a training row: "
        f"{names(missing)}",
        do="add training rows of them, or read their scores as those of a kind that was never "
        "learned",
        rows=int(own.sum()),
        classes=missing,
        examples=[
            given.example(row, "no training row of this category")
            for row in np.flatnonzero(own)[:SHOWN].tolist()
        ],
    )


def answers_as_classes(given: Given, pairs: Pairs, found: Answers) -> Iterator[Finding]:
    """So few different answers that each stands for many rows: see `few_answers`."""
    if not few_answers(given, found):
        return
    training = int((given.roles == TRAIN).sum())
    yield Finding(
        kind="few_answers",
        weight="look",
        says=f"{rows_(training)} to train on have only {found.different:,} different "
        f"{'answer' if found.different == 1 else 'answers'}",
        do="if the answers are classes, name their column --label and the prompt's --text: "
        "decisions, calibration and a measure per class come with it, and --head text still lets a "
        "decoder write them",
        rows=training,
        classes=[],
        examples=_of_answers(given, pairs),
    )


def few_answers(given: Given, found: Answers) -> bool:
    """Whether the answers look like classes."""
    training = int((given.roles == TRAIN).sum())
    stand = found.different <= MOST_CLASSES and training >= ROWS_A_CLASS * found.different
    return bool(found.prompts and training >= CLASSES_FROM and stand)


def same_answers(given: Given, pairs: Pairs, found: Answers) -> Iterator[Finding]:
    """One answer to a tenth or more of a category's different questions, FEW_ROWS of them at
    least; where all answers are few they are classes, and not named here."""
    if not found.prompts or few_answers(given, found):
        return
    same = [
        c
        for c in found.categories
        if c.questions >= FEW_ROWS and c.commonest >= max(SAME * c.questions, 2)
    ]
    if not same:
        return
    same.sort(key=lambda c: -c.commonest / c.questions)
    shown = few([f"{c.name!r} {percent(c.commonest / c.questions)}" for c in same])
    yield Finding(
        kind="same_answer",
        weight="look",
        says=f"one answer is given to many questions: {shown} of the questions of its category",
        do="see that it is meant; a model falls back on what it has seen most often, so thin such "
        "rows (--remedy random_undersample, or by hand) where it is not",
        rows=sum(c.commonest for c in same),
        classes=[c.name for c in same],
        examples=[_the_same(given, pairs, c.name) for c in same[:SHOWN]],
    )


def _the_same(given: Given, pairs: Pairs, name: str) -> Example:
    own = (given.roles == TRAIN) & (given.labels == given.classes.index(name))
    number, many = pairs.commonest(own)
    row = int(np.flatnonzero(own & (pairs.answer == number))[0])
    return given.example(row, _quoted(given, row, f"{many:,} questions of the category have"))


def _of_answers(given: Given, pairs: Pairs) -> list[Example]:
    """A row of each of the most frequent answers."""
    said, training = pairs.answer, given.roles == TRAIN
    counts = np.bincount(said[training])
    order = np.argsort(-counts, kind="stable")[:SHOWN].tolist()
    rows = [int(np.flatnonzero(training & (said == number))[0]) for number in order]
    return [
        given.example(row, _quoted(given, row, f"{rows_(int(counts[number]))} have"))
        for row, number in zip(rows, order, strict=True)
        if counts[number]
    ]


def _quoted(given: Given, row: int, before: str) -> str:
    assert given.turns is not None
    text = answer(given.turns[row]) or ""
    short = text if len(text) <= 60 else text[:59].rstrip() + "…"
    return f"{before} the answer {short!r}" if given.keep_texts else f"{before} its answer"


def several_answers(given: Given, pairs: Pairs, found: Answers) -> Iterator[Finding]:
    """Any prompt with different completions."""
    if not found.several:
        return
    different = np.unique(np.stack([pairs.question, pairs.answer]), axis=1)
    held = np.bincount(different[0])
    most = np.argsort(-held, kind="stable")[:SHOWN].tolist()
    yield Finding(
        kind="several_answers",
        weight="note",
        says=f"{rows_(found.several, 'prompt')} of {found.prompts:,} "
        f"{'has' if found.several == 1 else 'have'} different completions "
        f"({rows_(found.several_rows)})",
        do="nothing, if all of them are right: each is learned, and a column of references lets "
        "any of them count as right in judging; else leave the wrong ones out",
        rows=found.several_rows,
        classes=[],
        examples=[
            given.example(
                int(np.flatnonzero(pairs.question == number)[0]),
                f"{held[number]:,} different completions",
            )
            for number in most
            if held[number] > 1
        ],
    )


def repeated_rows(given: Given, pairs: Pairs, found: Answers) -> Iterator[Finding]:
    """Any row that repeats another whole."""
    if not found.repeated:
        return
    share = found.repeated / len(given)
    both = np.stack([pairs.question, pairs.answer])
    _, first, count = np.unique(both, axis=1, return_index=True, return_counts=True)
    most = np.argsort(-count, kind="stable")[:SHOWN].tolist()
    yield Finding(
        kind="duplicates",
        weight="look" if share >= 0.05 else "note",
        says=f"{rows_(found.repeated)} ({percent(share)}) "
        f"repeat{'s' if found.repeated == 1 else ''} an earlier row whole",
        do="leave the copies out: each is learned once more, and what is repeated often is learned "
        "by heart; every split keeps them on one side",
        rows=found.repeated,
        classes=[],
        examples=[
            given.example(int(first[k]), f"occurs {count[k]:,} times") for k in most if count[k] > 1
        ],
    )


def outvoted(given: Given, found: Answers) -> Iterator[Finding]:
    """Categories whose share of the rows is OUTVOTED times their share of what is learned."""
    short = [
        c for c in found.categories if c.rows >= FEW_ROWS and c.share >= OUTVOTED * c.learned > 0
    ]
    if not short:
        return
    short.sort(key=lambda c: -c.share / c.learned)
    shown = few(
        [
            f"{c.name!r} ({percent(c.share)} of the rows, {percent(c.learned)} of the {found.unit})"
            for c in short
        ]
    )
    longest = max(found.categories, key=lambda c: c.median)
    yield Finding(
        kind="outvoted",
        weight="look",
        says=f"{classes_(len(short), 'category')} of short answers "
        f"{'is' if len(short) == 1 else 'are'} outvoted by long ones: {shown}; the answers "
        f"of {longest.name!r} are {ratio(longest.median / max(short[0].median, 1))} as long as "
        f"those of {short[0].name!r}",
        do="take --set write.weigh=row, so that every row counts the same, or =category; by "
        "default every token does",
        rows=sum(c.rows for c in short),
        classes=[c.name for c in short],
        examples=_shortest(given, short[0].name),
    )


def _shortest(given: Given, name: str) -> list[Example]:
    assert given.learned is not None
    own = np.flatnonzero((given.labels == given.classes.index(name)) & (given.roles == TRAIN))
    order = own[np.argsort(given.learned[own], kind="stable")][:SHOWN].tolist()
    return [given.example(row, f"{given.learned[row]:,} to learn") for row in order]
