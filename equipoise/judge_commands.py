"""What `judge` does once its options are read: a judge model compares a run's texts with those of
one of its baselines."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.errors import DataError, FolderError, ModelError, SettingsError
from equipoise.recipe import Recipe
from equipoise.records.judged import ANSWERS, JUDGED, SENT, JudgedRun, JudgeReport, write_judged
from equipoise.records.run import Manifest, read_manifest
from equipoise.records.written import WRITTEN, Written, read_written
from equipoise.records.yaml_files import parse_value
from equipoise.terminal import quiet_output

if TYPE_CHECKING:
    from equipoise.evaluate.texts.endpoint import Endpoint

RIVALS = ("plain", "base")
"""Baselines that write."""
OURS = ("model", "messages", "stream", "n")
"""Fields of a request that are no options: an answer with others could not be read."""


Prices = tuple[float, float] | None
"""Of a million tokens read, and a million written."""


def endpoint_asked(
    url: str,
    model: str,
    key_env: str | None,
    options: Sequence[str],
    against: str,
    price: str | None,
) -> tuple[Endpoint, Prices]:
    """The endpoint and its prices as the command line names them. Raises SettingsError with all
    that is wrong with the options."""
    from equipoise.evaluate.texts.endpoint import KEY_VARIABLE, endpoint_at

    sent, faults = _options(options)
    prices, more = _prices(price)
    faults += more
    if against not in RIVALS:
        faults.append(f"--against {against}: give {' or '.join(RIVALS)}")
    if key_env is not None and not os.environ.get(key_env):
        faults.append(f"--key-env {key_env}: the environment has no such variable; set it")
    if faults:
        raise SettingsError(*faults)
    return endpoint_at(url, model, key_variable=key_env or KEY_VARIABLE, options=sent), prices


def judge_with(
    run: Path,
    endpoint: Endpoint,
    against: str,
    *,
    human: Path | None,
    prices: Prices,
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Ask, write judged.json and the report; what to print."""
    from equipoise.evaluate.texts.judge_model import ask_judge, pairs_of
    from equipoise.progress import shown, silent
    from equipoise.report import write_report
    from equipoise.report.sections.judge_model import judge_says

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
        if report.asked and report.consistent.value is None:
            raise ModelError(_no_verdict(report, run))
        sent = dict(endpoint.options)
        record = JudgedRun(manifest.id, against, manifest.judged, endpoint.url, report, sent)
        write_judged(run / JUDGED, record)
        page = write_report(run)
    places = {"out": str(run / JUDGED), "answers": str(run / ANSWERS), "report": str(page)}
    lines = [*judge_says(record), *(f"{name}: {place}" for name, place in places.items())]
    return record.to_json() | places, "\n".join(lines)


def _options(given: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What is sent beside each question: SENT, and what is named; `none` takes one out. And a line
    for every one that can't be."""
    options, faults = dict(SENT), []
    for option in given:
        name, equals, text = option.partition("=")
        if not equals or not name:
            faults.append(f"--option {option}: expected name=value, as reasoning_effort=low")
        elif name in OURS:
            faults.append(f"--option {option}: {name} is set by the question; leave it out")
        elif text == "none":
            options.pop(name, None)
        else:
            try:
                options[name] = parse_value(text)
                json.dumps(options[name], allow_nan=False)
            except (SettingsError, TypeError, ValueError) as error:
                faults.append(f"--option {option}: {error}; write the value as in JSON")
    return options, faults


def _prices(given: str | None) -> tuple[Prices, list[str]]:
    """And a line unless these are two amounts."""
    if given is None:
        return None, []
    try:
        prompt, completion = map(float, given.split(","))
    except ValueError:
        prompt = completion = math.nan
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        return None, [
            f"--price {given}: give two numbers, 0 or more, of a million tokens read and a million "
            "written, as 2.5,10"
        ]
    return (prompt, completion), []


def _texts(run: Path, manifest: Manifest, against: str) -> tuple[Written, Written]:
    """The judged rows of the baseline and of the run.

    Raises SettingsError or FolderError saying what the run lacks, and what next.
    """
    if not manifest.writes:
        raise SettingsError(
            f"{run}: classifies rows, and a judge model compares texts; give a run that writes"
        )
    theirs = run / "baselines" / against / WRITTEN
    if against not in {baseline.name for baseline in manifest.baselines}:
        recipe = Recipe.model_validate(manifest.recipe)
        if against == "plain" and not (manifest.remedies or recipe.holds):
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
        f"judge model {report.model!r} gave no verdict on any of {report.asked} pairs "
        f"({', '.join(said)}); see what it said in {run / ANSWERS}, and try another --model"
    )
