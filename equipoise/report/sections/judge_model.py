"""What a judge model said of the run's texts beside a baseline's."""

from __future__ import annotations

from dataclasses import dataclass

from equipoise.records.judged import JudgedRun, JudgeReport
from equipoise.records.scores import Estimate
from equipoise.report.read import WrittenFolder
from equipoise.report.words import NONE, SPLITS, count, estimate, interval, number, percent

RIVALS = {"plain": "plain fine-tuning", "base": "the base as it came"}


@dataclass(frozen=True)
class JudgeSection:
    model: str
    rival: str
    says: tuple[str, ...]
    lines: tuple[tuple[str, str, str], ...]
    """Category, share preferred, interval or why there is none; () where there is one alone."""


def judge_section(run: WrittenFolder) -> JudgeSection | None:
    """None where no judge model was asked."""
    if run.judged is None:
        return None
    report = run.judged.report
    several = len(report.categories) > 1
    return JudgeSection(
        model=report.model,
        rival=RIVALS[run.judged.against],
        says=judge_says(run.judged),
        lines=tuple(
            (name, number(e.value), e.why or interval(e.low, e.high) or NONE)
            for name, e in report.categories.items()
        )
        if several
        else (),
    )


def judge_says(record: JudgedRun) -> tuple[str, ...]:
    """Sentences, for the page and for the command line."""
    report = record.report
    said = [_preferred(record), _fair(report), _people(report), _lost(report)]
    said += [_sent(record), _price(report)]
    return tuple(sentence for sentence in said if sentence)


def _preferred(record: JudgedRun) -> str:
    report, rival = record.report, RIVALS[record.against]
    found = report.preference
    assert found.value is not None  # `judge` writes no record without a verdict
    if found.low is not None and found.low > 0.5:
        verdict = f"finds this run better than {rival}"
    elif found.high is not None and found.high < 0.5:
        verdict = f"finds this run worse than {rival}"
    else:
        verdict = f"can’t tell this run from {rival}"
    mean = f"; as a mean over categories {_share(report.macro_preference)}"
    same = report.pairs - report.asked
    alike = f" ({same:,} more are the same text twice, a tie)" if same else ""
    return (
        f"{report.model}, asked about {count(report.asked, 'pair')} of texts of "
        f"{SPLITS.get(record.split, record.split)} rows{alike}, {verdict}: this run’s text is "
        f"preferred in {_share(found)} of all, a tie counting half"
        f"{mean if len(report.categories) > 1 else ''}."
    )


def _share(found: Estimate) -> str:
    assert found.value is not None
    bounds = (
        "no interval"
        if found.low is None or found.high is None
        else f"95 % interval {percent(found.low)} to {percent(found.high)}"
    )
    return f"{percent(found.value)} ({bounds})"


def _fair(report: JudgeReport) -> str:
    """Whether the place of a text moved the judge."""
    if not report.asked:
        return "All texts of both are the same, so nothing was asked."
    said = (
        "Every pair was asked in both orders: the two answers agreed in "
        f"{_share(report.consistent)} of the pairs, and where they did not it is a tie"
    )
    if report.first_favoured.value is None:
        return f"{said}."
    return (
        f"{said}; of the answers that name one, {_share(report.first_favoured)} name the text that "
        "stood first, where half is fair."
    )


def _people(report: JudgeReport) -> str:
    found = report.agreement
    if found is None:
        return "No verdicts of people were given, so whether it judges as they would is not known."
    if not found.pairs:
        return f"How far it judges as people do is not known: {found.same.why}."
    kappa = estimate(found.kappa)
    return (
        f"On the {count(found.pairs, 'pair')} that people judged too its verdict was theirs in "
        f"{_share(found.same)}; Cohen’s kappa, 0 where they agree as by chance, is {kappa}."
    )


def _lost(report: JudgeReport) -> str:
    found = {
        "declined to judge": report.refused,
        "held no verdict": report.unreadable,
        "never came": report.unanswered,
    }
    parts = [f"{number:,} {what}" for what, number in found.items() if number]
    without = report.pairs - len(report.verdicts)
    if not parts:
        return ""
    return (
        f"Of its answers {', '.join(parts)}, so that {count(without, 'pair')} "
        f"{'has' if without == 1 else 'have'} no verdict and {'is' if without == 1 else 'are'} "
        "left out."
    )


def _sent(record: JudgedRun) -> str:
    told = ", ".join(f"{name}={value}" for name, value in record.options.items())
    return f"Every question was sent with {told or 'the endpoint’s own settings'}."


def _price(report: JudgeReport) -> str:
    said = f"It read {report.prompt_tokens:,} tokens and wrote {report.completion_tokens:,}"
    return (
        f"{said}." if report.cost is None else f"{said}, for {report.cost:.4g} at the price given."
    )
