"""The verdict: one paragraph that a manager can act on, and that claims no more than was measured.

What is said of a difference depends only on the interval of the paired difference in the manifest:
an interval that holds 0, or that can't be had, is never called better or worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from equipoise.records.run import Comparison
from equipoise.records.scores import ClassScores
from equipoise.report.read import Baseline, RunFolder
from equipoise.report.words import (
    LOWER_IS_BETTER,
    NONE,
    count,
    estimate,
    interval,
    listed,
    measure_name,
    number,
    percent,
    seconds,
    signed,
)

Finding = Literal["better", "worse", "noise", "unknown"]

TOO_WIDE = 0.5
"""A class whose recall interval spans more than this share of the scale is not judged: ten rows
with nine right reach 0.55 to 1.00, so this refuses classes of about ten rows and fewer."""


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


def verdict_of(run: RunFolder) -> Verdict:
    measure = headline_measure(run)
    versus = {c.against: c for c in run.manifest.comparisons if c.measure == measure}
    plain = versus.get("plain")
    cheap = next((b for b in run.baselines if not b.record.language_model), None)
    cheap_versus = versus.get(cheap.record.name) if cheap else None
    headline, tone = _headline(finding(plain), finding(cheap_versus), cheap)
    unjudged = unjudged_classes(run)
    sentences = [
        _result(run, measure),
        _against_plain(run, plain, measure),
        _against_cheap(cheap, cheap_versus, measure),
        _unjudged_sentence(unjudged, len(run.scores.classes)),
        _deferred(run),
        _validation_only(run),
    ]
    figures = _figures(run, measure, len(unjudged))
    return Verdict(headline, tone, tuple(s for s in sentences if s), measure, figures, unjudged)


def headline_measure(run: RunFolder) -> str:
    """Macro F1 where baselines were compared by it; else the measure that they were compared by."""
    compared = [c.measure for c in run.manifest.comparisons]
    if "macro_f1" in compared or not compared:
        return "macro_f1"
    return compared[0]


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
    plain: Finding, cheap: Finding, baseline: Baseline | None
) -> tuple[str, Literal["good", "mixed", "bad"]]:
    cheap_title = baseline.record.title if baseline else ""
    if cheap == "worse":
        return f"No language model is needed here: {cheap_title} does better.", "bad"
    if cheap == "noise":
        return (
            f"No language model is needed, as far as these rows can tell: the gain over "
            f"{cheap_title} can’t be told from noise.",
            "mixed",
        )
    worth = "A language model is worth its price, " if cheap == "better" else ""
    says = {
        "better": "this run beats plain fine-tuning.",
        "noise": "this run can’t be told from plain fine-tuning.",
        "worse": "this run is worse than plain fine-tuning.",
        "unknown": "how this run compares with plain fine-tuning is not known.",
    }[plain]
    if cheap == plain == "unknown":
        return "Scored, but not compared: no baseline gives an interval to set it against.", "mixed"
    if cheap == "unknown" or plain == "unknown":
        tone: Literal["good", "mixed", "bad"] = "bad" if plain == "worse" else "mixed"
    else:
        tone = {"better": "good", "noise": "mixed", "worse": "bad"}[plain]  # type: ignore[assignment]
    link = "" if not worth else "and " if plain == "better" else "but "
    sentence = worth + link + says
    return sentence[0].upper() + sentence[1:], tone


def _result(run: RunFolder, measure: str) -> str:
    scores = run.scores
    value = scores.measures.get(measure)
    rows = count(scores.rows, f"{run.manifest.judged} row")
    classes = count(sum(c.rows > 0 for c in scores.classes.values()), "class", "classes")
    if value is None:
        return f"It was judged on {rows} of {classes}."
    unit = f" {run.costs.unit}" if run.costs and measure == "expected_cost" else ""
    reason = "" if value.low is not None else f" There is no interval: {value.why}."
    return (
        f"On {rows} of {classes} it reaches a {_in_sentence(measure)} of "
        f"{estimate(value, measure)}{unit}; brackets hold 95 % intervals.{reason}"
    )


def _against_plain(run: RunFolder, versus: Comparison | None, measure: str) -> str:
    if versus is None:
        named = {b.record.name for b in run.baselines}
        lost = "was not compared with" if "plain" in named else "has no baseline of"
        return f"It {lost} plain fine-tuning, so what its remedies did is not known."
    size, bounds = number(abs(versus.value), measure), _bounds(versus)
    side = "above" if versus.value > 0 else "below"
    match finding(versus):
        case "noise":
            return (
                f"It is {size} {side} plain fine-tuning of the same model{bounds}; that interval "
                "holds 0, so the difference can’t be told from noise."
            )
        case "unknown":
            return (
                f"It is {size} {side} plain fine-tuning of the same model, with no interval "
                f"({versus.why}), so nothing can be concluded from that."
            )
        case found:
            return (
                f"It is {size} {side} plain fine-tuning of the same model{bounds}: {found}, by "
                "more than chance among the judged rows explains."
            )


def _against_cheap(cheap: Baseline | None, versus: Comparison | None, measure: str) -> str:
    if cheap is None:
        return (
            "No baseline without a language model was run, so whether one is needed is not known."
        )
    title, price = cheap.record.title, seconds(cheap.record.seconds)
    own = cheap.scores.measures.get(measure)
    reached = f" reaches {number(own.value, measure)} in {price}" if own else f" takes {price}"
    if versus is None:
        return f"{title}{reached}; the two were not compared row by row."
    size, bounds = number(abs(versus.value), measure), _bounds(versus)
    side = "above" if versus.value > 0 else "below"
    match finding(versus):
        case "better":
            return f"{title}{reached}; this run is {size} {side} that{bounds}."
        case "worse":
            return f"{title}{reached}; this run is {size} {side} that{bounds}, and is not needed."
        case "noise":
            return (
                f"{title}{reached}; this run is {size} {side} that{bounds}, which holds 0: until "
                "more rows say otherwise, the cheaper model will do."
            )
        case _:
            return f"{title}{reached}; the difference has no interval ({versus.why})."


def _figures(run: RunFolder, measure: str, unjudged: int) -> tuple[Figure, ...]:
    figures = []
    if value := run.scores.measures.get(measure):
        bounds = interval(value.low, value.high, measure)
        note = value.why or "no interval" if bounds == NONE else bounds
        figures.append(Figure(measure_name(measure), number(value.value, measure), note))
    # Two baselines decide the verdict; the others stand in the table of the result.
    told = {
        b.name: b.title for b in run.manifest.baselines if b.name == "plain" or not b.language_model
    }
    for c in run.manifest.comparisons:
        if c.measure == measure and c.against in told:
            note = interval(c.low, c.high, measure, sign=True)
            figures.append(
                Figure(
                    f"Against {told[c.against]}",
                    signed(c.value, measure),
                    "no interval" if note == NONE else note,
                )
            )
    classes = len(run.scores.classes)
    figures.append(Figure("Classes that can be judged", f"{classes - unjudged}", f"of {classes}"))
    return tuple(figures)


def _bounds(versus: Comparison) -> str:
    if versus.low is None or versus.high is None:
        return ""
    return f" ({interval(versus.low, versus.high, versus.measure, sign=True)})"


def _unjudged_sentence(unjudged: tuple[Unjudged, ...], classes: int) -> str:
    if not unjudged:
        return ""
    names = listed([f"“{u.name}”" for u in unjudged], limit=5)
    verb = "has" if len(unjudged) == 1 else "have"
    return (
        f"{count(len(unjudged), 'class', 'classes')} of {classes} {verb} too few rows to be "
        f"judged, whatever the figures say: {names}."
    )


def _deferred(run: RunFolder) -> str:
    n = int((run.predictions.decided == "defer").sum()) if len(run.predictions) else 0
    if not n:
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


def _in_sentence(measure: str) -> str:
    """The measure's name inside a sentence: "macro F1", but "Brier score" and "F1"."""
    name = measure_name(measure)
    keep = name.split()[0] in {"F1", "Brier", "Matthews"}
    return name if keep else name[0].lower() + name[1:]
