"""What `judge` does once its options are read: a judge model compares a run's texts with those of
one of its baselines."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

from equipoise.errors import DataError, FolderError, ModelError, SettingsError
from equipoise.records.judged import ANSWERS, JUDGED, JudgedRun, JudgeReport, write_judged
from equipoise.records.run import Manifest, read_manifest
from equipoise.records.written import WRITTEN, Written, read_written
from equipoise.terminal import quiet_output

RIVALS = ("plain", "base")
"""Baselines that write."""


def judge_with(
    run: Path,
    *,
    url: str,
    model: str,
    key_env: str | None,
    against: str,
    human: Path | None,
    price: str | None,
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Ask, write judged.json and the report; what to print."""
    from equipoise.evaluate.texts.endpoint import KEY_VARIABLE, endpoint_at
    from equipoise.evaluate.texts.judge_model import ask_judge, pairs_of
    from equipoise.progress import shown, silent
    from equipoise.report import write_report
    from equipoise.report.sections.judge_model import judge_says

    prices = _prices(price)
    if key_env is not None and not os.environ.get(key_env):
        raise SettingsError(f"--key-env {key_env}: the environment has no such variable; set it")
    endpoint = endpoint_at(url, model, key_variable=key_env or KEY_VARIABLE)
    manifest = read_manifest(run)
    pairs = pairs_of(*_texts(run, manifest, against))
    if not pairs:
        raise DataError(
            f"{run}: no {manifest.judged} row has a text of both; train it again with "
            "write.decode_rows above 0"
        )
    with quiet_output(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        report = ask_judge(
            pairs,
            endpoint,
            answers=run / ANSWERS,
            human_verdicts=human,
            price=prices,
            progress=progress,
        )
        if not report.verdicts:
            raise ModelError(_no_verdict(report, run))
        record = JudgedRun(manifest.id, against, manifest.judged, endpoint.url, report)
        write_judged(run / JUDGED, record)
        page = write_report(run)
    places = {"out": str(run / JUDGED), "answers": str(run / ANSWERS), "report": str(page)}
    lines = [*judge_says(record), *(f"{name}: {place}" for name, place in places.items())]
    return record.to_json() | places, "\n".join(lines)


def _prices(given: str | None) -> tuple[float, float] | None:
    """Raises SettingsError unless these are two amounts."""
    if given is None:
        return None
    try:
        prompt, completion = map(float, given.split(","))
    except ValueError:
        prompt = completion = math.nan
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        raise SettingsError(
            f"--price {given}: give two numbers, 0 or more, of a million tokens read and a million "
            "written, as 2.5,10"
        )
    return prompt, completion


def _texts(run: Path, manifest: Manifest, against: str) -> tuple[Written, Written]:
    """The judged rows of the baseline and of the run.

    Raises SettingsError or FolderError saying what the run lacks, and what next.
    """
    if against not in RIVALS:
        raise SettingsError(f"--against {against}: give {' or '.join(RIVALS)}")
    if not manifest.writes:
        raise SettingsError(
            f"{run}: classifies rows, and a judge model compares texts; give a run that writes"
        )
    theirs = run / "baselines" / against / WRITTEN
    if against not in {baseline.name for baseline in manifest.baselines}:
        if against == "plain" and not manifest.remedies:
            raise SettingsError(
                f"{run}: has no remedies, so it is plain fine-tuning itself; compare it with the "
                "base as it came: --against base"
            )
        raise FolderError(
            f"{theirs.parent}: missing, since the run was made without baselines; train it again "
            "with --baseline plain"
        )
    a, b = (read_written(path).of_split(manifest.judged) for path in (theirs, run / WRITTEN))
    return a, b


def _no_verdict(report: JudgeReport, run: Path) -> str:
    found = {"declined": report.refused, "without a verdict in them": report.unreadable}
    said = [f"{count} answers {what}" for what, count in found.items() if count]
    said += [f"{report.unanswered} questions without an answer"] * (report.unanswered > 0)
    return (
        f"judge model {report.model!r} gave no verdict on any of {report.pairs} pairs "
        f"({', '.join(said)}); see what it said in {run / ANSWERS}, and try another --model"
    )
