"""How long judging takes: 10,000 rows, 50 classes, 2,000 resamples must take under 2 s on 2 cores.

    python -m benchmarks.judging_speed

Times the resampling with every measure of decisions (the claim), and the whole judgement with
per-class intervals, rankings and bands; and the fitting of a temperature and of offsets per class
on 5,000 rows of 150 classes. Each is the best of three, since the machine is shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.special import softmax

from benchmarks.common import Bench, Unit, peak_rss
from equipoise.evaluate import judge, measures
from equipoise.evaluate.outcomes import outcomes
from equipoise.records.predictions import Predictions
from equipoise.records.rows import text_column
from equipoise.remedies.decisions.fit import fit_rule
from equipoise.remedies.spec import parse_remedy
from equipoise.statistics.bootstrap import resampler

RESAMPLES = 2000
SHAPES = ((1_000, 12), (10_000, 50), (10_000, 150), (100_000, 50))
OFFSETS = {"rows": 5_000, "classes": 150, "remedies": ["temperature", "measure_offsets"]}
CLUSTERS = ("lone", "copies", "groups")


def lopsided(rows: int, classes: int, clusters: str, seed: int = 0) -> Predictions:
    """Predictions about 80 % right, classes as 1 : 1/2 : 1/3 …, in clusters of the given kind:
    none, a fifth of the rows copies in threes, or customers of three rows of any class."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, classes + 1)
    labels = rng.choice(classes, rows, p=share / share.sum())
    z = rng.normal(size=(rows, classes))
    z[np.arange(rows), labels] += 3.2
    number = np.arange(rows)
    if clusters == "copies":
        copied = rows // 5 // 3 * 3
        number[:copied] = np.arange(copied) // 3
        labels[:copied], z[:copied] = labels[number[:copied] * 3], z[number[:copied] * 3]
    elif clusters == "groups":
        number = number // 3
    names = np.array([f"class {k:03d}" for k in range(classes)], dtype=object)
    p = softmax(z, axis=1)
    return Predictions(
        classes=tuple(names),
        ids=text_column([str(i) for i in range(rows)]),
        splits=text_column(["test"] * rows),
        folds=np.full(rows, -1),
        groups=text_column([None] * rows),
        clusters=number,
        labels=names[labels],
        decided=names[p.argmax(axis=1)],
        logits=z,
        probabilities=p,
    )


def run(unit: Unit) -> dict[str, Any]:
    s = unit.settings
    if "remedies" in s:
        return {"fitting_seconds": _best(partial(fit_offsets, s))}
    predictions = lopsided(s["rows"], s["classes"], s["clusters"])
    seen = outcomes(predictions)

    def resample() -> None:
        prepared = resampler(seen.labels, seen.decided[None], seen.clusters, seen.known, seen.costs)
        drawn = prepared.draw(RESAMPLES, np.random.default_rng(0))[0]
        measures.decision_measures(drawn)
        measures.class_recall(drawn)
        measures.class_precision(drawn)
        measures.class_f1(drawn)

    def whole() -> None:
        judge(predictions, split="test", resamples=RESAMPLES)

    return {
        "accuracy": round(float((seen.labels == seen.decided).mean()), 3),
        "resampling_seconds": _best(resample),
        "judge_seconds": _best(whole),
        "peak_rss_mib": round(peak_rss() / 2**20),
    }


def fit_offsets(settings: Mapping[str, Any]) -> None:
    seen = outcomes(lopsided(settings["rows"], settings["classes"], "lone"))
    shares = np.log(np.bincount(seen.labels, minlength=settings["classes"]) + 0.5)
    shares -= np.log(np.exp(shares).sum())
    fit_rule(
        [parse_remedy(text) for text in settings["remedies"]],
        np.log(seen.probabilities),
        seen.labels,
        classes=seen.classes,
        log_source=shares,
        log_target=shares,
    )


def _best(work: Callable[[], None], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return round(min(taken), 3)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    claimed = [
        r["result"]["resampling_seconds"]
        for r in records
        if (r["settings"]["rows"], r["settings"]["classes"]) == (10_000, 50)
    ]
    fitted = [r["result"]["fitting_seconds"] for r in records if "remedies" in r["settings"]]
    return {
        "slowest_at_10000_rows_50_classes_seconds": max(claimed, default=None),
        "offsets_of_150_classes_seconds": max(fitted, default=None),
        "claim": 2.0,
    }


BENCH = Bench(
    "judging_speed",
    units=[
        Unit(
            f"{rows} rows {classes} classes {clusters}",
            {"rows": rows, "classes": classes, "clusters": clusters, "resamples": RESAMPLES},
        )
        for rows, classes in SHAPES
        for clusters in CLUSTERS
    ]
    + [Unit("offsets of 150 classes", OFFSETS)],
    run=run,
    price_seconds=lambda unit: 4 + unit.settings["rows"] / 4000,
    summarise=summarise,
    about="Wall seconds of resampling all measures of decisions, and of the whole judgement.",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
