"""What it cost in time and memory."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.report.charts import bar
from equipoise.report.read import AnyRun
from equipoise.report.words import NONE, memory, percent, seconds


@dataclass(frozen=True)
class PriceSection:
    stages: tuple[tuple[str, str, str, Markup], ...]
    """Stage, seconds in words, share of the whole, bar."""
    total: str
    baselines: tuple[tuple[str, str, str, str], ...]
    """Title, what it shares with the run, seconds in words, trained parameters."""
    facts: tuple[tuple[str, str], ...]


def shared(run: AnyRun, baseline: str) -> str:
    """What a baseline did not pay for itself, since the run had it already; "" for nothing."""
    remedies = run.manifest.remedies
    if baseline == "plain" and remedies and all(r.moment == "decision" for r in remedies):
        return "shares the run’s training, since no remedy acts before the decision"
    if baseline == "vectors":
        return "beside the encoding, which the run had done"
    return ""


def price_section(run: AnyRun) -> PriceSection:
    m = run.manifest
    # Baselines have their own table, so that this one adds up to the price of the run.
    own = {stage: value for stage, value in m.seconds.items() if "baseline" not in stage}
    total = sum(own.values())
    longest = max(own.values(), default=0) or 1.0
    facts = [
        ("Peak memory", memory(m.peak_memory_bytes)),
        ("Trained parameters", f"{m.model.trained_parameters:,}"),
        ("Device", m.device),
    ]
    if m.device_bytes is not None:
        facts.insert(1, ("Peak device memory", memory(m.device_bytes)))
    return PriceSection(
        stages=tuple(
            (
                stage.replace("_", " ").capitalize(),
                seconds(value),
                percent(value / total if total else 0),
                bar(value, top=longest),
            )
            for stage, value in own.items()
        ),
        total=seconds(total),
        baselines=tuple(
            (
                b.title,
                shared(run, b.name),
                seconds(b.seconds),
                NONE if b.trained_parameters is None else f"{b.trained_parameters:,}",
            )
            for b in m.baselines
        ),
        facts=tuple(facts),
    )
