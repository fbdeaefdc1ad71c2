"""From a table to an audit: rows end to end, an encoder's view of them, and the record.

gather.py   rows of all parts end to end, with what each would do in a run
encoder.py  tokens, vectors and a probe, from the base model
"""

from __future__ import annotations

import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from equipoise.audit import Audited, audit
from equipoise.audit.given import TEST, TRAIN, VALIDATION, Given
from equipoise.audit.several import audit_several
from equipoise.audit.written import audit_written
from equipoise.auditing.encoder import add_encoder, add_tokens, add_written_tokens
from equipoise.auditing.gather import all_said, each_label, gather, learned_texts
from equipoise.costs import Costs
from equipoise.data.check import check_rows
from equipoise.data.table import Table
from equipoise.progress import Progress, silent
from equipoise.records.audit import AuditRecord, Skipped, write_audit
from equipoise.records.folders import check_audit_folder as check_folder

NO_MODEL = "none"
"""As the model's name: audit without an encoder."""
_PACKAGES = ("equipoise", "numpy", "scikit-learn", "cleanlab", "py3langid", "transformers", "torch")


def audit_table(
    table: Table,
    *,
    model: str | None = None,
    costs: Costs | None = None,
    seed: int = 0,
    keep_texts: bool = True,
    progress: Progress = silent,
) -> AuditRecord:
    """Audit the rows of a table as read; they need not be checked yet.

    model   Hub id or folder of the base model whose encoder looks at the rows; None: the default
            one, or none if it can't be had; "none": no encoder.
            Of rows that are to be written the base that is to write them, of which only the
            tokenizer is read; None: none.
    Raises  DataError for rows that can't be used at all, SettingsError for costs that don't fit
            them, ModelError if the model that was named can't be loaded.
    """
    start = time.perf_counter()
    checked = check_rows(table, keep_texts=keep_texts)
    warnings = [said for said in checked if not any(part in said for part in _FINDINGS)]
    given, notes = gather(table, costs=costs, seed=seed, keep_texts=keep_texts)
    warnings += given.cost_doubts
    seconds = {"reading and dividing": time.perf_counter() - start}
    skipped: list[Skipped] = []
    capped: list[str] = []
    name = None
    if table.written:
        start = time.perf_counter()
        said, name = _said(given, model, seed, skipped, capped)
        asked = replace(given, learned=said.learned)
        found, answers = audit_written(asked, said, seed=seed, remedies=_remedies())
        seconds["measuring"] = time.perf_counter() - start
        record = _record(table, given, found, warnings, notes, name, seed, skipped, capped, seconds)
        return record.model_copy(update={"answers": answers})
    if any(part.several for part in table.parts.values()):
        start = time.perf_counter()
        if model == NO_MODEL:
            skipped.append(Skipped(what=_NEEDS_TOKENIZER, why=_NOT_WANTED))
        else:
            given, name = add_tokens(given, model, seed, skipped, capped)
        each, held = each_label(given, table)
        found, together = audit_several(given, each, held, seed=seed, remedies=_remedies())
        seconds["measuring"] = time.perf_counter() - start
        record = _record(table, given, found, warnings, notes, name, seed, skipped, capped, seconds)
        return record.model_copy(update={"co_occurrence": together})
    if model == NO_MODEL:
        skipped.append(Skipped(what=_NEEDS_ENCODER, why=_NOT_WANTED))
    else:
        given, name = add_encoder(given, model, seed, skipped, capped, seconds, progress)
    found = audit(given, seed=seed, remedies=_remedies())
    return _record(table, given, found, warnings, notes, name, seed, skipped, capped, seconds)


def _said(
    given: Given, model: str | None, seed: int, skipped: list[Skipped], capped: list[str]
) -> tuple[Given, str | None]:
    """Rows that are written, with all that is said as their texts, what is learned of each, and
    tokens by the base that is named; there is no default one that writes."""
    said, learned = all_said(given), learned_texts(given)
    if model is not None and model != NO_MODEL:
        return add_written_tokens(said, learned, model, seed, skipped, capped)
    why = _NOT_WANTED if model == NO_MODEL else "name the base that is to write (--model)"
    skipped.append(Skipped(what=_NEEDS_TOKENIZER, why=why))
    return replace(said, learned=np.array([len(text.split()) for text in learned])), None


_FINDINGS = ("under different labels", "with different completions")
"""What checking warns of, and an audit finds, with rows to read."""
_NEEDS_TOKENIZER = "truncation and language"
_NOT_WANTED = "no model was wanted (--model none)"
_NEEDS_ENCODER = (
    "suspected label errors, pairs of classes that can't be told apart, truncation, language, and "
    "drift of vectors"
)


def _remedies() -> tuple[str, ...]:
    from equipoise.remedies.table import REMEDIES  # imports torch

    return tuple(REMEDIES)


def _record(
    table: Table,
    given: Given,
    found: Audited,
    warnings: list[str],
    notes: list[str],
    model: str | None,
    seed: int,
    skipped: list[Skipped],
    capped: list[str],
    seconds: dict[str, float],
) -> AuditRecord:
    m = found.measured
    roles = given.roles.tolist()
    known = [role for role in (TRAIN, VALIDATION, TEST) if role in roles]
    return AuditRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=table.source,
        fingerprint=table.fingerprint,
        columns=table.columns,
        model=model,
        seed=seed,
        keep_texts=given.keep_texts,
        rows={name: len(rows) for name, rows in table.parts.items()},
        roles={role: roles.count(role) for role in known},
        versions=_versions(),
        seconds={name: round(value, 3) for name, value in (seconds | found.seconds).items()},
        findings=found.findings,
        classes=found.classes,
        balance=m.balance,
        repeats=m.repeated.record,
        noise=m.noise,
        overlap=m.overlap,
        lengths=m.lengths,
        language=m.language,
        spoken=None if m.heard is None else m.heard.record,
        groups=m.groups,
        drift=m.drift,
        power=m.power,
        advice=found.advice,
        skipped=[*skipped, *found.skipped],
        capped=[*capped, *found.capped],
        notes=[*warnings, *notes],
        warnings=warnings,
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


__all__ = ["NO_MODEL", "audit_table", "check_folder", "write_audit"]
