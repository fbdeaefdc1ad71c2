"""Do the intervals of measures of texts hold the truth as often as they say?

    python -m benchmarks.text_coverage

Splits are drawn from the human texts of e2e_nlg: a text is judged against the other texts for the
same request, and a share of them is swapped for a text of another request, which makes six
categories of known BLEU and ROUGE-L. The loss is drawn from a gamma distribution of shape 0.7, far
more skewed than losses of models are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.common import Bench, Unit
from benchmarks.sets import load_lines, open_lines
from equipoise.evaluate.texts import overlap
from equipoise.evaluate.texts.resampling import expanded, macro, plan, recentred
from equipoise.evaluate.texts.rouge import rouge_l
from equipoise.statistics.sums import Floats

NAMES = ("bleu", "rouge_l", "loss")
SWAPPED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)
SPLITS, RESAMPLES = 200, 500
SETTINGS = {
    "one level": ((8, 12, 20, 50, 200, 500), (3,) * 6),
    "tail worse": ((200, 50, 10, 3, 1, 1), (0, 1, 2, 3, 4, 5)),
    "tail better": ((200, 50, 10, 3, 1, 1), (5, 4, 3, 2, 1, 0)),
    "nine of one row": ((1,) * 9, (0, 1, 2, 3, 4, 5, 0, 1, 2)),
    "six of two rows": ((2,) * 6, (2,) * 6),
}
"""Rows of each category, and which of SWAPPED it is."""


@cache
def populations() -> tuple[Floats, ...]:
    """Of each share in SWAPPED, (rows, 14) what each row adds."""
    lines = [*open_lines("e2e_nlg", by="text_coverage"), *load_lines("e2e_nlg", "validation")]
    rows = [texts for line in lines if len(texts := line["references"]) > 1]
    return tuple(_population(rows, share) for share in SWAPPED)


def _population(rows: list[list[str]], share: float) -> Floats:
    rng = np.random.default_rng(int(100 * share))
    texts, references = [], []
    for own in rows:
        k = int(rng.integers(len(own)))
        other = rows[int(rng.integers(len(rows)))]
        texts.append(other[0] if rng.random() < share else own[k])
        references.append([text for j, text in enumerate(own) if j != k])
    likeness = [rouge_l(*row) or 0.0 for row in zip(texts, references, strict=True)]
    n = len(rows)
    return np.column_stack(
        [
            overlap.bleu_sums(texts, references),
            *(likeness, np.ones(n), rng.gamma(0.7, 20, n), rng.integers(10, 40, n)),
        ]
    )


def value(sums: Floats) -> Floats:
    likeness, rows, nats, tokens = np.moveaxis(sums[..., overlap.BLEU_SUMS :], -1, 0)
    return np.stack(
        [overlap.bleu(sums), likeness / np.maximum(rows, 1), nats / np.maximum(tokens, 1)], axis=-1
    )


def run(unit: Unit) -> dict[str, Any]:
    sizes, levels = SETTINGS[unit.settings["setting"]]
    drawn_from = [populations()[level] for level in levels]
    truth = np.stack([value(rows.sum(axis=0)) for rows in drawn_from])
    category = np.repeat(np.arange(len(sizes)), sizes)
    clusters, everyone = np.arange(len(category)), np.ones(len(sizes), dtype=bool)
    hits = np.zeros((len(sizes) + 1, len(NAMES)))
    rng = np.random.default_rng(0)
    for _ in range(SPLITS):
        picked = [
            rows[rng.integers(0, len(rows), n)] for rows, n in zip(drawn_from, sizes, strict=True)
        ]
        prepared = plan(np.concatenate(picked), category, clusters, len(sizes))
        drawn = prepared.draw(RESAMPLES, rng, value)
        each = value(np.stack([rows.sum(axis=0) for rows in picked]))
        for i in range(len(NAMES)):
            lent = recentred(drawn.lent[..., i], drawn.each[..., i], each[:, i])
            mean = expanded(float(each[:, i].mean()), macro(lent, everyone), len(category))
            hits[-1, i] += _holds(mean, truth[:, i].mean())
            for k, n in enumerate(sizes):
                own = expanded(float(each[k, i]), drawn.each[:, k, i], n, few="few")
                hits[k, i] += _holds(own, truth[k, i])
    covered = hits / SPLITS
    return {
        "macro": dict(zip(NAMES, covered[-1].tolist(), strict=True)),
        "categories": {
            name: [None if n < 8 else c for n, c in zip(sizes, covered[:-1, i], strict=True)]
            for i, name in enumerate(NAMES)
        },
        "rows": list(sizes),
    }


def _holds(found: Any, truth: float) -> bool:
    return found.low is not None and found.low <= truth <= found.high


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    results = [record["result"] for record in records]
    return {
        name: {
            "least_macro": min(result["macro"][name] for result in results),
            "least_category": min(
                (c for result in results for c in result["categories"][name] if c is not None),
                default=None,
            ),
        }
        for name in NAMES
    }


BENCH = Bench(
    "text_coverage",
    units=[Unit(name, {"setting": name, "splits": SPLITS}) for name in SETTINGS],
    run=run,
    price_seconds=lambda unit: 30,
    summarise=summarise,
    about="Splits whose 95 % interval holds the truth: BLEU, ROUGE-L and a skewed loss.",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
