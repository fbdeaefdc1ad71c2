"""The verdict: one paragraph that a manager can act on, and that claims no more than was measured.

What is said of a difference depends only on the interval of the paired difference in the manifest:
an interval that holds 0, or that can't be had, is never called better or worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from equipoise.records.predictions import DEFER
from equipoise.records.run import Comparison, Manifest
from equipoise.records.scores import ClassScores
from equipoise.report.read import AnyRun, RunFolder
from equipoise.report.words import (
    LOWER_IS_BETTER,
    NONE,
    count,
    estimate,
    gap,
    in_sentence,
    interval,
    listed,
    measure_name,
    number,
    percent,
    seconds,
    short,
)

Finding = Literal["better", "worse", "noise", "unknown"]

TOO_WIDE = 0.5
"""A class whose recall interval spans more than this share of the scale is not judged. Of ten
independent rows eight right can be judged (0.48 to 0.97), seven right can't (0.38 to 0.92); from 14
such rows on every class can be. Rows that are tied together count for less."""


@dataclass(frozen=True)
class Unjudged:
    """A class of which the judged rows are too few to say anything."""

    name: str
    why: str


@dataclass(frozen=True)
class Figure:
    """One of the few figures below the verdict."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Verdict:
    headline: str
    """The finding in one sentence."""
    tone: Literal["good", "mixed", "bad"]
    sentences: tuple[str, ...]
    """The paragraph below the headline."""
    measure: str
    """The measure on which the verdict rests."""
    figures: tuple[Figure, ...]
    unjudged: tuple[Unjudged, ...]


HELPS = {"tfidf": "A language model helps here", "vectors": "Fine-tuning helps here"}
"""What a run shows that beats a baseline, in the order in which it is said."""
NEEDLESS = {"tfidf": "a language model", "vectors": "fine-tuning"}
"""What is not needed where a baseline does better."""


def verdict_of(run: RunFolder) -> Verdict:
    measure = headline_measure(run.manifest)
    versus = {c.against: c for c in run.manifest.comparisons if c.measure == measure}
    headline, tone = _headline(run, {name: finding(c) for name, c in versus.items()})
    unjudged = unjudged_classes(run)
    sentences = [
        _result(run, measure),
        _against_plain(run, versus.get("plain"), measure),
        *(_against_cheap(run, name, versus.get(name), measure) for name in NEEDLESS),
        _unjudged_sentence(unjudged, len(run.scores.classes)),
        _deferred(run),
        _validation_only(run),
    ]
    figures = _figures(run, measure, len(unjudged))
    return Verdict(headline, tone, tuple(s for s in sentences if s), measure, figures, unjudged)


def headline_measure(manifest: Manifest) -> str:
    """Macro F1 where baselines were compared by it; else the measure that they were compared by."""
    compared = [c.measure for c in manifest.comparisons]
    if "macro_f1" in compared or not compared:
        return "macro_f1"
    return compared[0]


def with_unit(run: AnyRun, measure: str) -> str:
    """The name of a measure, of costs with what they are counted in."""
    name = measure_name(measure)
    if measure != "expected_cost":
        return name
    return f"{name}, in {short(run.costs.unit, 40) if run.costs else 'mistakes'}"


def finding(comparison: Comparison | None) -> Finding:
    """What the interval of the paired difference lets one say of this run."""
    if comparison is None or comparison.low is None or comparison.high is None:
        return "unknown"
    if comparison.low <= 0 <= comparison.high:
        return "noise"
    gain = comparison.value < 0 if comparison.measure in LOWER_IS_BETTER else comparison.value > 0
    return "better" if gain else "worse"


def unjudged_classes(run: RunFolder) -> tuple[Unjudged, ...]:
    """Classes with no honest judgement, fewest training rows first, each with its reason."""
    found = [
        (scores.trained or 0, name, why)
        for name, scores in run.scores.classes.items()
        if (why := _why_unjudged(scores, run.manifest.judged))
    ]
    return tuple(Unjudged(name, why) for _, name, why in sorted(found))


def _why_unjudged(scores: ClassScores, split: str) -> str | None:
    rows = count(scores.rows, f"{split} row")
    if scores.rows == 0:
        return f"no {split} rows"
    if scores.trained == 0:
        return f"{rows}, but none in training: it can never be decided"
    recall = scores.measures.get("recall")
    if recall is None or recall.low is None or recall.high is None:
        return f"{rows}: {recall.why if recall and recall.why else 'recall was not measured'}"
    if recall.high - recall.low > TOO_WIDE:
        return f"{rows}: recall may be anything from {interval(recall.low, recall.high)}"
    return None


def _headline(
    run: RunFolder, found: dict[str, Finding]
) -> tuple[str, Literal["good", "mixed", "bad"]]:
    titles = {b.name: in_sentence(b.title) for b in run.manifest.baselines}
    for name, what in NEEDLESS.items():
        if found.get(name) == "worse":
            what = what.removeprefix("a ")
            return f"No {what} is needed here: {titles.get(name, name)} does better.", "bad"
        if found.get(name) == "noise":
            return (
                f"Whether {what} is needed can’t be told from these rows: the difference from "
                f"{titles.get(name, name)} may be noise.",
                "mixed",
            )
    helps = next((says for name, says in HELPS.items() if found.get(name) == "better"), None)
    plain = found.get("plain", "unknown")
    if not run.manifest.remedies and helps:
        return f"{helps}; this run treats no imbalance.", "mixed"
    if not found and not run.manifest.remedies:
        return "Scored, but not compared: nothing was found to set this plain run against.", "mixed"
    if not helps and (plain == "unknown" or not run.manifest.remedies):
        return "Scored, but not compared: no baseline gives an interval to set it against.", "mixed"
    says = {
        "better": "and this run beats plain fine-tuning.",
        "noise": "but this run can’t be told from plain fine-tuning.",
        "worse": "but this run is worse than plain fine-tuning.",
        "unknown": "but how this run compares with plain fine-tuning is not known.",
    }[plain]
    tone: Literal["good", "mixed", "bad"] = "bad" if plain == "worse" else "mixed"
    if helps:
        return f"{helps}, {says}", "good" if plain == "better" else tone
    says = says.partition(" ")[2]
    return says[0].upper() + says[1:], tone


def _result(run: RunFolder, measure: str) -> str:
    scores = run.scores
    value = scores.measures.get(measure)
    rows = count(scores.rows, f"{run.manifest.judged} row")
    classes = count(sum(c.rows > 0 for c in scores.classes.values()), "class", "classes")
    if value is None:
        return f"It was judged on {rows} of {classes}."
    unit = f" {run.costs.unit}" if run.costs and measure == "expected_cost" else ""
    lower = ", and lower is better" if measure in LOWER_IS_BETTER else ""
    name = f"On {rows} of {classes} its {in_sentence(measure_name(measure))} is"
    if value.low is None:
        return f"{name} {number(value.value, measure)}{unit}{lower}, with no interval: {value.why}."
    return f"{name} {estimate(value, measure)}{unit}{lower}; brackets hold 95 % intervals."


def _against_plain(run: RunFolder, versus: Comparison | None, measure: str) -> str:
    if not run.manifest.remedies:
        return "It treats no imbalance, so it is itself the plain run."
    if versus is None:
        return (
            "It was not compared with plain fine-tuning, which takes a second training "
            "(--baseline plain), so what its remedies did is not known."
        )
    if versus.value == versus.low == versus.high == 0:
        return "It scores exactly as the same model without remedies does."
    says = f"Its difference from the same model without remedies is {_gap(versus, measure)}"
    match finding(versus):
        case "noise":
            return f"{says}: an interval that holds 0, so it can’t be told from noise."
        case "unknown":
            return f"{says}, with no interval ({versus.why}), so nothing follows from that."
        case found:
            return f"{says}: {found}, by more than chance among the judged rows explains."


def _against_cheap(run: RunFolder, name: str, versus: Comparison | None, measure: str) -> str:
    """TF-IDF is always spoken of, since it tells whether a language model is needed."""
    baseline = next((b for b in run.baselines if b.record.name == name), None)
    if baseline is None or versus is None:
        if name != "tfidf":
            return ""
        return (
            "It was not compared with TF-IDF, so whether a language model is needed is not known."
        )
    own, took = baseline.scores.measures.get(measure), seconds(baseline.record.seconds)
    reached = f" comes to {number(own.value, measure)}" if own else " was ready"
    what = NEEDLESS[name]
    title = baseline.record.title
    beside = " beside the encoding" if name == "vectors" else ""
    says = f"{title}{reached} in {took}{beside}; the difference from it is {_gap(versus, measure)}"
    match finding(versus):
        case "better":
            return f"{says}: better, by more than chance explains."
        case "worse":
            return f"{says}: worse, by more than chance explains."
        case "noise":
            return f"{says}, which holds 0: these rows do not tell whether {what} is needed."
        case _:
            return f"{says}, with no interval ({versus.why})."


def _gap(versus: Comparison, measure: str) -> str:
    """This run minus the baseline: "+0.061 (+0.021 to +0.102)", the interval where there is one."""
    size, bounds = gap(versus.value, versus.low, versus.high, measure)
    return size if bounds == NONE else f"{size} ({bounds})"


def _figures(run: RunFolder, measure: str, unjudged: int) -> tuple[Figure, ...]:
    figures = []
    if value := run.scores.measures.get(measure):
        bounds = interval(value.low, value.high, measure)
        note = value.why or "no interval" if bounds == NONE else bounds
        figures.append(Figure(with_unit(run, measure), number(value.value, measure), note))
    # Two baselines decide the verdict; the others stand in the table of the result.
    told = {
        b.name: in_sentence(b.title) for b in run.manifest.baselines if b.name in ("plain", "tfidf")
    }
    for c in run.manifest.comparisons:
        if c.measure == measure and c.against in told:
            size, bounds = gap(c.value, c.low, c.high, measure)
            figures.append(
                Figure(
                    f"Difference from {told[c.against]}",
                    size,
                    "no interval" if bounds == NONE else bounds,
                )
            )
    classes = len(run.scores.classes)
    figures.append(Figure("Classes that can be judged", f"{classes - unjudged}", f"of {classes}"))
    return tuple(figures)


def _unjudged_sentence(unjudged: tuple[Unjudged, ...], classes: int) -> str:
    if not unjudged:
        return ""
    names = listed([f"“{short(u.name, 40)}”" for u in unjudged], limit=5)
    verb = "has" if len(unjudged) == 1 else "have"
    return (
        f"{count(len(unjudged), 'class', 'classes')} of {classes} {verb} too few rows to be "
        f"judged, whatever the figures say: {names}."
    )


def _deferred(run: RunFolder) -> str:
    n = int((run.predictions.decided == DEFER).sum())
    if not n or DEFER in run.predictions.classes:
        return ""
    share = percent(n / len(run.predictions))
    return f"It hands {count(n, 'row')} ({share}) to a person instead of deciding them."


def _validation_only(run: RunFolder) -> str:
    if run.manifest.judged != "validation":
        return ""
    return (
        "There is no test split: these are the rows that also chose the weights, so the figures "
        "lean to the hopeful side."
    )
