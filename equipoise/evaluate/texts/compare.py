"""The difference between what two models wrote for the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError, SettingsError
from equipoise.evaluate.compare import Difference, same_ids, sentence
from equipoise.evaluate.texts.outcomes import (
    MEASURES,
    RIGHT,
    VARIETY,
    TextOutcomes,
    text_outcomes,
)
from equipoise.evaluate.texts.resampling import (
    FEW,
    expanded,
    macro,
    over_all,
    plan,
    recentred,
)
from equipoise.evaluate.texts.rightness import right_differences
from equipoise.evaluate.texts.variety import (
    Variety,
    difference,
    mean_variety,
    varieties,
    variety_estimate,
)
from equipoise.records.scores import Estimate
from equipoise.records.written import Written
from equipoise.statistics.bootstrap import FEWEST
from equipoise.statistics.clusters import equal_clusters
from equipoise.statistics.sums import Floats

MACRO = "macro_"


@dataclass(frozen=True)
class TextDifference:
    """How much larger a measure is for b than for a, on the same rows."""

    overall: Difference
    """Over all rows; of a macro measure the mean over categories."""
    categories: dict[str, Difference]
    """Of each category that has rows, without "macro_"."""

    def to_json(self) -> dict[str, Any]:
        return {
            "overall": self.overall.to_json(),
            "categories": {name: one.to_json() for name, one in self.categories.items()},
        }


@dataclass(frozen=True, eq=False)
class _Apart:
    """Values of a and b, (2,) and (2, K), and their differences."""

    whole: Floats
    macro: Floats
    each: Floats
    whole_apart: Estimate
    macro_apart: Estimate
    each_apart: list[Estimate]


def compare_texts(
    a: Written,
    b: Written,
    *,
    measure: str,
    pattern: str | None = None,
    tokenize: str = "13a",
    seed: int = 0,
    resamples: int = 2000,
    names: tuple[str, str] = ("the first", "the second"),
) -> TextDifference:
    """b minus a in `measure`, one of MEASURES with or without "macro_" before it.

    Both are resampled by the same draws of clusters, so what makes rows hard for both cancels out.
    Rows may come in different orders; those that only one of the two can be judged on are left
    out, and over all rows the others stand for them. The other arguments are those of
    `judge_texts`.

    Raises  DataError if the two do not hold the same rows with the same categories and references,
            or the measure can't be had; SettingsError if it is not known.
    """
    plain = measure.removeprefix(MACRO)
    if plain not in MEASURES:
        raise SettingsError(
            f"measure {measure!r} is not known; known are {', '.join(MEASURES)}, and each of them "
            f"after {MACRO!r}"
        )
    if plain == "answer_match" and pattern is None:
        raise SettingsError("answer_match needs a pattern that says where the answer stands")
    second = replace(b.take(_same_rows(a, b)), clusters=a.clusters)
    both = [text.astype(object) for text in (a.written, second.written)]
    for own, other in (both, both[::-1]):
        own[[text is None for text in other]] = None
    sides = (replace(a, written=both[0]), replace(second, written=both[1]))
    seen = [text_outcomes(w, pattern=pattern, tokenize=tokenize, only=plain) for w in sides]
    faults = [
        f"{measure} of {name}: {one.why[plain]}"
        for name, one in zip(names, seen, strict=True)
        if plain in one.why
    ]
    if faults:
        raise DataError(*faults)
    pair = (seen[0], seen[1])
    if plain in VARIETY:
        found = _varied(pair, VARIETY.index(plain) + 1)
    elif plain in RIGHT:
        found = _right(pair, plain, seed=seed, resamples=resamples)
    else:
        found = _resampled(pair, plain, seed=seed, resamples=resamples)
    return _told(pair[0], found, measure, plain, names)


def _told(
    seen: TextOutcomes, found: _Apart, measure: str, plain: str, names: tuple[str, str]
) -> TextDifference:
    def said(name: str, values: Floats, estimate: Estimate, rows: int) -> Difference:
        one, two = (float(v) if np.isfinite(v) else None for v in values)
        return Difference(name, one, two, estimate, rows, sentence(name, estimate, names, rows))

    mean = measure.startswith(MACRO)
    values, estimate = (
        (found.macro, found.macro_apart) if mean else (found.whole, found.whole_apart)
    )
    return TextDifference(
        said(measure, values, estimate, len(seen.category)),
        {
            name: said(plain, found.each[:, k], found.each_apart[k], int(seen.rows[k]))
            for k, name in enumerate(seen.categories)
        },
    )


def _same_rows(a: Written, b: Written) -> Any:
    """Where each row of `a` is in `b`."""
    index = same_ids(a.ids, b.ids)
    faults = []
    for what, one, two in (
        ("category", a.categories, b.categories[index]),
        ("references", a.references, b.references[index]),
    ):
        differ = [k for k in range(len(one)) if one[k] != two[k]]
        if differ:
            k = differ[0]
            faults.append(
                f"{len(differ)} rows have another {what} in the second; row {a.ids[k]!r} has "
                f"{one[k]!r} and {two[k]!r}; write again for one set of rows"
            )
    if faults:
        raise DataError(*faults)
    return index


def _resampled(
    seen: tuple[TextOutcomes, TextOutcomes], name: str, *, seed: int, resamples: int
) -> _Apart:
    one, two = (s.measured[name] for s in seen)
    rows, width, count = one.rows & two.rows, one.sums.shape[1], len(seen[0].categories)
    sums = np.concatenate([one.sums, two.sums], axis=1)[rows]
    category, clusters = seen[0].category[rows], seen[0].clusters[rows]
    weights = one.stands_for[category]

    def both(sums: Floats) -> Floats:
        return np.stack([one.value(sums[..., :width]), two.value(sums[..., width:])])

    def apart(sums: Floats) -> Floats:
        values = both(sums)
        gap: Floats = (values[1] - values[0])[..., None]
        return gap

    same = (one.sums[rows] == two.sums[rows]).all(axis=1)
    same &= (seen[0].written[rows] == seen[1].written[rows]).astype(np.bool_)
    alike = _alike(same, category, count)
    prepared = plan(sums, category, clusters, count, one.stands_for)
    drawn = prepared.draw(resamples, np.random.default_rng(seed), apart)
    of_each = np.stack([sums[category == k].sum(axis=0) for k in range(count)])
    over = over_all(sums, category, one.stands_for)
    whole, each = both(over), both(of_each)
    gaps = apart(of_each)[:, 0]
    everyone = np.ones(count, dtype=bool)
    lent = recentred(drawn.lent[..., 0], drawn.each[..., 0], gaps)
    return _Apart(
        whole,
        macro(each, everyone),
        each,
        _gap(
            *(alike.all(), float(apart(over)[0]), drawn.whole[:, 0]),
            equal_clusters(clusters, weights),
        ),
        _gap(
            *(alike.all(), float(macro(gaps, everyone)), macro(lent, everyone)),
            len(np.unique(clusters)),
        ),
        [
            _gap(alike[k], float(gaps[k]), drawn.each[:, k, 0], int(held), few=FEW)
            for k, held in enumerate(np.diff(prepared.first))
        ],
    )


def _alike(same: NDArray[np.bool_], category: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """(K,) whether all rows of a category are the same for both. same (n,)."""
    differ = np.bincount(category[~same], minlength=count)
    found: NDArray[np.bool_] = differ == 0
    return found


def _gap(
    alike: bool | np.bool_,
    value: float,
    samples: Floats,
    clusters: float,
    *,
    few: str | None = None,
) -> Estimate:
    """Of two models that wrote alike, row by row, there is no difference. That is more than nothing
    being known of it, as where both have a BLEU of 0 by texts that differ."""
    if alike and np.isfinite(value) and clusters >= FEWEST:
        return Estimate(0.0, 0.0, 0.0, method="bootstrap")
    return expanded(value, samples, clusters, few=few)


def _right(
    seen: tuple[TextOutcomes, TextOutcomes], name: str, *, seed: int, resamples: int
) -> _Apart:
    hits = [s.right[name] for s in seen]
    count = len(seen[0].categories)
    whole, mean, each = right_differences(seen, name, seed=seed, resamples=resamples)
    shares = np.array([[_mean(hit[seen[0].category == k]) for k in range(count)] for hit in hits])
    everyone = np.ones(count, dtype=bool)
    return _Apart(
        np.array([_mean(hit, seen[0].stands_for[seen[0].category]) for hit in hits]),
        macro(shares, everyone),
        shares,
        whole,
        mean,
        each,
    )


def _mean(hits: Floats, weights: Floats | None = None) -> float:
    told = ~np.isnan(hits)
    if not told.any():
        return float("nan")
    return float(np.average(hits[told], weights=None if weights is None else weights[told]))


def _varied(seen: tuple[TextOutcomes, TextOutcomes], n: int) -> _Apart:
    (whole_a, each_a), (whole_b, each_b) = (varieties(s, n) for s in seen)
    means = mean_variety(each_a), mean_variety(each_b)
    one, two = seen
    same = (one.written == two.written).astype(np.bool_)
    alike = _alike(same, one.category, len(one.categories))

    def told(*values: float) -> Floats:
        return np.array(values, dtype=np.float64)

    return _Apart(
        told(whole_a.value, whole_b.value),
        told(means[0].value, means[1].value),
        np.array([[v.value for v in each_a], [v.value for v in each_b]]),
        _variety_gap(alike.all(), whole_a, whole_b),
        _variety_gap(alike.all(), *means),
        [_variety_gap(*sides) for sides in zip(alike, each_a, each_b, strict=True)],
    )


def _variety_gap(alike: bool | np.bool_, a: Variety, b: Variety) -> Estimate:
    gap = difference(a, b)
    if alike and np.isfinite(gap.value) and gap.clusters > 1:
        return Estimate(0.0, 0.0, 0.0, method="jackknife")
    return variety_estimate(gap, lowest=-1.0)
