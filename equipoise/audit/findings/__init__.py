"""What deserves to be said, most serious first: measured parts in, findings out.

When a finding is named is stated at each function. Where chance is involved the rule is a test
with a bounded rate of false names; the rest is counting.
"""

from __future__ import annotations

from dataclasses import dataclass

from equipoise.audit.findings.context import drifts, imbalance, telling_groups
from equipoise.audit.findings.judging import (
    leaks,
    too_small_classes,
    undivided,
    unknown_labels,
)
from equipoise.audit.findings.labels import conflicts, inseparable_pairs, label_errors
from equipoise.audit.findings.texts import (
    cut_texts,
    duplicates,
    other_languages,
    strange_language,
)
from equipoise.audit.given import Given
from equipoise.audit.repeats import Repeated
from equipoise.audit.spoken import Heard
from equipoise.records.audit import Balance, Finding, Noise, Overlap, Power
from equipoise.records.audit_context import Drift, Groups, Language, Lengths

_RANK = {"serious": 0, "look": 1, "note": 2}


@dataclass(frozen=True)
class Measured:
    """Everything that was measured on a table."""

    balance: Balance
    repeated: Repeated
    noise: Noise | None
    overlap: Overlap | None
    lengths: Lengths
    language: Language | None
    heard: Heard | None
    groups: Groups | None
    drift: Drift | None
    power: Power | None


def findings(given: Given, measured: Measured) -> list[Finding]:
    """Serious ones first; within a weight in the order of this list."""
    found = [
        *undivided(given),
        *leaks(given, measured.repeated),
        *unknown_labels(given),
        *conflicts(given, measured.repeated),
        *label_errors(measured.noise),
        *too_small_classes(given, measured.power),
        *inseparable_pairs(given, measured.overlap),
        *cut_texts(given, measured.lengths),
        *strange_language(given, measured.language),
        *other_languages(given, measured.heard),
        *telling_groups(given, measured.groups),
        *drifts(given, measured.drift),
        *duplicates(given, measured.repeated),
        *imbalance(given, measured.balance),
    ]
    return by_weight(found)


def by_weight(found: list[Finding]) -> list[Finding]:
    """Serious ones first, those of one weight in the order given."""
    return sorted(found, key=lambda finding: _RANK[finding.weight])
