"""What rows that are written teach: how much of it is each category's, and how alike it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from equipoise.audit.given import TRAIN, Given, Ints, Mask
from equipoise.data.duplicates import codes
from equipoise.data.normalise import plain_key
from equipoise.records.audit_written import Answers, CategoryAnswers
from equipoise.records.turns import PLAIN, answer


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which of n rows ask or answer the same, but for case and spaces: a point or a minus can make
    an answer."""

    question: Ints
    """(n,) number of what the row is asked, from 0; a text that is learned whole is its own."""
    answer: Ints
    """(n,) number of the last text that the row learns, from 0."""
    asks: Mask
    """(n,) whether anything stands before the answer."""

    def commonest(self, own: Mask) -> tuple[int, int]:
        """Of the rows `own` (n,) the answer that is given to most different questions, and to how
        many."""
        pairs = np.unique(np.stack([self.answer[own], self.question[own]]), axis=1)
        counts = np.bincount(pairs[0])
        return int(counts.argmax()), int(counts.max())


def pairs_of(given: Given) -> Pairs:
    assert given.turns is not None, "only rows that are written have answers"
    turns = given.turns.tolist()
    return Pairs(
        question=codes([plain_key(str(text)) for text in given.texts.tolist()]),
        answer=codes([plain_key(answer(row) or "") for row in turns]),
        asks=np.array([row[0].role != PLAIN for row in turns], dtype=bool),
    )


def answers(given: Given, pairs: Pairs, unit: Literal["tokens", "words"]) -> Answers:
    """Of rows whose `learned` is in this unit. Repeats are of all rows, categories of those that
    would train."""
    both = np.stack([pairs.question, pairs.answer])
    different = np.unique(both[:, pairs.asks], axis=1)
    held = np.bincount(different[0], minlength=int(pairs.question.max(initial=-1)) + 1)
    training = given.roles == TRAIN
    counts = given.counts(TRAIN)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda k: (-counts[k], given.classes[k]))
    return Answers(
        unit=unit,
        prompts=int((held > 0).sum()),
        several=int((held > 1).sum()),
        several_rows=int((held[pairs.question] > 1).sum()),
        repeated=len(given) - np.unique(both, axis=1).shape[1],
        different=len(np.unique(pairs.answer[training])),
        categories=[_of_category(given, pairs, k, training) for k in order],
    )


def _of_category(given: Given, pairs: Pairs, k: int, training: Mask) -> CategoryAnswers:
    assert given.learned is not None, "what is learned is measured before"
    own = training & (given.labels == k)
    size = given.learned[own]
    return CategoryAnswers(
        name=given.classes[k],
        rows=int(own.sum()),
        share=float(own.sum() / training.sum()),
        learned=float(size.sum() / max(int(given.learned[training].sum()), 1)),
        median=float(np.median(size)),
        high=float(np.quantile(size, 0.95)),
        questions=len(np.unique(pairs.question[own])),
        different=len(np.unique(pairs.answer[own])),
        commonest=pairs.commonest(own)[1],
    )
