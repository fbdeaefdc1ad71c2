"""The report of a run that writes: read the folder, work out each section, lay out, write."""

from __future__ import annotations

from pathlib import Path

from equipoise.records.files import write_text
from equipoise.report.page import REPORT, fill
from equipoise.report.read import WrittenFolder, read_written_run
from equipoise.report.sections.categories import categories_section
from equipoise.report.sections.judge_model import judge_section
from equipoise.report.sections.origin import origin_section
from equipoise.report.sections.price import price_section
from equipoise.report.sections.result import result_section
from equipoise.report.sections.rows import rows_section
from equipoise.report.sections.training import training_section
from equipoise.report.sections.treatment import treatment_section
from equipoise.report.sections.worst import worst_section
from equipoise.report.sections.writing import general_section, writing_facts
from equipoise.report.written_verdict import several_categories, written_verdict

CATEGORIES = {"one": "category", "many": "categories"}
_IN_BANDS = ("macro_loss", "macro_bleu")


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into the folder of a finished run that writes; returns its path.

    One file that asks nothing of a network; the same folder gives the same bytes.
    Raises FolderError if the folder holds no whole run, or a file in it is broken.
    """
    page = render(read_written_run(run_folder))
    write_text(run_folder / REPORT, page)
    return run_folder / REPORT


def render(run: WrittenFolder) -> str:
    """The page, as text."""
    verdict = written_verdict(run)
    return fill(
        "written.html",
        run=run.manifest,
        kind=CATEGORIES,
        writing=writing_facts(run),
        verdict=verdict,
        rows=rows_section(run),
        treatment=treatment_section(run),
        result=result_section(
            run, verdict.measure, _IN_BANDS if several_categories(run.scores) else ()
        ),
        categories=categories_section(run, verdict.unjudged),
        judge=judge_section(run),
        general=general_section(run),
        training=training_section(run),
        worst=worst_section(run),
        price=price_section(run),
        origin=origin_section(run),
    )
