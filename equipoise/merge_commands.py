"""What `train --orders` does once its options are read: several runs to be merged."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from equipoise.commands import Answer, asked_rows
from equipoise.data.roles import Task
from equipoise.data.table import ColumnNames
from equipoise.terminal import quiet_libraries, warn


def train_orders(
    rows: str,
    out: Path,
    settings: dict[str, Any],
    columns: ColumnNames,
    orders: int,
    *,
    seed: int,
    force: bool,
    quiet: bool,
    encoding: str | None = None,
    task: Task = "auto",
) -> Answer:
    """One run per data order, each in a folder of its own with its report."""
    from equipoise.progress import shown, silent
    from equipoise.summary import orders_text, run_record

    started = time.perf_counter()
    recipe, table = asked_rows(rows, settings, columns, encoding, task)
    with quiet_libraries(), contextlib.nullcontext(silent) if quiet else shown() as progress:
        from equipoise.fit import fit_orders
        from equipoise.report import write_report

        runs = fit_orders(
            *(table, out, recipe, orders),
            seed=seed,
            force=force,
            progress=progress,
            started=started,
            warn=(lambda said: None) if quiet else warn,
        )
        pages = [write_report(run.folder) for run in runs]
    records = [run_record(run, page) for run, page in zip(runs, pages, strict=True)]
    return {"runs": records}, orders_text(runs)
