"""The difference between two models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.errors import DataError, SettingsError
from equipoise.evaluate import measures
from equipoise.evaluate.cost_intervals import cost_difference, mistakes_differ_in_price
from equipoise.evaluate.deciding import KINDS, DecidingMeasure, is_deciding, parse_measure
from equipoise.evaluate.deciding_intervals import deciding_difference
from equipoise.evaluate.estimates import (
    macro_average_precision,
    macro_roc_auc,
    mean_difference,
    percentile,
    without_interval,
)
from equipoise.evaluate.honesty import why_no_g_mean_interval
from equipoise.evaluate.outcomes import Outcomes, outcomes
from equipoise.evaluate.per_class import (
    ONE_CLASS,
    average_precision_estimates,
    independent_rows,
    ranking_of,
)
from equipoise.evaluate.several.compare import LABEL_MEASURES, compared_labels
from equipoise.records.predictions import Predictions
from equipoise.records.rows import Column
from equipoise.records.scores import Estimate
from equipoise.statistics.bootstrap import resampler

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
    makes rows hard for both cancels out. `log_loss` and `brier` are means over rows: at each end
    their difference has the wider of Student's interval over clusters, plain and corrected for
    skewness. Where some mistakes are dearer than others, that of `expected_cost` allows for
    mistakes that no row has shown (`cost_intervals.py`).
    Measures by which users decide (`equipoise.evaluate.deciding`) have intervals of their own.
    Where the two know different classes, `costs` are of both's together, sorted by name; a class
    that one does not know counts 0 for it, as in `judge`; log loss is taken over the rows whose
    class both know.
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
    seen = (outcomes(a, costs, classes=b.classes), outcomes(second, costs, classes=a.classes))
    if isinstance(measure, DecidingMeasure):
        *values, estimate = deciding_difference(seen, measure, seed=seed, resamples=resamples)
        return _said(measure.text, values, estimate, names, len(a))
    if measure in BY_ROW:
        *values, estimate = difference_by_row(seen, measure)
        return _said(measure, values, estimate, names, len(a))
    if measure in WITHOUT_INTERVAL:
        *values, estimate = without_interval(measure, [_ranked(one, measure) for one in seen])
        return _said(measure, values, estimate, names, len(a))
    values = [float(measures.decision_measures(one.sums)[measure]) for one in seen]
    if np.isnan(values).any():
        estimate = Estimate(None, why=measures.UNDEFINED.get(measure, "0/0"))
    elif measure == "expected_cost" and mistakes_differ_in_price(seen[0]):
        estimate = cost_difference(seen, seed=seed, resamples=resamples)
    else:
        estimate = difference_by_resampling(seen, seed=seed, resamples=resamples)[measure]
    return _said(measure, values, estimate, names, len(a))


def _said(
    measure: str, values: Sequence[float], estimate: Estimate, names: tuple[str, str], rows: int
) -> Difference:
    a, b = (v if np.isfinite(v) else None for v in values)
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
    if not isinstance(measure, str) or measure not in LABEL_MEASURES:
        raise SettingsError(
            f"measure {str(measure)!r} is not known where a row may have several labels; known are "
            f"{', '.join(LABEL_MEASURES)}"
        )
    second = b.take(_same_rows(a, b))
    *values, estimate = compared_labels(a, second, measure=measure, seed=seed, resamples=resamples)
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


def difference_by_row(
    seen: tuple[Outcomes, Outcomes], measure: str
) -> tuple[float, float, Estimate]:
    """Values of both, and their difference: means over rows, of the rows' own differences."""
    one, two = seen
    kept = np.ones(len(one.labels), dtype=bool)
    if measure == "log_loss":
        # What one knows and the other does not would be a floored probability against a real one.
        kept = (one.known & two.known)[one.labels]
    if not kept.any():
        none = Estimate(None, why="no row is of a class that both models know")
        return float("nan"), float("nan"), none
    rows = [BY_ROW[measure](s.probabilities[kept], s.labels[kept]) for s in seen]
    return mean_difference(rows[0], rows[1], one.clusters[kept])


def _ranked(seen: Outcomes, measure: str) -> Estimate:
    if measure == "ece":
        return Estimate(measures.ece(seen.probabilities, seen.labels), why="description only")
    if measure == "macro_roc_auc":
        return macro_roc_auc(ranking_of(seen), ONE_CLASS)
    return macro_average_precision(ranking_of(seen), average_precision_estimates(seen))


def difference_by_resampling(
    seen: tuple[Outcomes, Outcomes], *, seed: int, resamples: int
) -> dict[str, Estimate]:
    """b - a in every measure of decisions, whose values must not be NaN to be of use."""
    one, two = seen
    pair = resampler(
        one.labels,
        np.stack([one.decided, two.decided]),
        one.clusters,
        np.stack([one.known, two.known]),
        one.costs,
        one.amounts,
    )
    drawn = pair.draw(resamples, np.random.default_rng(seed))
    samples = [measures.decision_measures(sums) for sums in drawn]
    values = [measures.decision_measures(s.sums) for s in seen]
    worth = independent_rows(one)
    reasons = [why_no_g_mean_interval(worth, s.known, s.classes) for s in seen]
    why = reasons[0] or reasons[1]
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
