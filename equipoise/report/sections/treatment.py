"""What was done: the model, how it was tuned, and each remedy with what it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from equipoise.records.decision import DecisionRule, Isotonic, VectorScaling
from equipoise.records.run import RemedyRecord
from equipoise.remedies.decisions.several import label_thresholds
from equipoise.report.charts import parts
from equipoise.report.read import AnyRun, RunFolder
from equipoise.report.sections.choose import rarest
from equipoise.report.words import (
    count,
    in_sentence,
    listed,
    measure_name,
    number,
    percent,
    short,
)

MOMENTS = {
    "rows": "on the rows",
    "batches": "on batches and weights",
    "loss": "in the loss",
    "decision": "on the decision",
}


@dataclass(frozen=True)
class Change:
    """One class before and after a remedy, in training rows or expected draws an epoch."""

    name: str
    before: int
    after: int
    bars: Markup


@dataclass(frozen=True)
class Remedy:
    name: str
    moment: str
    settings: str
    effect: str
    changes: tuple[Change, ...]
    """Most rows first; empty where the remedy changes no rows."""
    left_out: int
    """The classes with the most rows, where there are too many for a page."""
    changes_title: str


@dataclass(frozen=True)
class TreatmentSection:
    model: tuple[tuple[str, str], ...]
    remedies: tuple[Remedy, ...]
    decision: tuple[str, ...]
    """How scores become decisions, a sentence each."""


def treatment_section(run: AnyRun) -> TreatmentSection:
    return TreatmentSection(
        model=_model(run),
        remedies=tuple(_remedy(record, run.manifest.writes) for record in run.manifest.remedies),
        decision=_decision(run) if isinstance(run, RunFolder) else (),
    )


def _model(run: AnyRun) -> tuple[tuple[str, str], ...]:
    m, t = run.manifest.model, run.manifest.training
    cut = f", lower {m.cut} of {m.layers} layers frozen" if m.cut is not None else ""
    share = percent(m.trained_parameters / m.parameters) if m.parameters else "none"
    kept = "the last step" if t.best_step is None else f"step {t.best_step:,}"
    chosen = (
        f", chosen by validation {in_sentence(measure_name(t.chosen_by))}"
        if t.chosen_by and t.best_step
        else ""
    )
    facts = [
        ("Base model", f"{m.name} ({m.architecture})"),
        ("Tuning method", f"{m.method}{cut}"),
        ("Trained parameters", f"{m.trained_parameters:,} of {m.parameters:,} ({share})"),
        *(
            ()
            if run.manifest.writes
            else (("Head and pooling", f"{m.head} head, {m.pooling} pooling"),)
        ),
        ("Window", f"{m.max_tokens:,} tokens; {count(m.truncated_rows, 'row')} cut there"),
        ("Epochs", f"{t.epochs_run:g} of {t.epochs_planned:g}, {count(t.steps, 'step')}"),
        ("Weights kept", kept + chosen),
    ]
    if t.head_steps:
        steps = f"{t.head_epochs:g} epochs, {count(t.head_steps, 'step')}"
        facts.append(("Head trained again", f"{steps}, on vectors of the trained body"))
    if t.stopped:
        facts.append(("Ended early", t.stopped))
    return tuple(facts)


def _remedy(record: RemedyRecord, writes: bool) -> Remedy:
    before, after = record.before or {}, record.after or {}
    shown, left_out = rarest({name: (before.get(name, 0),) for name in {*before, *after}})
    names = sorted(shown, key=lambda n: (-before.get(n, 0), n))
    top = max([*before.values(), *after.values(), 1])
    changes = tuple(
        Change(
            name,
            pair[0],
            pair[1],
            parts(pair, top, ("plain", "run")),
        )
        for name in names
        if (pair := (before.get(name, 0), after.get(name, 0)))
    )
    unit = "Expected draws an epoch" if record.moment == "batches" else "Training rows"
    return Remedy(
        name=record.name,
        moment=MOMENTS[record.moment],
        settings=", ".join(f"{key} = {_setting(value)}" for key, value in record.settings.items()),
        effect=record.effect,
        changes=changes,
        left_out=left_out,
        changes_title=f"{unit} of each {'category' if writes else 'class'} before and after "
        f"{record.name}",
    )


def _setting(value: Any) -> str:
    """As it is said in a recipe."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _decision(run: RunFolder) -> tuple[str, ...]:
    rule = run.decision
    if rule.kind == "labels":
        return _label_decision(run)
    # Equal offsets move no decision.
    equal = len(set(rule.offsets.round(9).tolist())) == 1
    how = {
        "argmax": "The most probable class is decided.",
        "offsets": "The class with the largest log probability plus its own offset is decided.",
        "costs": "The decision with the least expected cost is taken.",
    }["argmax" if rule.kind == "offsets" and equal else rule.kind]
    calibrated = _calibration(rule)
    prior = (
        "Probabilities are given for equally frequent classes."
        if len(set(rule.log_target.round(9).tolist())) == 1
        else f"Probabilities are given for the class shares {_of_what(run)}."
    )
    return (*calibrated, prior, how, *_beside(rule), *_unsaid_notes(run))


def _of_what(run: RunFolder) -> str:
    if run.decision.prior_shift is not None and run.decision.prior_shift.rows:
        return "that were estimated"
    stated = run.manifest.recipe.get("prior", "train")
    if not isinstance(stated, dict):
        return "of the training rows"
    shares = listed(f"{short(name, 40)} {percent(share)}" for name, share in stated.items())
    return f"that were stated: {shares}"


def _unsaid_notes(run: RunFolder) -> tuple[str, ...]:
    """What the rule notes beyond the effects of its remedies, which stand just above."""
    said = {remedy.effect for remedy in run.manifest.remedies}
    return tuple(note for note in run.decision.notes if note not in said)


def _label_decision(run: RunFolder) -> tuple[str, ...]:
    """Where a row may have several labels."""
    rule = run.decision
    places = label_thresholds(rule)
    low, high = float(places.min()), float(places.max())
    between = number(low) if high - low < 5e-4 else f"{number(low)} to {number(high)}"
    balanced = not rule.log_target.round(9).any()
    return (
        "Each label has a probability of its own, the sigmoid of its score.",
        "Scores are used as they come (temperature 1)."
        if rule.temperature == 1
        else f"Scores are divided by a temperature of {rule.temperature:.2f} to calibrate them.",
        "Probabilities are given for labels that half of the rows have."
        if balanced
        else f"Probabilities are given for the label shares {_of_what(run)}.",
        f"A label is decided from its own probability on: {between}.",
        *_unsaid_notes(run),
    )


def _calibration(rule: DecisionRule) -> tuple[str, ...]:
    said = []
    if rule.rescale is not None:
        said.append("Scores are first rescaled, class by class.")
    if isinstance(rule.calibration, VectorScaling):
        said.append("The scores of each class have a scale and a bias of their own.")
    elif rule.temperature == 1:
        said.append("Scores are used as they come (temperature 1).")
    else:
        said.append(
            f"Scores are divided by a temperature of {rule.temperature:.2f} to calibrate them."
        )
    if isinstance(rule.calibration, Isotonic):
        said.append("The probability of each class is then bent by a rising curve.")
    return tuple(said)


def _beside(rule: DecisionRule) -> tuple[str, ...]:
    said = []
    if rule.prior_shift is not None and rule.prior_shift.rows:
        pairs = zip(rule.classes, np.exp(rule.log_target), strict=True)
        said.append(
            f"Class shares were estimated from {rule.prior_shift.rows} rows, labels unseen: "
            f"{listed(f'{short(name, 40)} {percent(float(share))}' for name, share in pairs)}."
        )
    if rule.group_offsets:
        said.append(
            "Groups decided by offsets of their own: "
            f"{listed(sorted(rule.group_offsets), each=40)}."
        )
    return tuple(said)
