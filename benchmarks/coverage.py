"""Do 95 % intervals hold the truth 95 % of the time? By simulation, at class counts like real ones.

    python -m benchmarks.coverage
    python -m benchmarks.coverage --only 'decisions brief*'

Each unit fixes the rows per class and how each class is decided, and so the true value of every
measure in that class mix. 2,000 test splits are drawn, and each interval of the library is asked
whether it holds the truth. Beside it stand methods that were not taken: the plain percentile
bootstrap of recall and macro F1, and the logit interval of average precision.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the arrays are small

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import truths
from benchmarks.common import Bench, Unit
from equipoise.evaluate import measures
from equipoise.evaluate.compare import (
    BY_ROW,
    DECISIONS,
    difference_by_resampling,
    difference_by_row,
)
from equipoise.evaluate.judge import decision_estimates, score_estimates
from equipoise.evaluate.per_class import class_scores, share_estimates
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.intervals import average_precision_logit

SIMULATIONS = 2000
OTHER_SIMULATIONS = 1000
"""Of the units beyond the must-show: other class counts, clusters, scores, pairs. The standard
error is 0.7 points."""
RESAMPLES = 500
"""Per simulated split; the library's 2,000 only steady the third digit."""
PLAIN_SIMULATIONS = 400
"""Of the plain bootstrap, which is shown for comparison: a standard error of 2.5 points at most."""

RECALLS = ("0.5", "0.7", "0.8", "0.9", "0.95", "0.99", "tail-worse", "tail-better")

Held = dict[str, list[Any]]


def units() -> list[Unit]:
    found = []

    def add(kind: str, counts: str, simulations: int, **more: Any) -> None:
        name = " ".join([kind, counts, *(str(v) for v in more.values())])
        settings = {"kind": kind, "counts": counts, "simulations": simulations, **more}
        found.append(Unit(name, settings))

    for errors in ("by-size", "even"):
        for counts in ("brief", "atis"):
            for recall in RECALLS if errors == "by-size" else ("0.5", "0.7", "0.95"):
                lone = {"recall": recall, "errors": errors, "clusters": "lone"}
                add("decisions", counts, SIMULATIONS, **lone)
    for counts in ("ones", "threes", "tens", "fifties", "two"):
        for recall in ("0.7", "0.9", "0.99"):
            lone = {"recall": recall, "errors": "by-size", "clusters": "lone"}
            add("decisions", counts, OTHER_SIMULATIONS, **lone)
    for clusters in ("copies", "groups"):
        for counts in ("brief", "atis"):
            # At 0.98 few mistakes show whether rows of a cluster go wrong together.
            for recall in ("0.7", "0.9", "0.98"):
                alike = {"recall": recall, "errors": "by-size", "clusters": clusters}
                add("decisions", counts, OTHER_SIMULATIONS, **alike)
    lost = {"recall": "tail-lost", "errors": "by-size", "clusters": "lone"}
    add("decisions", "atis", OTHER_SIMULATIONS, **lost)
    for counts in ("brief", "atis", "tens", "fifties"):
        for skill in (2, 3, 4):
            add("scores", counts, OTHER_SIMULATIONS, skill=skill)
    for counts in ("brief", "tens", "fifties"):
        add("scores", counts, OTHER_SIMULATIONS, skill=4, sureness=6)
    for counts in ("brief", "atis"):
        for pair in ("0.8 0.8", "0.8 0.9", "0.95 0.95"):
            add("pair", counts, OTHER_SIMULATIONS, recalls=pair)
    for counts in ("brief", "tens", "fifties"):
        for skills in ("3 3", "5 5", "3 4"):
            add("score-pair", counts, OTHER_SIMULATIONS, skills=skills)
    return found


def run(unit: Unit) -> dict[str, Any]:
    kind = unit.settings["kind"]
    rng = np.random.default_rng(sum(map(ord, unit.name)))
    counts = np.array(truths.COUNTS[unit.settings["counts"]], dtype=np.int64)
    held: Held = defaultdict(list)
    draw = {"decisions": decisions, "scores": scores, "pair": pair, "score-pair": score_pair}[kind]
    draw(unit.settings, counts, held, rng)
    return {
        "counts": counts.tolist(),
        "coverage": {name: _coverage(values) for name, values in sorted(held.items())},
    }


def decisions(s: Any, counts: NDArray[Any], held: Held, rng: np.random.Generator) -> None:
    """Recall, precision and F1 of each class, plain and guaranteed; every measure of decisions."""
    recall = truths.recalls(counts, s["recall"])
    table = truths.confusion(counts, recall, s["errors"])
    for k in range(s["simulations"]):
        seen = truths.draw(counts, table, s["clusters"], rng)
        truth = truths.of_decisions(np.bincount(seen.labels, minlength=len(counts)), table)
        whole = resampler(seen.labels, seen.decided[None], seen.clusters, seen.known, seen.costs)
        drawn = whole.draw(RESAMPLES, rng)[0]
        for name, found in decision_estimates(seen, seen.sums, drawn, guarantee=False).items():
            held[name].append(_holds(found, truth[name]))
            if name == "macro_f1" and found.low is not None:
                held["width: macro_f1"].append(found.high - found.low)
        for guarantee in (False, True):
            for name, estimates in share_estimates(seen, guarantee=guarantee).items():
                held[("guaranteed " if guarantee else "") + name].append(
                    [_holds(e, t) for e, t in zip(estimates, truth[name], strict=True)]
                )
        if k < PLAIN_SIMULATIONS:
            _plain_bootstrap(seen, truth, held, rng)


def _plain_bootstrap(seen: Any, truth: Any, held: Held, rng: np.random.Generator) -> None:
    """The method that was not taken: rows drawn with replacement, percentiles."""
    plain = resampler(
        seen.labels, seen.decided[None], seen.clusters, seen.known, seen.costs, prior_rows=0.0
    )
    drawn = plain.draw(RESAMPLES, rng)[0]
    low, high = np.quantile(measures.decision_measures(drawn)["macro_f1"], [0.025, 0.975])
    held["not taken: plain bootstrap of macro_f1"].append(float(low <= truth["macro_f1"] <= high))
    low, high = np.quantile(measures.class_recall(drawn), [0.025, 0.975], axis=0)
    held["not taken: plain bootstrap of recall"].append(
        ((low <= truth["recall"]) & (truth["recall"] <= high)).astype(float)
    )


def scores(s: Any, counts: NDArray[Any], held: Held, rng: np.random.Generator) -> None:
    """Average precision, area under the curve, log loss and Brier score."""
    model = (s["skill"], s.get("sureness", truths.SURENESS))
    truth = truths.of_scores(counts, model, rng)
    for _ in range(s["simulations"]):
        seen = truths.draw_scores(counts, model, rng)
        classes = class_scores(seen, None)
        for name, found in score_estimates(seen, classes).items():
            if name != "ece":
                held[name].append(_holds(found, truth[name]))
        found = [c.measures["average_precision"] for c in classes.values()]
        held["average_precision"].append(
            [_holds(e, t) for e, t in zip(found, truth["average_precision"], strict=True)]
        )
        low, high = average_precision_logit([e.value for e in found], counts)
        within = (low <= truth["average_precision"]) & (truth["average_precision"] <= high)
        held["not taken: logit interval of average_precision"].append(within.astype(float))


def pair(s: Any, counts: NDArray[Any], held: Held, rng: np.random.Generator) -> None:
    """The paired difference of two models of the given recalls."""
    tables = [
        truths.confusion(counts, truths.recalls(counts, recall), "by-size")
        for recall in s["recalls"].split()
    ]
    truth = [truths.of_decisions(counts, table) for table in tables]
    for k in range(s["simulations"]):
        seen = truths.draw_pair(counts, tables, rng)
        found = difference_by_resampling(seen, seed=k, resamples=RESAMPLES)
        for name in DECISIONS:
            held[f"difference in {name}"].append(
                _holds(found[name], truth[1][name] - truth[0][name])
            )


def score_pair(s: Any, counts: NDArray[Any], held: Held, rng: np.random.Generator) -> None:
    """The paired difference of two models of the given skills in what is a mean over rows."""
    models = [(float(skill), truths.SURENESS) for skill in s["skills"].split()]
    of_model = {model: truths.of_scores(counts, model, rng) for model in sorted(set(models))}
    for _ in range(s["simulations"]):
        seen = truths.draw_score_pair(counts, models, rng)
        for name in BY_ROW:
            truth = of_model[models[1]][name] - of_model[models[0]][name]
            held[f"difference in {name}"].append(_holds(difference_by_row(seen, name)[2], truth))


def _holds(found: Estimate, truth: float) -> float:
    """1 or 0, NaN where there is no interval."""
    if found.low is None or found.high is None:
        return float("nan")
    return float(found.low - 1e-12 <= truth <= found.high + 1e-12)


def _coverage(values: list[Any]) -> Any:
    """Share of the intervals given that held the truth; a list if per class, None if none given."""
    table = np.array(values, dtype=float)
    given = (~np.isnan(table)).sum(axis=0)
    share = np.nansum(table, axis=0) / np.maximum(given, 1)
    rounded = np.where(given > 0, np.round(share, 4), np.nan)
    if rounded.ndim:
        return [None if np.isnan(v) else float(v) for v in rounded]
    return None if np.isnan(rounded) else float(rounded)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Per kind of unit and measure: mean, least, and how many points had an interval."""
    points: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for record in records:
        group = _group(record["settings"])
        for name, value in record["result"]["coverage"].items():
            if name.startswith("width"):
                continue
            values = value if isinstance(value, list) else [value]
            for rows, share in zip(record["result"]["counts"], values, strict=False):
                if share is not None:
                    where = f"{record['name']}" + (
                        f", {rows} rows" if isinstance(value, list) else ""
                    )
                    points[f"{group}: {name}"].append((share, where))
    return {
        name: {
            "points": len(found),
            "mean": round(float(np.mean([share for share, _ in found])), 4),
            "least": min(found)[0],
            "where": min(found)[1],
        }
        for name, found in sorted(points.items())
    } | {
        "recall by rows": _by_rows(records, "recall"),
        "guaranteed recall by rows": _by_rows(records, "guaranteed recall"),
    }


def _group(s: dict[str, Any]) -> str:
    if s.get("recall") == "tail-lost":
        return "beyond the must-show"
    if s.get("clusters", "lone") != "lone":
        return "clusters"
    if s["kind"] == "decisions" and s["counts"] not in ("brief", "atis"):
        return "other counts"
    return "overconfident scores" if "sureness" in s else str(s["kind"])


def _by_rows(records: list[dict[str, Any]], measure: str) -> dict[str, float]:
    """Mean coverage at each class size, lone rows only: a share of few rows has few values."""
    found: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if record["settings"].get("clusters") == "lone":
            for rows, share in zip(
                record["result"]["counts"], record["result"]["coverage"][measure], strict=True
            ):
                found[rows].append(share)
    return {str(rows): round(float(np.mean(found[rows])), 4) for rows in sorted(found)}


def _price(unit: Unit) -> float:
    """Seconds: a part per simulation and a part per class."""
    rates = {"decisions": 0.02, "scores": 0.05, "pair": 0.02, "score-pair": 0.015}
    rate = rates[unit.settings["kind"]]
    classes = len(truths.COUNTS[unit.settings["counts"]])
    return float(unit.settings["simulations"] * rate * (0.3 + 0.7 * classes / 20))


BENCH = Bench(
    "coverage",
    units=units(),
    run=run,
    price_seconds=_price,
    summarise=summarise,
    about="Share of simulated test splits in which a 95 % interval holds the true value.",
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
