"""The difference between two models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.errors import DataError, SettingsError
from equipoise.evaluate import measures, ranking
from equipoise.evaluate.cost_intervals import cost_difference, mistakes_differ_in_price
from equipoise.evaluate.deciding import KINDS, DecidingMeasure, is_deciding, parse_measure
from equipoise.evaluate.deciding_intervals import deciding_difference
from equipoise.evaluate.honesty import why_no_g_mean_interval
from equipoise.evaluate.judge import percentile
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.evaluate.per_class import independent_rows
from equipoise.records.predictions import Predictions
from equipoise.records.rows import Column
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import resampler
from equipoise.statistics.intervals import mean_interval
from equipoise.statistics.sums import Floats

LOWER_IS_BETTER = frozenset(
    {"expected_cost", "log_loss", "brier", "ece", "hamming_loss"}
    | {"loss", "macro_loss", "bits_per_byte", "macro_bits_per_byte"}
)
NEITHER_IS_BETTER = frozenset(
    f"{mean}{name}"
    for mean in ("", "macro_")
    for name in ("length_ratio", "distinct_1", "distinct_2")
)
"""What is closer to the references' is better, or nobody can say."""
BY_ROW = {"log_loss": measures.row_log_loss, "brier": measures.row_brier}
DECISIONS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "mcc",
    "g_mean",
    "expected_cost",
)
WITHOUT_INTERVAL = ("macro_average_precision", "macro_roc_auc", "ece")
MEASURES = (*DECISIONS, *BY_ROW, *WITHOUT_INTERVAL)


@dataclass(frozen=True)
class Difference:
    """How much larger a measure is for b than for a, on the same rows."""

    measure: str
    a: float | None
    b: float | None
    difference: Estimate
    """b - a, with its 95 % interval."""
    rows: int
    says: str
    """One sentence."""

    def to_json(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "a": self.a,
            "b": self.b,
            "difference": self.difference.to_json(),
            "rows": self.rows,
            "says": self.says,
        }


def compare(
    a: Predictions,
    b: Predictions,
    *,
    measure: str | DecidingMeasure = "macro_f1",
    costs: CostTable | NDArray[np.float64] | None = None,
    seed: int = 0,
    resamples: int = 2000,
    names: tuple[str, str] = ("the first", "the second"),
) -> Difference:
    """b minus a in `measure`, over the same rows, resampled together.

    Both are resampled by the same draws of clusters (`equipoise.statistics.bootstrap`), so what
    makes rows hard for both cancels out. `log_loss` and `brier` are means over rows: their
    difference has Student's interval over clusters. Where some mistakes are dearer than others,
    that of `expected_cost` allows for mistakes that no row has shown (`cost_intervals.py`).
    Measures by which users decide (`equipoise.evaluate.deciding`) have intervals of their own.
    Rows may come in different orders.
    Where a row may have several labels, `several/compare.py` compares; no costs are known there.

    Raises  DataError if the two do not hold the same rows with the same labels; SettingsError
            if the measure is not known.
    """
    if a.several:
        return _several(a, b, measure, seed=seed, resamples=resamples, names=names)
    if isinstance(measure, str) and is_deciding(measure):
        measure = parse_measure(measure)
    if isinstance(measure, str) and measure not in MEASURES:
        raise SettingsError(
            f"measure {measure!r} is not known; known are {', '.join((*MEASURES, *KINDS))}"
        )
    second = b.take(_same_rows(a, b))
    seen = (outcomes(_widened(a, b), costs), outcomes(_widened(second, a), costs))
    if isinstance(measure, DecidingMeasure):
        *values, estimate = deciding_difference(seen, measure, seed=seed, resamples=resamples)
        return _said(measure.text, values, estimate, names, len(a))
    values = [_value(one, measure) for one in seen]
    if np.isnan(values).any():
        estimate = Estimate(None, why=f"{measure} is 0/0 for one of the two")
    elif measure in BY_ROW:
        estimate = _by_row(seen, measure)
    elif measure == "expected_cost" and mistakes_differ_in_price(seen[0]):
        estimate = cost_difference(seen, seed=seed, resamples=resamples)
    elif measure in WITHOUT_INTERVAL:
        estimate = Estimate(
            values[1] - values[0],
            why=f"no interval for a difference in {measure} was found to keep its promise; "
            "compare by a measure of decisions, by log loss or by Brier score",
        )
    else:
        estimate = difference_by_resampling(seen, seed=seed, resamples=resamples)[measure]
    return _said(measure, values, estimate, names, len(a))


def _said(
    measure: str, values: Sequence[float], estimate: Estimate, names: tuple[str, str], rows: int
) -> Difference:
    a, b = (None if np.isnan(v) else v for v in values)
    return Difference(measure, a, b, estimate, rows, sentence(measure, estimate, names, rows))


def _several(
    a: Predictions,
    b: Predictions,
    measure: str | DecidingMeasure,
    *,
    seed: int,
    resamples: int,
    names: tuple[str, str],
) -> Difference:
    from equipoise.evaluate.several.compare import LABEL_MEASURES, compared_labels  # see `judge`

    if not isinstance(measure, str) or measure not in LABEL_MEASURES:
        raise SettingsError(
            f"measure {str(measure)!r} is not known where a row may have several labels; known are "
            f"{', '.join(LABEL_MEASURES)}"
        )
    second = b.take(_same_rows(a, b))
    *values, estimate = compared_labels(
        _widened(a, b), _widened(second, a), measure=measure, seed=seed, resamples=resamples
    )
    return _said(measure, values, estimate, names, len(a))


def _same_rows(a: Predictions, b: Predictions) -> NDArray[np.int64]:
    """Where each row of `a` is in `b`."""
    index = same_ids(a.ids, b.ids)
    differ = np.flatnonzero(a.labels != b.labels[index])
    if len(differ):
        k = int(differ[0])
        raise DataError(
            f"{len(differ)} rows have another label in the second; row {a.ids[k]!r} is "
            f"{a.labels[k]!r} and {b.labels[index][k]!r}; predict again on one set of labels"
        )
    return index


def same_ids(a: Column, b: Column) -> NDArray[np.int64]:
    """Where each id of `a` is in `b`.

    Raises  DataError if an id is there twice, or the two do not hold the same.
    """
    faults = []
    for name, ids in (("first", a), ("second", b)):
        if len(set(ids.tolist())) < len(ids):
            faults.append(f"the {name} predictions hold an id twice; predict with unique ids")
    if faults:
        raise DataError(*faults)
    place = {row: k for k, row in enumerate(b.tolist())}
    missing = [row for row in a.tolist() if row not in place]
    extra = len(b) - (len(a) - len(missing))
    if missing or extra:
        first = f" (the first is {missing[0]!r})" if missing else ""
        raise DataError(
            f"the two do not hold the same rows: {len(missing)} rows of the first are missing in "
            f"the second{first}, {extra} are only in the second; compare predictions of one split"
        )
    return np.array([place[row] for row in a.tolist()], dtype=np.int64)


def _widened(one: Predictions, other: Predictions) -> Predictions:
    """With the classes of both as columns, so that one cost matrix and one macro mean serve both.

    A class that only the other model knows gets probability 0: this one never decides it.
    """
    if one.classes == other.classes:
        return one
    names = tuple(sorted({*one.classes, *other.classes}))
    columns = [names.index(name) for name in one.classes]
    probabilities = np.zeros((len(one), len(names)))
    probabilities[:, columns] = one.probabilities
    logits = np.full((len(one), len(names)), -np.inf)
    logits[:, columns] = one.logits
    return replace(one, classes=names, logits=logits, probabilities=probabilities)


def _value(seen: Outcomes, measure: str) -> float:
    if measure in DECISIONS:
        return float(measures.decision_measures(seen.sums)[measure])
    answered = seen.known[seen.labels]
    if measure in BY_ROW:
        kept = answered if measure == "log_loss" else np.ones(len(answered), dtype=bool)
        rows = BY_ROW[measure](seen.probabilities[kept], seen.labels[kept])
        return float(rows.mean()) if len(rows) else float("nan")
    if measure == "ece":
        return measures.ece(seen.probabilities, seen.labels)
    of_class = {
        "macro_average_precision": ranking.average_precision,
        "macro_roc_auc": ranking.roc_auc,
    }[measure]
    present = np.flatnonzero(seen.sums.rows > 0)
    return float(
        np.mean(
            [
                of_class(seen.probabilities[:, k], seen.labels == k) if seen.known[k] else 0.0
                for k in present
            ]
        )
    )


def _by_row(seen: tuple[Outcomes, Outcomes], measure: str) -> Estimate:
    one = seen[0]
    kept = one.known[one.labels] if measure == "log_loss" else np.ones(len(one.labels), dtype=bool)
    rows = [BY_ROW[measure](s.probabilities[kept], s.labels[kept]) for s in seen]
    apart: Floats = rows[1] - rows[0]
    clusters = one.clusters[kept]
    value = float(apart.mean())
    if len(np.unique(clusters)) < 2:
        return Estimate(value, why="all rows are one cluster of look-alikes")
    return Estimate(value, *mean_interval(apart, clusters), method="cluster-t")


def difference_by_resampling(
    seen: tuple[Outcomes, Outcomes], *, seed: int, resamples: int
) -> dict[str, Estimate]:
    """b - a in every measure of decisions, whose values must not be NaN to be of use."""
    one, two = seen
    pair = resampler(
        one.labels,
        np.stack([one.decided, two.decided]),
        one.clusters,
        one.known,
        one.costs,
        one.amounts,
    )
    drawn = pair.draw(resamples, np.random.default_rng(seed))
    samples = [measures.decision_measures(sums) for sums in drawn]
    values = [measures.decision_measures(s.sums) for s in seen]
    why = why_no_g_mean_interval(independent_rows(one), one.known, one.classes)
    return {
        name: percentile(
            float(values[1][name] - values[0][name]),
            samples[1][name] - samples[0][name],
            why if name == "g_mean" else None,
        )
        for name in DECISIONS
    }


def sentence(measure: str, found: Estimate, names: tuple[str, str], rows: int) -> str:
    """What a difference says."""
    if found.value is None or found.low is None or found.high is None:
        return f"Whether {names[1]} differs from {names[0]} in {measure} is open: {found.why}."
    interval = f"{found.value:+.3g} (95 % interval {found.low:+.3g} to {found.high:+.3g})"
    if found.low <= 0 <= found.high:
        return (
            f"{_capital(names[1])} and {names[0]} can't be told apart by {measure} on {rows} "
            f"rows: the difference is {interval}."
        )
    if measure in NEITHER_IS_BETTER:
        word = "higher" if found.value > 0 else "lower"
        return (
            f"{_capital(names[1])} is {word} than {names[0]} in {measure} on {rows} rows: the "
            f"difference is {interval}."
        )
    better = (found.value < 0) == (measure in LOWER_IS_BETTER)
    return (
        f"{_capital(names[1])} is {'better' if better else 'worse'} than {names[0]} by {measure} "
        f"on {rows} rows: the difference is {interval}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
