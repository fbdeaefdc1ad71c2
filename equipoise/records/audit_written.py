"""What an audit found of rows that a model is to write: what they teach, category by category."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CategoryAnswers(_Part):
    name: str
    rows: int
    """Rows that would train."""
    share: float
    """Of these rows, 0 to 1."""
    learned: float
    """Share of all that is learned: what the category weighs where every token weighs the same."""
    median: float
    """Tokens, or words, that are learned of a row."""
    high: float
    """The 95th percentile."""
    questions: int
    """Different questions, but for case and spaces."""
    different: int
    """Different answers, likewise."""
    commonest: int
    """Different questions that the most frequent answer is given to."""


class Answers(_Part):
    unit: Literal["tokens", "words"]
    prompts: int
    """Different prompts; 0 where texts are learned whole."""
    several: int
    """Prompts with different completions."""
    several_rows: int
    """Rows that hold them."""
    repeated: int
    """Rows that repeat an earlier one whole, prompt and completion."""
    different: int
    """Different answers of the rows that would train."""
    categories: list[CategoryAnswers]
    """Those with rows that would train, most rows first."""
