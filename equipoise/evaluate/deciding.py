"""Measures by which users decide: one class at a working point of the deployment, or a function of
their own.

    recall_at_budget:class=fraud,budget=0.02         share of the class among the 2 % of rows that
    recall_at_budget:class=fraud,rows=50             score highest for it, or among 50 rows
    recall_at_fpr:class=fraud,fpr=0.01               ... where 1 % of the other rows are flagged
    precision_at_prevalence:class=fraud,prevalence=0.001
                                                     precision if the class had that share of rows
    net_benefit:class=fraud,threshold=0.1            hits less false alarms per row, a false alarm
                                                     weighing 0.1 / 0.9 of a hit

Of all of them larger is better.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import SettingsError
from equipoise.evaluate.outcomes import Outcomes
from equipoise.records.predictions import DEFER
from equipoise.statistics.sums import Floats

OwnFunction = Callable[..., float]
"""f(labels, decided) -> value, larger is better: (n,) class names each, as scikit-learn's metrics
take them; a decision may be "defer". A function with an argument `probabilities` is given those
too, (n, K), one column per class in the order of their names."""

_NUMBERS: dict[str, tuple[str, ...]] = {
    "recall_at_budget": ("budget", "rows"),
    "recall_at_fpr": ("fpr",),
    "precision_at_prevalence": ("prevalence",),
    "net_benefit": ("threshold",),
}
"""The number that each takes beside the class: one of these."""

KINDS = tuple(_NUMBERS)
LIMITED = ("recall_at_budget", "recall_at_fpr")
"""Kinds that keep within a limit, for which one threshold is set."""
OWN = "python"


@dataclass(frozen=True)
class DecidingMeasure:
    """One of the measures above, or a function."""

    text: str
    """What `parse_measure` reads back; names the measure in every record. For a function: where it
    is defined, and a hash of its source."""
    kind: str
    """One of `KINDS`, or "python"."""
    of: str = ""
    """The class."""
    limit: float = 0.0
    """Budget (share of rows, or rows from 1 up), false-positive rate, prevalence or threshold."""
    function: OwnFunction | None = None

    @property
    def wants_probabilities(self) -> bool:
        return self.function is not None and "probabilities" in _parameters(self.function)


def is_deciding(text: str) -> bool:
    """Whether the text is meant as one of these measures, well formed or not."""
    return text.partition(":")[0] in (*KINDS, OWN)


def parse_measure(text: str) -> DecidingMeasure:
    """
    >>> parse_measure("recall_at_budget:class=fraud,budget=0.02").limit
    0.02

    Raises SettingsError if it is not well formed, or names a function, which only Python can give.
    """
    kind, _, rest = text.partition(":")
    if kind == OWN:
        raise SettingsError(
            f"measure {text!r} is a Python function; give the function itself, as measure=..., "
            "to equipoise.fit or EquipoiseClassifier"
        )
    if kind not in _NUMBERS:
        near = get_close_matches(kind, KINDS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(f"measure {text!r} is not known; {hint}known are {', '.join(KINDS)}")
    names = "|".join(_NUMBERS[kind])
    wanted = " or ".join(f"{kind}:class=NAME,{name}=NUMBER" for name in _NUMBERS[kind])
    # A class's name may hold commas and equal signs, so the number is taken out first.
    found = re.findall(rf"(?:^|,)\s*({names})\s*=\s*([^,]*)(?=,|$)", rest)
    left = re.sub(rf"(?:^|,)\s*({names})\s*=\s*[^,]*(?=,|$)", "", rest).strip().lstrip(",").strip()
    if len(found) != 1 or not re.match(r"class\s*=\s*\S", left):
        raise SettingsError(f"measure {text!r}: expected {wanted}")
    name, value = found[0]
    of = left.partition("=")[2].strip()
    limit = _limit(text, name, value.strip())
    return DecidingMeasure(f"{kind}:class={of},{name}={limit:.12g}", kind, of, limit)


def _limit(text: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if name == "rows":
        if number >= 1 and number == int(number):
            return number
        raise SettingsError(f"measure {text!r}: rows is {value!r}; expected a whole number from 1")
    if 0 < number < 1:
        return number
    raise SettingsError(
        f"measure {text!r}: {name} is {value!r}; expected a share above 0 and below 1"
    )


def own_measure(function: OwnFunction) -> DecidingMeasure:
    """A function of the user's as a measure, named by its place and a hash of its source: the same
    name means the same function, so that runs by two versions of it are not taken for one.

    Raises SettingsError for what has no name or source of its own to be known by: lambdas,
    functions inside functions that hold values of those, partial and callable objects. What the
    function calls or reads elsewhere is not in the hash, nor is a decorator.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    advice = "write it as a function with `def`, at the top of a file or notebook cell"
    if not inspect.isfunction(function):
        raise SettingsError(f"measure: {name} is no plain Python function; {advice}")
    if function.__name__ == "<lambda>":
        raise SettingsError(f"measure: a lambda has no name to be known by; {advice}")
    if function.__closure__ and "<locals>" in name:
        held = ", ".join(function.__code__.co_freevars)
        raise SettingsError(f"measure: {name} holds {held} of the function around it; {advice}")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise SettingsError(f"measure: the source of {name} can't be read; {advice}") from None
    if not _fits(function):
        raise SettingsError(
            f"measure: {name}{inspect.signature(function)} can't be called; expected "
            "f(labels, decided) or f(labels, decided, *, probabilities)"
        )
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    text = f"{OWN}:{function.__module__}.{name}@{digest}"
    return DecidingMeasure(text, OWN, function=function)


def value_of(seen: Outcomes, measure: DecidingMeasure) -> float:
    """NaN where it is 0/0, or no row is of the class; what a function returns may be infinite."""
    if measure.function is not None:
        return own_value(seen, measure, np.arange(len(seen.labels)))
    positive = seen.labels == class_number(seen, measure)
    if measure.kind in ("precision_at_prevalence", "net_benefit"):
        flagged = flags(seen, measure)
        hits, alarms = float((flagged & positive).sum()), float((flagged & ~positive).sum())
        of_class, rows = float(positive.sum()), float(len(positive))
        counts = [np.array(x) for x in (hits, alarms, of_class, rows)]
        return float(from_counts(measure, *counts))
    scores = seen.probabilities[:, class_number(seen, measure)]
    return float(Ranked(scores, positive, measure).caught(np.ones((1, len(scores))))[0])


def class_number(seen: Outcomes, measure: DecidingMeasure) -> int:
    """Raises SettingsError if no class of the model or of the rows is called so."""
    if measure.of not in seen.classes:
        near = get_close_matches(measure.of, seen.classes, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SettingsError(
            f"measure {measure.text}: no class {measure.of!r}; {hint}"
            f"they are {', '.join(seen.classes)}"
        )
    return seen.classes.index(measure.of)


def flags(seen: Outcomes, measure: DecidingMeasure) -> NDArray[np.bool_]:
    """(n,) whether a row is flagged as of the class. Net benefit flags where the probability is
    the threshold or more, since that is what a threshold probability means; precision takes the
    run's decisions; the others flag as many of the rows as they may."""
    k = class_number(seen, measure)
    if measure.kind == "net_benefit":
        return np.asarray(seen.probabilities[:, k] >= measure.limit)
    if measure.kind == "precision_at_prevalence":
        return np.asarray(seen.decided == k)
    ranked = Ranked(seen.probabilities[:, k], seen.labels == k, measure)
    return np.asarray(seen.probabilities[:, k] >= ranked.threshold())


def from_counts(
    measure: DecidingMeasure, hits: Floats, alarms: Floats, of_class: Floats, rows: Floats
) -> Floats:
    """(...) value out of rows rightly and wrongly flagged, rows of the class, and all rows.

    precision_at_prevalence: r q / (r q + f (1 - q)), r being recall, f the share of other rows that
    are flagged, q the prevalence; net_benefit: hits / n - alarms / n * t / (1 - t) at threshold t,
    with the class's share as it is in the rows; the other kinds: recall.
    Source  Vickers and Elkin 2006, Decision curve analysis, Medical Decision Making 26.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(of_class > 0, hits / np.where(of_class > 0, of_class, 1), np.nan)
        if measure.kind == "net_benefit":
            odds = measure.limit / (1 - measure.limit)
            return np.asarray(np.where(of_class > 0, (hits - odds * alarms) / rows, np.nan))
        if measure.kind == "precision_at_prevalence":
            others = rows - of_class
            rate = np.where(others > 0, alarms / np.where(others > 0, others, 1), np.nan)
            hit = recall * measure.limit
            flagged = hit + rate * (1 - measure.limit)
            return np.asarray(
                np.where(flagged > 0, hit / np.where(flagged > 0, flagged, 1), np.nan)
            )
    return np.asarray(recall)


class Ranked:
    """Rows in the order of a class's score, for recall among those that may be flagged.

    Of rows with equal scores at the edge a share is flagged: what flagging them by lot would catch
    on average. Flagged rows count against the budget, or only those not of the class (fpr).
    """

    def __init__(
        self, scores: Floats, positive: NDArray[np.bool_], measure: DecidingMeasure
    ) -> None:
        self.measure = measure
        self.order = np.argsort(-scores, kind="stable")
        self.scores = scores[self.order]
        self.positive = positive[self.order].astype(np.float64)
        self.charged = (
            1 - self.positive if measure.kind == "recall_at_fpr" else np.ones(len(scores))
        )
        steps = np.flatnonzero(np.diff(self.scores, prepend=np.inf))
        self.steps = steps if len(scores) else np.zeros(0, dtype=np.int64)

    def caught(self, weights: Floats) -> Floats:
        """(B,) recall under (B, n) weights of the rows, in the order in which they were given."""
        ordered = weights[:, self.order]
        gained = np.add.reduceat(ordered * self.positive, self.steps, axis=1)
        taken = self._flagged(ordered)
        total = gained.sum(axis=1)
        with np.errstate(invalid="ignore"):
            share = (gained * taken).sum(axis=1) / np.where(total > 0, total, np.nan)
        return np.asarray(share)

    def threshold(self) -> float:
        """The score from which rows are flagged whole, as far as the limit allows; infinity if it
        allows none."""
        taken = self._flagged(np.ones((1, len(self.order))))[0]
        whole = np.flatnonzero(taken >= 1)
        return float(self.scores[self.steps[whole[-1]]]) if len(whole) else float("inf")

    def _flagged(self, ordered: Floats) -> Floats:
        """(B, steps) share of each step's rows that is flagged."""
        cost = np.add.reduceat(ordered * self.charged, self.steps, axis=1)
        spent = np.cumsum(cost, axis=1)
        allowed = self._allowed(ordered)[:, None]
        room = allowed - (spent - cost)
        share = np.clip(room / np.where(cost > 0, cost, 1), 0, 1)
        # Rounding: 1e-9 rows are none.
        return np.asarray(np.where(cost > 0, share, room >= -1e-9))

    def _allowed(self, ordered: Floats) -> Floats:
        limit = self.measure.limit
        if limit >= 1:
            return np.full(len(ordered), limit)
        return np.asarray(limit * (ordered * self.charged).sum(axis=1))


def own_value(seen: Outcomes, measure: DecidingMeasure, rows: NDArray[np.int64]) -> float:
    """The user's function on the rows at `rows`, which may repeat."""
    names = np.array((*seen.classes, DEFER), dtype=object)
    assert measure.function is not None
    given: dict[str, Any] = {}
    if measure.wants_probabilities:
        given["probabilities"] = seen.probabilities[rows]
    # Plain text arrays, which scikit-learn's metrics take for labels.
    labels, decided = (names[x[rows]].astype(str) for x in (seen.labels, seen.decided))
    return call_own(measure, labels, decided, **given)


def call_own(
    measure: DecidingMeasure, labels: NDArray[Any], decided: NDArray[Any], **given: Any
) -> float:
    """Raises SettingsError if the function fails, or returns no number."""
    assert measure.function is not None
    try:
        return float(measure.function(labels, decided, **given))
    except Exception as error:
        raise SettingsError(
            f"measure {measure.text}: failed on {len(labels)} rows with "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        ) from error


def _fits(function: OwnFunction) -> bool:
    """Whether it takes two places, and wants nothing else but `probabilities`."""
    given = list(_parameters(function).values())
    places = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    rest = [p for p in given if p not in places[:2] and p.kind not in open_ended]
    wanted = {p.name for p in rest if p.default is p.empty} - {"probabilities"}
    return len(places) >= 2 and not wanted and "probabilities" not in {p.name for p in places[:2]}


def _parameters(function: OwnFunction) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def check_class(measure: DecidingMeasure, classes: Sequence[str]) -> list[str]:
    """A line if the measure is of a class that training lacks."""
    if measure.function is not None or measure.of in classes:
        return []
    near = get_close_matches(measure.of, classes, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return [
        f"measure {measure.text}: no class {measure.of!r} in training; {hint}"
        f"they are {', '.join(classes)}"
    ]
