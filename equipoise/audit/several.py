"""The story of an audit where a row may have several labels.

Two views of the rows are handed in. In one a row's whole set of labels is its class: so repeats,
leaks, and texts under different labels are found. In the other a row stands once for each of its
labels: so labels are counted, measured and judged each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equipoise.audit.audit import Audited, hear
from equipoise.audit.co_occurrence import co_occurrence
from equipoise.audit.counts import balance, class_facts
from equipoise.audit.findings import Measured, by_weight
from equipoise.audit.findings.context import imbalance, telling_groups
from equipoise.audit.findings.judging import (
    leaks,
    too_small_classes,
    undivided,
    unknown_labels,
)
from equipoise.audit.findings.labels import conflicts
from equipoise.audit.findings.texts import (
    cut_texts,
    duplicates,
    other_languages,
    strange_language,
)
from equipoise.audit.given import TRAIN, Given, Ints
from equipoise.audit.groups import groups
from equipoise.audit.label_advice import advise_labels
from equipoise.audit.language import language
from equipoise.audit.lengths import lengths
from equipoise.audit.power import power
from equipoise.audit.repeats import find_alike, repeats
from equipoise.records.audit import Skipped
from equipoise.records.audit_labels import CoOccurrence

_ONE_ONLY = (
    "it is found by how rows of one class lie apart from others, which needs one label a row"
)


def audit_several(
    sets: Given, each: Given, held: Ints, *, seed: int, remedies: Sequence[str]
) -> tuple[Audited, CoOccurrence]:
    """Measure, name what deserves it, and advise.

    sets  n rows, whose classes are their whole sets of labels.
    each  A row for every label of every row; totals are of `sets` all the same.
    held  (n, K) 0/1, over the classes of `each`.
    """
    skipped = [Skipped(what="suspected label errors and inseparable classes", why=_ONE_ONLY)]
    capped: list[str] = []
    repeated = repeats(sets, find_alike(sets, seed=seed))
    training = np.flatnonzero(sets.roles == TRAIN)
    together = co_occurrence(held[training], each.classes, sets.clusters[training])
    measured = Measured(
        balance=balance(each),
        repeated=repeated,
        noise=None,
        overlap=None,
        lengths=lengths(each),
        language=language(each),
        heard=hear(sets, seed, skipped, capped),
        groups=groups(each, seed=seed),
        drift=None,
        power=power(each),
    )
    found = [
        *undivided(sets),
        *leaks(sets, repeated),
        *unknown_labels(each),
        *conflicts(sets, repeated),
        *too_small_classes(each, measured.power),
        *cut_texts(each, measured.lengths),
        *strange_language(each, measured.language),
        *other_languages(sets, measured.heard),
        *telling_groups(each, measured.groups),
        *duplicates(sets, repeated),
        *imbalance(each, measured.balance),
    ]
    if sets.times is not None:
        skipped.append(Skipped(what="drift", why="it is measured for one label a row"))
    audited = Audited(
        classes=class_facts(each),
        measured=measured,
        findings=by_weight(found),
        advice=advise_labels(each.counts(TRAIN), each.classes, together, remedies),
        skipped=skipped,
        capped=capped,
    )
    return audited, together
