"""The judgement of the texts of one split: every measure over all rows, over categories and of each
category, with a 95 % interval or the reason for none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from equipoise.evaluate.estimates import BANDS, band_of
from equipoise.evaluate.per_class import NO_ROWS
from equipoise.evaluate.texts.of_sums import Found, of_sums
from equipoise.evaluate.texts.outcomes import (
    MEASURES,
    RIGHT,
    VARIETY,
    TextOutcomes,
    text_outcomes,
)
from equipoise.evaluate.texts.resampling import Bools, expanded, macro
from equipoise.evaluate.texts.rightness import right_shares
from equipoise.evaluate.texts.variety import Variety, mean_variety, varieties, variety_estimate
from equipoise.records.scores import ClassScores, Estimate, Scores
from equipoise.records.written import Written

ONE_CATEGORY_ROW = "a category's texts are one cluster of look-alikes"


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
    The `decided` of a category counts its rows for which a text was written; where that is not all
    of them, a written row stands for as many as the category has for each in measures over all
    rows (`TextOutcomes.stands_for`).

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
    found = of_sums(seen, bands, seed=seed, resamples=resamples)
    for name in RIGHT:
        if name in seen.right:
            found[name] = _right(seen, name, bands, seed=seed, resamples=resamples)
    for n, name in enumerate(VARIETY, start=1):
        if name not in seen.why:
            found[name] = _varied(seen, n, bands)
    for name, why in seen.why.items():
        none = Estimate(None, why=why)
        found[name] = Found(none, none, [none] * len(seen.categories), dict.fromkeys(bands, none))
    return _scores(seen, split, trained, bands, {name: found[name] for name in MEASURES})


def _scores(
    seen: TextOutcomes,
    split: str,
    trained: dict[str, int] | None,
    bands: dict[str, Bools],
    found: dict[str, Found],
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


def _right(
    seen: TextOutcomes, name: str, bands: dict[str, Bools], *, seed: int, resamples: int
) -> Found:
    shares = right_shares(seen, name, seed=seed, resamples=resamples)
    return Found(
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


def _varied(seen: TextOutcomes, n: int, bands: dict[str, Bools]) -> Found:
    whole, each = varieties(seen, n)

    def mean(parts: list[Variety]) -> Estimate:
        return variety_estimate(mean_variety(parts), one=ONE_CATEGORY_ROW)

    return Found(
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
