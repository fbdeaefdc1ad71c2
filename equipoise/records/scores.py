"""Measured values with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equipoise.errors import FolderError
from equipoise.records.files import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval, or the reason why there is none.

    `value` is None when the measure is undefined (0/0); `low` and `high` are None when no
    interval can be had honestly. Either way `why` says so in words.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str | None = None
    method: str | None = None
    """How the interval was made: "mid-p", "clopper-pearson", "bootstrap" (smoothed, over
    clusters), "mover" (per-class intervals squared and added), "cluster-t",
    "bounded-mean bootstrap" (with one further cluster, as bad or as good as can be), "jackknife"
    (over clusters)."""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} is {number}; use None and say why")
        if (self.value is None or self.low is None or self.high is None) and not self.why:
            raise ValueError("a missing value or bound must say why")

    def to_json(self) -> dict[str, Any]:
        record: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        if self.why:
            record["why"] = self.why
        if self.method:
            record["method"] = self.method
        return record


@dataclass(frozen=True)
class ClassScores:
    """One class in the judged split."""

    rows: int
    """Rows of the judged split whose label is this class."""
    decided: int
    """Rows of the judged split decided as this class; where texts are judged, rows of this category
    for which a text was written."""
    trained: int | None
    """Rows of this class in training; 0 for a class never seen there, None if not known."""
    band: str | None
    """"head" (more than 100 training rows), "middle" or "tail" (fewer than 20)."""
    measures: dict[str, Estimate]
    """precision, recall, f1, average_precision; or those of texts, `evaluate.texts.MEASURES`."""


@dataclass(frozen=True)
class Scores:
    """The judgement of one split; written as `scores.json`."""

    split: str
    rows: int
    measures: dict[str, Estimate]
    classes: dict[str, ClassScores]
    """Every class that has rows in the split or is known to the model, sorted by name."""
    bands: dict[str, dict[str, Any]] = field(default_factory=dict)
    """"head", "middle", "tail": {"classes": [names], "rows": n in the split, "macro_f1": Estimate,
    "macro_recall": Estimate}; of texts "macro_<name>" for every measure."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What speaks against believing the figures, such as rows that were trained on."""

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "split": self.split,
            "rows": self.rows,
            "measures": {name: value.to_json() for name, value in self.measures.items()},
            "classes": {
                name: {
                    "rows": scores.rows,
                    "decided": scores.decided,
                    "trained": scores.trained,
                    "band": scores.band,
                    **{measure: value.to_json() for measure, value in scores.measures.items()},
                }
                for name, scores in self.classes.items()
            },
            "bands": {
                band: {
                    key: value.to_json() if isinstance(value, Estimate) else value
                    for key, value in record.items()
                }
                for band, record in self.bands.items()
            },
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def write_scores(path: Path, scores: Scores) -> None:
    write_json(path, scores.to_json())


def read_scores(path: Path) -> Scores:
    """Raises FolderError if the file is missing, broken, or not a record of scores."""
    record = read_json(path, schema=SCHEMA)
    try:
        return Scores(
            split=record["split"],
            rows=record["rows"],
            measures={name: Estimate(**value) for name, value in record["measures"].items()},
            classes={name: _class_scores(value) for name, value in record["classes"].items()},
            bands={
                band: {
                    key: Estimate(**value) if isinstance(value, dict) else value
                    for key, value in values.items()
                }
                for band, values in record["bands"].items()
            },
            notes=tuple(record["notes"]),
            warnings=tuple(record.get("warnings", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FolderError(
            f"{path}: not a record of scores ({error}); judge the run again"
        ) from None


def _class_scores(record: dict[str, Any]) -> ClassScores:
    counts = {name: record[name] for name in ("rows", "decided", "trained", "band")}
    measures = {name: Estimate(**record[name]) for name in record if name not in counts}
    return ClassScores(**counts, measures=measures)
