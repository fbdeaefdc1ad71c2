"""How training went: loss, and the validation measure at every evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.report.charts import Axis, Series, axis_for, line_chart, thinned
from equipoise.report.read import AnyRun
from equipoise.report.words import LOWER_IS_BETTER, count, in_sentence, measure_name, number


@dataclass(frozen=True)
class Curve:
    title: str
    chart: Markup | None
    """None for a single point, which is no curve."""
    head: tuple[str, str]
    lines: tuple[tuple[str, str], ...]
    """Epoch and value, for the table."""


@dataclass(frozen=True)
class TrainingSection:
    curves: tuple[Curve, ...]
    kept: str


def training_section(run: AnyRun) -> TrainingSection:
    training = run.manifest.training
    losses = [(line.epoch, line.loss) for line in run.history if line.loss is not None]
    losses = sorted(p for p in losses)
    measure = _measure(run)
    values = [
        (line.epoch, line.measures[measure]) for line in run.history if measure in line.measures
    ]
    best = next((h.epoch for h in run.history if h.step == training.best_step), None)
    curves = []
    if losses:
        curves.append(_curve("Training loss", thinned(losses), None, end=_end(run)))
    if values:
        name = f"Validation {in_sentence(measure_name(measure))}"
        ceiling = None if measure in LOWER_IS_BETTER else 1.0
        curves.append(_curve(name, values, best, end=_end(run), ceiling=ceiling))
    kept = (
        "The weights of the last step were kept."
        if training.best_step is None
        else f"The weights of step {training.best_step:,} were kept"
        + ("" if best is None else f" (epoch {best:.3g})")
        + (", the upright line." if best is not None and len(values) > 1 else ".")
    )
    return TrainingSection(tuple(curves), kept)


def _measure(run: AnyRun) -> str:
    """What the step was chosen by, where it was logged; else macro F1; else the first logged."""
    logged = {name for line in run.history for name in line.measures}
    wanted = [run.manifest.training.chosen_by, "macro_f1", "macro_loss", *sorted(logged)]
    return next((name for name in wanted if name in logged), "macro_f1")


def _end(run: AnyRun) -> float:
    return max(line.epoch for line in run.history)


def _curve(
    title: str,
    points: list[tuple[float, float]],
    best: float | None,
    *,
    end: float,
    ceiling: float | None = None,
) -> Curve:
    values = [value for _, value in points]
    trend = f"from {number(values[0])} to {number(values[-1])} over {count(round(end), 'epoch')}"
    chart = None
    if len(points) > 1:
        chart = line_chart(
            [Series(title, tuple(points), "run", dots=len(points) <= 40)],
            Axis("epoch", 0.0, max(end, 1e-6)),
            # The caption above names it.
            axis_for("", values, floor=0.0 if min(values) >= 0 else None, ceiling=ceiling),
            title=title,
            description=f"It goes {trend}. The table below gives the figures.",
            mark_x=best,
        )
    # A table of hundreds of logged steps helps nobody: about twenty show the same course.
    shown = thinned(points, most=20) if len(points) > 40 else points
    return Curve(
        title,
        chart,
        ("Epoch", title),
        tuple((f"{epoch:.2f}".rstrip("0").rstrip("."), number(value)) for epoch, value in shown),
    )
