"""Records of a run to one HTML file. See docs/report.md."""

from equipoise.report.page import write_report

__all__ = ["write_report"]
