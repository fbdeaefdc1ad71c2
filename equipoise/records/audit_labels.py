"""What an audit found of rows that may have several labels: how labels share rows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Together(_Part):
    """Two labels that come together more often than chance has it."""

    one: str
    other: str
    rows: int
    """That have both."""
    expected: float
    """Rows, if the labels had nothing to do with each other."""
    p: float
    """That so many come by chance, corrected for the number of pairs."""


class CoOccurrence(_Part):
    """How labels share the rows that would train, where a row may have several."""

    rows: int
    bare: int
    """Rows without labels."""
    per_row: float
    """Labels of a row, on average."""
    most: int
    """Labels of the row that has most."""
    sets: int
    """Different sets of labels."""
    once: int
    """Of those, sets that occur once."""
    mean_ratio: float
    """Mean over labels of the most frequent label's rows to theirs (MeanIR)."""
    scumble: float
    """How far rare labels come on rows of frequent ones, 0 to 1 (SCUMBLE)."""
    alone: dict[str, int]
    """Rows on which each label is the only one."""
    pairs: list[Together]
    """The least likely by chance first."""
