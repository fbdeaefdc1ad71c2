"""The story of one report, in order: read the folder, work out each section, lay out, write."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from equipoise.records.files import write_text
from equipoise.report.read import RunFolder, read_run
from equipoise.report.sections.calibration import calibration_section
from equipoise.report.sections.classes import classes_section
from equipoise.report.sections.confusion import confusion_section
from equipoise.report.sections.costs import costs_section
from equipoise.report.sections.labels import labels_section
from equipoise.report.sections.mistakes import mistakes_section
from equipoise.report.sections.origin import origin_section
from equipoise.report.sections.price import price_section
from equipoise.report.sections.result import result_section
from equipoise.report.sections.rows import rows_section
from equipoise.report.sections.training import training_section
from equipoise.report.sections.treatment import treatment_section
from equipoise.report.verdict import verdict_of
from equipoise.report.words import breakable, clean, count, short

REPORT = "report.html"
CLASSES = {"one": "class", "many": "classes"}
"""What the kinds of rows are called on a page."""
TEMPLATES = Path(__file__).parent / "templates"


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into the folder of a finished run; returns its path.

    One file that asks nothing of a network; the same folder gives the same bytes.
    Raises FolderError if the folder holds no whole run, or a file in it is broken.
    """
    page = render(read_run(run_folder))
    write_text(run_folder / REPORT, page)
    return run_folder / REPORT


def render(run: RunFolder) -> str:
    """The page, as text."""
    verdict = verdict_of(run)
    return fill(
        "report.html",
        run=run.manifest,
        kind=CLASSES,
        writing=(),
        verdict=verdict,
        rows=rows_section(run),
        treatment=treatment_section(run),
        result=result_section(run, verdict.measure),
        classes=classes_section(run, verdict.unjudged),
        calibration=calibration_section(run),
        confusion=None if run.predictions.several else confusion_section(run),
        labels=labels_section(run),
        costs=costs_section(run),
        training=training_section(run),
        mistakes=mistakes_section(run),
        price=price_section(run),
        origin=origin_section(run),
    )


def fill(template: str, **sections: Any) -> str:
    """A page of the house: its sections laid out, our style and script within it, and a policy
    that lets in nothing else."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(template)
        .render(
            **sections,
            # Our own two files are the only text that goes in as it is.
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
        )
    )


def content_policy(style: str, script: str) -> str:
    """A policy that lets run and show exactly our own style and script, and fetch nothing: what
    a text in the rows might smuggle in stays dead even if an escape were forgotten."""
    return (
        "default-src 'none'; "
        f"style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["count"] = count
    environment.filters["short"] = short
    environment.filters["name"] = lambda text: breakable(short(text))
    environment.filters["file_name"] = lambda source: Path(source).name or source
    return environment


def _finalize(value: Any) -> Any:
    """Applied to everything that is printed, before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value
