"""The judgement of the texts of one split: every measure over all rows, over categories and of each
category, with a 95 % interval or the reason for none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equipoise.evaluate.estimates import BANDS, band_of
from equipoise.evaluate.per_class import NO_ROWS
from equipoise.evaluate.texts.outcomes import (
    MEASURES,
    RIGHT,
    VARIETY,
    Measured,
    TextOutcomes,
    text_outcomes,
)
from equipoise.evaluate.texts.resampling import (
    FEW,
    Bools,
    Ints,
    expanded,
    macro,
    plan,
    recentred,
)
from equipoise.evaluate.texts.rightness import right_shares
from equipoise.evaluate.texts.variety import Variety, mean_variety, varieties, variety_estimate
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.records.written import Written
from equipoise.statistics.bounded_mean import bounded_mean_interval
from equipoise.statistics.intervals import mean_of_shares
from equipoise.statistics.sums import Floats

LIMITS = {
    "bleu": (0.0, 100.0),
    "chrf": (0.0, 100.0),
    "rouge_l": (0.0, 1.0),
    "meteor": (0.0, 1.0),
    "loss": (0.0, np.inf),
    "bits_per_byte": (0.0, np.inf),
    "length_ratio": (0.0, np.inf),
}
BOUNDED = ("rouge_l", "meteor")
"""Means over rows of numbers from 0 to 1, which may all lie at an edge and still vary."""
ONE_CATEGORY_ROW = "a category's texts are one cluster of look-alikes"


Bounds = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class _Found:
    """One measure of everything that is judged."""

    whole: Estimate
    macro: Estimate
    each: list[Estimate]
    bands: dict[str, Estimate]


def judge_texts(
    written: Written,
    *,
    split: str,
    trained_counts: Mapping[str, int] | None = None,
    pattern: str | None = None,
    tokenize: str = "13a",
    seed: int = 0,
    resamples: int = 2000,
) -> Scores:
    """Judge what was written for the rows of `split`.

    `trained_counts` are rows per category as given for training, before any remedy; without them
    there are no bands. `pattern` says where the answer stands in a text: a regular expression, or
    "gsm8k" for what follows "####". `tokenize` is how sacrebleu cuts words for BLEU.
    The `decided` of a category counts its rows for which a text was written.

    Raises  DataError if the split has no rows; SettingsError if the pattern or tokenizer can't be
            used; MissingExtraError if texts were written and sacrebleu is not installed.
    """
    seen = text_outcomes(
        written.of_split(split), trained=trained_counts, pattern=pattern, tokenize=tokenize
    )
    trained = None if trained_counts is None else dict(trained_counts)
    bands = {
        band: np.array(
            [
                trained is not None and band_of(int(trained.get(name, 0))) == band
                for name in seen.categories
            ],
            dtype=bool,
        )
        for band in BANDS
    }
    bands = {band: members for band, members in bands.items() if members.any()}
    found = _resampled(seen, bands, seed=seed, resamples=resamples)
    for name in RIGHT:
        if name in seen.right:
            found[name] = _right(seen, name, bands, seed=seed, resamples=resamples)
    for n, name in enumerate(VARIETY, start=1):
        if name not in seen.why:
            found[name] = _varied(seen, n, bands)
    for name, why in seen.why.items():
        none = Estimate(None, why=why)
        found[name] = _Found(none, none, [none] * len(seen.categories), dict.fromkeys(bands, none))
    return _scores(seen, split, trained, bands, {name: found[name] for name in MEASURES})


def _scores(
    seen: TextOutcomes,
    split: str,
    trained: dict[str, int] | None,
    bands: dict[str, Bools],
    found: dict[str, _Found],
) -> Scores:
    rows = seen.rows
    decoded = np.bincount(seen.category[seen.decoded], minlength=len(rows))
    no_rows = Estimate(None, why=NO_ROWS)
    measures = {name: one.whole for name, one in found.items()}
    measures |= {f"macro_{name}": one.macro for name, one in found.items()}
    records: dict[str, dict[str, Any]] = {
        band: {
            "classes": [seen.categories[k] for k in np.flatnonzero(members)],
            "rows": int(rows[members].sum()),
        }
        | {f"macro_{name}": one.bands[band] for name, one in found.items()}
        for band, members in bands.items()
    }
    counts = [None if trained is None else int(trained.get(c, 0)) for c in seen.categories]
    return Scores(
        split=split,
        rows=len(seen.category),
        measures=measures,
        classes={
            category: ClassScores(
                rows=int(rows[k]),
                decided=int(decoded[k]),
                trained=counts[k],
                band=None if (count := counts[k]) is None else band_of(count),
                measures={name: one.each[k] if rows[k] else no_rows for name, one in found.items()},
            )
            for k, category in enumerate(seen.categories)
        },
        bands=records,
        notes=_notes(seen),
    )


def _resampled(
    seen: TextOutcomes, bands: dict[str, Bools], *, seed: int, resamples: int
) -> dict[str, _Found]:
    """Measures that are functions of sums. Those of the same rows share their resamples."""
    groups: dict[bytes, list[str]] = {}
    for name, one in seen.measured.items():
        groups.setdefault(one.rows.tobytes(), []).append(name)
    found = {}
    for names in groups.values():
        measured = [seen.measured[name] for name in names]
        rows = measured[0].rows
        columns = np.cumsum([0, *(one.sums.shape[1] for one in measured)])

        def value(sums: Floats, measured: list[Measured] = measured, at: Any = columns) -> Floats:
            return np.stack(
                [one.value(sums[..., at[i] : at[i + 1]]) for i, one in enumerate(measured)], axis=-1
            )

        sums = np.concatenate([one.sums[rows] for one in measured], axis=1)
        category, clusters = seen.category[rows], seen.clusters[rows]
        count = len(seen.categories)
        prepared = plan(sums, category, clusters, count)
        drawn = prepared.draw(resamples, np.random.default_rng(seed), value)
        each = value(np.stack([sums[category == k].sum(axis=0) for k in range(count)]))
        whole = value(sums.sum(axis=0))
        held = np.diff(prepared.first)
        total = len(np.unique(clusters))
        sets = {"": np.ones(count, dtype=bool), **bands}
        of_set = {band: len(np.unique(clusters[m[category]])) for band, m in sets.items()}
        for i, name in enumerate(names):
            limits = LIMITS[name]
            lent = recentred(drawn.lent[..., i], drawn.each[..., i], each[:, i])
            least: Bounds = None
            least_each: list[Bounds] = [None] * count
            if name in BOUNDED:
                of_row = measured[i].value(measured[i].sums[rows])
                rng = np.random.default_rng(seed)
                least, least_each = _bounded(
                    of_row, category, clusters, count, rng, resamples=resamples
                )
            means = {
                band: expanded(
                    float(macro(each[:, i], members)),
                    macro(lent, members),
                    of_set[band],
                    limits=limits,
                    least=_least_of_mean(each[:, i], least_each, members),
                )
                for band, members in sets.items()
            }
            found[name] = _Found(
                expanded(float(whole[i]), drawn.whole[:, i], total, limits=limits, least=least),
                means.pop(""),
                [
                    expanded(
                        float(each[k, i]),
                        drawn.each[:, k, i],
                        int(held[k]),
                        limits=limits,
                        least=least_each[k],
                        few=FEW,
                    )
                    for k in range(count)
                ],
                means,
            )
    return found


def _bounded(
    values: Floats,
    category: Ints,
    clusters: Ints,
    count: int,
    rng: np.random.Generator,
    *,
    resamples: int,
) -> tuple[Bounds, list[Bounds]]:
    """Bounds of the mean of (n,) values of rows, each 0 to 1, and of each category's."""

    def of(rows: Bools) -> Bounds:
        if not rows.any():
            return None
        part = values[rows], clusters[rows]
        return bounded_mean_interval(*part, (0.0, 1.0), rng, resamples=resamples)

    return of(np.ones(len(values), dtype=bool)), [of(category == k) for k in range(count)]


def _least_of_mean(values: Floats, each: list[Bounds], members: Bools) -> Bounds:
    """Of the mean over those of (K,) categories that have bounds: theirs squared and added."""
    told = [(values[k], *bounds) for k, bounds in enumerate(each) if bounds and members[k]]
    return mean_of_shares(*np.array(told, dtype=np.float64).T) if told else None


def _right(
    seen: TextOutcomes, name: str, bands: dict[str, Bools], *, seed: int, resamples: int
) -> _Found:
    shares = right_shares(seen, name, seed=seed, resamples=resamples)
    return _Found(
        shares.whole,
        shares.macro,
        shares.each,
        {
            band: expanded(
                float(macro(shares.values, members)),
                macro(shares.samples, members),
                len(np.unique(seen.clusters[members[seen.category]])),
                limits=(0.0, 1.0),
            )
            for band, members in bands.items()
        },
    )


def _varied(seen: TextOutcomes, n: int, bands: dict[str, Bools]) -> _Found:
    whole, each = varieties(seen, n)

    def mean(parts: list[Variety]) -> Estimate:
        return variety_estimate(mean_variety(parts), one=ONE_CATEGORY_ROW)

    return _Found(
        variety_estimate(whole),
        mean(each),
        [variety_estimate(one) for one in each],
        {band: mean([each[k] for k in np.flatnonzero(m)]) for band, m in bands.items()},
    )


def _notes(seen: TextOutcomes) -> tuple[str, ...]:
    notes = list(seen.notes)
    empty = [c for c, n in zip(seen.categories, seen.rows, strict=True) if n == 0]
    if empty:
        notes.append(f"no rows in this split: {', '.join(empty)}. They are left out of macro means")
    repeated = len(seen.clusters) - len(np.unique(seen.clusters))
    if repeated:
        notes.append(
            f"{repeated} of {len(seen.clusters)} rows repeat or share a group with another one; "
            "intervals are widened, since such rows move together"
        )
    return tuple(notes)
