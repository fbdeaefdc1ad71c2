"""The story of an audit where rows are to be written: categories stand as classes.

Two views of the rows are handed in. In one a row's text is what is asked, by which rows repeat and
leak. In the other it is all that is said in the row, which has a length and a language.
"""

from __future__ import annotations

from collections.abc import Sequence

from equipoise.audit.answers import answers, pairs_of
from equipoise.audit.audit import Audited, hear
from equipoise.audit.counts import balance, class_facts
from equipoise.audit.drift import drift
from equipoise.audit.findings import Measured, by_weight
from equipoise.audit.findings.answers import (
    answers_as_classes,
    outvoted,
    repeated_rows,
    same_answers,
    several_answers,
    too_few_judged,
    untrained,
)
from equipoise.audit.findings.context import drifts, imbalance
from equipoise.audit.findings.judging import leaks, undivided
from equipoise.audit.findings.texts import cut_texts, other_languages, strange_language
from equipoise.audit.given import TRAIN, Given
from equipoise.audit.language import language
from equipoise.audit.lengths import lengths
from equipoise.audit.repeats import find_alike, repeats
from equipoise.audit.written_advice import advise_written
from equipoise.records.audit import Skipped
from equipoise.records.audit_written import Answers


def audit_written(
    asked: Given, said: Given, *, seed: int, remedies: Sequence[str]
) -> tuple[Audited, Answers]:
    """Measure, name what deserves it, and advise.

    asked  n rows, whose texts are what is asked.
    said   The same rows, whose texts are all that is said in them, with their tokens.
    """
    skipped: list[Skipped] = []
    capped: list[str] = []
    pairs = pairs_of(asked)
    found = answers(asked, pairs, "words" if said.tokens is None else "tokens")
    measured = Measured(
        balance=balance(asked),
        repeated=repeats(asked, find_alike(asked, seed=seed)),
        noise=None,
        overlap=None,
        lengths=lengths(said),
        language=language(said),
        heard=hear(said, seed, skipped, capped),
        groups=None,
        drift=drift(asked),
        power=None,
    )
    named = [
        *undivided(asked),
        *leaks(asked, measured.repeated),
        *too_few_judged(asked),
        *untrained(asked),
        *cut_texts(said, measured.lengths),
        *strange_language(said, measured.language),
        *other_languages(said, measured.heard),
        *answers_as_classes(asked, pairs, found),
        *outvoted(asked, found),
        *same_answers(asked, pairs, found),
        *drifts(asked, measured.drift),
        *repeated_rows(asked, pairs, found),
        *several_answers(asked, pairs, found),
        *imbalance(asked, measured.balance),
    ]
    audited = Audited(
        classes=class_facts(asked),
        measured=measured,
        findings=by_weight(named),
        advice=advise_written(asked.counts(TRAIN), asked.classes, found, remedies),
        skipped=skipped,
        capped=capped,
    )
    return audited, found
