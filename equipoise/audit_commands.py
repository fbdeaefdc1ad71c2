"""What audit does once its options are read: of rows, and of the order of a run's data."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

from equipoise.data.roles import Task
from equipoise.data.table import ColumnNames
from equipoise.errors import SettingsError
from equipoise.records.folders import check_audit_folder
from equipoise.records.run import read_manifest
from equipoise.terminal import quiet_libraries, quiet_output


def audit_with(
    rows: str | None,
    out: Path,
    columns: ColumnNames,
    *,
    model: str | None,
    costs: Path | None,
    encoding: str | None,
    task: Task,
    seed: int,
    no_texts: bool,
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Measure the rows, write audit.json and its page; what to print."""
    from equipoise.costs import read_costs
    from equipoise.data.read import read_rows
    from equipoise.progress import shown, silent
    from equipoise.recipe import with_cost_column
    from equipoise.settings import classes_in

    if rows is None:
        raise SettingsError(
            "audit: give ROWS to be looked at, or --order RUN to look at the order of a run's data"
        )
    known = partial(classes_in, rows, columns, encoding, task)
    stated = None if costs is None else read_costs(costs, known)
    columns = with_cost_column(stated, columns)
    check_audit_folder(out)
    with quiet_output():
        table = read_rows(rows, columns=columns, encoding=encoding, task=task)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.auditing import audit_table, write_audit
        from equipoise.report import write_report
        from equipoise.report.audit_text import audit_text

        record = audit_table(
            table, model=model, costs=stated, seed=seed, keep_texts=not no_texts, progress=progress
        )
        stated_in = None if costs is None else str(costs)
        record = record.model_copy(update={"costs": stated_in, "encoding": encoding})
        write_audit(out, record)
        page = write_report(out)
    answer = record.to_json() | {"folder": str(out), "report": str(page)}
    warnings = [f"warning: {warning}" for warning in record.warnings]
    return answer, "\n".join([*warnings, audit_text(record, page)])


def order_of(
    run: Path,
    rows: str | None,
    out: Path,
    columns: ColumnNames,
    encoding: str | None,
    *,
    unused: list[str],
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    """Relate places in the first epoch to final losses; what to print.

    unused  Options that are named and have nothing to say here.
    """
    from equipoise.progress import shown, silent

    if unused:
        raise SettingsError(
            *(f"{name}: has nothing to say to --order; leave it out" for name in unused)
        )
    read_manifest(run)
    check_audit_folder(out)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.auditing.order import audit_order
        from equipoise.records.order import write_order
        from equipoise.report.order_page import order_text, write_order_report

        record = audit_order(
            run,
            rows,
            columns=None if columns == ColumnNames() else columns,
            encoding=encoding,
            progress=progress,
        )
        write_order(out, record)
        page = write_order_report(out)
    answer = record.to_json() | {"folder": str(out), "report": str(page)}
    return answer, order_text(record, page)
