"""How long an audit takes beside the encoding: 10 k and 100 k short rows in 50 classes.

Rows are those of `benchmarks.scale` with a group column and a date column. Tokens are those of the
default encoder's tokenizer; its vectors are stood in for by drawn ones of the same width, so that
what is timed is everything but the encoding: reading, dividing, tokenizing, the probe, neighbours,
all parts of the audit, the record and the page. Each size is a process of its own. Aim: 100,000
rows within 2 minutes on 2 cores.

    python -m benchmarks.audit_speed        (processor seconds are steadier on a busy machine)
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT, Bench, Unit, run_child
from benchmarks.scale import messages, zipf

SIZES = (10_000, 100_000)
LIMIT_SECONDS = 120
WIDTH, CLASSES = 384, 50


def write_rows(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    texts = messages(rows, rng)
    labels = rng.choice(CLASSES, size=rows, p=zipf(CLASSES, 1.0))
    groups = rng.integers(rows // 3, size=rows)
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["text", "label", "customer", "day"])
        for row, (text, label, group) in enumerate(zip(texts, labels, groups, strict=True)):
            writer.writerow([text, f"class {label}", f"c{group}", row])


def drawn_vectors(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Around one centre a class, so near that some rows lie in another class."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(CLASSES, WIDTH)) * 0.25
    return (centres[labels] + rng.normal(size=(len(labels), WIDTH))).astype(np.float32)


def child(path: str, out: str) -> dict[str, Any]:
    from unittest import mock

    from equipoise.auditing import audit_table, encoder, write_audit
    from equipoise.data import ColumnNames, read_rows
    from equipoise.report import write_report

    drawing = [0.0, 0.0]  # what takes the place of the encoding is not counted

    def encode(texts: Any, *_: Any) -> NDArray[np.float32]:
        begun, own = time.perf_counter(), time.process_time()
        vectors = drawn_vectors(np.array(numbers))
        drawing[:] = time.perf_counter() - begun, time.process_time() - own
        return vectors

    wall, own = time.perf_counter(), time.process_time()
    table = read_rows(path, columns=ColumnNames(group=("customer",), time="day"))
    reading = time.perf_counter() - wall
    labels = table.parts["all"].labels
    assert labels is not None
    numbers = [int(label.split()[1]) for label in labels]
    with mock.patch.object(encoder, "encode", encode):
        record = audit_table(table)
    begun = time.perf_counter()
    write_audit(Path(out), record)
    page = write_report(Path(out))
    seconds = {"reading": reading, **record.seconds, "page": time.perf_counter() - begun}
    seconds.pop("encoding")
    return {
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "total_seconds": round(time.perf_counter() - wall - drawing[0], 2),
        "cpu_seconds": round(time.process_time() - own - drawing[1], 2),
        "page_bytes": page.stat().st_size,
        "capped": record.capped,
        "findings": [finding.kind for finding in record.findings],
    }


def run(unit: Unit) -> dict[str, Any]:
    rows = int(unit.settings["rows"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        command = [sys.executable, "-m", "benchmarks.audit_speed", "--child", path, folder]
        measured = run_child(command, cwd=ROOT)
    result: dict[str, Any] = measured.record
    return result | {
        "rows": rows,
        "peak_bytes": measured.peak_rss,
        "process_seconds": round(measured.seconds, 1),
    }


def table(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "rows": unit["result"]["rows"],
            "total_s": unit["result"]["total_seconds"],
            "cpu_s": unit["result"]["cpu_seconds"],
            "peak_mb": unit["result"]["peak_bytes"] / 1e6,
            "load_before": unit["load_before"],
            **unit["result"]["seconds"],
        }
        for unit in units
    ]


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    largest = max(units, key=lambda unit: unit["result"]["rows"])["result"]
    return {
        "rows": largest["rows"],
        "total_seconds": largest["total_seconds"],
        "cpu_seconds": largest["cpu_seconds"],
        "limit_seconds": LIMIT_SECONDS,
        "says": f"{largest['rows']:,} rows: {largest['total_seconds']:.0f} s beside the encoding "
        f"({largest['cpu_seconds']:.0f} s of processor), at most {LIMIT_SECONDS} s wanted",
    }


bench = Bench(
    "audit_speed",
    units=[Unit(f"rows-{rows}", {"rows": rows}) for rows in SIZES],
    run=run,
    price_seconds=lambda unit: 10 + 1e-3 * unit.settings["rows"],
    summarise=summarise,
    table=table,
    about="Seconds of an audit beside the encoding.",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], sys.argv[3])))
        raise SystemExit(0)
    raise SystemExit(bench.main())
