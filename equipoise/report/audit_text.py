"""An audit as lines of text: findings first, the most serious first, each with what to do."""

from __future__ import annotations

from pathlib import Path

from equipoise.audit.say import classes_
from equipoise.records.audit import Advice, AuditRecord, Finding
from equipoise.report.words import SPLITS, count, listed, ratio

ROLES = {"train": "train", "validation": "choose", "test": "judge"}
"""What the rows of a part are for."""


def audit_text(audit: AuditRecord, page: Path) -> str:
    lines = [_headline(audit), ""]
    if audit.findings:
        lines.append("Findings, the most serious first:")
        lines += [_finding(finding) for finding in audit.findings]
    else:
        lines.append("Findings: none.")
    lines += ["", f"Advice, from {advice_from(audit)}:"]
    lines += [_advice(advice) for advice in audit.advice if advice.stance != "not here"]
    others = [advice.remedy for advice in audit.advice if advice.stance == "not here"]
    if others:
        lines.append(f"  not here   {listed(others)}; the page says why")
    if audit.power is not None:
        lines += ["", _power(audit)]
    lines += [f"not looked at: {skipped.what}: {skipped.why}" for skipped in audit.skipped]
    lines += [f"sampled: {capped}" for capped in audit.capped]
    total = sum(audit.seconds.values())
    lines += ["", f"audit: {page.parent} ({total:.0f} s)", f"report: {page}"]
    return "\n".join(lines)


def _headline(audit: AuditRecord) -> str:
    rows = count(sum(audit.rows.values()), "row")
    roles = ", ".join(f"{n:,} {what}" for what, n in roles_in_words(audit).items())
    b = audit.balance
    return (
        f"{audit.source}: {rows}, {classes_(b.classes, audit.noun)}, {ratio(b.ratio)}"
        f"{most_to_least(audit, ' from ')}; {roles}"
    )


def most_to_least(audit: AuditRecord, before: str = "") -> str:
    """The most frequent class to the rarest, if there are such."""
    b = audit.balance
    return "" if b.largest == b.smallest else f"{before}{b.largest} to {b.smallest}"


def advice_from(audit: AuditRecord) -> str:
    """The rows that advice rests on: those of the training part, or whatever there is."""
    if {"train", "all"} & set(audit.rows):
        return "the training rows alone"
    given = listed([SPLITS.get(name, name) for name in audit.rows])
    return f"the {given} rows, taken as training rows"


def roles_in_words(audit: AuditRecord) -> dict[str, int]:
    """What the rows would do in a run, and how many each: {"would train": 1220, ...}."""
    found = {f"would {ROLES.get(role, role)}": n for role, n in audit.roles.items()}
    left = sum(audit.rows.values()) - sum(audit.roles.values())
    return found | ({"would be left out": left} if left else {})


def _finding(finding: Finding) -> str:
    return f"  {finding.weight:<8} {finding.kind}: {finding.says}. Do: {finding.do}."


def _advice(advice: Advice) -> str:
    return "\n".join(
        [
            f"  {advice.stance:<10} {advice.option}  ({advice.why})",
            f"             for: {advice.speaks_for}",
            f"             against: {advice.speaks_against}",
            f"             source: {advice.source}",
        ]
    )


def _power(audit: AuditRecord) -> str:
    power = audit.power
    assert power is not None
    short = [c for c in power.classes if c.more_rows]
    said = (
        f"Power: the {power.split} rows show a change of {100 * power.change:.0f} points of recall "
        f"for {len(power.classes) - len(short):,} of "
        f"{count(len(power.classes), 'class', 'classes')}"
    )
    if short:
        worst = max(short, key=lambda c: (c.more_rows, c.name))
        more = "more independent row" if worst.tied else "more row"
        said += f"; {worst.name} needs {count(worst.more_rows, more)}"
    if power.macro_change is not None:
        said += f"; for the mean recall over classes, of {100 * power.macro_change:.1f} points"
    return said + "."
