"""Records of a run or an audit to one HTML file. See docs/report.md and docs/audit.md."""

from __future__ import annotations

from pathlib import Path

from equipoise.records.audit import AUDIT
from equipoise.records.order import ORDER
from equipoise.records.run import MANIFEST, read_manifest
from equipoise.report import page, written_page
from equipoise.report.audit_page import write_audit_report
from equipoise.report.order_page import write_order_report

__all__ = ["write_report"]


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a finished run or of an audit, `order.html` into that
    of an audit of a run's order; returns its path.

    One file that asks nothing of a network; the same folder gives the same bytes.
    Raises FolderError if the folder holds none of them, or a file in it is broken.
    """
    if (folder / ORDER).exists() and not any((folder / f).exists() for f in (AUDIT, MANIFEST)):
        return write_order_report(folder)
    if (folder / AUDIT).exists() and not (folder / MANIFEST).exists():
        return write_audit_report(folder)
    if read_manifest(folder).writes:
        return written_page.write_report(folder)
    return page.write_report(folder)
