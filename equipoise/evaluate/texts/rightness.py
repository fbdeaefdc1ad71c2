"""Exact match and answer match: shares of rows, judged as decisions are.

A row that is right is taken as decided as its category, one that is wrong as no category. So the
share of right rows is accuracy, that of a category is its recall, and the mean over categories is
balanced accuracy, each with the interval that was simulated for it (`docs/evaluate.md`). Ten right
rows of ten are not sure to be right for ever, as a plain bootstrap would have it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate import measures
from equipoise.evaluate.estimates import percentile, share_of_rows
from equipoise.evaluate.judge import decision_estimates
from equipoise.evaluate.outcomes import Outcomes
from equipoise.evaluate.per_class import NO_ROWS, share_estimates
from equipoise.evaluate.texts.outcomes import TextOutcomes
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.sums import Floats, Sums

_NOBODY = ("", " ")
"""Categories without rows: decisions need two categories or more to be right or wrong among."""


@dataclass(frozen=True, eq=False)
class RightShares:
    whole: Estimate
    macro: Estimate
    each: list[Estimate]
    """(K,)."""
    values: Floats
    """(K,) NaN where a category has no row that can be judged."""
    samples: Floats
    """(R, K)."""


def right_shares(seen: TextOutcomes, name: str, *, seed: int, resamples: int) -> RightShares:
    """Of a measure that can be had."""
    count = len(seen.categories)
    told = ~np.isnan(seen.right[name])
    decisions = _decisions(seen, seen.right[name], told)
    whole = resampler(
        decisions.labels,
        decisions.decided[None],
        decisions.clusters,
        decisions.known,
        decisions.costs,
    )
    drawn = whole.draw(resamples, np.random.default_rng(seed))[0]
    found = decision_estimates(decisions, decisions.sums, drawn, guarantee=False)
    each = share_estimates(decisions, guarantee=False)["recall"][:count]
    return RightShares(
        whole=share_of_rows(
            decisions.labels == decisions.decided,
            decisions.clusters,
            guarantee=False,
            weights=seen.stands_for[decisions.labels],
        ),
        macro=found["balanced_accuracy"],
        each=[Estimate(None, why=NO_ROWS) if e.value is None else e for e in each],
        values=np.array(measures.class_recall(decisions.sums)[:count], dtype=np.float64),
        samples=measures.class_recall(drawn)[:, :count],
    )


def right_differences(
    seen: tuple[TextOutcomes, TextOutcomes], name: str, *, seed: int, resamples: int
) -> tuple[Estimate, Estimate, list[Estimate]]:
    """b - a over all rows, as a mean over categories, and of each category."""
    hits = [one.right[name] for one in seen]
    told = ~np.isnan(hits[0]) & ~np.isnan(hits[1])
    one, two = (_decisions(s, h, told) for s, h in zip(seen, hits, strict=True))
    pair = resampler(
        one.labels, np.stack([one.decided, two.decided]), one.clusters, one.known, one.costs
    )
    drawn = pair.draw(resamples, np.random.default_rng(seed))
    sums = [one.sums, two.sums]

    def apart(value: Floats, samples: Floats) -> Estimate:
        return percentile(float(value), samples, undefined="no row of either can be judged")

    overall = [_overall(s, seen[0].stands_for) for s in (*sums, *drawn)]
    macro = [measures.macro(measures.class_recall(s), s.rows) for s in (*sums, *drawn)]
    each = [measures.class_recall(s) for s in (*sums, *drawn)]
    return (
        apart(overall[1] - overall[0], overall[3] - overall[2]),
        apart(macro[1] - macro[0], macro[3] - macro[2]),
        [
            apart(each[1][k] - each[0][k], each[3][:, k] - each[2][:, k])
            for k in range(len(one.classes) - len(_NOBODY))
        ],
    )


def _overall(sums: Sums, stands_for: Floats) -> Floats:
    """stands_for  (K,) as of `TextOutcomes`."""
    count = len(stands_for)
    right, rows = (part[..., :count] * stands_for for part in (sums.right, sums.rows))
    share: Floats = right.sum(axis=-1) / np.maximum(rows.sum(axis=-1), 1)
    return share


def _decisions(seen: TextOutcomes, hits: Floats, told: NDArray[np.bool_]) -> Outcomes:
    names = (*seen.categories, *_NOBODY)
    count, labels = len(names), seen.category[told]
    return Outcomes(
        classes=names,
        known=np.ones(count, dtype=bool),
        labels=labels,
        decided=np.where(hits[told] > 0, labels, count),
        clusters=seen.clusters[told],
        probabilities=np.zeros((len(labels), count)),
        costs=CostTable(1.0 - np.eye(count, count + 1)),
    )
