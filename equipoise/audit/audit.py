"""The story of an audit: what was handed in, looked at from every side, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from equipoise.audit.advice import advise
from equipoise.audit.case import case_of
from equipoise.audit.counts import balance, class_facts
from equipoise.audit.drift import drift
from equipoise.audit.findings import Measured, findings
from equipoise.audit.given import Given
from equipoise.audit.groups import groups
from equipoise.audit.language import language
from equipoise.audit.lengths import lengths
from equipoise.audit.neighbours import Nearest, nearest_rows
from equipoise.audit.overlap import overlap
from equipoise.audit.power import power
from equipoise.audit.repeats import find_alike, repeats
from equipoise.audit.spoken import Heard, spoken
from equipoise.audit.suspects import Checked, checked_rows, find_suspects, lapse, noise
from equipoise.errors import MissingExtraError
from equipoise.records.audit import (
    Advice,
    ClassFacts,
    Finding,
    Noise,
    Skipped,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Audited:
    """All that an audit can say of what it was handed."""

    classes: list[ClassFacts]
    measured: Measured
    findings: list[Finding]
    advice: list[Advice]
    skipped: list[Skipped]
    capped: list[str]
    seconds: dict[str, float] = field(default_factory=dict)


def audit(given: Given, *, seed: int = 0, remedies: Sequence[str] | None = None) -> Audited:
    """Measure, name what deserves it, and advise.

    remedies  Names of the remedies that there are; advice names no other. None: any.
    The same rows and seed give the same record. Structure is looked at on all rows, advice rests
    on those that would train.
    """
    seconds: dict[str, float] = {}
    skipped: list[Skipped] = []
    capped: list[str] = []

    def timed(what: str, made: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return made()
        finally:
            seconds[what] = seconds.get(what, 0.0) + time.perf_counter() - start

    facts = class_facts(given)
    alike = timed("look-alikes", lambda: find_alike(given, seed=seed))
    repeated = timed("look-alikes", lambda: repeats(given, alike))
    seen = timed("neighbours", lambda: _witnesses(given, seed, capped))
    found_noise = timed("label errors", lambda: _noise(given, seen, skipped))
    found_overlap = None if seen is None else timed("overlap", lambda: overlap(given, *seen))
    measured = Measured(
        balance=balance(given),
        repeated=repeated,
        noise=found_noise,
        overlap=found_overlap,
        lengths=timed("lengths and language", lambda: lengths(given)),
        language=timed("lengths and language", lambda: language(given)),
        heard=timed("lengths and language", lambda: hear(given, seed, skipped, capped)),
        groups=timed("groups", lambda: groups(given, seed=seed)),
        drift=timed("drift", lambda: drift(given)),
        power=timed("power", lambda: power(given)),
    )
    if given.times is not None and measured.drift is None:
        skipped.append(
            Skipped(what="drift", why=f"all rows have one time in {given.time_column!r}")
        )
    case = timed("advice", lambda: case_of(given, seed=seed))
    return Audited(
        classes=facts,
        measured=measured,
        findings=findings(given, measured),
        advice=advise(case, remedies),
        skipped=skipped,
        capped=capped,
        seconds=seconds,
    )


def hear(given: Given, seed: int, skipped: list[Skipped], capped: list[str]) -> Heard | None:
    """Rows in languages that the base does not declare."""
    texts = given.once.texts
    try:
        heard = spoken(texts, given.languages, np.random.default_rng(seed))
    except MissingExtraError as error:
        skipped.append(Skipped(what="rows in another language", why=str(error)))
        return None
    if heard is not None and heard.record.sampled < len(texts):
        capped.append(f"rows in another language: {heard.record.sampled:,} of {len(texts):,} rows")
    return heard


def _witnesses(given: Given, seed: int, capped: list[str]) -> tuple[Checked, Nearest] | None:
    """What probe and neighbours say of every row; None without an encoder."""
    if given.probe is None or given.vectors is None:
        return None
    near = nearest_rows(given, seed=seed)
    if len(near.among) < len(given):
        capped.append(
            f"nearest neighbours: of all rows, among {len(near.among):,} of {len(given):,}, "
            "frequent classes thinned to one size"
        )
    return checked_rows(given, near), near


def _noise(
    given: Given, seen: tuple[Checked, Nearest] | None, skipped: list[Skipped]
) -> Noise | None:
    if seen is None:
        return None
    checked, _ = seen
    try:
        suspects = find_suspects(checked)
    except MissingExtraError as error:
        skipped.append(Skipped(what="which labels are suspected of being wrong", why=str(error)))
        suspects = np.empty(0, dtype=np.int64)
    return noise(given, checked, suspects, lapse(checked))
