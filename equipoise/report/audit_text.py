"""An audit as lines of text: findings first, the most serious first, each with what to do."""

from __future__ import annotations

from pathlib import Path

from equipoise.records.audit import Advice, AuditRecord, Finding
from equipoise.report.words import count, listed, ratio

ROLES = {"train": "train", "validation": "choose", "test": "judge"}
"""What the rows of a part are for."""


def audit_text(audit: AuditRecord, page: Path) -> str:
    lines = [_headline(audit), ""]
    if audit.findings:
        lines.append("Findings, the most serious first:")
        lines += [_finding(finding) for finding in audit.findings]
    else:
        lines.append("Findings: none.")
    lines += ["", "Advice, from the training rows alone:"]
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
    roles = ", ".join(f"{n:,} would {ROLES.get(role, role)}" for role, n in audit.roles.items())
    b = audit.balance
    return (
        f"{audit.source}: {rows}, {count(b.classes, 'class', 'classes')}, {ratio(b.ratio)} from "
        f"{b.largest} to {b.smallest}; {roles}"
    )


def _finding(finding: Finding) -> str:
    return f"  {finding.weight:<8} {finding.kind}: {finding.says}. Do: {finding.do}."


def _advice(advice: Advice) -> str:
    return (
        f"  {advice.stance:<10} {advice.option}: {advice.why}. For: {advice.speaks_for}. "
        f"Against: {advice.speaks_against}. [{advice.source}]"
    )


def _power(audit: AuditRecord) -> str:
    power = audit.power
    assert power is not None
    short = [c for c in power.classes if c.more_rows]
    change = f"{100 * power.change:.0f} points of recall"
    said = (
        f"Power: {len(power.classes) - len(short)} of "
        f"{count(len(power.classes), 'class', 'classes')} have the {power.split} rows to show a "
        f"change of {change}"
    )
    if short:
        worst = max(short, key=lambda c: (c.more_rows, c.name))
        said += f"; {worst.name} needs {count(worst.more_rows, 'more row')}"
    if power.macro_change is not None:
        said += (
            f"; the mean recall over classes shows {100 * power.macro_change:.1f} points or more"
        )
    return said + "."
