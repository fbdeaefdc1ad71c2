"""The verdict on a run that writes. As in `verdict`: what is said of a difference depends only on
the interval of the paired difference in the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from equipoise.records.run import Comparison
from equipoise.records.scores import ClassScores, Scores
from equipoise.report.read import WrittenFolder
from equipoise.report.sections.judge_model import RIVALS
from equipoise.report.verdict import Figure, Finding, Unjudged, Verdict, finding
from equipoise.report.words import (
    NONE,
    count,
    estimate,
    gap,
    in_sentence,
    interval,
    listed,
    measure_name,
    number,
    short,
)

Tone = Literal["good", "mixed", "bad"]


def several_categories(scores: Scores) -> bool:
    return len(scores.classes) > 1


def written_verdict(run: WrittenFolder) -> Verdict:
    """By the mean over categories where there are several, else by all rows: by the answers that
    the user's pattern finds, where there is one, by the loss of all judged rows, and by BLEU where
    texts were written."""
    of = "macro_" if several_categories(run.scores) else ""
    found = {(c.against, c.measure): c for c in run.manifest.comparisons}
    answers = run.scores.measures.get(f"{of}answer_match")
    asked = answers is not None and answers.value is not None
    measures = (*((f"{of}answer_match",) if asked else ()), f"{of}loss", f"{of}bleu")
    headline, tone = _headline(run, {key: finding(c) for key, c in found.items()}, measures)
    unjudged = _unjudged(run.scores)
    sentences = [
        _result(run, measures),
        *(
            _against(run, name, [c for m in measures if (c := found.get((name, m)))])
            for name in ("plain", "base")
        ),
        _rarest(run.scores, [m.removeprefix("macro_") for m in measures]),
        _unjudged_sentence(unjudged, len(run.scores.classes)),
        _validation_only(run),
    ]
    return Verdict(
        headline,
        tone,
        tuple(sentence for sentence in sentences if sentence),
        measures[0],
        _figures(run, measures, found),
        unjudged,
    )


def _headline(
    run: WrittenFolder, found: dict[tuple[str, str], Finding], measures: tuple[str, ...]
) -> tuple[str, Tone]:
    def of(name: str) -> set[Finding]:
        return {found[name, m] for m in measures if (name, m) in found} - {"unknown"}

    plain, base = of("plain"), of("base")
    if run.asked and run.empty == run.asked:
        texts = "the one text" if run.asked == 1 else f"every one of the {run.asked:,} texts"
        return f"It writes nothing: {texts} it was asked for is empty.", "bad"
    # Where the texts are not better a lower loss is all that is known.
    better = any(found.get(("base", m)) == "better" for m in measures if not m.endswith("loss"))
    helps = "Fine-tuning helps here" if better else "Fine-tuning lowers the loss here"
    if base and "better" not in base:
        if "worse" in base:
            return "No fine-tuning is needed here: the base as it came does better.", "bad"
        return "Fine-tuning changed nothing that these rows can tell from noise.", "mixed"
    if not run.manifest.remedies:
        if base:
            return f"{helps}; this run treats no imbalance.", "mixed"
        return "Scored, but not compared: nothing was found to set this plain run against.", "mixed"
    if not plain:
        return "Scored, but how this run compares with plain fine-tuning is not known.", "mixed"
    says = _remedied(found, measures)
    if base and "worse" not in base:
        says = f"{helps}, {'and' if 'better' in plain else 'but'} {says}"
    says = says[0].upper() + says[1:]
    tone: Tone = "mixed"
    if "worse" not in plain and "better" in plain:
        tone = "good"
    elif plain <= {"worse", "noise"} and "worse" in plain:
        tone = "bad"
    return says, tone


def _remedied(found: dict[tuple[str, str], Finding], measures: tuple[str, ...]) -> str:
    """What the run is beside plain fine-tuning, and by which measures."""
    told = {m: f for m in measures if (f := found.get(("plain", m), "unknown")) != "unknown"}

    def by(wanted: Finding) -> str:
        names = [in_sentence(measure_name(m)) for m, f in told.items() if f == wanted]
        return f" by {listed(names)}" if names else ""

    if by("better") and by("worse"):
        return f"this run beats plain fine-tuning{by('better')}, and loses{by('worse')}."
    if by("better"):
        noise = f", with no sure difference{by('noise')}" if by("noise") else ""
        return f"this run beats plain fine-tuning{by('better')}{noise}."
    if by("worse"):
        return f"this run is worse than plain fine-tuning{by('worse')}."
    return "this run can’t be told from plain fine-tuning."


def _result(run: WrittenFolder, measures: tuple[str, ...]) -> str:
    scores = run.scores
    rows = count(scores.rows, f"{run.manifest.judged} row")
    kinds = sum(one.rows > 0 for one in scores.classes.values())
    where = f"On {rows}" + (f" of {count(kinds, 'category', 'categories')}" if kinds > 1 else "")
    said = [
        f"its {in_sentence(measure_name(m))} is {estimate(value, m)}"
        f"{' nats a token' if m.endswith('loss') else ''}"
        for m in measures
        if (value := scores.measures.get(m)) is not None and value.value is not None
    ]
    if not said:
        return f"{where} nothing could be measured."
    return f"{where} {listed(said)}; {_texts(run)}. Brackets hold 95 % intervals."


def _texts(run: WrittenFolder) -> str:
    if not run.asked:
        return "no text was written, so the rows were judged by their loss alone"
    every = run.asked == len(run.written)
    rows = "all" if every else f"{run.asked:,}"
    said = f"texts were asked for on {rows} of them"
    return f"{said}, and {_empty(run)}" if run.empty else said


def _empty(run: WrittenFolder) -> str:
    if run.empty == run.asked:
        return "every one is empty" if run.asked > 1 else "it is empty"
    return f"{run.empty:,} {'is' if run.empty == 1 else 'are'} empty"


def _against(run: WrittenFolder, name: str, found: list[Comparison]) -> str:
    if not found:
        if name == "plain" and run.manifest.remedies:
            return (
                "It was not compared with plain fine-tuning, so what its remedies did is not known."
            )
        return ""
    parts = [_gap(c) for c in found]
    return f"Against {RIVALS[name]}: {'; '.join(parts)}."


def _gap(c: Comparison) -> str:
    value, bounds = gap(c.value, c.low, c.high, c.measure)
    size = f"{in_sentence(measure_name(c.measure))} {value}"
    match finding(c):
        case "noise":
            return f"{size} ({bounds}), which holds 0 and can’t be told from noise"
        case "unknown":
            return f"{size}, with no interval ({c.why})"
        case found:
            return f"{size} ({bounds}), {found} by more than chance among the rows explains"


def _rarest(scores: Scores, measures: Sequence[str]) -> str:
    known = [(name, one) for name, one in scores.classes.items() if one.trained and one.rows]
    if len(known) < 2:
        return ""
    name, one = min(known, key=lambda item: (item[1].trained or 0, item[0]))
    told = [
        f"{in_sentence(measure_name(m))} {estimate(one.measures[m], m)}"
        for m in measures
        if m in one.measures and one.measures[m].value is not None
    ]
    rows = count(one.trained or 0, "training row")
    if not told:
        return ""
    return f"The rarest category, “{short(name, 40)}” ({rows}), has {listed(told)}."


def _unjudged(scores: Scores) -> tuple[Unjudged, ...]:
    """Categories without an honest interval of the loss, fewest training rows first."""
    ordered = sorted(scores.classes.items(), key=lambda item: (item[1].trained or 0, item[0]))
    return tuple(Unjudged(name, why) for name, one in ordered if (why := _why(one)))


def _why(one: ClassScores) -> str | None:
    if one.trained == 0:
        return "not in the training rows: the model never learned it"
    loss = one.measures.get("loss")
    if loss is None or loss.value is None or loss.low is None:
        rows = count(one.rows, "judged row")
        return f"{rows}: {loss.why if loss and loss.why else 'its loss was not measured'}"
    return None


def _unjudged_sentence(unjudged: tuple[Unjudged, ...], categories: int) -> str:
    if not unjudged:
        return ""
    names = listed([f"“{short(u.name, 40)}”" for u in unjudged], limit=5)
    verb = "has" if len(unjudged) == 1 else "have"
    return (
        f"{count(len(unjudged), 'category', 'categories')} of {categories} {verb} too few rows to "
        f"be judged, whatever the figures say: {names}."
    )


def _validation_only(run: WrittenFolder) -> str:
    if run.manifest.judged != "validation":
        return ""
    return (
        "There is no test split: these are the rows that training was watched on, so the figures "
        "lean to the hopeful side."
    )


def _figures(
    run: WrittenFolder, measures: tuple[str, ...], found: dict[tuple[str, str], Comparison]
) -> tuple[Figure, ...]:
    figures = []
    for measure in measures:
        value = run.scores.measures.get(measure)
        if value is not None and value.value is not None:
            bounds = interval(value.low, value.high, measure)
            note = value.why or "no interval" if bounds == NONE else bounds
            figures.append(Figure(measure_name(measure), number(value.value, measure), note))
    against = "plain" if any(("plain", m) in found for m in measures) else "base"
    title = {"plain": "plain fine-tuning", "base": "the base"}[against]
    for measure in measures:
        c = found.get((against, measure))
        if c is not None:
            size, bounds = gap(c.value, c.low, c.high, measure)
            figures.append(
                Figure(
                    f"{measure_name(measure)}, against {title}",
                    size,
                    "no interval" if bounds == NONE else bounds,
                )
            )
    return tuple(figures)
