"""The page of an audit: its record laid out, the most serious findings first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from equipoise.audit.say import classes_, plural
from equipoise.records.audit import AuditRecord, Finding, read_audit
from equipoise.records.columns import named_columns
from equipoise.records.files import write_text
from equipoise.report.audit_tables import (
    answers_table,
    classes_table,
    groups_table,
    labels_table,
    lengths_table,
    pairs_table,
    part_colours,
    periods_table,
    power_table,
)
from equipoise.report.audit_text import advice_from, most_to_least, roles_in_words
from equipoise.report.charts import MANY_CLASSES, columns
from equipoise.report.page import REPORT, fill
from equipoise.report.sections.choose import MOST_KINDS
from equipoise.report.words import count, listed, ratio, seconds

WEIGHTS = {"serious": "Serious", "look": "Worth a look", "note": "Good to know"}
KINDS = {
    "undivided": "Rows that can’t be divided",
    "leak": "Leak between given parts",
    "unknown_labels": "Judged without training rows",
    "conflict": "Conflicting labels",
    "alike_conflict": "Look-alikes under different labels",
    "label_errors": "Suspected label errors",
    "too_small": "Too small to judge",
    "inseparable": "Classes that can’t be told apart",
    "cut": "Texts that are cut",
    "language": "Language the base model hardly knows",
    "other_language": "Rows in another language than the base model’s",
    "group_tells_class": "The group tells the class",
    "few_groups": "Classes that rest on few groups",
    "drift": "Change over time",
    "duplicates": "Repeats and look-alikes",
    "imbalance": "Imbalance",
    "few_answers": "Answers that may be classes",
    "same_answer": "One answer to many questions",
    "several_answers": "Prompts with different completions",
    "outvoted": "Short answers that long ones outvote",
}
STANCES = {"try first": "Try first", "try": "Worth trying", "not here": "Not here"}


def write_audit_report(folder: Path) -> Path:
    """Raises FolderError if the folder holds no audit, or a broken one."""
    write_text(folder / REPORT, render_audit(read_audit(folder), folder.resolve().name))
    return folder / REPORT


def render_audit(audit: AuditRecord, folder: str) -> str:
    serious = [f for f in audit.findings if f.weight == "serious"]
    return fill(
        "audit.html",
        audit=audit,
        headline=_headline(audit, serious),
        tone="bad" if serious else "mixed" if audit.findings else "good",
        figures=_figures(audit, serious),
        findings=[
            (KINDS.get(f.kind, f.kind), f.weight, WEIGHTS[f.weight], f) for f in audit.findings
        ],
        classes=classes_table(audit),
        colours=part_colours(audit),
        chart=_chart(audit),
        labels=labels_table(audit),
        pairs=pairs_table(audit),
        kinds=plural(audit.noun),
        lengths=lengths_table(audit),
        answers=answers_table(audit),
        groups=groups_table(audit),
        periods=periods_table(audit),
        power=power_table(audit),
        advice_from=advice_from(audit),
        advice=[(STANCES[a.stance], a) for a in audit.advice],
        facts=_facts(audit),
        stages=[(name.capitalize(), seconds(value)) for name, value in audit.seconds.items()],
        command=_command(audit, folder),
    )


def _headline(audit: AuditRecord, serious: Sequence[Finding]) -> str:
    if serious:
        kinds = dict.fromkeys(KINDS.get(f.kind, f.kind).lower() for f in serious)
        things = count(len(serious), "serious finding")
        return f"{things}: {listed(kinds)}."
    if audit.findings:
        return "Nothing serious was found; some things deserve a look."
    return "Nothing was found that deserves a line."


def _figures(audit: AuditRecord, serious: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [
        ("Rows", f"{sum(audit.rows.values()):,}", listed(_roles(audit))),
        (plural(audit.noun).capitalize(), f"{audit.balance.classes:,}", _equal(audit)),
        (
            "Most frequent to rarest",
            ratio(audit.balance.ratio),
            most_to_least(audit),
        ),
        ("Findings", f"{len(audit.findings):,}", f"{len(serious):,} of them serious"),
    ]


def _roles(audit: AuditRecord) -> list[str]:
    return [f"{n:,} {what}" for what, n in roles_in_words(audit).items()]


def _equal(audit: AuditRecord) -> str:
    return f"worth {audit.balance.effective_classes:,.1f} equal ones"


def _chart(audit: AuditRecord) -> Markup | None:
    if len(audit.classes) < MANY_CLASSES:
        return None
    values = [c.train for c in audit.classes]
    where = "The table below gives" if len(values) <= MOST_KINDS else "audit.json has"
    return columns(
        values,
        label="training rows (log scale)",
        title=f"Training rows of every {audit.noun}, most frequent first",
        description=f"{classes_(len(values), audit.noun)} from {max(values):,} rows down to "
        f"{min(values):,}. {where} every count.",
    )


def _facts(audit: AuditRecord) -> list[tuple[str, str]]:
    facts = [
        (f"Evenness of {plural(audit.noun)}", f"{audit.balance.evenness:.2f} of 1"),
        (f"Entropy of {plural(audit.noun)}", f"{audit.balance.entropy:.2f} nats"),
        *_repeat_facts(audit),
    ]
    if audit.groups is not None:
        facts.append(("Group and class (Cramér’s V)", f"{audit.groups.association:.2f}"))
    return facts


def _repeat_facts(audit: AuditRecord) -> list[tuple[str, str]]:
    r, a = audit.repeats, audit.answers
    if a is None:
        return [
            ("Rows that repeat a text", f"{r.repeated:,}"),
            ("Pairs of look-alikes", f"{r.alike_pairs:,}"),
            ("Texts under several labels", f"{r.conflict_texts:,}"),
            ("Look-alikes under different labels", f"{r.alike_conflicts:,}"),
        ]
    return [
        ("Rows that repeat another whole", f"{a.repeated:,}"),
        ("Different prompts", f"{a.prompts:,}" if a.prompts else "none: texts are learned whole"),
        ("Pairs of look-alike prompts", f"{r.alike_pairs:,}"),
        ("Prompts with different completions", f"{a.several:,}"),
        ("Prompts in several categories", f"{r.conflict_texts:,}"),
        ("Different answers to train on", f"{a.different:,}"),
    ]


def _command(audit: AuditRecord, folder: str) -> str:
    words = ["equipoise", "audit", audit.source]
    for role, name in named_columns(audit.columns):
        if (role, name) not in (("text", "text"), ("label", "label"), ("id", "id")):
            words += [f"--{role.replace('_', '-')}", name]
    if audit.answers is not None and "text" in audit.columns:
        words += ["--task", "write"]  # no other column tells that texts are learned whole
    if audit.model is None:
        words += ["--model", "none"]
    else:
        words += ["--model", audit.model]
    if audit.costs is not None:
        words += ["--costs", audit.costs]
    if audit.encoding is not None:
        words += ["--encoding", audit.encoding]
    if not audit.keep_texts:
        words.append("--no-texts")
    return shlex.join([*words, "--seed", str(audit.seed), "--out", folder])
