"""Whether probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.report.read import RunFolder


@dataclass(frozen=True)
class Bin:
    range: str
    rows: int
    mean: str
    right: str
    interval: str
    why: str | None


@dataclass(frozen=True)
class CalibrationSection:
    chart: Markup | None
    bins: tuple[Bin, ...]


def calibration_section(run: RunFolder) -> CalibrationSection:
    return CalibrationSection(None, ())
